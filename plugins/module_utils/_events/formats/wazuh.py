# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wazuh's alerts: what its integrator posts, what an active response gets, and the lines of alerts.json.

Source: Wazuh's documentation (integration with external APIs, custom active response, rules classification), and its integration
shuffle, which wraps the alert. The attacker is the address that the decoder found (`data.srcip`), so the other end is not needed.
An alert about Suricata contains Suricata's record, with numbers as strings, and is treated like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from .. import fields
from ..body import InvalidEvent, checked, identity
from ..ends import named
from ..event import Event, Found, Ignored, Seen
from . import suricata_eve

NAME, DETECTOR = "wazuh", "Wazuh"
LEVELS = range(17)
#: Lower levels are notifications, such as a successful login, and user errors; from here on, Wazuh classifies rules as attacks.
FIRST_ATTACK = 6
#: The names that decoders use for addresses and ports.
SOURCES, DESTINATIONS = ("srcip", "src_ip"), ("dstip", "dest_ip", "dst_ip")
SOURCE_PORTS, DESTINATION_PORTS = ("srcport", "src_port"), ("dstport", "dest_port", "dst_port")


def recognises(post: Mapping[str, Any]) -> bool:
    """Return whether an object is an alert, or what an active response gets."""
    rule = _alert(post).get("rule")
    return isinstance(rule, Mapping) and "level" in rule and not rule.keys().isdisjoint(("id", "description"))


def read(post: Mapping[str, Any], seen: Seen) -> Found:
    """Return the event of an alert, or why it is ignored; raises InvalidEvent if a field has a wrong type."""
    post = checked(post)
    alert = _alert(post)
    is_response = "command" in post and alert is not post
    if is_response and post["command"] != "add":
        return [Ignored("taken_back")]
    rule, data = fields.part(alert, "rule"), fields.part(alert, "data")
    level = fields.number(rule, "level", LEVELS)
    if level is None:
        raise InvalidEvent("rule.level is missing, or none of 0 to 16.")
    is_suricata = "event_type" in data and not data.keys().isdisjoint(("alert", "flow_id"))
    if is_suricata and (data["event_type"] not in suricata_eve.ATTACKS or not data.get("alert")):
        return [Ignored("other_type")]
    if level < FIRST_ATTACK and not is_response and not is_suricata:
        return [Ignored("minor")]
    agent = fields.part(alert, "agent")
    common: dict[str, Any] = {
        "detector": fields.text(fields.part(alert, "manager"), "name") or DETECTOR,
        "started_at": fields.date(alert, "timestamp"),
        "tags": fields.tags(rule, "groups"),
    }
    if is_suricata:
        values = suricata_eve.values_of(data, seen.home)
    else:
        source = _first(data, SOURCES)
        if source is None:
            return [Ignored("no_source")]
        attacker, why_not = named(source, seen.home, "source")
        values = {
            "attacker": attacker,
            "attacker_reason": why_not,
            "reason": fields.text(rule, "description"),
            "rule_id": fields.code(rule, "id"),
            "severity": _severity(level),
            "protocol": fields.text(data, "protocol") or fields.text(data, "proto"),
            "source_ip": source,
            "source_port": _port(data, SOURCE_PORTS),
            "destination_ip": _first(data, DESTINATIONS),
            "destination_port": _port(data, DESTINATION_PORTS),
            "other": {name: alert[name] for name in ("data", "location", "full_log", "decoder") if name in alert},
        }
    values["host_name"] = fields.text(agent, "name") or fields.text(agent, "ip")
    return [Event(identity(alert), seen.at, NAME, **common, **values)]


def _alert(post: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the alert itself; an active response and the integration shuffle wrap it."""
    parameters = post.get("parameters")
    alert = parameters.get("alert") if isinstance(parameters, Mapping) and "command" in post else post.get("all_fields")
    return alert if isinstance(alert, Mapping) else post


def _first(data: Mapping[str, Any], names: tuple[str, ...]) -> Optional[str]:
    return next((value for value in (fields.text(data, name) for name in names) if value), None)


def _port(data: Mapping[str, Any], names: tuple[str, ...]) -> Optional[int]:
    return next((value for value in (fields.number(data, name, fields.PORTS) for name in names) if value is not None), None)


def _severity(level: int) -> str:
    return "critical" if level >= 15 else "high" if level >= 12 else "medium" if level >= 7 else "low"
