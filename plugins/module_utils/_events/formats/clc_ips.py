# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of the CenturyLink Cloud IPS, as its WEBHOOK destination posts them.

Sources: for field names and types, KB "IPS - RESTful API"; for the values of action, direction, flow and iface, the only published event
and the vendor's texts. The date format on the wire is not documented, so all likely ones are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from .. import fields
from ..body import INTEGERS, InvalidEvent, checked, identity
from ..ends import Attacker, Ends, is_plain
from ..event import Event, Found, Seen

NAME, DETECTOR = "clc_ips", "IPS"
#: Prefixes of actions that the agent only reported and did not take.
DETECT_ONLY = re.compile(r"(?:detect only|ids):\s*")
FLOW = re.compile(r" flow$")

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
NEEDED, ADDRESSES = {"hostName", "reason"}, {"sourceIP", "destinationIP"}


def recognises(post: Mapping[str, Any]) -> bool:
    """Return whether an object is a post of the IPS."""
    return post.keys() >= NEEDED and not ADDRESSES.isdisjoint(post)


def read(post: Mapping[str, Any], seen: Seen) -> Found:
    """Return the event of a post; raises InvalidEvent if a documented field has a wrong type, or none is present."""
    return [event(post, seen.at)]


def event(post: Mapping[str, Any], at: str) -> Event:
    """Return the event of a post, received at a date in normal form; raises like `read`."""
    post = checked(post)
    if FIELDS.isdisjoint(post):
        raise InvalidEvent("It has none of the fields of an IPS event.")
    other = {name: value for name, value in post.items() if name not in FIELDS}
    return Event(identity(post), at, NAME, DETECTOR, other=other, **values_of(post))


def values_of(post: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the normal form."""
    values: dict[str, Any] = {name: fields.text(post, wire) for wire, name in TEXTS.items()}
    values.update((name, fields.word(post, wire)) for wire, name in WORDS.items())
    values.update((name, fields.number(post, wire, INTEGERS)) for wire, name in NUMBERS.items())
    values.update((name, fields.number(post, wire, fields.PORTS)) for wire, name in PORTS.items())
    values.update((name, fields.date(post, wire)) for wire, name in DATES.items())
    values["tags"] = fields.tags(post, "tags")
    values["action"], values["detect_only"] = action_of(values["action"])
    if values["flow"]:
        values["flow"] = FLOW.sub("", values["flow"])
    values["attacker"], values["attacker_reason"] = _attacker(values)
    return values


def action_of(action: Optional[str]) -> tuple[Optional[str], bool]:
    """Return the action, and whether the agent only reported it, from a text in lower case."""
    only = DETECT_ONLY.match(action or "")
    return (action[only.end():].strip() or None, True) if action and only else (action, False)


def _attacker(values: Mapping[str, Any]) -> Attacker:
    """Return the attacker's address, or None and why there is none.

    The server's side is the one with the MAC address of the interface that the packet went through. Without it, the
    direction decides, but only for a packet that flows with the connection.
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
    addresses = Ends(*((values[f"{end}_ip"] or "").strip(" \t") for end in ("source", "destination")))
    address = (addresses.source if other == "source" else addresses.destination) or ""
    if not address:
        return None, f"the event has no {other} address"
    if not is_plain(address):
        return None, f"the {other} address is not a plain IPv4 address"
    if addresses.source == addresses.destination:
        return None, "source and destination are the same address"
    return address, None


def _mac(text: Optional[str]) -> Optional[str]:
    """Return 12 hexadecimal digits; None for an invalid MAC address, or only zeros."""
    digits = re.sub(r"[:-]", "", (text or "").strip().lower())
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) and digits.strip("0") else None
