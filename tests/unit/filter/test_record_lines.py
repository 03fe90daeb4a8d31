# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the ledger as a table: each block in a row, or why there was none, and who stands behind it."""

from __future__ import annotations

import re

import pytest

RECORD = {
    "id": 1, "at": "2026-11-22T03:10:00.125Z", "action": "block", "outcome": "ok", "code": None, "address": "203.0.113.5",
    "service": "all_services", "firewall": "https://192.0.2.1", "ttl": 3600, "rule_name": "port scan", "description": "seen",
    "origin": "cos_blacklist_entries", "user": "alice", "job": None, "event": None, "event_rule": None, "overridden": None,
}  # fmt: skip
EVENT = "5d41402abc4b2a76b9719d911017c592"
NAMES = {"HTTPS://192.0.2.1:443/": "fw1", "https://192.0.2.2": "fw2", "": "none"}
FIRST = "203.0.113.5 | 2020-11-22 03:10 | "


def record(number=1, **more):
    return {**RECORD, "id": number, "at": f"2020-11-22T03:{9 + number}:00.125Z", **more}


def rows(lines):
    """Return the cells of each row, and what was wrapped joined again; every line fits into 120 columns of a task's output."""
    assert all(len(line) <= 100 for line in lines)
    starts = [match.start() for match in re.finditer(r"\S+( \S+)*", lines[0])]
    cut = [[line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])] for line in lines[1:]]
    found = []
    for cells in cut:
        if re.match(r"\d+\.\d+\.\d+\.\d+", cells[0]):
            found.append(cells)
        else:
            found[-1] = [" ".join(part for part in parts if part) for parts in zip(found[-1], cells)]
    return [" | ".join(cells) for cells in found]


@pytest.mark.parametrize(("more", "row"), [
    ({}, FIRST + "2020-11-22 04:10 | fw1 | alice | port scan, seen"),
    ({"ttl": 2**31 - 1, "job": "7"}, FIRST + "until 2088-12-10 06:24 | fw1 | alice (7) | port scan, seen"),
    ({"ttl": None}, FIRST + "no known end | fw1 | alice | port scan, seen"),
    ({"action": "unblock", "ttl": None}, "203.0.113.5 | not known | 2020-11-22 03:10 removed by alice | fw1 | alice | port scan, seen"),
    ({"action": "unblock", "ttl": 7200, "rule_name": "", "description": ""}, FIRST + "exempt until 2020-11-22 05:10 | fw1 | alice | "),
    ({"outcome": "failed", "code": "unreachable", "ttl": None}, FIRST + "NOT blocked (unreachable) | fw1 | alice | port scan, seen"),
    ({"outcome": "unknown", "service": "http-all"},
     "203.0.113.5 (http-all) | 2020-11-22 03:10 | perhaps 2020-11-22 04:10 | fw1 | alice | port scan, seen"),
    ({"origin": "responder", "event": EVENT, "event_rule": "SQL", "rule_name": "IPS"},
     FIRST + f"2020-11-22 04:10 | fw1 | responder | SQL, IPS, event {EVENT[:12]}"),
    ({"user": None, "rule_name": "", "description": ""}, FIRST + "2020-11-22 04:10 | fw1 | cos_blacklist_entries | "),
    ({"action": "renew", "firewall": "https://192.0.2.9", "rule_name": "a\nb\x1b[2J"},
     "203.0.113.5 | before 2020-11-22 03:10 | 2020-11-22 04:10, renewed | https://192.0.2.9 | alice | a b?[2J, seen"),
])
def test_what_one_record_tells(apply, more, row):
    found, = rows(apply({"records": [record(**more)], "total": 1}, NAMES))
    assert found.replace(" ", "") == row.replace(" ", "")


@pytest.mark.parametrize(("later", "end"), [
    ([("renew", "ok"), ("renew", "ok")], "2020-11-22 04:12, renewed 2 times"),
    ([("renew", "ok"), ("unblock", "ok")], "2020-11-22 03:12 removed by bob"),
    ([("unblock", "failed")], "2020-11-22 04:10, NOT removed (timeout)"),
    ([("unblock", "unknown"), ("unblock", "ok")], "2020-11-22 03:12 removed by bob"),
    ([("renew", "unknown")], "perhaps 2020-11-22 04:11"),
])
def test_a_block_is_one_row_from_its_begin_to_its_end(apply, later, end):
    """It is by whom it was blocked; what was asked for may be any of its records."""
    more = [record(number, action=action, outcome=outcome, user="bob", ttl=None if action == "unblock" else 3600,
                   code="timeout" if outcome == "failed" else None) for number, (action, outcome) in enumerate(later, 2)]
    told = [*reversed(more), record()]
    for one in told:
        assert rows(apply({"records": [one], "total": 1}, NAMES, told)) == [FIRST + f"{end} | fw1 | alice | port scan, seen"]


def test_addresses_stand_together_and_a_block_on_several_firewalls_is_one_row(apply):
    records = [
        record(1), record(2, address="203.0.113.9"), record(3, firewall="https://192.0.2.2", at=RECORD["at"].replace("2026", "2020")),
        record(4, action="unblock", ttl=None, user="bob"), record(5, user="carol"),
    ]
    told = {"records": records[::-1], "total": 9}
    lines = apply(told, NAMES)
    assert lines.pop() == "and 4 older records"
    assert rows(lines) == [
        "203.0.113.5 | 2020-11-22 03:14 | 2020-11-22 04:14 | fw1 | carol | port scan, seen",
        FIRST + "2020-11-22 04:10 | fw2 | alice | port scan, seen",
        FIRST + "2020-11-22 03:13 removed by bob | fw1 | alice | port scan, seen",
        "203.0.113.9 | 2020-11-22 03:11 | 2020-11-22 04:11 | fw1 | alice | port scan, seen",
    ]
    everywhere = [record(number, firewall=f"https://192.0.2.{number}", at=record()["at"]) for number in range(1, 10)]
    found, = rows(apply({"records": everywhere, "total": 9}, {f"https://192.0.2.{number}": f"fw{number}" for number in range(1, 10)}))
    assert "fw1, fw2, fw3, fw4 and 5 more" in found


def test_long_texts_are_wrapped_and_nothing_makes_no_table(apply):
    long = record(user="u" * 100, rule_name="r" * 200, description="word " * 40, firewall=f"https://{'f' * 60}.example.com")
    found, = rows(apply({"records": [long], "total": 1}))
    assert found.replace(" ", "").count("u" * 100) == 1 and found.replace(" ", "").count("r" * 200) == 1
    assert apply({"records": [], "total": 0}, NAMES) == []
