# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two whole responders and one ledger, on real wires: entries, limits, escalation, and a database that comes and goes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger import shared as session_module
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import reconcile as reconcile_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import worker as worker_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.shared import member as member_module

from emulator.testing import Handle, running_emulator
from tools.database import Server

from ..running import Running, entries, firewall, post_of, until

NAMES = ("fw1", "fw2")


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    with running_emulator(firewalls=NAMES) as handle:
        yield handle


@pytest.fixture
def emulator(shared: Handle, monkeypatch: pytest.MonkeyPatch) -> Handle:
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    shared.reset()
    return shared


@pytest.fixture
def pair(emulator: Handle, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Running, Running]]:
    """Two responders, each with a firewall; however busy the machine is, neither takes the database for gone or the other for dead."""
    monkeypatch.setattr(member_module, "GONE", 60.0)
    monkeypatch.setattr(session_module, "SILENT", 60.0)
    with ExitStack() as stack:
        found = tuple(stack.enter_context(respond(emulator, tmp_path / name, database)) for name in ("one", "other"))
        until(lambda: sorted(name for one in found for name in status(one)["shared"]["works"]) == list(NAMES))
        yield found


def urls(emulator: Handle) -> list[str]:
    return [emulator.firewalls[number].api_url for number in (0, 1)]


def respond(emulator: Handle, directory: Path, database: str, **more: Any) -> Running:
    directory.mkdir(exist_ok=True)
    firewalls = [firewall(emulator, number) for number in (0, 1)]
    limits = {"new_per_minute": 30}
    return Running(directory, {"firewalls": firewalls, "ledger": database, "limits": limits, "escalation": {"cap": 40000}, **more})


def status(running: Running) -> dict[str, Any]:
    return json.loads(running.get("/status")[1])


def posted(emulator: Handle) -> Counter[tuple[str, str]]:
    """How often each address was written to each firewall."""
    writes = ((name, one) for name in NAMES for one in emulator.journal("cos", firewall=name, writes=True))
    return Counter((name, parse_qs(one["body"])["host"][0]) for name, one in writes)


def test_the_limit_holds_over_both_and_nothing_is_posted_twice(emulator: Handle, pair: tuple[Running, Running], database: str) -> None:
    ids = [pair[number % 2].post(sourceIP=f"203.0.113.{number + 1}") for number in range(40)]
    until(lambda: all(pair[number % 2].verdicts(one) for number, one in enumerate(ids)))
    verdicts = Counter(pair[number % 2].verdict(one)["verdict"] for number, one in enumerate(ids))
    assert verdicts["blocked"] + verdicts["limited"] == 40 and 27 <= verdicts["blocked"] <= 30
    blocked = {number for number, one in enumerate(ids) if pair[number % 2].verdict(one)["verdict"] == "blocked"}
    until(lambda: all(len(entries(emulator, name)) == len(blocked) for name in NAMES))
    assert set(posted(emulator).values()) == {1}
    ledger = Ledger.from_option(database, pytest.fail)
    until(lambda: len(ledger.standing(Filter(origin="responder"), 0.0)) == 2 * len(blocked))
    ledger.close()
    until(lambda: all(status(one)["shared"]["connected"] and status(one)["shared"]["responders"] == 2 for one in pair))


def test_what_both_are_told_is_posted_once(emulator: Handle, pair: tuple[Running, Running]) -> None:
    for number in range(10):
        post = post_of(sourceIP=f"203.0.113.{number + 1}")
        for one in pair:
            assert one.send(post)[1]["new"]
    until(lambda: all(len(one.verdicts()) >= 10 for one in pair))
    assert {verdict["verdict"] for one in pair for verdict in one.verdicts()} <= {"blocked", "already_blocked"}
    assert set(posted(emulator).values()) == {1} and len(posted(emulator)) == 20


def test_who_comes_again_elsewhere_is_blocked_for_longer(
    emulator: Handle, pair: tuple[Running, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_module.View, "is_fresh", lambda self, age: age > reconcile_module.BELIEVED)
    memories = [one.app._responder.records._memory for one in pair]
    seen = []
    for number in range(4):
        verdict = pair[number % 2].ask(sourceIP="203.0.113.5")
        seen.append((verdict["verdict"], round(verdict["entry"]["ttl"], -2)))  # a second or two may be over
        until(lambda number=number: all(memory.past("203.0.113.5", 0).offences == number + 1 for memory in memories))
        until(lambda: all(set(status(one)["addresses_waiting"].values()) == {0} for one in pair))
        emulator.advance(100_000)
    assert seen == [("blocked", 3600), ("blocked", 14400), ("blocked", 40000), ("blocked", 40000)]


def test_the_other_goes_on_when_one_ends(emulator: Handle, pair: tuple[Running, Running]) -> None:
    pair[0].stop()
    first = pair[1].post(sourceIP="203.0.113.5")
    assert pair[1].verdict(first)["verdict"] == "blocked"
    until(lambda: status(pair[1])["shared"] == {"connected": True, "responders": 1, "works": list(NAMES)})
    assert [len(entries(emulator, name, "203.0.113.5")) for name in NAMES] == [1, 1]


def test_without_the_database_nothing_waits_and_nothing_is_lost(
    emulator: Handle, pair: tuple[Running, Running], database: str, postgresql: Server
) -> None:
    before = pair[0].ask(sourceIP="203.0.113.5")
    postgresql.stop()
    try:
        ids = [pair[number % 2].post(sourceIP=f"203.0.113.{number + 10}") for number in range(10)]
        for number, one in enumerate(ids):
            assert pair[number % 2].verdict(one)["verdict"] == "blocked"
        until(lambda: all(status(one)["shared"]["connected"] is False and status(one)["ledger"]["waiting"] for one in pair))
    finally:
        postgresql.start()
    until(lambda: all(status(one)["shared"]["connected"] and not status(one)["ledger"]["waiting"] for one in pair))
    ledger = Ledger.from_option(database, pytest.fail)
    standing = {(one.last.firewall, one.last.address) for one in ledger.standing(Filter(), 0.0)}
    assert standing == {(url, host) for url in urls(emulator) for host in ["203.0.113.5", *(f"203.0.113.{n + 10}" for n in range(10))]}
    assert before["verdict"] == "blocked" and len({one.began.event for one in ledger.standing(Filter(), 0.0)}) == 11
    ledger.close()
