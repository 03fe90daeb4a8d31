# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has broken a responder: firewalls that do not let go, names that come late, limits that pass, much that waits."""

from __future__ import annotations

import json
import re
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import app as app_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import responder as responder_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide import limits as limits_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import fleet as fleet_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import link as link_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import worker as worker_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.inbox import Inbox

from emulator.testing import Handle, running_emulator

from .cable import Cable
from .running import Running, entries, firewall, post_of, until

HOST, OTHER = "203.0.113.5", "203.0.113.6"


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    with running_emulator(firewalls=("fw1", "fw2")) as handle:
        yield handle


@pytest.fixture
def emulator(shared: Handle, monkeypatch: pytest.MonkeyPatch) -> Handle:
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    shared.reset()
    return shared


def writes(emulator: Handle, name: str = "fw1") -> int:
    return len(emulator.journal("cos", firewall=name, writes=True))


def health(running: Running) -> dict[str, Any]:
    return dict(json.loads(running.get("/healthz")[1]))


@contextmanager
def dripping() -> Iterator[str]:
    """A firewall that answers one byte after the other and never comes to an end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip(connection: socket.socket) -> None:
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
                    while not over.wait(0.02):
                        connection.sendall(b" ")
                except OSError:
                    pass

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()


def test_a_firewall_that_never_finishes_its_answer_is_down_and_does_not_hold_the_end_up(
    emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "PATIENCE", -599.7)
    monkeypatch.setattr(fleet_module, "STOPPING", 0.5)
    monkeypatch.setattr(responder_module, "FIRST_LOOK", 0.5)
    with dripping() as url:
        slow = {"name": "slow", "api_url": url, "timeout": 600}
        with Running(tmp_path, {"firewalls": [firewall(emulator, timeout=600), slow], "verdict_after": 0.5}) as running:
            verdict = running.ask(sourceIP=HOST)
            assert [(one["name"], one["result"]) for one in verdict["firewalls"]] == [("fw1", "blocked"), ("slow", "pending")]
            until(lambda: health(running)["firewalls"] == {"fw1": "up", "slow": "timeout_unknown"})
            until(lambda: 'firewall_up{firewall="slow"} 0.0' in running.get("/metrics")[1])
            running.stop()


def test_limits_that_need_more_descriptors_than_there_are_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[tuple[int, int]] = [(256, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _what: allowed[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: allowed.append(limits))
    app_module.check(Configuration.from_args({"limits": {"connections": 500}}, {}))
    assert allowed[-1][0] >= 500 and allowed[-1][1] == 1024
    with pytest.raises(InvalidInput, match=r"limits\.connections \(5000\) .* this process may open 1024: allow more"):
        app_module.check(Configuration.from_args({"limits": {"connections": 5000}}, {}))


def test_what_waits_is_bounded_in_bytes(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "MOST_BYTES", 20_000)
    with Cable(emulator.firewalls[0].http_url, plugged=False) as cable:
        respond = {"firewalls": [firewall(emulator, api_url=cable.url)], "verdict_after": 600}
        with Running(tmp_path, respond) as running:
            statuses = [running.send(post_of(sourceIP=f"203.0.113.{number}", data="x" * 5000))[0] for number in range(1, 7)]
            assert statuses[:3] == [200] * 3 and statuses[3:] == [429] * 3
            assert running.send(post_of(sourceIP=HOST, other=[[]] * 5000))[0] == 400, "many parts"
            cable.plug()
            until(lambda: len(running.verdicts()) == 3)
            until(lambda: running.send(post_of(sourceIP=HOST, data="x" * 5000))[0] == 200)


def test_new_events_are_answered_while_old_ones_are_read(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cable(emulator.firewalls[0].http_url, plugged=False) as cable:
        respond = {"firewalls": [firewall(emulator, api_url=cable.url)], "verdict_after": 600}
        with Running(tmp_path, respond) as running:
            old = {running.post(sourceIP=f"203.0.113.{number}") for number in range(10, 30)}
        cable.plug()
        monkeypatch.setattr(app_module, "REPLAYED", 3)
        gate, read = threading.Event(), Inbox.pending

        def pending(inbox: Inbox, after: int, most: int, newest: int) -> Any:
            if after:
                gate.wait(20)
            return read(inbox, after, most, newest)

        monkeypatch.setattr(Inbox, "pending", pending)
        with Running(tmp_path, respond) as running:
            assert running.ask(sourceIP=HOST)["verdict"] == "blocked"
            assert len(running.verdicts()) <= 4
            gate.set()
            until(lambda: old <= {verdict["intrusion"]["id"] for verdict in running.verdicts()})
    assert writes(emulator) == 21


def test_lost_ground_is_said_and_nothing_is_acknowledged(emulator: Handle, tmp_path: Path) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        running.ask(sourceIP=OTHER)
        (tmp_path / "state" / "inbox.sqlite3").unlink()
        (tmp_path / "state" / "inbox.sqlite3").mkdir()
        assert running.send(post_of(sourceIP=HOST))[0] == 503
        assert running.get("/healthz")[0] == 503 and health(running)["recording"] is False
        until(lambda: entries(emulator, host=HOST), "the block, which does not wait for the disk")
        (tmp_path / "state" / "inbox.sqlite3").rmdir()
        until(lambda: running.send(post_of(sourceIP=HOST))[0] == 200)
        until(lambda: health(running)["recording"])


def test_the_loop_opens_no_file(emulator: Handle, tmp_path: Path) -> None:
    """Whatever it is asked, it waits for no disk: files, directories and databases are for other threads."""
    opened: list[str] = []
    watched: list[int] = []

    def look(event: str, args: tuple[Any, ...]) -> None:
        may_block = event in ("open", "os.listdir", "os.scandir", "sqlite3.connect", "socket.getaddrinfo")
        if may_block and threading.get_ident() in watched and not str(args[0]).endswith((".py", ".pyc")):  # those are imported late
            opened.append(f"{event} {args[0]}")

    sys.addaudithook(look)
    respond = {"firewalls": [firewall(emulator)], "ledger": "postgresql://127.0.0.1:1/nobody?user=nobody"}
    with Running(tmp_path, respond) as running:
        running.app._responder.records.note([Record(time.time(), "block", "ok", OTHER, "all_services", "https://192.0.2.1")])
        until(lambda: health(running)["ledger"]["waiting"], "a record that waits for the database")
        watched.append(running._thread.ident)
        assert running.ask(sourceIP=HOST)["verdict"] == "blocked"
        assert [running.get(path)[0] for path in ("/healthz", "/status", "/metrics")] == [200] * 3
        running._loop.call_soon_threadsafe(running.app.reload, running.app.settings)
        assert running.ask(sourceIP=OTHER)["verdict"] == "blocked"
        watched.clear()
    assert not opened


def test_exemptions_are_shown(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder_module, "SHOWN", 1)
    ledger = Ledger(str(tmp_path / "ledger.sqlite3"), pytest.fail)
    let_in = Record(time.time(), "unblock", "ok", HOST, "all_services", "https://192.0.2.1", ttl=7200, user="alice")
    assert ledger.record([let_in, let_in._replace(address=OTHER), let_in._replace(address="203.0.113.7", at=let_in.at - 7201)])
    ledger.close()
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        status = json.loads(running.get("/status")[1])
        assert [(one["host"], one["user"]) for one in status["exempt"]] == [(HOST, "alice")] and status["exempt_total"] == 2
        assert "exempt" not in health(running)


def test_no_address_of_this_machine_and_no_relay_is_blocked(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {IPv4Address("198.51.100.10"), IPv4Address("198.51.100.11")}
    monkeypatch.setattr(fleet_module, "own_addresses", lambda: frozenset(own))
    monkeypatch.setattr(fleet_module, "OWN_PAUSE", 0.0)
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}, allow_from=["127.0.0.0/8", "203.0.113.60"]) as running:
        for address in ("198.51.100.10", "198.51.100.11", "203.0.113.60"):
            verdict = running.ask(sourceIP=address)
            assert (verdict["verdict"], verdict["code"]) == ("protected", "protected_address"), address
        assert running.ask(sourceIP="203.0.113.61")["verdict"] == "blocked"
        own.add(IPv4Address("198.51.100.12"))
        until(lambda: running.app._responder.fleet.guard.reason("198.51.100.12"), "an address that this machine got later")


def test_nothing_is_blocked_on_a_firewall_whose_address_is_not_known(
    emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses: set[IPv4Address] = set()
    monkeypatch.setattr(link_module, "resolve", lambda _host, _port: frozenset(addresses))
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "verdict_after": 0.3}) as running:
        its_own, other = running.post(sourceIP=HOST), running.post(sourceIP=OTHER)
        assert {running.verdict(event)["code"] for event in (its_own, other)} == {"unreachable"}
        assert health(running)["firewalls"] == {"fw1": "unreachable"} and not emulator.journal("cos")
        addresses.add(IPv4Address(HOST))
        late = running.verdict(its_own, 1)
        assert (late["verdict"], late["code"], late["late"]) == ("protected", "protected_address", True)
        assert running.verdict(other, 1)["verdict"] == "blocked"
    assert {entry["host"] for entry in entries(emulator)} == {OTHER}


def test_what_the_limits_held_up_is_done_when_they_clear(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "WINDOW", 1.5)
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "limits": {"new_per_minute": 2}}, limits={"queue": 3}) as running:
        posts = [post_of(sourceIP=f"203.0.113.{number}") for number in range(1, 7)]
        ids = [running.send(post)[1]["ids"][0] for post in posts]
        assert [running.verdict(event)["verdict"] for event in ids] == ["blocked"] * 2 + ["limited"] * 4, "which do not fill the queue"
        assert health(running)["limited_events"] == 4
        assert running.send(posts[5])[1]["new"] == 0
        late = [running.verdict(event, 1) for event in ids[2:]]
        assert {(verdict["verdict"], verdict["late"]) for verdict in late} == {("blocked", True)}
        until(lambda: health(running)["limited_events"] == 0)
    assert len(entries(emulator)) == 6


def test_what_the_limits_held_up_survives_a_restart(emulator: Handle, tmp_path: Path) -> None:
    firewalls = [firewall(emulator)]
    with Running(tmp_path, {"firewalls": firewalls, "limits": {"total": 1}}) as running:
        assert running.ask(sourceIP=HOST)["verdict"] == "blocked"
        event = running.post(sourceIP=OTHER)
        assert running.verdict(event)["verdict"] == "limited"
    with Running(tmp_path, {"firewalls": firewalls, "limits": {"total": 1}}) as running:
        until(lambda: health(running)["limited_events"] == 1)
        assert not running.verdicts(), "that was told"
    with Running(tmp_path, {"firewalls": firewalls}) as running:
        late = running.verdict(event)
        assert (late["verdict"], late["late"]) == ("blocked", True)


def test_what_waits_for_the_limits_is_bounded(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder_module, "MOST_LIMITED", 2)
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "limits": {"total": 1}}) as running:
        posts = [post_of(sourceIP=f"203.0.113.{number}") for number in range(1, 5)]
        for post in posts:
            running.verdict(running.send(post)[1]["ids"][0])
        assert health(running)["limited_events"] == 2
        assert running.send(posts[3])[1]["new"] == 0
        assert running.send(posts[1])[1]["new"] == 1, "nothing was done for it, so it is not known"


def test_what_was_taken_back_in_the_meantime_is_not_written(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "LATE", 0.0)
    with Cable(emulator.firewalls[1].http_url, plugged=False) as cable:
        respond = {"firewalls": [firewall(emulator), firewall(emulator, 1, api_url=cable.url)], "verdict_after": 0.3}
        with Running(tmp_path, respond) as running:
            event = running.post(sourceIP=HOST)
            other = running.post(sourceIP=OTHER)
            assert running.verdict(event)["firewalls"][1]["result"] == "pending"
            ledger = Ledger(str(tmp_path / "ledger.sqlite3"), print)  # as undo does it on the firewall that it reaches
            ledger.record([Record(time.time(), "unblock", "ok", HOST, "all_services", emulator.firewalls[0].api_url)])
            ledger.close()
            cable.plug()
            assert [one["result"] for one in running.verdict(event, 1)["firewalls"]] == ["blocked", "withdrawn"]
            assert running.verdict(other, 1)["firewalls"][1]["result"] == "blocked"
            assert running.ask(sourceIP=HOST)["firewalls"][1]["result"] == "blocked", "a later event counts again"
    assert {entry["host"] for entry in entries(emulator, "fw2")} == {HOST, OTHER}


def test_a_later_disappearance_is_somebodys_decision(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "RELIST", 0.05)
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        running.ask(sourceIP=HOST)
        until(lambda: health(running)["addresses_waiting"] == {"fw1": 0})
        emulator.reset()  # somebody takes everything off
        listed = len(emulator.journal("cos"))
        until(lambda: len(emulator.journal("cos")) > listed + 2)
        assert not entries(emulator) and len(running.verdicts()) == 1


def test_a_contradiction_is_mended_or_told(emulator: Handle, tmp_path: Path) -> None:
    emulator.switch("cos.whitelist", "silent")
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        event = running.post(sourceIP="192.0.2.250")
        early = running.verdict(event)
        assert (early["verdict"], early["verified"], early["late"]) == ("blocked", False, False)
        late = running.verdict(event, 1)
        assert (late["verdict"], late["code"], late["late"]) == ("failed", "not_listed_after_write", True)
        assert writes(emulator) == 2, "once more"
        emulator.reset()
        emulator.switch("cos.capacity", "0:silent")
        event = running.post(sourceIP=HOST)
        assert running.verdict(event)["verdict"] == "blocked"
        emulator.switch("cos.capacity", "none")
        until(lambda: entries(emulator, host=HOST), "the second write")
        until(lambda: health(running)["addresses_waiting"] == {"fw1": 0})
        assert len(running.verdicts(event)) == 1, "nothing to tell"
    records, _count = Ledger(str(tmp_path / "ledger.sqlite3"), print).find(responder_module.Filter(addresses=("192.0.2.250",)))
    assert (records[0].outcome, records[0].code) == ("failed", "not_listed_after_write")


def test_what_the_log_says_of_the_ledger_is_counted(emulator: Handle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"SQLite format 3\0" + bytes(50))
    (tmp_path / "ledger.sqlite3").chmod(0o600)
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        assert running.ask(sourceIP=HOST)["verdict"] == "blocked"
        said = sum("ledger" in record.getMessage() and record.name == "intrusion.response" for record in caplog.records)
        found = re.search(r"^intrusion_response_ledger_errors_total ([0-9.]+)$", running.get("/metrics")[1], re.MULTILINE)
        assert said and found and float(found[1]) >= said
        until(lambda: not health(running)["ledger"]["healthy"])
