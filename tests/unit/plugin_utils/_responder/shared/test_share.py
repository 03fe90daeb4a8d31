# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Responders that share: each firewall has one of them, each target is worked, limits hold over all, and none needs the database."""

from __future__ import annotations

import itertools
import math
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Optional

import psycopg
import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger import shared as session_module
from ansible_collections.intrusion.response.plugins.module_utils._ledger.memory import Memory
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import LONGEST_EXEMPTION, Past, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.limits import Limits, LimitSettings
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall.messages import Outcome, Wish
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.ledger import LedgerWriter
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.shared import member as member_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.shared.share import Share
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.verdict import ALREADY_BLOCKED, BLOCKED, Result

from tools.database import Server

FIREWALLS = ("https://192.0.2.1", "https://192.0.2.2")


class Works:
    """A firewall's worker that only notes what it is to do."""

    def __init__(self, address: str) -> None:
        self.name = address
        self.address = address
        self.wishes: list[Wish] = []
        self.looks: list[int] = []

    def want(self, wish: Wish) -> None:
        self.wishes.append(wish)

    def look(self) -> None:
        self.looks.append(len(self.wishes))

    def __len__(self) -> int:
        return 0


class Node:
    """A responder without webhook and firewalls: what it would work, and what it heard."""

    def __init__(self, number: int, url: str, per_minute: int = 1000, total: int = 1000) -> None:
        self.ledger = Ledger.from_option(url, pytest.fail)
        self.numbers = itertools.count(1)
        self.calls: deque[Callable[[], None]] = deque()
        self.workers = {name: Works(name) for name in FIREWALLS}
        self.heard: list[tuple[str, Outcome]] = []
        self.memory = Memory()
        self.instance = f"n{number}"
        self.share = Share(
            self.ledger.database, self.instance, list(self.workers.values()), self.memory, Limits(LimitSettings(per_minute, total)),
            lambda: LONGEST_EXEMPTION, self.numbers, lambda name, outcome: self.heard.append((name, outcome)),
        )  # fmt: skip
        self.share.start(self.calls.append)

    def pump(self) -> None:
        while self.calls:
            self.calls.popleft()()
        self.share.tick()

    def wish(self, event: str, address: str, ttl: Optional[int] = None) -> None:
        description = f"IPS event {event}.{self.instance} on web01: Scan"
        self.share.wish(Wish(next(self.numbers), address, event, "Scan", time.time(), "IPS: Scan", description, ttl))

    def finish(self, firewall: str, wish: Wish, result: str = BLOCKED) -> None:
        self.share.outcome(self.workers[firewall].name, Outcome(wish.address, wish.number, Result(result, answered=time.time())))

    def events(self, firewall: str) -> list[str]:
        return [wish.event for wish in self.workers[firewall].wishes]

    def close(self) -> None:
        self.share.close()
        self.ledger.close()


class Cluster:
    def __init__(self, url: str) -> None:
        self.url = url
        self.nodes: list[Node] = []

    def add(self, **more: Any) -> Node:
        self.nodes.append(Node(len(self.nodes) + 1, self.url, **more))
        return self.nodes[-1]

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, [(node.share.works, node.share.is_alone, node.share.members) for node in self.nodes]
            for node in self.nodes:
                node.pump()
            time.sleep(0.005)

    def divided(self) -> bool:
        works = [name for node in self.nodes for name in node.share.works]
        return not any(node.share.is_alone for node in self.nodes) and sorted(works) == sorted(FIREWALLS)

    def administer(self, statement: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET search_path = intrusion_response")
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def cluster(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(member_module, "GONE", 60.0)  # however busy the machine is
    monkeypatch.setattr(session_module, "SILENT", 60.0)
    found = Cluster(database)
    yield found
    for node in found.nodes:
        node.close()


def two(cluster: Cluster) -> tuple[Node, Node]:
    one, other = cluster.add(), cluster.add()
    cluster.until(lambda: cluster.divided() and len(one.share.works) == len(other.share.works) == 1)
    return one, other


def test_each_firewall_is_worked_by_one_whoever_took_the_event(cluster: Cluster) -> None:
    one, other = two(cluster)
    mine, theirs = one.share.works[0], other.share.works[0]
    assert mine != theirs
    one.wish("e1", "203.0.113.5", ttl=7200)
    assert one.events(mine) == ["e1"] and not one.events(theirs), "the short path does not wait"
    cluster.until(lambda: other.events(theirs) == ["e1"])
    wish = other.workers[theirs].wishes[0]
    assert (wish.address, wish.event_rule, wish.description) == ("203.0.113.5", "Scan", "IPS event e1.n2 on web01: Scan")
    assert wish.ttl == 7200, "as the detector wants it"
    other.share.outcome(other.workers[theirs].name, Outcome(wish.address, wish.number, Result(BLOCKED, answered=5.0), final=False))
    cluster.until(lambda: len(one.heard) == 1)
    other.finish(theirs, wish)
    cluster.until(lambda: len(one.heard) == 2)
    heard = [(name, outcome.result.result, outcome.final) for name, outcome in one.heard]
    assert heard == [(theirs, BLOCKED, False), (theirs, BLOCKED, True)]
    one.finish(mine, one.workers[mine].wishes[0])
    cluster.until(lambda: cluster.administer("SELECT count(*) FROM targets WHERE NOT settled") == [(0,)])
    assert other.events(mine) == [] and other.heard == []


def test_firewalls_whose_names_look_alike_to_a_checksum_are_all_worked(cluster: Cluster) -> None:
    alike = ("https://fw-74c3fcb686.example.com", "https://fw-d362eac706.example.com")
    assert zlib.crc32(alike[0].encode()) == zlib.crc32(alike[1].encode())
    database = Ledger.from_option(cluster.url, pytest.fail).database
    assert database is not None
    sessions = [session_module.Session(database, "one", alike)]
    try:
        assert sessions[0].turn((), ()).owned == {*alike}
        sessions.append(session_module.Session(database, "other", alike))
        assert sessions[1].turn((), ()).owned == frozenset()
        sessions[0].release(alike[0])
        sessions[1]._kept_house_at = -math.inf
        assert sessions[1].turn((), ()).owned == {alike[0]}
        assert sessions[0].turn((), ()).owned == {alike[1]}
    finally:
        for session in sessions:
            session.close()
        database.close()


def test_what_a_dead_one_left_is_worked_by_another(cluster: Cluster) -> None:
    one, other = two(cluster)
    mine = one.share.works[0]
    one.wish("e1", "203.0.113.5")
    other.wish("e2", "203.0.113.6")
    cluster.until(lambda: one.events(mine) == ["e1", "e2"])
    cluster.until(lambda: cluster.administer("SELECT count(*) FROM targets") == [(4,)])
    one.close()
    cluster.nodes.remove(one)
    cluster.until(lambda: sorted(other.share.works) == sorted(FIREWALLS))
    cluster.until(lambda: sorted(other.events(mine)) == ["e1", "e2"])
    assert all(wish.taken_over for wish in other.workers[mine].wishes), "the dead one may have written it and not recorded that"
    assert sorted(other.events(next(name for name in FIREWALLS if name != mine))) == ["e1", "e2"]
    assert set(other.workers[mine].looks) == {0}, "what the dead one may have written is looked for before anything is written"


def test_one_that_hangs_is_cut_off(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = two(cluster)
    monkeypatch.setattr(one.share, "_need", lambda: time.sleep(3) or one.share.__class__._need(one.share))
    one.share._member._need = one.share._need
    monkeypatch.setattr(session_module, "SILENT", 0.8)
    cluster.until(lambda: sorted(other.share.works) == sorted(FIREWALLS))
    monkeypatch.undo()
    one.share._member._need = one.share._need
    cluster.until(lambda: cluster.divided() and len(one.share.works) == 1)


def test_limits_hold_over_all(cluster: Cluster) -> None:
    nodes = [cluster.add(per_minute=30) for _number in range(3)]
    cluster.until(cluster.divided)
    admitted: list[str] = []
    fresh = (f"203.0.113.{number}" for number in itertools.count(1))

    def full() -> bool:
        for node in nodes:
            if not node.share.is_full:
                admitted.append(next(fresh))
                node.share.admit(admitted[-1])
            else:
                node.share.defers(lambda: None)
        return len(admitted) > 30 or all(node.share.is_full and not node.share.defers(lambda: None) for node in nodes)

    cluster.until(full)
    assert 28 <= len(admitted) <= 30, "what the others have reserved may stay unused"
    cluster.until(lambda: cluster.administer("SELECT count(*) FROM admitted") == [(len(admitted),)])
    cluster.administer("UPDATE admitted SET at = at - 61")
    cluster.until(lambda: any(not node.share.is_full for node in nodes))


def test_the_same_address_counts_once(cluster: Cluster) -> None:
    one, other = cluster.add(per_minute=20), cluster.add(per_minute=20)
    cluster.until(lambda: not one.share.is_full and not other.share.is_full)
    for node in (one, other):
        node.share.admit("203.0.113.5")
    cluster.until(lambda: cluster.administer("SELECT count(*) FROM admitted") == [(1,)])


def test_without_the_database_each_works_all_and_goes_on_when_it_is_back(cluster: Cluster, postgresql: Server) -> None:
    one, other = two(cluster)
    mine, theirs = one.share.works[0], other.share.works[0]
    postgresql.stop()
    try:
        one.wish("e1", "203.0.113.5")
        cluster.until(lambda: one.share.is_alone and other.share.is_alone)
        one.wish("e2", "203.0.113.6")
        assert one.events(mine) == one.events(theirs) == ["e1", "e2"]
        assert not one.share.defers(lambda: None)
    finally:
        postgresql.start()
    cluster.until(lambda: cluster.divided() and len(one.share.works) == 1)
    one.wish("e3", "203.0.113.7")
    cluster.until(lambda: any("e3" in node.events(name) for node in (other,) for name in FIREWALLS))


def test_each_knows_what_others_recorded(cluster: Cluster) -> None:
    one, other = two(cluster)
    now = time.time()
    block = Record(now, "block", "ok", "203.0.113.5", "all_services", FIREWALLS[0], 60, event="e1", write="w1")
    one.memory.add([block])
    assert one.memory.past("203.0.113.5", 0).offences == 1 and one.memory.past("203.0.113.5", 0, "e1").offences == 0
    assert one.ledger.record([block])
    cluster.until(lambda: other.memory.past("203.0.113.5", 0).offences == 1)
    assert other.ledger.record([block._replace(at=now + 1, action="unblock", write="w2")])
    writer = LedgerWriter(one.ledger, lambda: None, one.memory)
    both = ["203.0.113.5", "203.0.113.6"]
    cluster.until(lambda: [one.taken_off for one in writer.pasts(both).values()] == [now + 1, None])
    assert one.memory.past("203.0.113.5", 0).offences == 0
    third = cluster.add()
    cluster.until(lambda: [one for one in third.memory.unblocks(now) if one.address == "203.0.113.5"] != [])
    assert writer.past(1, "203.0.113.9", 60, "e9") == Past()
    assert other.ledger.record([block._replace(address="203.0.113.9", action="unblock", ttl=3600, write="w3")])
    cluster.until(lambda: writer.past(1, "203.0.113.9", 60, "e9").exempt_until is not None)
    assert writer.past(1, "203.0.113.9", 60, "e9") == other.ledger.past("203.0.113.9", now - 60)
    writer.close()


def test_a_failed_answer_is_heard_as_it_was(cluster: Cluster) -> None:
    one, other = two(cluster)
    theirs = other.share.works[0]
    for event in ("e1", "e2"):
        one.wish(event, "203.0.113.5")
    cluster.until(lambda: len(other.events(theirs)) == 2)
    last = other.workers[theirs].wishes[-1]
    other.share.outcome(other.workers[theirs].name, Outcome(last.address, last.number, Result(BLOCKED, answered=1.0), lead="e1"))
    cluster.until(lambda: len(one.heard) == 2)
    assert {outcome.lead for _name, outcome in one.heard} == {"e1", ""}
    assert ALREADY_BLOCKED not in {outcome.result.result for _name, outcome in one.heard}
