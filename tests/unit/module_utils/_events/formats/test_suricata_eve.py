# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suricata's records: what Suricata 7 wrote, and the samples of its guide, with addresses of documentation networks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from hypothesis import given
from hypothesis import strategies as st

from ..anything import AS_JSON, TEXT, spoiled
from ..reading import RECEIVED, found, harmless, home, told

#: As Suricata 7.0.10 writes it with its packaged configuration, for a request with ../../ in it.
ALERT: dict[str, Any] = {
    "timestamp": "2026-11-26T11:30:00.000000+0000", "flow_id": 1467203157962537, "pcap_cnt": 4, "event_type": "alert",
    "src_ip": "203.0.113.5", "src_port": 40000, "dest_ip": "10.0.0.80", "dest_port": 80, "proto": "TCP", "pkt_src": "wire/pcap",
    "tx_id": 0, "alert": {
        "action": "allowed", "gid": 1, "signature_id": 1000001, "rev": 1, "signature": "Path traversal in a request",
        "category": "Web Application Attack", "severity": 1,
    },
    "http": {"hostname": "www.example.com", "url": "/../../../../etc/passwd", "http_method": "GET", "protocol": "HTTP/1.1", "length": 0},
    "app_proto": "http", "direction": "to_server",
    "flow": {"pkts_toserver": 3, "pkts_toclient": 1, "bytes_toserver": 250, "bytes_toclient": 44,
             "start": "2026-11-26T11:29:59.000000+0000", "src_ip": "203.0.113.5", "dest_ip": "10.0.0.80", "src_port": 40000,
             "dest_port": 80},
}  # fmt: skip
REPLY = {"src_ip": "10.0.0.80", "src_port": 80, "dest_ip": "203.0.113.5", "dest_port": 40000, "direction": "to_client"}
#: From the user guide, which shows no direction.
GUIDE = {
    "timestamp": "2017-04-07T22:24:37.251547+0100", "flow_id": 586497171462735, "pcap_cnt": 53381, "event_type": "alert",
    "src_ip": "192.168.2.14", "src_port": 50096, "dest_ip": "198.51.100.5", "dest_port": 80, "proto": "TCP",
    "metadata": {"flowbits": ["http.dottedquadhost"]}, "tx_id": 4,
    "alert": {"action": "allowed", "gid": 1, "signature_id": 2018358, "rev": 10,
              "signature": "ET HUNTING GENERIC SUSPICIOUS POST to Dotted Quad with Fake Browser 1", "category": "Potentially Bad Traffic",
              "severity": 2},
    "app_proto": "http",
}  # fmt: skip


def alert(**changes: Any) -> dict[str, Any]:
    return {**ALERT, **changes}


def rule(**changes: Any) -> dict[str, Any]:
    return {**ALERT["alert"], **changes}


SOURCE = {"source": {"ip": "198.51.100.66", "port": 443}, "target": {"ip": "10.0.0.9", "port": 50000}}


@pytest.mark.parametrize(("record", "who"), [
    (ALERT, "203.0.113.5"),
    (alert(**REPLY), "203.0.113.5"),
    # without a direction the one that is not ours
    (GUIDE, "198.51.100.5"),
    ({**GUIDE, "src_ip": "198.51.100.5", "dest_ip": "192.168.2.14"}, "198.51.100.5"),
    ({**GUIDE, "src_ip": "198.51.100.5", "dest_ip": "203.0.113.9"}, "neither end is one of our own addresses, and there is no direction"),
    # a connection of one of ours is no attack on us, whoever answers
    (alert(src_ip="10.0.0.80", dest_ip="203.0.113.5"), "the attacker's address is one of our own"),
    (alert(src_ip="203.0.113.5", dest_ip="10.0.0.80", direction="to_client"), "the attacker's address is one of our own"),
    # unless the rule says who is who
    (alert(src_ip="10.0.0.9", dest_ip="198.51.100.66", alert=rule(**SOURCE)), "198.51.100.66"),
    (alert(src_ip="198.51.100.66", dest_ip="10.0.0.9", alert=rule(target={"ip": "10.0.0.9"})), "198.51.100.66"),
    (alert(src_ip="10.0.0.9", dest_ip="198.51.100.66", alert=rule(target={"ip": "10.0.0.9"})), "198.51.100.66"),
    (alert(alert=rule(target={"ip": "10.0.0.99"})), "the target of the alert is neither end"),
    (alert(alert=rule(source={"ip": "10.0.0.9"})), "the attacker's address is one of our own"),
    # as recorded in a home network: both ends private
    (alert(src_ip="192.168.86.85", dest_ip="192.168.156.70"), "the attacker's address is one of our own"),
    ({**GUIDE, "src_ip": "192.168.86.85", "dest_ip": "192.168.156.70"}, "both ends are our own addresses"),
    (alert(src_ip="2001:0db8:0000:0000:0000:0000:0000:0005", dest_ip="2001:db8::80"), "the source address is not a plain IPv4 address"),
    ({**GUIDE, "src_ip": "fe80::1", "dest_ip": "203.0.113.5"}, "the source address is not a plain IPv4 address"),
    # a forged sender, or a group as the receiver, makes nobody at the other end the attacker
    ({**GUIDE, "src_ip": "0.0.0.0", "dest_ip": "203.0.113.5"}, "the source address belongs to nobody"),
    ({**GUIDE, "src_ip": "198.51.100.7", "dest_ip": "224.0.0.251"}, "the destination address belongs to nobody"),
    (alert(src_ip="10.0.0.80", dest_ip="10.0.0.80"), "source and destination are the same address"),
    ({name: value for name, value in ALERT.items() if name != "src_ip"}, "the event has no source address"),
    # a drop of an inline sensor, with and without its alert, and what is no alert at all
    (alert(event_type="drop", drop={"len": 40, "reason": "rules"}, alert=rule(action="blocked")), "203.0.113.5"),
    ({name: value for name, value in alert(event_type="drop", drop={"len": 40}).items() if name != "alert"}, "other_type"),
    ({"timestamp": "2018-07-05T15:51:23.009510-0400", "event_type": "stats", "stats": {"uptime": 5400, "many": [{}] * 5000}}, "other_type"),
    ({"timestamp": "2018-07-05T15:51:54.001329-0400", "flow_id": 1, "event_type": "flow", "src_ip": "fe80::1", "dest_ip": "ff02::1:2",
      "proto": "UDP", "flow": {"alerted": True}}, "other_type"),
    (alert(event_type="http"), "other_type"),
])
def test_the_attacker_is_who_a_person_would_name(record, who):
    assert told("suricata_eve", record) == who
    assert told("auto", record) == who


def test_our_own_networks_are_what_the_user_says():
    dmz, lab = home(["198.51.100.0/24"]), home(strangers=["10.66.0.0/16"])
    assert told("suricata_eve", alert(src_ip="203.0.113.5", dest_ip="198.51.100.7"), dmz) == "203.0.113.5"
    assert told("suricata_eve", {**GUIDE, "src_ip": "198.51.100.7", "dest_ip": "203.0.113.5"}, dmz) == "203.0.113.5"
    assert told("suricata_eve", alert(src_ip="198.51.100.7"), dmz) == "the attacker's address is one of our own"
    assert told("suricata_eve", alert(src_ip="10.66.1.2"), lab) == "10.66.1.2"
    assert told("suricata_eve", {**GUIDE, "src_ip": "10.66.1.2", "dest_ip": "10.0.0.80"}, lab) == "10.66.1.2"


def test_the_normal_form():
    [event] = found("suricata_eve", alert(host="sensor-1", **REPLY))
    told = {name: value for name, value in event.as_dict().items() if value not in (None, [], {}) and name not in ("id", "other")}
    assert told == {
        "received_at": "2015-08-27T03:38:10.250Z", "format": "suricata_eve", "detector": "sensor-1", "attacker": "203.0.113.5",
        "host_name": "10.0.0.80", "reason": "Path traversal in a request", "rule_id": "1000001", "action": "allowed", "detect_only": False,
        "direction": "incoming", "severity": "critical", "protocol": "TCP", "source_ip": "10.0.0.80", "source_port": 80,
        "destination_ip": "203.0.113.5", "destination_port": 40000, "started_at": "2026-11-26T11:30:00.000Z",
    }  # fmt: skip
    assert event.other["http"]["url"] == "/../../../../etc/passwd"
    assert [found("suricata_eve", alert(alert=rule(severity=level)))[0].severity for level in (1, 2, 3, 4, 5, 255, "2", None)] == [
        "critical", "high", "medium", "low", None, None, "high", None,
    ]  # fmt: skip
    [out] = found("suricata_eve", alert(src_ip="10.0.0.9", dest_ip="198.51.100.66", alert=rule(**SOURCE)))
    assert (out.direction, out.host_name) == ("outgoing", "10.0.0.9")
    assert found("suricata_eve", ALERT)[0].id != found("suricata_eve", alert(flow_id=1))[0].id


@pytest.mark.parametrize("changes", [
    {"alert": "x"}, {"alert": [1]}, {"src_ip": 5}, {"alert": rule(signature=5)}, {"alert": rule(severity=[1])}, {"src_port": True},
    {"alert": rule(source="203.0.113.5")}, {"direction": 1}, {"deep": json.loads("[" * 40 + "]" * 40)}, {"many": [0] * 3000},
])
def test_wrong_types_are_refused(changes):
    with pytest.raises(InvalidEvent):
        found("suricata_eve", alert(**changes))


def test_lines_of_other_types_are_not_even_read():
    reader = Reader("suricata_eve")

    def kinds(line: str) -> list[Any]:
        return [getattr(one, "kind", "event") for one in reader.line(line.encode(), RECEIVED)]

    assert kinds(json.dumps(ALERT)) == kinds(json.dumps(ALERT, separators=(",", ":"))) == ["event"]
    assert kinds('{"timestamp":"x","event_type":"stats","stats":{{{') == ["other_type"]
    # the type stands first, and what a client writes into a text is escaped
    assert kinds(json.dumps(alert(http={"url": '","event_type":"flow","x":"'}))) == ["event"]
    assert kinds(json.dumps(alert(nested={"event_type": "flow"}))) == ["event"]
    for line in (b"", b"{", b"\xff", b'{"event_type": "alert"', b"x" * 1_000_000, b'{"event_type":"alert","event_type":"flow"}'):
        with pytest.raises(InvalidEvent):
            reader.line(line, RECEIVED)


@given(spoiled(ALERT))
def test_whatever_comes_does_no_harm(record):
    alerts = record.get("alert")
    named = [end.get("ip") for end in alerts.values() if isinstance(end, dict)] if isinstance(alerts, dict) else []
    ends = [str(address).strip() for address in (record.get("src_ip"), record.get("dest_ip"), *named)]
    harmless(Reader("suricata_eve"), record, ends)
    harmless(Reader("auto"), record, ends)


@given(st.one_of(st.binary(), TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")), AS_JSON))
def test_whatever_stands_in_a_line_does_no_harm(line):
    for name in ("suricata_eve", "auto"):
        try:
            Reader(name).line(line, RECEIVED)
        except InvalidEvent as refused:
            assert refused.__cause__ is None
