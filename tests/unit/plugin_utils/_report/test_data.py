# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report says of firewalls, servers and the ledger."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

PACKAGE = "ansible_collections.intrusion.response.plugins"
data = importlib.import_module(f"{PACKAGE}.plugin_utils._report.data")
record = importlib.import_module(f"{PACKAGE}.module_utils._ledger.record")
NOW = 1_795_691_040.0  # 2026-11-26T11:04:00Z
EVENT = "5d41402abc4b2a76b9719d911017c592"
FW1, FW2 = "https://192.0.2.1", "https://192.0.2.2"


def entry(host: str, **more: Any) -> dict[str, Any]:
    return {
        "host": host,
        "service": "all_services",
        "alert_type": "REST",
        "rule_name": "",
        "description": "",
        "ttl": 60,
        "expires_at": "2026-11-26T11:05:00Z",
        **more,
    }


def write(action: str, address: str, at: float = NOW - 60, outcome: str = "ok", firewall: str = FW1, **more: Any) -> Any:
    return record.Record(at, action, outcome, address, "all_services", firewall, **{"ttl": 3600, "origin": "responder", **more})


def build(*firewalls: Any, servers: Any = (), records: Any = (), limits: Any = None, problem: str = "") -> Any:
    numbered = [one._replace(id=number) for number, one in enumerate(records, 1)]
    past = data.Past("/ledger", NOW - 86400, numbered, record.standing(numbered, NOW), problem)
    return data.build(firewalls, servers, past, limits or {}, NOW)


def test_the_same_entry_on_two_firewalls_is_one_row_and_two_entries():
    first, second = (
        data.Firewall("fw1", FW1, [entry("203.0.113.9")]),
        data.Firewall(
            "fw2", f"{FW2}/", [entry("203.0.113.9", expires_at="2026-11-26T11:06:00Z"), entry("203.0.113.10", service="http-all")]
        ),
    )
    found = build(first, second)
    assert [(row.address, row.firewalls, row.ends) for row in found.blocked] == [
        ("203.0.113.10", ["fw2"], NOW + 60),
        ("203.0.113.9", ["fw1", "fw2"], NOW + 120),
    ]
    assert (found.hosts, found.entries) == (2, 3)
    assert [(one.name, one.value, one.width) for one in found.by_firewall] == [("fw2", 2, 100.0), ("fw1", 1, 50.0)]
    assert [(one.name, one.value) for one in found.life if one.value] == [("under 5 min", 2)]


def test_the_ledger_says_why_and_since_when():
    block = write("block", "203.0.113.9", event=EVENT, event_rule="Invalid Traversal", rule_name="IPS responder", user="svc")
    by_hand = write("block", "203.0.113.7", origin="cos_blacklist_entries", user="alice")
    found = build(
        data.Firewall(
            "fw1", FW1, [entry("203.0.113.9", rule_name="IPS responder"), entry("203.0.113.7"), entry("203.0.113.9", alert_type="IDP")]
        ),
        records=[block, by_hand],
    )
    assert {(row.address, row.source): (row.rule, row.by, row.began) for row in found.blocked} == {
        ("203.0.113.9", "REST"): ("Invalid Traversal", "responder", NOW - 60),
        ("203.0.113.7", "REST"): ("", "alice", NOW - 60),
        ("203.0.113.9", "IDP"): ("", "", None),
    }


@pytest.mark.parametrize(
    ("rule", "description", "shown"),
    [
        ("IPS", f"IPS event {EVENT}.3f9a on VA1ACMEWEB01: Invalid Traversal: x", ("Invalid Traversal: x", "IPS, on VA1ACMEWEB01")),
        ("IPS", f"Suricata event {EVENT}.3f9a on web: ET SCAN", ("ET SCAN", "Suricata, on web")),
        ("port scan", "seen in the logs", ("port scan", "seen in the logs")),
    ],
)
def test_what_the_responder_wrote_is_said_in_few_words(rule, description, shown):
    (row,) = build(data.Firewall("fw1", FW1, [entry("203.0.113.9", rule_name=rule, description=description)])).blocked
    assert (row.rule, row.detail, row.description) == (*shown, description)


def test_the_story_of_an_address():
    other = EVENT[::-1]
    found = build(
        data.Firewall("fw1", FW1, [entry("203.0.113.9")]),
        records=[
            write("block", "203.0.113.9", NOW - 900, event=EVENT, event_rule="SQL"),
            write("block", "203.0.113.9", NOW - 890, firewall=FW2, event=EVENT),
            write("renew", "203.0.113.9", NOW - 800, event=other),
            write("update", "203.0.113.9", NOW - 790),
            write("unblock", "203.0.113.9", NOW - 699, ttl=7200),
            write("unblock", "203.0.113.9", NOW - 700, ttl=None, origin="cos_blacklist_entries", user="bob"),
            write("block", "203.0.113.9", NOW - 600, "failed"),
            write("block", "203.0.113.8", NOW - 500, "unknown"),
        ],
    )
    story, quiet = found.addresses
    assert (story.name, story.blocked, quiet.name, quiet.blocked) == ("203.0.113.9", True, "203.0.113.8", False)
    assert (len(story.events), story.blocks, story.renewals, story.undone, story.failed) == (2, 2, 2, 1, 1)
    assert (story.first, story.last) == (NOW - 900, NOW - 600)
    assert story.people == {"responder": 6, "bob": 1} and story.firewalls == {FW1, FW2}
    assert (found.blocks, found.undone, found.failed) == (3, 1, 1)
    assert [(one.name, one.blocks) for one in found.rules] == [("no rule named", 2), ("SQL", 1)]


def test_timelines_count_every_block_once():
    records = [
        write(
            "block",
            f"203.0.113.{number}",
            NOW - 3600 * number,
            event_rule=f"rule {number % 9}",
            event=EVENT,
            description=f"Wazuh event {EVENT}.1 on x: y" if number % 2 else "",
        )
        for number in range(1, 24)
    ]
    found = build(
        data.Firewall("edge", FW1, []), records=[*records, write("block", "203.0.113.77"), write("block", "203.0.113.78", outcome="failed")]
    )
    for line in found.timelines:
        assert sum(value for _name, value in line.series) == sum(column.value for column in line.columns) == found.blocks == 24
    rule, detector, firewall = found.timelines
    assert len(rule.series) == 6 and rule.series[-1][0] == "all  others"
    assert dict(detector.series) == {"Wazuh": 12, "IPS": 11, data.BY_HAND: 1}
    assert firewall.series == [("edge", 24)]


def test_servers_and_firewalls_that_could_not_be_read_are_named():
    found = build(
        data.Firewall("fw1", FW1, None, "no\nconnection"),
        data.Firewall("fw2", "", None, "x"),
        servers=[
            {"server_name": "A", "code": None, "destinations": [{"type": "email", "email_address": "a@example.com"}]},
            {"server_name": "B", "code": None, "destinations": []},
            {"server_name": "C", "code": "not_found", "reason": "404\x1b[2J", "destinations": None},
        ],
        problem="it is no ledger",
    )
    assert [(one.name, one.problem) for one in found.unread] == [("fw1", "no connection"), ("fw2", "x")]
    assert ([one.name for one in found.heard], [one.name for one in found.silent]) == (["A"], ["B"])
    assert [(one.name, one.problem) for one in found.unknown] == [("C", "404?[2J")]
    assert found.ledger_problem == "it is no ledger" and found.by_firewall == []


def test_limits_now_and_at_their_worst():
    records = [write("block", f"203.0.113.{number}", NOW - 3600 + number * 10, firewall=url) for number in range(8) for url in (FW1, FW2)]
    records += [write("block", f"198.51.100.{number}", NOW - 60, origin="cos_blacklist_entries") for number in range(9)]
    found = build(records=records, limits={"new_per_minute": {"in_use": 3, "of": 10}, "total": {"in_use": 9, "of": 9}})
    assert [(one.used, one.of, one.when, one.share) for one in found.limits] == [
        (3, 10, "now", 0.3),
        (9, 9, "now", 1.0),
        (6, 10, "most in this period", 0.6),
    ]
    assert [(one.used, one.of) for one in build(records=records).limits] == [(6, None)]


def test_the_busiest_minute_over_time_beside_the_limit():
    records = [write("block", f"203.0.113.{number}", NOW - 7200 + number) for number in range(8)] + [write("block", "203.0.113.99")]
    known = build(records=records, limits={"new_per_minute": {"in_use": 0, "of": 10}}).busiest
    assert [column.value for column in known.columns if column.value] == [8, 1]
    assert known.line == 100 - 100 * 10 / known.top and build(records=records).busiest.line is None
    assert build(records=[write("block", "203.0.113.9", origin="cos_blacklist_entry")]).busiest is None


def test_agents_are_told_as_far_as_they_are_known():
    states = ["install_accepted", "registered", "uninstall_accepted", "unknown", "unheard of"]
    servers = [{"server_name": state, "code": None, "destinations": [], "agent": {"state": state}} for state in states]
    servers.append({"server_name": "no login", "code": "auth_failed", "reason": "x", "destinations": None, "agent": None})
    found = build(servers=servers)
    assert found.agents == (2, 1, 3)
    assert [one.agent for one in found.servers] == [
        "installation accepted", "registered: has destinations", "removal accepted", "not known", "not known", "not known",
    ]  # fmt: skip


def test_rows_on_the_past_have_a_bound_and_say_so(monkeypatch):
    monkeypatch.setattr(data, "MOST_ROWS", 3)
    found = build(records=[write("block", f"203.0.113.{number}") for number in range(5)])
    assert (len(found.addresses), found.addresses_left_out) == (3, 2)


def test_networks_and_what_is_no_address_have_a_place_in_the_order():
    found = build(data.Firewall("fw1", FW1, [entry(host) for host in ("203.0.113.10", "198.51.100.0/24", "203.0.113.9", "any")]))
    assert [row.address for row in found.blocked] == ["any", "198.51.100.0/24", "203.0.113.9", "203.0.113.10"]
