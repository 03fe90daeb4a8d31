# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One firewall's worker against the emulator: what is written, what is not, and what a nasty firewall leads to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.dates import written
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Past, Record
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.policy import entry_description
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import link as link_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import reconcile as reconcile_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import worker as module

from emulator.testing import Handle, running_emulator

from ..cable import Cable
from ..running import entries, post_of, until
from .bench import HOST, INSTANCE, bench


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    with running_emulator() as handle:
        yield handle


@pytest.fixture
def emulator(shared: Handle, monkeypatch: pytest.MonkeyPatch) -> Handle:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.05)
    shared.reset()
    return shared


def seeded(emulator: Handle, *given: dict[str, Any]) -> None:
    emulator.seed({"firewalls": {"fw1": {"entries": [{"ttl": 3600, "alert_type": "REST", **one} for one in given]}}})


def writes(emulator: Handle) -> list[str]:
    return [record["method"] for record in emulator.journal("cos", writes=True)]


def test_a_block(emulator: Handle) -> None:
    with bench(emulator) as one:
        case = one.put()
        early, result = one.result(case, final=False), one.result(case)
        assert (early.result, early.verified, result.result, result.code, result.verified) == ("blocked", False, "blocked", None, True)
        assert result.answered is not None and early.answered == result.answered and case.received <= result.answered <= time.time()
        (entry,) = entries(emulator)
        assert (entry["host"], entry["ttl"], entry["rule_name"]) == (HOST, 3600, "IPS: Invalid Traversal")
        assert entry["description"] == f"IPS event {case.event}.{INSTANCE} on VA1SCDVMDC101: Invalid Traversal"
        assert emulator.state()["firewalls"]["fw1"]["closed_established"] == [HOST]
        assert until(lambda: one.hosts) == {HOST}
        (record,) = one.records
        assert (record.action, record.outcome, record.address, record.event) == ("block", "ok", HOST, case.event)
        assert record.firewall == emulator.firewalls[0].api_url and record.origin == "responder"
    assert writes(emulator) == ["POST"]


def test_many_at_once_are_few_writes(emulator: Handle) -> None:
    with bench(emulator) as one:
        cases = [one.put(f"203.0.113.{number % 20}") for number in range(400)]
        assert {one.result(case).result for case in cases[:20]} == {"blocked"}
        until(lambda: all(one.outcome(case) for case in cases))
        assert {record.event for record in one.records} == {case.event for case in cases[:20]}, "the first of each"
    assert len(writes(emulator)) == len(entries(emulator)) == 20


@pytest.mark.parametrize("ttl_in_list", ["remaining", "configured"])
@pytest.mark.parametrize("ttl", [1900, 86400])
def test_enough_time_left_is_no_write(emulator: Handle, ttl: int, ttl_in_list: str) -> None:
    emulator.switch("cos.ttl_in_list", ttl_in_list)
    seeded(emulator, {"host": HOST, "ttl": ttl, "rule_name": "by hand"})
    with bench(emulator) as one:
        result = one.ask()
        assert result.result == "already_blocked" and result.entry is not None and result.entry.rule_name == "by hand"
    assert not writes(emulator) and not one.records


@pytest.mark.parametrize("repost", ["renew_all", "renew_ttl_only", "ignore", "duplicate", "reject_400"])
def test_a_renewal_keeps_the_texts(emulator: Handle, repost: str) -> None:
    emulator.switch("cos.repost", repost)
    seeded(emulator, {"host": HOST, "ttl": 600, "rule_name": "by hand", "description": "night watch"})
    with bench(emulator) as one:
        assert one.ask().result == "renewed"
        assert one.records[0].action == "renew"
    found = entries(emulator)
    assert max(entry["remaining"] for entry in found) > 3500
    assert {(entry["rule_name"], entry["description"]) for entry in found} == {("by hand", "night watch")}
    assert len(writes(emulator)) <= 3


def test_a_longer_block_of_somebody_else_is_never_shortened(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 3600.0)
    with bench(emulator) as one:
        until(lambda: one.worker.health.code is None)
        seeded(emulator, {"host": HOST, "ttl": 86400})
        one.worker._view.at -= reconcile_module.BEFORE_WRITING + 1 + 2 * one.worker._view.gap  # the listing is too old to write by
        assert one.ask().result == "already_blocked"
    assert entries(emulator, host=HOST)[0]["remaining"] > 80000


def test_what_somebody_took_off_is_written_again(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(emulator) as one:
        assert one.ask().result == "blocked"
        emulator.advance(3601)
        one.worker._view.at -= reconcile_module.BELIEVED + 1 + 2 * one.worker._view.gap  # the listing is too old to believe
        assert one.ask().result == "blocked"
    assert writes(emulator) == ["POST", "POST"]


def test_a_late_block_is_as_long_as_what_is_left(emulator: Handle) -> None:
    seeded(emulator, {"host": "203.0.113.9", "ttl": 1000})
    with bench(emulator) as one:
        assert one.ask(age=3000).result == "blocked"
        assert one.ask("203.0.113.9", age=3000).result == "already_blocked", "1000 s are enough for the 600 that are wanted"
        over = one.ask("203.0.113.6", age=3601)
    assert entries(emulator, host=HOST)[0]["ttl"] in (599, 600)
    assert over.result == "failed" and len(writes(emulator)) == 1


def test_an_answer_that_is_lost_is_no_second_write(emulator: Handle) -> None:
    emulator.fault(kind="drop_after", method="POST")
    with bench(emulator) as one:
        assert one.ask().result == "blocked"
        assert one.records[0].outcome == "ok"
    assert writes(emulator) == ["POST"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_before", "method": "POST", "times": 2},
        {"kind": "status", "status": 500, "method": "POST", "times": 3},
        {"kind": "status", "status": 429, "retry_after": 1, "method": "POST", "times": 2},
        {"kind": "status", "status": 503, "times": 3},
        {"kind": "garbage", "times": 3},
        {"kind": "stale", "times": 1},
        {"kind": "truncate", "method": "GET", "times": 2},
    ],
    ids=lambda fault: fault["kind"],
)
def test_what_passes_is_survived(emulator: Handle, fault: dict[str, Any]) -> None:
    emulator.fault(**fault)
    with bench(emulator) as one:
        cases = [one.put(f"203.0.113.{number}") for number in range(1, 6)]
        assert {one.result(case).result for case in cases} == {"blocked"}
    assert len(entries(emulator)) == 5


@pytest.mark.parametrize(
    ("switches", "host", "code"),
    [
        ({"cos.whitelist": "silent"}, "192.0.2.250", "not_listed_after_write"),
        ({"cos.whitelist": "400"}, "192.0.2.250", "rejected"),
        ({"cos.access": "read_only"}, HOST, "not_permitted"),
        ({"cos.capacity": "2:400"}, HOST, "rejected"),
        ({"cos.capacity": "2:silent"}, HOST, "not_listed_after_write"),
        ({"cos.list_cap": "1"}, HOST, "listing_truncated"),
        ({"cos.error_http_status": "always_200", "cos.access": "read_only"}, HOST, "not_permitted"),
    ],
)
def test_what_cannot_be_mended_fails_with_its_code(emulator: Handle, switches: dict[str, str], host: str, code: str) -> None:
    emulator.switch_many(switches)
    with bench(emulator) as one:
        result = one.ask(host)
        assert (result.result, result.code) == ("failed", code)
        assert (one.records[-1].outcome, one.records[-1].code) == ("failed", code)
        assert {record.outcome for record in one.records[:-1]} <= {"ok"}, "accepted, before it was contradicted"
    assert len(writes(emulator)) <= 2


def test_wrong_credentials_fail_every_event_at_once(emulator: Handle) -> None:
    with bench(emulator, password="wrong") as one:
        results = [one.result(case) for case in [one.put(f"203.0.113.{number}") for number in range(1, 30)]]
        assert {(result.result, result.code) for result in results} == {("failed", "auth_failed")}
        assert one.worker.health.code == "auth_failed"
    assert not writes(emulator)
    assert len(emulator.journal("cos")) < 10, "a wrong password is not tried for every event"


@pytest.mark.parametrize("limit", ["truncate:8", "reject:8"])
def test_texts_are_worth_less_than_the_block(emulator: Handle, limit: str) -> None:
    emulator.switch("cos.text_limit", limit)
    with bench(emulator) as one:
        assert one.ask().result == "blocked"
        assert until(lambda: one.hosts) == {HOST}


def test_two_entries_of_one_address_are_left_alone(emulator: Handle) -> None:
    emulator.switch("cos.repost", "duplicate")
    seeded(emulator, {"host": HOST, "ttl": 600}, {"host": HOST, "ttl": 3600})
    with bench(emulator) as one:
        assert one.ask().result == "already_blocked"
    assert not writes(emulator)


def test_foreign_entries_do_not_count(emulator: Handle) -> None:
    seeded(emulator, {"host": HOST, "alert_type": "IDP"}, {"host": HOST, "service": "ssh"})
    with bench(emulator) as one:
        assert one.ask().result == "blocked"


def test_after_a_crash_our_own_entry_is_found(emulator: Handle) -> None:
    with bench(emulator) as one:
        case = one.put(rank=-5)
        assert one.result(case).result == "blocked"
    with bench(emulator) as one:
        again = case._replace(number=next(one.numbers))
        one.worker.want(again)
        assert one.result(again).result == "blocked"
        assert [(record.event, record.address, record.outcome) for record in one.records] == [(case.event, HOST, "ok")]
        another = one.put()
        assert one.result(another).result == "blocked" and one.outcome(another).lead == case.event, "which is not the other event"
    assert writes(emulator) == ["POST"]


def test_an_entry_of_another_responder_is_not_ours(emulator: Handle) -> None:
    event = clc_ips.event(post_of(sourceIP=HOST, rank=-5), written(0.0))
    seeded(emulator, {"host": HOST, "description": entry_description(event, "ffff")})
    with bench(emulator) as one:
        assert one.ask(rank=-5).result == "already_blocked"
        assert not one.records


def test_what_the_last_owner_wrote_for_the_same_event_is_recorded_if_it_had_no_time_to(emulator: Handle) -> None:
    event = clc_ips.event(post_of(sourceIP=HOST, rank=-5), written(0.0))
    seeded(emulator, {"host": HOST, "description": entry_description(event, "ffff")})
    with bench(emulator) as one:
        for rank, result in ((-5, "blocked"), (-6, "already_blocked")):
            wish = one.wish(rank=rank)._replace(taken_over=True)
            one.worker.want(wish)
            assert one.result(wish).result == result
        assert [(record.event, record.event_rule, record.address, record.outcome) for record in one.records] == [
            (event.id, event.reason, HOST, "ok")
        ]
        assert [outcome.completes for outcome in one.outcomes if outcome.record] == [True]
    assert not writes(emulator)


def test_what_the_last_owner_wrote_is_looked_for(emulator: Handle) -> None:
    with bench(emulator) as one:
        until(lambda: one.reports)
        seeded(emulator, {"host": HOST, "rule_name": "IPS"})
        one.worker.look()
        assert one.ask().result == "already_blocked"
    assert not writes(emulator)


def test_a_write_is_recorded_once_when_the_firewall_went_away_before_it_was_verified(emulator: Handle) -> None:
    with bench(emulator) as one:
        emulator.fault({"kind": "drop_after", "service": "cos", "method": "POST", "times": 1})
        case = one.put()
        assert one.result(case).result == "blocked"
        assert [record.event for record in one.records] == [case.event]


def test_a_dry_run_writes_nothing(emulator: Handle) -> None:
    seeded(emulator, {"host": "203.0.113.9", "ttl": 100})
    with bench(emulator, dry_run=True) as one:
        assert one.ask().result == "blocked"
        assert one.ask().result == "blocked", "as if it had been written"
        assert one.ask("203.0.113.9").result == "renewed"
        assert one.hosts == {HOST}, "the other one has not our mark"
    assert not writes(emulator)


def test_a_firewall_that_comes_back(emulator: Handle) -> None:
    with Cable(emulator.firewalls[0].http_url, plugged=False) as cable, bench(emulator, api_url=cable.url) as one:
        cases = [one.put(f"203.0.113.{number}") for number in range(1, 200)]
        until(lambda: one.worker.health.code == "unreachable")
        assert not one.outcomes
        cable.plug()
        assert {one.result(case).result for case in cases} == {"blocked"}
        assert one.worker.health.code is None
        cable.cut()
        case = one.put()
        until(lambda: one.worker.health.code is not None)
        cable.plug()
        assert one.result(case).verified
    assert len(writes(emulator)) == 199


def test_waiting_ends_with_the_time_of_the_block(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.1)
    with Cable(emulator.firewalls[0].http_url, plugged=False) as cable, bench(emulator, api_url=cable.url) as one:
        short, long = one.put(ttl=1), one.put("203.0.113.6", ttl=1000)
        result = one.result(short)
        assert (result.result, result.code) == ("failed", "unreachable")
        assert not one.outcome(long) and len(one.worker) == 1


def test_a_block_is_as_long_as_its_ttl_however_the_clock_jumps(emulator: Handle) -> None:
    with bench(emulator) as one:
        assert one.ask(ttl=600, age=-86400).result == "blocked"
    (entry,) = entries(emulator)
    assert entry["ttl"] == 600


def test_an_own_write_that_came_late_is_ours(emulator: Handle) -> None:
    emulator.switch("cos.repost", "reject_400")
    event = clc_ips.event(post_of(sourceIP=HOST, rank=-7), written(0.0))
    with bench(emulator) as one:
        assert one.ask("203.0.113.1").result == "blocked"
        seeded(emulator, {"host": HOST, "description": entry_description(event, INSTANCE)})
        wish = one.put(rank=-7)
        assert one.result(wish).result == "blocked" and one.records[-1].event == event.id


def test_a_defect_costs_the_events_at_hand_only(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench(emulator) as one:
        with monkeypatch.context() as patch:
            patch.setattr(link_module, "change_for", lambda *_unused: 1 // 0)
            assert one.ask().result == "failed"
        assert one.ask().result == "blocked"


def test_nothing_is_lost_where_several_threads_write(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SIDE_BY_SIDE", 2)
    with bench(emulator, concurrency=8) as one:
        wishes = [one.put(f"203.0.{number // 200}.{number % 200}") for number in range(600)]
        until(lambda: all(one.outcome(wish) for wish in wishes))
        assert all(one.outcome(wish, final=False) for wish in wishes)
        assert len(one.records) == len(writes(emulator)) == 600


@pytest.mark.parametrize("free", [0, 1])
def test_only_some_firewalls_at_a_time_get_several_threads(emulator: Handle, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    several, used = threading.Semaphore(free), []
    monkeypatch.setattr(link_module, "SIDE_BY_SIDE", 1)
    monkeypatch.setattr(link_module, "_several", several)
    with bench(emulator, concurrency=8) as one:
        each = one.worker._client.each
        monkeypatch.setattr(one.worker._client, "each", lambda *given, **more: used.append(given) or each(*given, **more))
        assert one.ask().result == "blocked"
        assert bool(used) == bool(free) and several._value == free


def test_an_event_that_waits_with_another_is_no_earlier_offence_of_it(emulator: Handle) -> None:
    """The other may be settled, and recorded, on a firewall that is faster."""
    with bench(emulator) as one:
        until(lambda: one.worker.state is module.State.WORKS)
        emulator.fault(kind="drop_before", service="cos", times=None)
        first = one.put(ttl=None)
        until(lambda: one.worker.state is module.State.RESTS)
        one.ledger.offences = 1
        second = one.put(ttl=None, reason="Another Rule")
        emulator.clear_faults()
        assert one.result(second).entry.ttl == one.result(first).entry.ttl == 3600
        assert one.ask("203.0.113.6", ttl=None).entry.ttl == 14400


@pytest.mark.parametrize(
    ("ago", "outcome", "exempt_for", "result"),
    [
        (1, "ok", None, "withdrawn"), (9, "ok", None, "blocked"), (1, "failed", None, "blocked"), (1, "failed", 60, "protected"),
        (9, "ok", 60, "protected"), (3, "failed", 1, "blocked"),
    ],
)  # fmt: skip
def test_what_was_taken_back_since_a_late_event(emulator: Handle, ago: int, outcome: str, exempt_for: int | None, result: str) -> None:
    taken_back = Record(time.time() - ago, "unblock", outcome, HOST, "all_services", "https://192.0.2.1", ttl=exempt_for)
    with bench(emulator) as one:
        one.ledger.taken_back[HOST] = [taken_back]
        assert one.ask(age=5).result == result


def test_an_event_right_after_its_address_was_taken_off_is_acted_on(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the clock of whoever did that is ahead a little."""
    with bench(emulator) as one:
        monkeypatch.setattr(one.ledger, "past", lambda *_asked: Past(taken_off=time.time() + 0.5))
        assert one.ask().result == "blocked"


def test_an_address_that_is_exempt_is_not_blocked(emulator: Handle) -> None:
    with bench(emulator) as one:
        one.ledger.exempt.add(HOST)
        result = one.result(one.put())
        assert (result.result, result.code) == ("protected", "protected_address") and "it is exempt" in str(result.reason)
        one.ledger.exempt.clear()
        assert one.result(one.put()).result == "blocked"
    assert writes(emulator) == ["POST"]
