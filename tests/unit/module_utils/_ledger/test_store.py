# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger in either store: append-only, shared by many processes, and never a reason to fail."""

from __future__ import annotations

import fnmatch
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record, offences, standing
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import DAY, Ledger
from hypothesis import given, settings
from hypothesis import strategies as st

from .maker import Maker

NOW = 1_800_000_000.0
FIREWALL = "https://192.0.2.1"

WORKER = """
import sys, time
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
for turn in range(10):
    ledger = Ledger.from_option(sys.argv[1], lambda message: sys.exit(message))
    done = [Record(time.time(), "block", "ok", f"203.0.113.{n}", "all_services", "https://192.0.2.1", event=sys.argv[2]) for n in range(5)]
    assert ledger.record(done)
    ledger.close()
"""


def record(at: float = NOW, action: str = "block", outcome: str = "ok", address: str = "203.0.113.5", **more: Any) -> Record:
    return Record(**{"at": at, "action": action, "outcome": outcome, "address": address, "service": "all_services",
                     "firewall": FIREWALL, "ttl": 3600, **more})  # fmt: skip


texts = st.sampled_from(("", "scan", "IPS: Scan", "ips: scan", "IPS*", "a[b]c", "umlaut \u00e4", "half \ud800", "nul \0 inside"))
names = st.one_of(st.none(), st.sampled_from(("e1", "e2", "e3")))
made = st.builds(
    Record,
    at=st.integers(0, 400).map(lambda seconds: NOW - seconds),
    action=st.sampled_from(("block", "renew", "update", "unblock")),
    outcome=st.sampled_from(("ok", "ok", "failed", "unknown")),
    address=st.sampled_from(("203.0.113.5", "203.0.113.50", "198.51.100.7")),
    service=st.sampled_from(("all_services", "http-all")),
    firewall=st.sampled_from((FIREWALL, f"{FIREWALL}:8443")),
    ttl=st.one_of(st.none(), st.integers(1, 600), st.just(10**400)),
    rule_name=texts,
    description=texts,
    code=st.one_of(st.none(), st.just("unreachable")),
    origin=st.sampled_from(("responder", "cos_blacklist_entry")),
    user=st.one_of(st.none(), texts),
    job=st.none(),
    event=names,
    event_rule=st.one_of(st.none(), texts),
    overridden=st.none(),
    write=st.sampled_from((None, None, "1", "2")),
    id=st.none(),
).map(lambda one: one._replace(write=one.write and " ".join((one.firewall, one.address, one.service, one.action, one.write))))
filters = st.builds(
    Filter,
    event=names,
    rule_name=st.one_of(st.none(), st.sampled_from(("SCAN", "*scan", "IPS: *", "ips: [A-S]*", "?*", "a[b]c", "IPS*"))),
    addresses=st.lists(st.sampled_from(("203.0.113.5", "198.51.100.7", "192.0.2.9")), max_size=2, unique=True).map(tuple),
    firewall=st.one_of(st.none(), st.just(FIREWALL)),
    since=st.one_of(st.none(), st.integers(0, 400).map(lambda seconds: NOW - seconds)),
    until=st.one_of(st.none(), st.integers(0, 400).map(lambda seconds: NOW - seconds)),
    actions=st.lists(st.sampled_from(("block", "unblock")), max_size=2, unique=True).map(tuple),
    origin=st.one_of(st.none(), st.just("responder")),
)


def folded(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def passes(wanted: Filter, one: Record) -> bool:
    """The filters again, on a record instead of in SQL."""
    rules = [folded(rule) for rule in (one.rule_name, one.event_rule) if rule is not None]
    name = folded(wanted.rule_name or "")
    named = wanted.rule_name is None or any(rule == name or fnmatch.fnmatchcase(rule, name) for rule in rules)
    return (
        named
        and wanted.event in (None, one.event)
        and (not wanted.addresses or one.address in wanted.addresses)
        and wanted.firewall in (None, one.firewall)
        and (wanted.since is None or one.at >= wanted.since)
        and (wanted.until is None or one.at < wanted.until)
        and (not wanted.actions or one.action in wanted.actions)
        and wanted.origin in (None, one.origin)
    )


def kept(one: Record, number: int) -> Record:
    """A record as it comes back: numbered, texts cleaned, numbers bounded."""
    given = {name: clean(value) if isinstance(value, str) else value for name, value in one._asdict().items()}
    return Record(**{**given, "id": number, "ttl": one.ttl if one.ttl is None else min(one.ttl, 2**53)})


def counted(in_order: list[Record]) -> int:
    """The offences again, each block by itself."""

    def taken_back(index: int) -> bool:
        block = in_order[index]
        nothing_between = True
        for later in in_order[index + 1 :]:
            if (later.firewall, later.service) == (block.firewall, block.service):
                if (later.action, later.outcome) == ("unblock", "ok") and (nothing_between or block.ends is None or later.at <= block.ends):
                    return True
                nothing_between = nothing_between and (later.action != "block" or later.outcome == "failed")
        return False

    blocks = [one for index, one in enumerate(in_order) if (one.action, one.outcome) == ("block", "ok") and not taken_back(index)]
    alone = [sum(1 for one in blocks if one.event is None and one.firewall == name) for name in {one.firewall for one in blocks}]
    return len({one.event for one in blocks} - {None}) + max(alone, default=0)


often = st.builds(
    record,
    at=st.integers(0, 60).map(lambda seconds: NOW - seconds),
    action=st.sampled_from(("block", "block", "unblock", "renew")),
    outcome=st.sampled_from(("ok", "ok", "ok", "failed", "unknown")),
    service=st.sampled_from(("all_services", "http-all")),
    firewall=st.sampled_from((FIREWALL, f"{FIREWALL}:8443")),
    ttl=st.sampled_from((None, 5, 20)),
    event=names,
)


@settings(max_examples=300)
@given(st.lists(often, max_size=14))
def test_every_block_that_was_not_taken_back_is_an_offence(records: list[Record]) -> None:
    in_order = sorted(records, key=lambda one: one.at)
    assert offences(in_order) == counted(in_order)


def test_a_false_alarm_is_no_offence(either: Ledger) -> None:
    def count(*records: Record) -> int:
        return offences(sorted(records, key=lambda one: one.at))

    first, second = record(NOW - 9000, event="e1"), record(NOW - 100, event="e2")
    undone = record(NOW - 90, "unblock")
    assert count(first, second) == 2
    assert count(second, undone) == 0
    assert count(first, second, undone) == 1, "the first had expired by itself"
    assert count(first, record(NOW - 8000, event="e2"), record(NOW - 7000, "unblock")) == 0, "both had time left"
    assert count(first, record(NOW - 6000, "renew", event="e3"), undone) == 0, "renewed until it was taken back"
    assert count(first, second._replace(outcome="unknown"), undone) == 1, "what may have been done began anew, too"
    short = record(NOW - 100, ttl=10, event="e1")
    assert count(short, record(NOW - 95, event="e2"), undone) == 0, "in its last moment"
    assert count(short, record(NOW - 95, event="e2"), undone._replace(at=NOW - 89)) == 1
    assert count(second, undone, record(NOW - 80, event="e3")) == 1
    for other in ({"outcome": "failed"}, {"outcome": "unknown"}, {"service": "http-all"}, {"firewall": "https://192.0.2.2"}):
        assert count(second, record(NOW - 90, **{"action": "unblock", **other})) == 1
    assert count(second, record(NOW - 110, "unblock")) == 1
    for one in (second, second._replace(firewall="https://192.0.2.2"), undone):
        either.record([one])
    assert either.past("203.0.113.5", 0).offences == 1, "on the other firewall it stands"
    either.record([undone._replace(firewall="https://192.0.2.2")])
    assert either.past("203.0.113.5", 0).offences == 0


@settings(max_examples=60)
@given(batches=st.lists(st.lists(made, max_size=5), max_size=4), wanted=filters, limit=st.integers(0, 4))
def test_it_answers_as_a_plain_list_would(make: Maker, batches: list[list[Record]], wanted: Filter, limit: int) -> None:
    make.empty()
    ledger = make(keep=0)
    assert all(ledger.record(batch) for batch in batches)
    model = [kept(one, number) for number, one in enumerate((one for batch in batches for one in batch), 1)]
    model = [one for one in model if one.write is None or one.id == max(other.id for other in model if other.write == one.write)]
    newest_first = sorted((one for one in model if passes(wanted, one)), key=lambda one: (one.at, one.id), reverse=True)
    assert ledger.find(wanted, limit) == (newest_first[: limit or None], len(newest_first))
    in_order = sorted(model, key=lambda one: (one.at, one.id))
    assert ledger.standing(wanted, NOW) == [found for found in standing(model, NOW) if passes(wanted, found.began)]
    for address in ("203.0.113.5", "192.0.2.9"):
        of_address = [one for one in in_order if one.address == address and one.at >= NOW - 200]
        assert ledger.past(address, NOW - 200).offences == counted(of_address)
    assert not make.warnings


def test_an_event_is_no_earlier_offence_of_its_own(either: Ledger) -> None:
    either.record([record(NOW - 9, event="one"), record(NOW - 8, event="two", firewall="https://192.0.2.2")])
    assert either.past("203.0.113.5", 0).offences == 2
    assert either.past("203.0.113.5", 0, "two").offences == 1


def test_what_a_clock_that_was_ahead_recorded_is_taken_in_its_order(either: Ledger) -> None:
    ahead = NOW + 1800
    either.record([record(ahead, ttl=36000), record(ahead + 1, "unblock"), record(NOW, ttl=36000)])
    assert [found.began.at for found in either.standing(Filter(), NOW)] == [NOW]


def test_a_write_that_is_completed_counts_once(either: Ledger) -> None:
    intents = [record(NOW - 9, outcome="unknown", address=f"203.0.113.{number}", write=f"w{number}", ttl=600) for number in range(4)]
    either.record(intents)
    assert [found.last.outcome for found in either.standing(Filter(), NOW)] == ["unknown"] * 4
    ended = [one._replace(at=NOW - 5, outcome=outcome) for one, outcome in zip(intents, ("ok", "failed", "unknown"))]
    either.record(ended)
    found, total = either.find(Filter())
    assert total == 4
    assert [(one.address[-1], one.outcome) for one in found] == [("2", "unknown"), ("1", "failed"), ("0", "ok"), ("3", "unknown")]
    assert [one.last.address[-1] for one in either.standing(Filter(), NOW)] == ["3", "0", "2"]
    assert [either.past(f"203.0.113.{number}", 0).offences for number in range(4)] == [1, 0, 0, 0]
    either.record([record(NOW - 4, "unblock", "unknown", address="203.0.113.0", write="w9")])
    assert "203.0.113.0" in [one.last.address for one in either.standing(Filter(), NOW)], "it may not have been taken off"
    either.record([record(NOW - 3, "unblock", address="203.0.113.0", write="w9")])
    assert "203.0.113.0" not in [one.last.address for one in either.standing(Filter(), NOW)]
    assert either.past("203.0.113.0", 0).offences == 0


def test_what_cannot_be_shown_is_cleaned(either: Ledger) -> None:
    either.record([record(event="e" * 300, event_rule="bad\x1b[2J\nrule " * 30, rule_name="two\nlines " * 40, description="\u202egnp.exe")])
    (kept,), _total = either.find(Filter())
    assert len(kept.event) == len(kept.event_rule) == 200 and "bad?[2J rule" in kept.event_rule
    assert kept.rule_name == " ".join(["two lines"] * 40), "compared with what is listed, and so not cut"
    assert kept.description == "?gnp.exe"


def test_what_stands() -> None:
    block, renew = record(NOW - 100, event="e1", ttl=50), record(NOW - 60, "renew", event="e2", ttl=100)
    assert standing([block], NOW) == []
    assert standing([renew], NOW) == [], "somebody else had blocked it"
    assert standing([block, renew], NOW) == [(block, renew)]
    assert standing([block, renew], NOW + 40) == []
    assert standing([block, renew, record(NOW - 10, "unblock")], NOW) == []
    assert standing([block, renew, record(NOW - 10, "unblock", "failed"), record(NOW - 9, "unblock", "unknown")], NOW) == [(block, renew)]
    assert standing([block, renew, record(NOW - 10, "renew", "failed", ttl=999)], NOW) == [(block, renew)]
    assert standing([block, renew, record(NOW - 10, "unblock", service="http-all")], NOW) == [(block, renew)]
    perhaps = record(NOW - 5, "block", "unknown")
    assert standing([perhaps], NOW) == [(perhaps, perhaps)]
    anew = record(NOW - 3, event="e3")
    assert standing([block, renew, anew], NOW) == [(anew, anew)], "a block of what was not listed is a new one"
    for_ever = record(NOW - 10**9, ttl=None)
    assert standing([for_ever], NOW) == [(for_ever, for_ever)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET address = '192.0.2.9'",
        "DELETE FROM records",
        "DELETE FROM records WHERE id = 1",
    ],
)
def test_append_only(make: Maker, statement: str) -> None:
    ledger = make()
    ledger.record([record(time.time())])
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match="append-only"):
        make.execute(statement)
    assert ledger.find(Filter())[0][0].address == "203.0.113.5"


def test_all_of_a_batch_or_nothing(make: Maker) -> None:
    ledger = make()
    assert ledger.record([record(), record(action="nonsense")]) == (make.place.url is not None), "a database may take it later"
    assert len(make.warnings) == 1
    make.warnings.clear()
    for waiting in Path(make.spool).glob("*/*.json"):
        waiting.unlink()
    assert ledger.find(Filter()) == ([], 0)
    ledger = make()
    assert ledger.record([record()]) and ledger.find(Filter())[1] == 1 and not make.warnings


def test_retention(make: Maker) -> None:
    now = time.time()
    ledger = make(keep=10)
    old = now - 11 * DAY
    ledger.record([
        record(old), record(old, address="203.0.113.6", ttl=None), record(now - 9 * DAY, address="203.0.113.7"),
        record(old, address="203.0.113.8", ttl=30 * DAY), record(old + 1, "unblock", address="203.0.113.8"),
        record(old, address="203.0.113.9", ttl=30 * DAY),
    ])  # fmt: skip
    assert [one.address[-1] for one in ledger.find(Filter())[0]] == ["7", "8", "9", "8"], "what has time left is kept, with all about it"
    assert [found.last.address[-1] for found in ledger.standing(Filter(), now)] == ["9"]
    ledger.record([record(old)])
    assert ledger.find(Filter())[1] == 5, "once a day is enough"
    make.execute(f"UPDATE retention SET applied = applied - {DAY + 1}")
    make(keep=0).record([record(old)])
    assert ledger.find(Filter())[1] == 6, "0 keeps for ever"
    ledger = make(keep=10)
    ledger.record([record(now)])
    assert ledger.find(Filter())[1] == 5, "that it goes on keeps no older block of the same address"
    assert not make.warnings


def test_a_clock_that_leaps_ahead_removes_nothing(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = make(keep=10)
    now = time.time()
    ledger.record([record(now)])
    monkeypatch.setattr(time, "time", lambda: now + 5000 * DAY)
    make(keep=10).record([record(now)])
    assert ledger.find(Filter())[1] == 2
    monkeypatch.setattr(time, "time", lambda: now + 5002 * DAY)
    make(keep=10).record([record(now + 5002 * DAY)])
    assert ledger.find(Filter())[1] == 1, "it stayed there, so it is right"


def test_many_processes_at_once(make: Maker) -> None:
    many = 20 if make.place.url is None else 4
    ledger = make()
    command = [sys.executable, "-c", WORKER, make.place.url or make.place.path]
    workers = [subprocess.Popen([*command, f"e{number}"], stderr=subprocess.PIPE) for number in range(many)]
    for worker in workers:
        _out, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    found, total = ledger.find(Filter())
    assert total == 50 * many and len({one.id for one in found}) == total
    assert ledger.past("203.0.113.0", 0).offences == many


def test_threads_of_one_process(either: Ledger, warnings: list[str]) -> None:
    def work(number: int) -> None:
        for _turn in range(10):
            assert either.record([record(event=f"e{number}")])
            assert either.past("203.0.113.5", 0).offences >= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert either.find(Filter())[1] == 80 and either.past("203.0.113.5", 0).offences == 8
    assert not warnings


def test_events_by_the_beginning_of_their_ids(either: Ledger) -> None:
    assert either.events("a", 9) == []
    either.record([record(event=event) for event in ("ab", "a%", "ab", "abc", "a_", None, "b", "A")])
    assert either.events("a", 9) == ["a%", "a_", "ab", "abc"]
    assert either.events("ab", 1) == ["ab"]
    assert either.events("a%", 9) == ["a%"] and either.events("a*", 9) == []
