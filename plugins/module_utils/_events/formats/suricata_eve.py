# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suricata's EVE records: objects, one per line, from a file, a socket, Redis or syslog.

Source: Suricata's user guide, "Eve JSON Format", and the output of Suricata 7. The rule's keyword `target` (`alert.source`,
`alert.target`) determines the attacker, or else the side that opened the connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from .. import fields
from ..body import InvalidEvent, checked, identity
from ..ends import Attacker, Ends, Home, one_of, the_strange_one
from ..event import Event, Found, Ignored, Seen

NAME, DETECTOR = "suricata_eve", "Suricata"
#: Records about attacks; a drop only if it contains the alert that caused it.
ATTACKS = ("alert", "drop")
#: The type precedes everything that others choose, and quotes inside strings are escaped.
TYPE = re.compile(r'"event_type": ?"([a-z0-9_]+)"')
OTHER = [Ignored("other_type")]
#: alert.severity: 1 is the highest.
SEVERITIES = {1: "critical", 2: "high", 3: "medium", 4: "low"}
#: Which end of a packet opened the connection.
CLIENT = {"to_server": "source", "to_client": "destination"}
#: Fields that become fields of the normal form, or are the same for every event.
TAKEN = frozenset(("timestamp", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto", "direction", "host"))


def recognises(post: Mapping[str, Any]) -> bool:
    """Return whether an object is an EVE record."""
    return isinstance(post.get("event_type"), str) and "timestamp" in post and not post.keys().isdisjoint(("flow_id", "src_ip", "stats"))


def dismisses(line: str) -> bool:
    """Return, without parsing it, whether a line is a record of another type."""
    found = TYPE.search(line)
    return found is not None and found[1] not in ATTACKS


def read(post: Mapping[str, Any], seen: Seen) -> Found:
    """Return the event of a record, or why it is ignored; raises InvalidEvent if a field has a wrong type."""
    if fields.text(post, "event_type") is None:
        raise InvalidEvent("event_type is missing.")
    if post["event_type"] not in ATTACKS or not post.get("alert"):
        return list(OTHER)
    post = checked(post)
    detector = fields.text(post, "host") or DETECTOR
    return [Event(identity(post), seen.at, NAME, detector, started_at=fields.date(post, "timestamp"), **values_of(post, seen.home))]


def values_of(post: Mapping[str, Any], home: Home) -> dict[str, Any]:
    """Return the fields of the normal form for a record with an alert."""
    alert = fields.part(post, "alert")
    ends = Ends(fields.text(post, "src_ip"), fields.text(post, "dest_ip"))
    client = CLIENT.get(fields.word(post, "direction") or "")
    attacker, why_not = _attacker(alert, ends, client, home)
    opened_by_us = client and home.is_ours(ends.source if client == "source" else ends.destination)
    return {
        "attacker": attacker,
        "attacker_reason": why_not,
        "host_name": ends.destination if attacker == ends.source else ends.source,
        "reason": fields.text(alert, "signature"),
        "rule_id": fields.code(alert, "signature_id"),
        "action": fields.word(alert, "action"),
        "direction": None if not client else "outgoing" if opened_by_us else "incoming",
        "severity": SEVERITIES.get(fields.number(alert, "severity", range(1, 5)) or 0),
        "protocol": fields.text(post, "proto"),
        "source_ip": ends.source,
        "source_port": fields.number(post, "src_port", fields.PORTS),
        "destination_ip": ends.destination,
        "destination_port": fields.number(post, "dest_port", fields.PORTS),
        "other": {name: value for name, value in post.items() if name not in TAKEN},
    }


def _attacker(alert: Mapping[str, Any], ends: Ends, client: Optional[str], home: Home) -> Attacker:
    """Return the attacker, or None and why there is none; client is the end that opened the connection."""
    source, target = (fields.text(fields.part(alert, name), "ip") for name in ("source", "target"))
    if source or target:
        if source is None:
            if target not in ends:
                return None, "the target of the alert is neither end"
            source = ends.destination if target == ends.source else ends.source
        return one_of(Ends(source, target), "source", home)
    return one_of(ends, client, home) if client else the_strange_one(ends, home)
