# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Posts of the IPS: who the attacker is, which dates are read, and that nothing hostile does more than be refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent, decoded, objects
from ansible_collections.intrusion.response.plugins.module_utils._events.dates import written
from ansible_collections.intrusion.response.plugins.module_utils._events.event import Event
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips
from ansible_collections.intrusion.response.plugins.module_utils._events.formats.clc_ips import FIELDS
from hypothesis import given
from hypothesis import strategies as st

from emulator import events

from ..anything import ANYTHING

SERVER, PEER = "00:0C:29:F3:6D:AE", "6E:58:E3:7A:D3:1E"
RECEIVED = written(1440646690.25)
CONTENT = "do-not-repeat-me"


def event(**fields: Any) -> Event:
    return clc_ips.event(events.build("VA1ACMEWEB01", 1440646622.5, fields), RECEIVED)


def packet(iface: str = "eth0", source: str = PEER, destination: str = SERVER, **fields: Any) -> Event:
    """An event from 203.0.113.5 to 198.51.100.7."""
    ends = {"sourceIP": "203.0.113.5", "destinationIP": "198.51.100.7", "sourceMAC": source, "destinationMAC": destination}
    return event(**{"iface": iface, **ends, **fields})


def test_the_published_event():
    found = event(sourceIP="10.126.155.231").as_dict()
    identity = found.pop("id")
    assert len(identity) == 32
    assert int(identity, 16)
    assert found == {
        "received_at": "2015-08-27T03:38:10.250Z", "format": "clc_ips", "detector": "IPS", "rule_id": None, "ttl": None,
        "attacker": "10.126.155.231", "attacker_reason": None,
        "host_name": "VA1ACMEWEB01", "reason": "Invalid Traversal", "action": "reset", "detect_only": False,
        "direction": "incoming", "flow": "connection", "severity": "high", "protocol": "TCP",
        "source_ip": "10.126.155.231", "source_port": 48478, "source_mac": PEER,
        "destination_ip": "10.126.155.23", "destination_port": 80, "destination_mac": SERVER, "interface": SERVER,
        "flags": "ACK PSH DF=1", "packet_size": 103, "rank": 50, "event_origin": "AGENT", "tags": [],
        "data": "R0VUIC8uLi8uLi8uLi8uLi9ldGMvcGFzc3dkIEhUVFAvMS4xCg==",
        "started_at": "2015-08-27T03:37:02.500Z", "ended_at": "2015-08-27T03:37:02.500Z",
        "driver_time": "2015-08-27T03:37:02.500Z", "other": {},
    }


INCOMING = {"direction": "Incoming", "flow": "Connection Flow"}
OUTGOING = {"direction": "Outgoing", "flow": "Connection Flow"}
REVERSE_IN = {"direction": "Incoming", "flow": "Reverse Flow"}
REVERSE_OUT = {"direction": "Outgoing", "flow": "Reverse Flow"}
SOURCE, DESTINATION, UNCLEAR = "203.0.113.5", "198.51.100.7", None


@pytest.mark.parametrize(("given_packet", "attacker"), [
    # The interface tells, whatever direction and flow say
    *((packet(SERVER, **way), SOURCE) for way in (INCOMING, OUTGOING, REVERSE_IN, REVERSE_OUT, {"direction": "", "flow": ""})),
    *((packet(PEER, **way), DESTINATION) for way in (INCOMING, OUTGOING, REVERSE_IN, REVERSE_OUT, {"direction": "", "flow": ""})),
    (packet(SERVER.lower().replace(":", "-"), **REVERSE_IN), SOURCE),
    # It does not: a name, no address of either end, the address of both, no address at all
    *((packet(**ends, **INCOMING), SOURCE) for ends in (
        {"iface": "eth0"}, {"iface": ""}, {"iface": "00:00:00:00:00:00"}, {"iface": "02:00:00:00:00:01"},
        {"iface": SERVER, "source": SERVER}, {"iface": SERVER, "source": "", "destination": ""},
        {"iface": "00:00:00:00:00:00", "source": "00:00:00:00:00:00"}, {"iface": "", "source": "", "destination": ""},
    )),
    (packet(**OUTGOING), DESTINATION),
    (packet(direction="INCOMING", flow="connection flow"), SOURCE),
    (packet(**REVERSE_IN), UNCLEAR),
    (packet(**REVERSE_OUT), UNCLEAR),
    (packet(direction="Incoming", flow=""), UNCLEAR),
    (packet(direction="", flow="Connection Flow"), UNCLEAR),
    (packet(direction="Sideways", flow="Connection Flow"), UNCLEAR),
])
def test_attacker_is_the_other_side(given_packet, attacker):
    assert given_packet.attacker == attacker
    assert given_packet.attacker_reason == (None if attacker else "unclear which side is the server")


@pytest.mark.parametrize("address", [
    "203.0.113.0/24", "203.0.113.1-203.0.113.9", "2001:db8::1", "::ffff:203.0.113.5", "::1", "203.0.113.05", "0203.0.113.5", "00.0.0.0",
    "203.0.113", "203.0.113.5.6", "203.0.113.256", "203.0.113.999", "3405803781", "0xcb007105", "attacker.example.com", "203.0. 113.5",
    "203.0.113.5\n", "-", "203.0.113.5,198.51.100.1", "\u0662\u0660\u0663.0.113.5", "203.0.113.5\u0000", "203.0.113.\ud835",
])
def test_no_attacker_without_one_plain_address(address):
    found = event(sourceIP=address)
    assert found.attacker is None
    assert found.attacker_reason == "the source address is not a plain IPv4 address"
    json.dumps(found.as_dict(), ensure_ascii=False).encode()


def test_no_attacker_without_an_address():
    for missing in ("", "  ", None):
        assert event(sourceIP=missing).attacker_reason == "the event has no source address"
        assert event(sourceIP="198.51.100.7", destinationIP=missing, **OUTGOING, iface="").attacker_reason == (
            "the event has no destination address"
        )


def test_no_attacker_in_a_packet_from_the_server_to_itself():
    found = event(sourceIP="198.51.100.7", destinationIP="198.51.100.7")
    assert found.attacker is None
    assert found.attacker_reason == "source and destination are the same address"


@given(st.integers(0, 2**32 - 1))
def test_every_plain_address_is_one(number):
    address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    assert event(sourceIP=address, destinationIP="").attacker == address


@pytest.mark.parametrize(("posted", "action", "detect_only"), [
    ("Reset", "reset", False), ("Block", "block", False), ("Detect Only: Reset", "reset", True), ("detect only:Block", "block", True),
    ("Log Only", "log only", False), ("Detect Only: ", None, True), ("", None, False), (None, None, False),
])
def test_action(posted, action, detect_only):
    found = event(action=posted)
    assert (found.action, found.detect_only) == (action, detect_only)


AT, IN_SECONDS = "2015-08-27T03:37:02.500Z", "2015-08-27T03:37:02.000Z"


@pytest.mark.parametrize(("posted", "read"), [
    (1440646622500, AT), (1440646622.5, AT), (1.4406466225e12, AT), ("1440646622500", AT), ("1440646622.500", AT), (1440646622, IN_SECONDS),
    ("1440646622", IN_SECONDS), ("2015-08-27T03:37:02.500Z", AT), ("2015-08-27T03:37:02.500+0000", AT), ("2015-08-27 03:37:02.5 UTC", AT),
    ("2015-08-27T05:37:02,500000+02:00", AT), ("2015-08-26T22:37:02.5-0500", AT), ("2015-08-27T03:37:02", IN_SECONDS),
    ("Thu Aug 27 03:37:02 UTC 2015", IN_SECONDS), ("Thu Aug 27 03:37:02 GMT 2015", IN_SECONDS),
    *((unreadable, None) for unreadable in (
        None, "", " ", 0, "0", -1, "-5", 10**18, 1e300, "9" * 19, "9" * 40, "yesterday", "2015-02-30T00:00:00Z", "2015-08-27T25:00:00Z",
        "0001-01-01T00:00:00+14:00", "Thu Aug 27 03:37:02 EST 2015", "Thu Feb 31 03:37:02 UTC 2015", "Thu Xyz 27 03:37:02 UTC 2015",
    )),
])
def test_dates(posted, read):
    found = event(startTime=posted, endTime=posted, driverTime=posted)
    assert (found.started_at, found.ended_at, found.driver_time) == (read, read, read)


@given(st.datetimes(datetime(1973, 4, 1), datetime(5000, 1, 1)))
def test_a_date_is_read_in_every_form(date):
    date = date.replace(microsecond=date.microsecond // 1000 * 1000, tzinfo=timezone.utc)
    milliseconds = (date - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
    read = event(startTime=milliseconds, endTime=date.isoformat(), driverTime=str(milliseconds))
    assert {read.started_at, read.ended_at, read.driver_time} == {date.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    java = event(startTime=events.java_date(milliseconds)).started_at
    assert java == date.replace(microsecond=0).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(("posted", "port"), [
    ("80", 80), (80, 80), (80.0, 80), ("0", 0), (" 443 ", 443), ("", None), (None, None), ("65536", None), (-1, None), ("http", None),
    (80.5, None), ("1e3", None), ("\u0668\u0660", None), ("9" * 5000, None),
])
def test_ports_are_numbers_or_nothing(posted, port):
    assert event(sourcePort=posted, destinationPort=posted).source_port == port
    assert event(destinationPort=posted).destination_port == port


@pytest.mark.parametrize(("posted", "tags"), [
    ("", []), (None, []), ("one", ["one"]), ("one, two,,", ["one", "two"]), (["one", " ", "two "], ["one", "two"]), ([], []),
])
def test_tags(posted, tags):
    assert event(tags=posted).as_dict()["tags"] == tags


def test_what_is_missing_is_none_and_what_is_unknown_is_kept():
    found = clc_ips.event({"reason": "Invalid Traversal", "dpiRuleID": 7, "nested": {"a": [1, None, "x"]}}, RECEIVED).as_dict()
    assert found["other"] == {"dpiRuleID": 7, "nested": {"a": [1, None, "x"]}}
    told = {"id", "received_at", "format", "detector", "attacker_reason", "reason", "detect_only", "tags", "other"}
    assert {name for name, value in found.items() if value is not None} == told
    blank = clc_ips.event(dict.fromkeys(FIELDS, ""), RECEIVED).as_dict()
    assert {name for name, value in blank.items() if value not in (None, [], {})} == told - {"reason", "tags", "other"}


TEXTS = ("hostName", "reason", "action", "direction", "flow", "severity", "protocol", "sourceIP", "destinationMAC", "iface", "flags",
         "eventOrigin", "data", "tags")
NUMBERS = ("packetSize", "rank", "sourcePort", "destinationPort", "startTime", "endTime", "driverTime")


@pytest.mark.parametrize("field", [*TEXTS, *NUMBERS])
def test_wrong_types_are_refused_by_name_and_not_repeated(field):
    wrong = [True, {"a": CONTENT}, [[CONTENT]], [1]] + ([5, 1.5] if field in TEXTS else [])
    for value in wrong:
        with pytest.raises(InvalidEvent, match=field) as refused:
            event(**{field: value})
        assert CONTENT not in str(refused.value)


def test_an_object_without_any_field_of_an_event_is_none():
    for post in ({}, {"other": 1}, {"username": "Client Security Bot", "icon_emoji": ":cop:", "text": "An IPS Event"}):
        with pytest.raises(InvalidEvent):
            clc_ips.event(post, RECEIVED)


def test_the_same_post_has_the_same_id_and_another_one_another():
    post = events.build("VA1ACMEWEB01", 1440646622, {})
    backwards = dict(reversed(list(post.items())))
    [sent] = objects(decoded(json.dumps(post).encode()))
    assert clc_ips.event(post, RECEIVED).id == clc_ips.event(backwards, written(2.0)).id == clc_ips.event(sent, written(3.0)).id
    for name in post:
        assert clc_ips.event({**post, name: None}, RECEIVED).id != clc_ips.event(post, RECEIVED).id


@given(st.dictionaries(st.one_of(st.sampled_from(sorted(FIELDS)), st.text()), ANYTHING, max_size=8))
def test_a_post_is_an_event_that_can_be_written_or_invalid(post):
    try:
        found = clc_ips.event(post, RECEIVED)
    except InvalidEvent:
        return
    again = json.loads(json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False).encode())
    assert again == found.as_dict()
    assert bool(found.attacker) != bool(found.attacker_reason)


@pytest.mark.parametrize("address", [" 203.0.113.5", "203.0.113.5 ", "\t203.0.113.5 \t"])
def test_blanks_around_an_address_do_not_count(address):
    assert event(sourceIP=address).attacker == "203.0.113.5"
    assert event(sourceIP=address, destinationIP="203.0.113.5").attacker is None
