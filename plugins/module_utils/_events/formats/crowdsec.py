# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CrowdSec's HTTP notifications: alerts with their decisions, as written by the template `{{.|toJson}}`.

Source: CrowdSec's documentation (HTTP plugin) and its model of alerts. Each address that a decision bans is an event, with
the duration of the ban. CrowdSec has no severities, so a ban counts as high.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from .. import fields
from ..body import InvalidEvent, checked, identity
from ..ends import named
from ..event import Event, Found, Ignored, Seen

NAME, DETECTOR = "crowdsec", "CrowdSec"
SEVERITY = "high"
#: Origins of decisions made elsewhere, by the hundred thousand: blocklists, not local detections.
ELSEWHERE = frozenset(("capi", "lists"))
#: A duration as Go writes it, such as 3h59m12.264032632s; a negative one is over. Less than a second is in smaller units.
DURATION = re.compile(r"(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})(?:\.[0-9]{1,9})?s)?")
MOMENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,9})?(?:ms|us|\u00b5s|\u03bcs|ns)")
TAKEN = frozenset(("scenario", "source", "decisions", "start_at", "stop_at", "machine_id", "simulated"))


def recognises(post: Mapping[str, Any]) -> bool:
    """Return whether an object is an alert."""
    return isinstance(post.get("scenario"), str) and isinstance(post.get("source"), Mapping) and not post.keys().isdisjoint(
        ("decisions", "start_at", "machine_id")
    )  # fmt: skip


def read(post: Mapping[str, Any], seen: Seen) -> Found:
    """Return an event for each banned address, or why there is none; raises InvalidEvent if a field has a wrong type."""
    post = checked(post)
    if not recognises(post):
        raise InvalidEvent("It is not a CrowdSec alert.")
    decisions = post.get("decisions") or []
    if not isinstance(decisions, list) or not all(isinstance(one, Mapping) for one in decisions):
        raise InvalidEvent("decisions must be a list of objects.")
    if any(not isinstance(one.get("simulated"), (bool, type(None))) for one in (post, *decisions)):
        raise InvalidEvent("simulated must be true or false.")
    if post.get("simulated") or (decisions and all(one.get("simulated") for one in decisions)):
        return [Ignored("simulated")]
    bans: dict[str, Optional[int]] = {}
    for one in decisions:
        value = (fields.text(one, "value") or "").strip(" \t")
        if value and _is_ban(one):
            ttl = _seconds(fields.text(one, "duration"))
            if ttl != 0:
                known = bans.get(value)
                bans[value] = ttl if known is None or ttl is None else max(ttl, known)  # the last one to end counts
    if not bans:
        return [Ignored("no_ban")]
    source = fields.part(post, "source")
    machine = fields.text(post, "machine_id")
    common: dict[str, Any] = {
        "detector": machine or DETECTOR, "host_name": machine, "reason": fields.text(post, "scenario"), "action": "ban",
        "severity": SEVERITY, "started_at": fields.date(post, "start_at"), "ended_at": fields.date(post, "stop_at"),
        "other": {**{name: value for name, value in post.items() if name not in TAKEN}, "source": dict(source)},
    }  # fmt: skip
    found: Found = []
    for value, ttl in bans.items():
        attacker, why_not = named(value, seen.home)
        found.append(Event(
            identity(post, value), seen.at, NAME, attacker=attacker, attacker_reason=why_not, source_ip=value, ttl=ttl, **common
        ))  # fmt: skip
    return found


def _is_ban(decision: Mapping[str, Any]) -> bool:
    return (
        fields.word(decision, "type") == "ban"
        and fields.word(decision, "scope") == "ip"
        and not decision.get("simulated")
        and (fields.word(decision, "origin") or "").partition(":")[0] not in ELSEWHERE
    )


def _seconds(duration: Optional[str]) -> Optional[int]:
    """Return whole seconds, 0 if it is over, None if it is missing or unreadable."""
    if duration is None:
        return None
    if duration.startswith("-") or MOMENT.fullmatch(duration):
        return 0
    found = DURATION.fullmatch(duration)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds
