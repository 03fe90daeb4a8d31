# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wazuh's alerts: samples of its documentation and of managers, and what an active response gets."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from hypothesis import given

from ..anything import spoiled
from ..reading import found, harmless, home, told

#: From the documentation of custom active responses.
SHELLSHOCK: dict[str, Any] = {
    "timestamp": "2021-02-01T20:58:44.830+0000",
    "rule": {"level": 15, "description": "Shellshock attack detected", "id": "31168", "firedtimes": 2, "mail": True,
             "mitre": {"id": ["T1068", "T1190"]}, "groups": ["web", "accesslog", "attack"]},
    "agent": {"id": "000", "name": "web01"}, "manager": {"name": "wazuh-server"}, "id": "1612213124.6448363",
    "full_log": '203.0.113.7 - - [01/Feb/2021:20:58:43 +0000] "GET / HTTP/1.1" 200 612 "-" "() { :; }; /bin/cat /etc/passwd"',
    "decoder": {"name": "web-accesslog"},
    "data": {"protocol": "GET", "srcip": "203.0.113.7", "srcport": "51234", "id": "200", "url": "/"},
    "location": "/var/log/nginx/access.log",
}  # fmt: skip
SSH = {
    "timestamp": "2021-10-27T15:39:30.120+0000",
    "rule": {"level": 10, "description": "sshd: brute force trying to get access to the system.", "id": "5712", "frequency": 8,
             "groups": ["syslog", "sshd", "authentication_failures"]},
    "agent": {"id": "001", "name": "db01", "ip": "10.0.0.5"}, "manager": {"name": "wazuh-server"}, "id": "1635349170.16271",
    "decoder": {"parent": "sshd", "name": "sshd"}, "data": {"srcip": "203.0.113.8", "dstuser": "root", "srcport": "4711"},
    "location": "/var/log/auth.log",
}  # fmt: skip
#: What Wazuh makes of Suricata's record: every value a text.
SURICATA = {
    "timestamp": "2021-10-27T15:39:30.120+0000",
    "rule": {"level": 3, "description": "Suricata: Alert - GPL ATTACK_RESPONSE id check returned root", "id": "86601", "groups": ["ids",
                                                                                                                                  "suricata"]},
    "agent": {"id": "001", "name": "gate01", "ip": "10.0.0.1"}, "manager": {"name": "wazuh-server"}, "id": "1635349170.16272",
    "decoder": {"name": "json"}, "location": "/var/log/suricata/eve.json",
    "data": {
        "timestamp": "2021-10-27T15:39:29.900000+0000", "flow_id": "1609211534.000000", "in_iface": "eth0", "event_type": "alert",
        "src_ip": "10.0.0.80", "src_port": "80", "dest_ip": "203.0.113.9", "dest_port": "51720", "proto": "TCP", "direction": "to_client",
        "alert": {"action": "allowed", "gid": "1", "signature_id": "2100498", "rev": "7", "severity": "2",
                  "signature": "GPL ATTACK_RESPONSE id check returned root", "category": "Potentially Bad Traffic"},
    },
}  # fmt: skip
NETSTAT = {"rule": {"level": 7, "description": "Listened ports status (netstat) changed", "id": "533"}, "id": "1.0", "location": "netstat"}


def alert(level: int = 10, **data: Any) -> dict[str, Any]:
    return {**SSH, "rule": {**SSH["rule"], "level": level}, "data": {**SSH["data"], **data}}


def shuffled(given: Any) -> dict[str, Any]:
    """Return what the integration shuffle makes of an alert."""
    return {"severity": 3, "pretext": "WAZUH Alert", "title": given["rule"]["description"], "text": given.get("full_log"),
            "rule_id": given["rule"]["id"], "timestamp": given["timestamp"], "id": given["id"], "all_fields": given}  # fmt: skip


def response(command: str, given: Any) -> dict[str, Any]:
    return {"version": 1, "origin": {"name": "worker01", "module": "wazuh-execd"}, "command": command,
            "parameters": {"extra_args": [], "alert": given, "program": "active-response/bin/block"}}  # fmt: skip


@pytest.mark.parametrize(("post", "who"), [
    (SHELLSHOCK, "203.0.113.7"), (SSH, "203.0.113.8"),
    # the record of Suricata that it tells of: an answer, a connection of ours, and another type
    (SURICATA, "203.0.113.9"),
    ({**SURICATA, "data": {**SURICATA["data"], "direction": "to_server"}}, "the attacker's address is one of our own"),
    ({**SURICATA, "data": {**SURICATA["data"], "event_type": "http"}}, "other_type"),
    # nor is a record without an alert, whatever the rule of Wazuh makes of it: its first address need not be who attacks
    ({**SURICATA, "rule": SSH["rule"], "data": {name: value for name, value in {**SURICATA["data"], "event_type": "dns"}.items()
                                                if name != "alert"}}, "other_type"),
    # no other end is needed, and never one of ours
    (alert(srcip="10.0.0.9", dstip="203.0.113.5"), "the attacker's address is one of our own"),
    (alert(srcip="192.168.1.4", dstip="192.168.1.5"), "the attacker's address is one of our own"),
    (alert(srcip="2001:db8::7"), "the source address is not a plain IPv4 address"),
    (alert(srcip="::ffff:203.0.113.8"), "the source address is not a plain IPv4 address"),
    (alert(srcip=None, src_ip="203.0.113.8"), "203.0.113.8"),
    # a login that succeeded, a mistyped password, nobody to name
    (alert(3), "minor"), (alert(5), "minor"), (NETSTAT, "no_source"), (alert(srcip=""), "no_source"),
    # what the manager chose to respond to
    (response("add", SSH), "203.0.113.8"), (response("add", alert(5)), "203.0.113.8"), (response("delete", SSH), "taken_back"),
    (response("continue", SSH), "taken_back"),
    (shuffled(SSH), "203.0.113.8"), (shuffled(SURICATA), "203.0.113.9"), (shuffled(alert(3)), "minor"),
])
def test_the_attacker_is_who_a_person_would_name(post, who):
    assert told("wazuh", post) == who
    assert told("auto", post) == who


def test_the_normal_form():
    [event] = found("wazuh", SHELLSHOCK)
    told_ = {name: value for name, value in event.as_dict().items() if value not in (None, [], {}) and name not in ("id", "other")}
    assert told_ == {
        "received_at": "2015-08-27T03:38:10.250Z", "format": "wazuh", "detector": "wazuh-server", "attacker": "203.0.113.7",
        "host_name": "web01", "reason": "Shellshock attack detected", "rule_id": "31168", "severity": "critical", "detect_only": False,
        "protocol": "GET", "source_ip": "203.0.113.7", "source_port": 51234, "tags": ["web", "accesslog", "attack"],
        "started_at": "2021-02-01T20:58:44.830Z",
    }  # fmt: skip
    assert event.other["data"]["url"] == "/"
    assert {found("wazuh", wrapped)[0].id for wrapped in (SHELLSHOCK, response("add", SHELLSHOCK), shuffled(SHELLSHOCK))} == {event.id}
    assert [found("wazuh", alert(level))[0].severity for level in (6, 7, 11, 12, 14, 15, 16)] == [
        "low", "medium", "medium", "high", "high", "critical", "critical",
    ]  # fmt: skip
    [nested] = found("wazuh", SURICATA)
    assert (nested.severity, nested.rule_id, nested.source_port, nested.host_name, nested.direction) == ("high", "2100498", 80, "gate01",
                                                                                                         "incoming")
    assert nested.reason == "GPL ATTACK_RESPONSE id check returned root"
    assert told("wazuh", alert(srcip="10.66.0.9"), home(strangers=["10.66.0.0/16"])) == "10.66.0.9"
    assert told("wazuh", alert(srcip="198.51.100.9"), home(["198.51.100.0/24"])) == "the attacker's address is one of our own"


@pytest.mark.parametrize("post", [
    {**SSH, "data": "x"}, {**SSH, "data": {"srcip": 5}}, {**SSH, "rule": []}, {**SSH, "agent": {"name": 5}}, {**SSH, "manager": "x"},
    alert(srcport=[1]), {**SSH, "rule": {**SSH["rule"], "groups": [5]}}, {**SSH, "rule": {**SSH["rule"], "level": "x" * 9,
                                                                                          "description": 5}, "data": 1},
])
def test_wrong_types_are_refused(post):
    with pytest.raises(InvalidEvent):
        found("wazuh", post)


@given(spoiled(SURICATA) | spoiled(SHELLSHOCK) | spoiled(response("add", SSH)) | spoiled(shuffled(SSH)))
def test_whatever_comes_does_no_harm(post):
    harmless(Reader("wazuh"), post)
    harmless(Reader("auto"), post)
