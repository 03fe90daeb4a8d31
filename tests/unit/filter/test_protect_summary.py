# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One summary that speaks of all servers, when all are done."""

from __future__ import annotations

NOBODY = "WARNING: protect_destinations is empty, and unless they have destinations already, nobody is notified of attacks on"


def facts(name, **changed):
    known = {
        "server_name": name, "agent": {"state": "installed"}, "agent_changed": True, "unseen": False, "destinations": [],
        "destinations_changed": False, "reason": None, "code": None,
    }
    return {"protect_result": {**known, "run": 1, **changed}}


def test_who_changed_and_who_failed(apply):
    hosts = {
        "A": facts("A"),
        "B": facts("B", agent_changed=False, destinations_changed=True),
        "C": facts("C", agent=None, agent_changed=False, destinations=None, reason="gone\x1b", code="not_found"),
        "D": {},
    }
    assert apply(hosts, ["A", "B"], ["C", "D"]) == [
        "Agent changed (1): A", "Agent unchanged (1): B", "Destinations changed (1): B", "Destinations unchanged (1): A",
        "Failed before the role (1): D", "Failed (1)", "C: not_found: gone?",
    ]
    assert apply(hosts, ["A", "B"], ["C", "D"], True)[0] == "Check mode: nothing was written. This is what would happen:"


def test_who_could_not_be_looked_at(apply):
    assert "Could not be checked (2): A, B" in apply({"A": facts("A", unseen=True), "B": facts("B", unseen=True)}, ["A", "B"], [])


def test_a_warning_where_nobody_listens(apply):
    hosts = {"A": facts("A", destinations=None), "B": facts("B")}
    assert f"{NOBODY} (1): A" in apply(hosts, ["A", "B"], [])
    assert not any("WARNING" in line for line in apply(hosts, ["A", "B"], [], False, "install"))


def test_nothing_while_somebody_is_under_way(apply):
    assert apply({"A": facts("A"), "B": {}}, ["A", "B"], []) == []
    assert apply({"A": facts("A", run=2), "B": facts("B")}, ["A", "B"], []) == [], "in the second run of the role"


def test_who_has_no_result_of_a_run_takes_no_part(apply):
    hosts = {"A": facts("A", run=2), "B": facts("B"), "C": {}, "D": {"protect_result": {"failed": True, "msg": "no"}}}
    found = apply(hosts, ["A", "B", "C", "D"], [], run=2)
    assert found == ["Agent changed (1): A", "Destinations unchanged (1): A", "Failed (1)", "D: host: no"]


def test_what_another_play_left_does_not_count(apply):
    hosts = {"A": facts("A", play="2"), "B": facts("B", play="1", run=5)}
    assert apply(hosts, ["A", "B"], [], play="2") == [], "B may still be under way"
    assert apply(hosts, ["A"], [], play="2") == apply(hosts, ["A", "B"], [], play="2", run=1) == [
        "Agent changed (1): A", "Destinations unchanged (1): A",
    ]


def test_one_result_of_all_hosts_is_told_once(apply):
    once = facts("A")
    assert apply({"A": once, "B": once}, ["A", "B"], []) == ["Agent changed (1): A", "Destinations unchanged (1): A"]


def test_hosts_whose_task_did_not_begin(apply):
    broken = {"protect_result": {"failed": True, "msg": "Task failed: 'nowhere' is undefined\nmore"}}
    assert apply({"A": facts("A"), "B": broken}, ["A"], ["B"])[-2:] == ["Failed (1)", "B: host: Task failed: 'nowhere' is undefined"]
    skipped = {"protect_result": {"skipped": True, "changed": False}}
    assert apply({"A": facts("A"), "B": skipped}, ["A", "B"], []) == ["Agent changed (1): A", "Destinations unchanged (1): A"]


def test_where_the_events_go(apply):
    mail = [{"type": "email", "email_address": "a@example.com"}, {"type": "webhook", "url": "https://x.example/********#1"}]
    unread = facts("C", agent=None, agent_changed=False, destinations=None, reason="no", code="not_permitted")
    hosts = {"A": facts("A", destinations=mail), "B": facts("B"), "C": unread}
    assert apply(hosts, ["A", "B", "C"], [], False, "report") == [
        "A: email a@example.com, webhook https://x.example/********#1", "B: nowhere", "Failed (1)", "C: not_permitted: no",
    ]
