# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job leaves for programs: the same form whatever happened on which firewall."""

from __future__ import annotations

END, LATER = "2026-11-22T04:10:00Z", "2026-11-22T04:10:09Z"


def result(*rows, **more):
    return {"blacklist_result": {"changed": True, "entries": list(rows), **more}}


def row(host, end=None):
    return {"host": host, "service": "all_services", "action": "added", "expires_at": end}


def test_all_went_well(apply):
    hostvars = {"fw1": result(row("203.0.113.5", LATER), row("203.0.113.6")), "fw2": result(row("203.0.113.5", END))}
    assert apply(hostvars, ["fw1", "fw2"], "block", "e1") == {
        "action": "block", "event": "e1", "check_mode": False, "ok": True, "changed": True, "addresses": ["203.0.113.5", "203.0.113.6"],
        "ends": {"203.0.113.5": LATER}, "firewalls": ["fw1", "fw2"], "failed": {},
    }


def test_what_failed_is_named_with_its_code(apply):
    hostvars = {
        "fw1": result(row("203.0.113.5", END)), "fw2": {"blacklist_result": {"failed": True, "code": "unreachable", "msg": "x"}},
        "fw3": {}, "fw4": {"blacklist_result": {"failed": True, "msg": "MODULE FAILURE"}},
    }
    told = apply(hostvars, list(hostvars), "block", None)
    assert (told["ok"], told["event"], told["firewalls"]) == (False, "", ["fw1"])
    assert told["failed"] == {"fw2": "unreachable", "fw3": "not_attempted", "fw4": "failed"}


def test_nothing_to_take_back(apply):
    told = apply({"fw1": {"blacklist_result": {"skipped": True, "changed": False}}}, ["fw1"], "undo", check_mode=True)
    assert (told["ok"], told["changed"], told["check_mode"], told["addresses"], told["firewalls"]) == (True, False, True, [], ["fw1"])


def test_a_feed_is_cut(apply):
    rows = [row(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", END) for number in range(5000)]
    told = apply({"fw1": result(*rows)}, ["fw1"], "block")
    assert len(told["addresses"]) == len(told["ends"]) == 1000
