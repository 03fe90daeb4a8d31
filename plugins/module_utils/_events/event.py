# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event in normal form, from whatever detector."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Optional, Union

from .body import InvalidEvent
from .ends import Home, is_plain

IDENTITY = re.compile("[0-9a-f]{32}")


class Seen(NamedTuple):
    """What a format must know besides the content.

    Attributes:
        at: when it was received, as in `received_at`.
        home: our own addresses.
    """

    at: str
    home: Home


class Ignored(NamedTuple):
    """Something that is not an attack to act on; kind is one of IGNORED, address where a person has to go, if anywhere."""

    kind: str
    address: Optional[str] = None


#: The kinds of ignored events, with their meanings.
IGNORED = {
    "other_type": "a record that is not about an attack",
    "minor": "too low a level for an attack",
    "simulated": "a simulation",
    "detect_only": "an attack that the detector, in detect mode, did not act on",
    "no_source": "no source address",
    "no_ban": "no ban made by the detector itself",
    "taken_back": "the end of an earlier response",
    "foreign": "a line of another product",
    "subscription": "a request to confirm a subscription",
}


@dataclass(frozen=True)
class Event:
    """An event. Missing values are None; dates are ISO 8601 in UTC with milliseconds.

    Attributes:
        id: first half of the SHA-256 of what was sent, in canonical JSON; the same content always has the same id.
        received_at: when it was received.
        format: the name of its format.
        detector: the detector's own name, or else the name of the product.
        attacker: the plain IPv4 address of the other side, None if that is unknown.
        attacker_reason: why there is no attacker, else None.
        host_name: the protected server.
        reason: name of the rule.
        rule_id: its number or short name.
        action: what the detector did, in lower case, such as "reset".
        detect_only: whether the detector only reported this action and did not take it.
        direction: "incoming", "outgoing" or any other value, in lower case.
        flow: "connection", "reverse" or any other value, in lower case.
        severity: low, medium, high, critical, or any other value, in lower case.
        ttl: seconds for which the detector wants a block.
        interface: MAC address of the server's interface.
        packet_size: bytes.
        rank: asset value times severity value.
        data: captured bytes in Base64, as posted.
        other: all other fields, unchanged.
    """

    id: str
    received_at: str
    format: Optional[str] = None
    detector: Optional[str] = None
    attacker: Optional[str] = None
    attacker_reason: Optional[str] = None
    host_name: Optional[str] = None
    reason: Optional[str] = None
    rule_id: Optional[str] = None
    action: Optional[str] = None
    detect_only: bool = False
    direction: Optional[str] = None
    flow: Optional[str] = None
    severity: Optional[str] = None
    ttl: Optional[int] = None
    protocol: Optional[str] = None
    source_ip: Optional[str] = None
    source_port: Optional[int] = None
    source_mac: Optional[str] = None
    destination_ip: Optional[str] = None
    destination_port: Optional[int] = None
    destination_mac: Optional[str] = None
    interface: Optional[str] = None
    flags: Optional[str] = None
    packet_size: Optional[int] = None
    rank: Optional[int] = None
    event_origin: Optional[str] = None
    tags: tuple[str, ...] = ()
    data: Optional[str] = None
    started_at: Optional[str] = None
    ended_at: Optional[str] = None
    driver_time: Optional[str] = None
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def received(self) -> float:
        """When it was received, as an epoch time in seconds."""
        return datetime.fromisoformat(self.received_at.replace("Z", "+00:00")).timestamp()

    def as_dict(self) -> dict[str, Any]:
        """Return the event as rules see it, in JSON types."""
        return {**vars(self), "tags": list(self.tags), "other": dict(self.other)}

    def as_json(self) -> str:
        """Return the event as rules see it, as JSON in ASCII."""
        return json.dumps(self.as_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Event:
        """Return an event from the result of as_dict; raises InvalidEvent. Fields that an older release did not have are None."""
        values: dict[str, Any] = {name: given.get(name) for name in cls.__dataclass_fields__}
        if not is_normal(given) or not isinstance(values["received_at"], str):
            raise InvalidEvent("It is not an event in normal form.")
        values.update(tags=tuple(values["tags"] or ()), other=values["other"] or {}, detect_only=bool(values["detect_only"]))
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Event:
        """Return an event from the result of as_json; raises InvalidEvent."""
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise InvalidEvent("It is not an event in normal form.")
        return cls.from_dict(given)


def is_normal(found: Any) -> bool:
    """Return whether it can be an event in normal form, with an id and an attacker that rules may pass on."""
    if not isinstance(found, Mapping) or not isinstance(found.get("id"), str) or not IDENTITY.fullmatch(found["id"]):
        return False
    attacker = found.get("attacker")
    return attacker is None or (isinstance(attacker, str) and is_plain(attacker))


#: What a format finds in one object or line.
Found = list[Union[Event, Ignored]]
