# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One event of the IPS in normal form, from what its WEBHOOK destination posts.

Field names and types: KB "IPS - RESTful API"; values of action, direction, flow and iface: the one published event and the
vendor's texts. The wire form of the dates is not documented, so every likely one is read.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, Optional

from .dates import from_epoch, iso_date, java_date, written

DEEPEST = 32
#: Most values in a post, since each takes more memory than its bytes.
MOST_PARTS = 2000
#: What the number types of the rule engine, of Java and of SQLite hold.
INTEGERS = range(-(2**63), 2**63)
LONGEST_INTEGER = 20
DETECT_ONLY = "detect only:"

TEXTS = {
    "hostName": "host_name", "reason": "reason", "protocol": "protocol", "sourceIP": "source_ip", "sourceMAC": "source_mac",
    "destinationIP": "destination_ip", "destinationMAC": "destination_mac", "iface": "interface", "flags": "flags",
    "eventOrigin": "event_origin", "data": "data",
}  # fmt: skip
WORDS = {"action": "action", "direction": "direction", "flow": "flow", "severity": "severity"}
NUMBERS = {"packetSize": "packet_size", "rank": "rank"}
PORTS = {"sourcePort": "source_port", "destinationPort": "destination_port"}
DATES = {"startTime": "started_at", "endTime": "ended_at", "driverTime": "driver_time"}
FIELDS = frozenset((*TEXTS, *WORDS, *NUMBERS, *PORTS, *DATES, "tags"))


class InvalidEvent(Exception):
    """What was posted is no event of the IPS; the message names the field, never what is in it."""


class Post(dict[str, Any]):
    """A post that can be written as JSON and UTF-8 for certain."""


@dataclass(frozen=True)
class Event:
    """One event: texts and numbers are None where the post has none; dates are ISO 8601 in UTC with milliseconds.

    Attributes:
        id: first half of the SHA-256 of the canonical JSON of the post; the same post always has the same one.
        received_at: when it came in.
        attacker: the plain IPv4 address of the other side, None where it cannot be told.
        attacker_reason: why there is no attacker, else None.
        host_name: the protected server.
        reason: name of the rule.
        action: what the agent did, in lower case, such as "reset".
        detect_only: whether it would have done that, but only looked on.
        direction: "incoming", "outgoing" or what else came, in lower case.
        flow: "connection", "reverse" or what else came, in lower case.
        severity: in lower case; the vendor's scale is low, medium, high, critical.
        interface: MAC address of the server's interface.
        packet_size: bytes.
        rank: asset value times severity value.
        data: captured bytes in Base64, as posted.
        other: fields that are not documented, as they came.
    """

    id: str
    received_at: str
    attacker: Optional[str]
    attacker_reason: Optional[str]
    host_name: Optional[str]
    reason: Optional[str]
    action: Optional[str]
    detect_only: bool
    direction: Optional[str]
    flow: Optional[str]
    severity: Optional[str]
    protocol: Optional[str]
    source_ip: Optional[str]
    source_port: Optional[int]
    source_mac: Optional[str]
    destination_ip: Optional[str]
    destination_port: Optional[int]
    destination_mac: Optional[str]
    interface: Optional[str]
    flags: Optional[str]
    packet_size: Optional[int]
    rank: Optional[int]
    event_origin: Optional[str]
    tags: tuple[str, ...]
    data: Optional[str]
    started_at: Optional[str]
    ended_at: Optional[str]
    driver_time: Optional[str]
    other: Mapping[str, Any]

    @classmethod
    def from_post(cls, post: Mapping[str, Any], received: float) -> Event:
        """Normalise one post, received at an epoch time in seconds.

        Raises:
            InvalidEvent: a documented field has a wrong type, none is there at all, or the post is nothing that JSON can hold.
        """
        if not isinstance(post, Post):
            post = _checked(post)
        if FIELDS.isdisjoint(post):
            raise InvalidEvent("None of the fields of an IPS event is there.")
        values: dict[str, Any] = {name: _text(post, wire) for wire, name in TEXTS.items()}
        values.update((name, _word(post, wire)) for wire, name in WORDS.items())
        values.update((name, _number(post, wire, INTEGERS)) for wire, name in NUMBERS.items())
        values.update((name, _number(post, wire, range(65536))) for wire, name in PORTS.items())
        values.update((name, _date(post, wire)) for wire, name in DATES.items())
        action = values["action"] or ""
        if action.startswith(DETECT_ONLY):
            values["action"] = action[len(DETECT_ONLY):].strip() or None
        if values["flow"]:
            values["flow"] = re.sub(r" flow$", "", values["flow"])
        attacker, why_not = _attacker(values)
        return cls(
            id=_identity(post),
            received_at=written(received),
            attacker=attacker,
            attacker_reason=why_not,
            detect_only=action.startswith(DETECT_ONLY),
            tags=_tags(post),
            other={name: value for name, value in post.items() if name not in FIELDS},
            **values,
        )

    @property
    def received(self) -> float:
        """When it came in, as an epoch time in seconds."""
        return datetime.fromisoformat(self.received_at.replace("Z", "+00:00")).timestamp()

    def as_dict(self) -> dict[str, Any]:
        """Return the event as rules see it, in types that JSON has."""
        return {**vars(self), "tags": list(self.tags), "other": dict(self.other)}

    def as_json(self) -> str:
        """Return the event as rules see it, as JSON in ASCII."""
        return json.dumps(self.as_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Event:
        """Return an event from what as_dict returned; raises InvalidEvent. What a release did not know yet is None."""
        values: dict[str, Any] = {name: given.get(name) for name in cls.__dataclass_fields__}
        if not is_normal(given) or not isinstance(values["received_at"], str):
            raise InvalidEvent("It is no event in normal form.")
        values.update(tags=tuple(values["tags"] or ()), other=values["other"] or {}, detect_only=bool(values["detect_only"]))
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Event:
        """Return an event from what as_json returned; raises InvalidEvent."""
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise InvalidEvent("It is no event in normal form.")
        return cls.from_dict(given)


def parse_body(body: bytes) -> Post:
    """Return the JSON object in the body of a post.

    Raises:
        InvalidEvent: no UTF-8 (with or without a byte order mark), no JSON (of which NaN and Infinity are no part), no object, a
            name twice in one object, nested too deeply, with too many parts, or a number beyond 64 bits.
    """
    try:
        parsed = DECODER.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidEvent("The body is not UTF-8.") from None
    except RecursionError:
        raise InvalidEvent("The body is nested too deeply.") from None
    except ValueError:
        raise InvalidEvent("The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise InvalidEvent("The body is no JSON object.")
    return _checked(parsed)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidEvent("A name stands twice in one object.")
    return found


def _integer(digits: str) -> int:
    # checked by length first: turning very many digits into a number takes time
    if len(digits) > LONGEST_INTEGER:
        raise InvalidEvent("A number is too large.")
    return int(digits)


def _no_constant(_name: str) -> None:
    raise InvalidEvent("NaN and Infinity are not JSON.")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_constant=_no_constant)


def _checked(post: Mapping[str, Any]) -> Post:
    if not isinstance(post, Mapping):
        raise InvalidEvent("The post is no object.")
    parts = itertools.count(len(post))
    return Post(
        (
            name if isinstance(name, str) and name.isascii() else _checked_name(name),
            value if isinstance(value, str) and value.isascii() else _checked_value(value, 1, parts),  # most values are such
        )
        for name, value in post.items()
    )


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidEvent("The name of a field is no text.")
    return _encodable(name)


def _checked_value(value: Any, depth: int, parts: Iterator[int]) -> Any:
    if next(parts) >= MOST_PARTS:
        raise InvalidEvent("The post has too many parts.")
    if isinstance(value, str):
        return _encodable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in INTEGERS:
            raise InvalidEvent("A number is too large.")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidEvent("A number is not finite.")
        return value
    if depth >= DEEPEST:
        raise InvalidEvent("The post is nested too deeply.")
    if isinstance(value, Mapping):
        return {_checked_name(name): _checked_value(part, depth + 1, parts) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked_value(part, depth + 1, parts) for part in value]
    raise InvalidEvent("The post holds something that JSON does not have.")


def _encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _identity(post: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(post, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


def _text(post: Mapping[str, Any], name: str) -> Optional[str]:
    value = post.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} is no text.")
    return value if value.strip() else None


def _word(post: Mapping[str, Any], name: str) -> Optional[str]:
    value = _text(post, name)
    return value.strip().lower() if value else None


def _number(post: Mapping[str, Any], name: str, allowed: range) -> Optional[int]:
    value = post.get(name)
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"-?[0-9]{1,19}", value.strip()) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidEvent(f"{name} is neither a number nor a text.")
    return value if value in allowed else None


def _tags(post: Mapping[str, Any]) -> tuple[str, ...]:
    value = post.get("tags")
    if isinstance(value, list):
        if not all(isinstance(tag, str) for tag in value):
            raise InvalidEvent("tags holds something that is no text.")
        found = value
    else:
        found = (_text(post, "tags") or "").split(",")
    return tuple(tag.strip() for tag in found if tag.strip())


def _date(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a date, None for one that cannot be read: an event is not worth less for it."""
    value = post.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,9})?", text) else None
        if value is None:
            return iso_date(text) or java_date(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidEvent(f"{name} is neither a number nor a text.")
    # 0 is what an unset number of Java looks like
    return from_epoch(value) if value > 0 else None


def _attacker(values: Mapping[str, Any]) -> tuple[Optional[str], Optional[str]]:
    """Return the attacker's address, or None and why there is none.

    The server's side is the one that has the MAC address of the interface that the packet went through. Without it, the
    direction tells, but only of a packet that flows with the connection.
    """
    here = _mac(values["interface"])
    ends = {end for end in ("source", "destination") if here and _mac(values[f"{end}_mac"]) == here}
    if len(ends) == 1:
        other = "destination" if "source" in ends else "source"
    else:
        by_direction = {"incoming": "source", "outgoing": "destination"} if values["flow"] == "connection" else {}
        other = by_direction.get(values["direction"], "")
    if not other:
        return None, "unclear which side is the server"
    addresses = {end: (values[f"{end}_ip"] or "").strip(" \t") for end in ("source", "destination")}
    address = addresses[other]
    if not address:
        return None, f"the event has no {other} address"
    if not is_plain(address):
        return None, f"the {other} address is not one plain IPv4 address"
    if addresses["source"] == addresses["destination"]:
        return None, "source and destination are the same address"
    return address, None


def _mac(text: Optional[str]) -> Optional[str]:
    """Return 12 hexadecimal digits; None for what is no MAC address, or only zeros."""
    digits = re.sub(r"[:-]", "", (text or "").strip().lower())
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) and digits.strip("0") else None


def is_plain(address: str) -> bool:
    """Return whether it is a dotted IPv4 address without leading zeros, which some read as octal."""
    if not re.fullmatch(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}", address):
        return False
    try:
        return str(IPv4Address(address)) == address
    except ValueError:
        return False


def is_normal(found: Any) -> bool:
    """Return whether it can be an event in normal form, whose id and attacker rules may pass on."""
    if not isinstance(found, Mapping) or not isinstance(found.get("id"), str) or not re.fullmatch("[0-9a-f]{32}", found["id"]):
        return False
    attacker = found.get("attacker")
    return attacker is None or (isinstance(attacker, str) and is_plain(attacker))
