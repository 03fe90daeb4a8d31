# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deep Security (Workload Security, Server & Workload Protection): events as JSON, plain or in the envelope of Amazon SNS.

Source: the vendor's help, "Events in JSON format". The properties are those of the CenturyLink Cloud IPS, which was built on it,
but capitalised. Enumerations are integers with an additional text (`ActionString`); both are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional, Union

from .. import fields
from ..body import INTEGERS, InvalidEvent, checked, identity, objects
from ..ends import OURS
from ..event import Event, Found, Ignored, Seen
from . import clc_ips

NAME, DETECTOR = "deep_security_json", "Deep Security"
#: EventType of intrusion prevention; other types are other modules.
ATTACK = "PayloadLog"
TYPES = frozenset((
    "SystemEvent", "PacketLog", ATTACK, "AntiMalwareEvent", "WebReputationEvent", "IntegrityEvent", "LogInspectionEvent",
    "AppControlEvent",
))  # fmt: skip
#: This bit is set in the number of what the agent only looked on; a signed byte is negative then.
LOOKED_ON = 0x80
CONFIRM = re.compile(r"https://sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?/\?[\w=&%:.~+-]{1,1000}", re.ASCII)
ACTIONS = {0: "unknown", 1: "deny", 2: "reset", 3: "insert", 4: "delete", 5: "replace", 6: "log only"}
ACTIONS.update({number + LOOKED_ON - wrap: action for number, action in list(ACTIONS.items()) for wrap in (0, 0x100)})
DIRECTIONS = {0: "incoming", 1: "outgoing"}
FLOWS = {0: "connection", 1: "reverse"}
SEVERITIES = {1: "low", 2: "medium", 3: "high", 4: "critical"}

SAME = {
    "HostName": "hostName", "Reason": "reason", "SourceIP": "sourceIP", "SourceMAC": "sourceMAC", "DestinationIP": "destinationIP",
    "DestinationMAC": "destinationMAC", "Interface": "iface", "Flags": "flags", "PacketData": "data", "Rank": "rank",
    "PacketSize": "packetSize", "SourcePort": "sourcePort", "DestinationPort": "destinationPort", "DriverTime": "driverTime",
    "LogDate": "startTime", "Tags": "tags",
}  # fmt: skip
ENUMERATIONS = {"Action": ("action", ACTIONS), "Direction": ("direction", DIRECTIONS), "Flow": ("flow", FLOWS),
                "Severity": ("severity", SEVERITIES), "Protocol": ("protocol", {}), "Origin": ("eventOrigin", {})}  # fmt: skip
TAKEN = frozenset((*SAME, *ENUMERATIONS, *(f"{name}String" for name in ENUMERATIONS), "EventType"))


def recognises(post: Mapping[str, Any]) -> bool:
    """Return whether an object is an event, or the envelope of one."""
    return _is_envelope(post) or (isinstance(post.get("EventType"), str) and post["EventType"] in TYPES)


def read(post: Mapping[str, Any], seen: Seen) -> Found:
    """Return the events of an object or of an envelope, or why there are none; raises InvalidEvent if a field has a wrong type."""
    if not _is_envelope(post):
        return [_one(post, seen)]
    if post["Type"] != "Notification":
        return [Ignored("subscription", _address(post))]
    message = post["Message"]
    if not isinstance(message, str):
        raise InvalidEvent("Message must be a string.")
    return [_one(one, seen) for one in objects(message)]


def _is_envelope(post: Mapping[str, Any]) -> bool:
    return "TopicArn" in post and "Message" in post and isinstance(post.get("Type"), str)


def _address(post: Mapping[str, Any]) -> Optional[str]:
    """Return where a subscription is confirmed, unless that is anywhere else than at Amazon."""
    found = fields.text(post, "SubscribeURL")
    return found if found and CONFIRM.fullmatch(found) else None


def _one(post: Mapping[str, Any], seen: Seen) -> Union[Event, Ignored]:
    post = checked(post)
    if fields.text(post, "EventType") is None:
        raise InvalidEvent("EventType is missing.")
    if post["EventType"] != ATTACK:
        return Ignored("other_type")
    wire = {name: post[theirs] for theirs, name in SAME.items() if theirs in post}
    for theirs, (name, names) in ENUMERATIONS.items():
        wire[name] = fields.text(post, f"{theirs}String") or _named(post, theirs, names)
    values = clc_ips.values_of(wire)
    values["detect_only"] |= bool((fields.number(post, "Action", INTEGERS) or 0) & LOOKED_ON)
    if seen.home.is_ours(values["attacker"]):
        values["attacker"], values["attacker_reason"] = None, OURS
    other = {name: value for name, value in post.items() if name not in TAKEN}
    return Event(identity(post), seen.at, NAME, DETECTOR, other=other, **values)


def _named(post: Mapping[str, Any], name: str, names: Mapping[int, str]) -> Optional[str]:
    """Return the meaning of an integer of an enumeration; a string is returned unchanged."""
    value, number = post.get(name), fields.number(post, name, INTEGERS)
    if number is None:
        return fields.text(post, name)
    return names.get(number, value if isinstance(value, str) else None)
