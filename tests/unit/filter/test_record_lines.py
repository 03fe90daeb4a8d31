# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the ledger in lines: what was done, or was not, and who stands behind it."""

from __future__ import annotations

import pytest

RECORD = {
    "id": 1, "at": "2026-11-22T03:10:00.125Z", "action": "block", "outcome": "ok", "code": None, "address": "203.0.113.5",
    "service": "all_services", "firewall": "https://192.0.2.1", "ttl": 3600, "rule_name": "port scan", "description": "seen",
    "origin": "cos_blacklist_entries", "user": "alice", "job": None, "event": None, "event_rule": None, "overridden": None,
}  # fmt: skip
EVENT = "5d41402abc4b2a76b9719d911017c592"


@pytest.mark.parametrize(("more", "line"), [
    ({}, "203.0.113.5 blocked on fw1 for 3600 s by alice: port scan, seen"),
    ({"action": "unblock", "ttl": None, "job": "7"}, "203.0.113.5 unblocked on fw1 by alice in job 7: port scan, seen"),
    ({"action": "unblock", "ttl": 7200, "rule_name": "", "description": ""}, "203.0.113.5 exempt from blocking on fw1 for 7200 s by alice"),
    ({"outcome": "failed", "code": "unreachable", "ttl": None}, "203.0.113.5 NOT blocked (unreachable) on fw1 by alice: port scan, seen"),
    ({"outcome": "unknown", "service": "http-all"}, "203.0.113.5 (http-all) perhaps blocked on fw1 for 3600 s by alice: port scan, seen"),
    ({"origin": "responder", "event": EVENT, "event_rule": "SQL", "rule_name": "IPS"},
     f"203.0.113.5 blocked on fw1 for 3600 s by responder: SQL, IPS, event {EVENT[:12]}"),
    ({"user": None, "rule_name": "", "description": ""}, "203.0.113.5 blocked on fw1 for 3600 s by cos_blacklist_entries"),
    ({"action": "renew", "firewall": "https://192.0.2.9", "rule_name": "a\nb\x1b[2J"},
     "203.0.113.5 renewed on https://192.0.2.9 for 3600 s by alice: a b?[2J, seen"),
])
def test_a_line_for_each_record(apply, more, line):
    found = apply({"records": [{**RECORD, **more}], "total": 1}, {"HTTPS://192.0.2.1:443/": "fw1", "": "none"})
    assert found == [f"2026-11-22T03:10:00Z {line}"]


def test_what_was_left_out_is_counted(apply):
    assert apply({"records": [], "total": 0}) == []
    assert apply({"records": [RECORD], "total": 5})[1:] == ["and 4 older"]
