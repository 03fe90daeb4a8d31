# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deep Security's events as JSON: with integers, with their texts, and in the envelope of Amazon SNS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from hypothesis import given

from ..anything import spoiled
from ..reading import found, harmless, told

CONFIRM = "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:123456789012:DS&Token=2336412f"
SERVER, PEER = "00:0C:29:F3:6D:AE", "6E:58:E3:7A:D3:1E"
EVENT: dict[str, Any] = {
    "Action": 2, "ActionString": "Reset", "DestinationIP": "10.0.0.80", "DestinationMAC": SERVER, "DestinationPort": 80, "Direction": 0,
    "DirectionString": "Incoming", "DriverTime": 1533142460000, "EndLogDate": "2018-08-01T16:54:21.000Z", "EventID": 1,
    "EventType": "PayloadLog",
    "Flags": "ACK PSH DF=1", "Flow": 0, "FlowString": "Connection Flow", "HostID": 3, "HostName": "web-07", "Interface": SERVER,
    "LogDate": "2018-08-01T16:54:20.000Z", "Origin": 0, "OriginString": "Agent", "PacketData": "R0VU", "PacketSize": 103, "Protocol": 6,
    "ProtocolString": "TCP", "Rank": 50, "Reason": "1000128 - HTTP Protocol Decoding", "Severity": 2, "SeverityString": "Medium",
    "SourceIP": "203.0.113.5", "SourceMAC": PEER, "SourcePort": 48478, "Tags": "", "TenantID": 0, "TenantName": "Primary",
}  # fmt: skip
NUMBERS = {name: value for name, value in EVENT.items() if not name.endswith("String")}


def event(**changes: Any) -> dict[str, Any]:
    return {**EVENT, **changes}


def envelope(message: Any, **changes: Any) -> dict[str, Any]:
    return {
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": "arn:aws:sns:us-west-2:123456789012:DS",
        "Message": json.dumps(message, default=repr, skipkeys=True), "Timestamp": "2018-08-01T16:54:25.123Z", "SignatureVersion": "1",
        "Signature": "x",
        "SigningCertURL": "https://sns.us-west-2.amazonaws.com/x.pem", "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/x", **changes,
    }  # fmt: skip


NO_MAC = {"Interface": "", "SourceMAC": "", "DestinationMAC": ""}


@pytest.mark.parametrize(("post", "who"), [
    (EVENT, "203.0.113.5"), (NUMBERS, "203.0.113.5"), (event(Flow=1, FlowString="Reverse Flow"), "203.0.113.5"),
    # an answer of the server
    (event(SourceIP="10.0.0.80", SourceMAC=SERVER, DestinationIP="203.0.113.5", DestinationMAC=PEER, Direction=1), "203.0.113.5"),
    ({**NUMBERS, **NO_MAC}, "203.0.113.5"),
    ({**NUMBERS, **NO_MAC, "Direction": 1, "SourceIP": "10.0.0.80", "DestinationIP": "203.0.113.5"}, "203.0.113.5"),
    ({**NUMBERS, **NO_MAC, "Flow": 1}, "unclear which side is the server"),
    ({**NUMBERS, **NO_MAC, "Flow": -1}, "unclear which side is the server"),
    (event(SourceIP="2001:db8::5"), "the source address is not a plain IPv4 address"),
    (event(SourceIP="10.0.0.80"), "source and destination are the same address"),
    (event(SourceIP="10.0.0.81"), "the attacker's address is one of our own"),
    (event(EventType="PacketLog"), "other_type"), (event(EventType="AntiMalwareEvent"), "other_type"), (event(EventType="SystemEvent"),
                                                                                                        "other_type"),
])
def test_the_attacker_is_who_a_person_would_name(post, who):
    assert told("deep_security_json", post) == who
    assert told("auto", post) == who
    assert told("deep_security_json", envelope([post])) == told("auto", envelope([post])) == who
    assert found("deep_security_json", envelope([post])) == found("deep_security_json", post)


def test_the_normal_form():
    [whole], [numbers] = found("deep_security_json", EVENT), found("deep_security_json", NUMBERS)
    told_ = {name: value for name, value in whole.as_dict().items() if value not in (None, [], {}) and name not in ("id", "other")}
    assert told_ == {
        "received_at": "2015-08-27T03:38:10.250Z", "format": "deep_security_json", "detector": "Deep Security", "attacker": "203.0.113.5",
        "host_name": "web-07", "reason": "1000128 - HTTP Protocol Decoding", "action": "reset", "detect_only": False,
        "direction": "incoming",
        "flow": "connection", "severity": "medium", "protocol": "TCP", "source_ip": "203.0.113.5", "source_port": 48478,
        "source_mac": PEER, "destination_ip": "10.0.0.80", "destination_port": 80, "destination_mac": SERVER, "interface": SERVER,
        "flags": "ACK PSH DF=1", "packet_size": 103, "rank": 50, "event_origin": "Agent", "data": "R0VU",
        "driver_time": "2018-08-01T16:54:20.000Z", "started_at": "2018-08-01T16:54:20.000Z",
    }  # fmt: skip
    assert (numbers.action, numbers.direction, numbers.flow, numbers.severity) == ("reset", "incoming", "connection", "medium")
    spelled = {**NUMBERS, **NO_MAC, "Action": "2", "Direction": "0", "Flow": 0.0}
    assert told("deep_security_json", spelled) == "203.0.113.5"
    for number in ("130", -126, 0x182, 130.0):  # in a text, as a signed byte, with more bits
        assert found("deep_security_json", {**NUMBERS, "Action": number})[0].detect_only
    actions = (
        (-126, "reset", True), (0x82, "reset", True), (0x81, "deny", True), (6, "log only", False), (0, "unknown", False),
        (99, None, False),
    )  # fmt: skip
    for number, action, only in actions:
        [one] = found("deep_security_json", {**NUMBERS, "Action": number})
        assert (one.action, one.detect_only) == (action, only)
    for text in ("Detect Only: Reset", "Reset", "IDS:Reset"):
        [only] = found("deep_security_json", event(Action=0x82, ActionString=text))
        assert (only.action, only.detect_only) == ("reset", True)
    [only] = found("deep_security_json", event(Action=0x85, ActionString=""))
    assert (only.action, only.detect_only) == ("replace", True)
    assert [found("deep_security_json", {**NUMBERS, "Severity": level})[0].severity for level in (1, 2, 3, 4, 0, "High")] == [
        "low", "medium", "high", "critical", None, "high",
    ]  # fmt: skip


def test_an_envelope_may_hold_many_and_subscribes_to_nothing():
    mixed = found("deep_security_json", envelope([EVENT, event(EventType="SystemEvent"), event(SourceIP="203.0.113.9")]))
    assert [getattr(one, "kind", None) or one.attacker for one in mixed] == ["203.0.113.5", "other_type", "203.0.113.9"]
    for kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        assert told("auto", envelope([], Type=kind, SubscribeURL=CONFIRM)) == "subscription"
    elsewhere = (CONFIRM.replace("amazonaws.com", "amazonaws.com.example.com"), f"{CONFIRM}\n", CONFIRM.replace("https", "http"), None)
    for url, shown in ((CONFIRM, CONFIRM), *((url, None) for url in elsewhere)):
        [one] = found("deep_security_json", envelope([], Type="SubscriptionConfirmation", SubscribeURL=url))
        assert one.address == shown
    for message in ("x", "[", "5", "[5]", None, {"a": 1}):
        with pytest.raises(InvalidEvent):
            found("deep_security_json", envelope([], Message=message))


@given(spoiled(EVENT))
def test_whatever_comes_does_no_harm(post):
    for reader in (Reader("deep_security_json"), Reader("auto")):
        for given_ in (post, envelope([post])):
            try:
                [one] = reader.one(given_, 0.0)
            except InvalidEvent:
                continue
            harmless(reader, given_)
            if getattr(one, "attacker", None) is not None:
                assert one.attacker in (str(post.get("SourceIP")).strip(), str(post.get("DestinationIP")).strip())
