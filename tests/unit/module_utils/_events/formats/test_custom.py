# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A format of the user's own: paths, texts and tables, and nothing that is evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.formats.custom import Custom
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from hypothesis import given
from hypothesis import strategies as st

from ..anything import ANYTHING, spoiled
from ..reading import found, harmless, told

#: As Cowrie, a honeypot, writes a failed login.
COWRIE: dict[str, Any] = {
    "eventid": "cowrie.login.failed", "username": "root", "password": "123456", "message": "login attempt [root/123456] failed",
    "sensor": "honeypot-1", "timestamp": "2026-11-26T11:30:00.123456Z", "src_ip": "203.0.113.50", "session": "c00fd8b8a1b2",
}  # fmt: skip
HONEYPOT = Custom(
    {"attacker": "src_ip", "reason": "eventid", "detector": "sensor", "started_at": "timestamp", "ttl": {"text": "600"},
     "severity": {"path": "eventid", "table": {"cowrie.command.input": "critical"}, "otherwise": "medium"},
     "only": {"eventid": ["cowrie.login.failed", "cowrie.command.input"]}},
)  # fmt: skip
#: As an Elastic rule's webhook may post it.
ELASTIC: dict[str, Any] = {
    "rule": {"name": "Port sweep", "id": 17}, "kibana.alert.severity": "high", "ends": [{"ip": "203.0.113.9", "port": "4711"},
                                                                                        {"ip": "10.0.0.5"}],
    "blocked": True, "network": {"direction": "inbound"}, "host": {"name": "web01"},
}  # fmt: skip
SWEEP = Custom({
    "source_ip": "ends.0.ip", "source_port": "ends.0.port", "destination_ip": "ends.1.ip", "reason": "rule.name", "rule_id": "rule.id",
    "severity": "kibana.alert.severity", "host_name": "host.name", "action": {"path": "blocked", "table": {"true": "block"},
                                                                              "otherwise": "log only"},
    "direction": {"path": "network.direction", "table": {"inbound": "incoming", "outbound": "outgoing"}},
})  # fmt: skip


@pytest.mark.parametrize(("custom", "post", "who"), [
    (HONEYPOT, COWRIE, "203.0.113.50"),
    (HONEYPOT, {**COWRIE, "eventid": "cowrie.session.closed"}, "other_type"),
    (HONEYPOT, {**COWRIE, "src_ip": "10.0.0.7"}, "the attacker's address is one of our own"),
    (HONEYPOT, {**COWRIE, "src_ip": "2001:db8::50"}, "the attacker's address is not a plain IPv4 address"),
    (HONEYPOT, {**COWRIE, "src_ip": None}, "the event has no attacker's address"),
    (HONEYPOT, {**COWRIE, "src_ip": "{{ lookup('pipe', 'id') }}"}, "the attacker's address is not a plain IPv4 address"),
    (SWEEP, ELASTIC, "203.0.113.9"),
    (SWEEP, {**ELASTIC, "network": {"direction": "outbound"}, "ends": [{"ip": "10.0.0.5"}, {"ip": "203.0.113.9"}]}, "203.0.113.9"),
    (SWEEP, {**ELASTIC, "network": {}, "ends": [{"ip": "10.0.0.5"}, {"ip": "203.0.113.9"}]}, "203.0.113.9"),
    (SWEEP, {**ELASTIC, "network": {}, "ends": [{"ip": "10.0.0.5"}, {"ip": "10.0.0.6"}]}, "both ends are our own addresses"),
    (SWEEP, {**ELASTIC, "ends": "x"}, "the event has no source address"),
])
def test_the_attacker_is_who_a_person_would_name(custom, post, who):
    assert told("custom", post, custom=custom) == who


def test_the_normal_form():
    [event] = found("custom", COWRIE, custom=HONEYPOT)
    assert (event.format, event.detector, event.reason, event.severity, event.ttl) == ("custom", "honeypot-1", "cowrie.login.failed",
                                                                                       "medium", 600)
    assert event.started_at == "2026-11-26T11:30:00.123Z"
    assert event.other == COWRIE
    [event] = found("custom", ELASTIC, custom=SWEEP)
    assert (event.action, event.rule_id, event.severity, event.source_port, event.direction) == ("block", "17", "high", 4711, "incoming")
    assert (event.detector, event.host_name) == ("custom", "web01")


@pytest.mark.parametrize(("given_", "says"), [
    ("x", "object"), ({}, "requires attacker"), ({"source_ip": "a"}, "requires attacker"), ({"attacker": "a", "colour": "b"}, "colour"),
    ({"attacker": ""}, "attacker"), ({"attacker": 5}, "attacker"), ({"attacker": {"path": "a", "text": "b"}}, "attacker"),
    ({"attacker": {"table": {}}}, "attacker"), ({"attacker": {"path": "a", "code": "b"}}, "attacker"),
    ({"attacker": "a", "severity": {"path": "b", "table": ["x"]}}, "severity.table"), ({"attacker": {"path": 5}}, "attacker.path"),
    ({"attacker": "a", "only": ["x"]}, "only"), (["attacker"], "object"),
])
def test_what_cannot_work_is_refused_by_name(given_, says):
    with pytest.raises(ValueError, match=says):
        Custom(given_)


def test_wrong_types_are_refused():
    for changes in ({"eventid": ["x"]}, {"src_ip": 5}, {"src_ip": ["203.0.113.5"]}, {"sensor": {}}):
        with pytest.raises(InvalidEvent):
            found("custom", {**COWRIE, **changes}, custom=Custom({"attacker": "src_ip", "reason": "eventid", "detector": "sensor"}))


@given(spoiled(COWRIE), st.dictionaries(st.text(), ANYTHING, max_size=3))
def test_whatever_comes_does_no_harm(post, more):
    named = [str(post.get("src_ip")).strip()]
    harmless(Reader("custom", custom=HONEYPOT), {**more, **post}, named)
    harmless(Reader("custom", custom=Custom({"source_ip": "src_ip", "destination_ip": "a.0.b"})), {**more, **post})
