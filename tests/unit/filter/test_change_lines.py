# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to a blacklist: what, until when, why; and what failed, with its reason."""

from __future__ import annotations

import pytest

END = "2026-11-22T04:10:00Z"
ENTRY = {"host": "203.0.113.5", "service": "all_services", "ttl": 600, "alert_type": "REST", "rule_name": "IPS", "description": "port scan"}


def row(action, **changed):
    known = {"host": "203.0.113.5", "service": "all_services", "entry": None, "expires_at": None, "msg": None, "code": None}
    return {**known, "action": action, **changed}


@pytest.mark.parametrize(("one", "done", "foretold"), [
    (row("added", entry=ENTRY, expires_at=END), f"blocked until {END}, IPS, port scan", f"would be blocked until {END}, IPS, port scan"),
    (row("renewed", entry=ENTRY), "renewed, IPS, port scan", "would be renewed, IPS, port scan"),
    (row("removed"), "removed", "would be removed"),
    (row("unchanged", entry=ENTRY, expires_at=END), f"unchanged, blocked until {END}, IPS, port scan", None),
    (row("unchanged"), "unchanged, not blocked", None),
    (row("unchanged", entry=ENTRY, msg="It is not ours."), "unchanged, blocked, It is not ours.", None),
    (row("protected", msg="it is a host."), "NOT blocked, it is a host.", "would NOT be blocked, it is a host."),
    (row("failed", msg="HTTP 500.", code="server_error"), "FAILED, HTTP 500.", "would FAIL, HTTP 500."),
])
def test_a_line_for_each_address(apply, one, done, foretold):
    assert apply({"entries": [one]}, "fw1") == [f"203.0.113.5: {done}"]
    assert apply({"entries": [one]}, "fw1", True) == [f"203.0.113.5: {foretold or done}"]


def test_every_action_of_the_module_has_words(apply):
    for action in ("added", "renewed", "updated", "removed", "unchanged", "protected", "failed"):
        assert len(apply({"entries": [row(action)]}, "fw1")) == 1


def test_the_service_is_named_where_it_is_one(apply):
    assert apply({"entries": [row("removed", service="http")]}, "fw1") == ["203.0.113.5 (http): removed"]


def test_what_was_taken_back_says_why_it_was_there(apply):
    standing = [{**ENTRY, "event": "e1"}, {**ENTRY, "service": "http", "description": "another"}]
    assert apply({"entries": [row("removed")]}, "fw1", False, standing) == [
        "203.0.113.5: removed, it was blocked for: IPS, port scan, event e1"
    ]


def test_a_firewall_that_failed_has_a_name_and_a_reason(apply):
    failed = {"failed": True, "msg": "No connection.\nreally", "code": "unreachable"}
    assert apply(failed, "fw3") == ["fw3 FAILED (unreachable): No connection. really"]
    assert apply({"failed": True, "msg": "'nowhere' is undefined"}, "fw3") == ["fw3 FAILED: 'nowhere' is undefined"]
    assert apply({"skipped": True, "changed": False}, "fw3") == []
