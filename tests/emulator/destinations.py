# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notification destinations: what a PUT may hold and how a GET shows it (KB IPS API)."""
from __future__ import annotations

from typing import Any

from .switches import Settings
from .wire import invented

TYPES = ("SYSLOG", "EMAIL", "WEBHOOK", "SLACK")
KEYS = ("typeCode", "url", "emailAddress", "intervalCode", "sysLogSettings")
SYSLOG_KEYS = ("ipAddress", "udpPort", "facility")
USED = {"SYSLOG": "sysLogSettings", "EMAIL": "emailAddress", "WEBHOOK": "url", "SLACK": "url"}
FACILITIES = range(16, 24)
PORTS = range(1, 65536)
SINGLE = ("SYSLOG", "WEBHOOK")


class Rejected(ValueError):
    """A body that the service answers with 400. The texts are invented."""

    def __init__(self, text: str) -> None:
        super().__init__(invented(text))


def parse(body: Any, switches: Settings) -> list[dict[str, Any]]:
    """The stored form of a PUT body: one dictionary of five keys for each destination.

    :raises Rejected: if the service, with these switches, refuses the body.
    """
    if isinstance(body, dict) and switches["put_object"] == "accept":
        body = body.get("notificationDestinations", body)
        body = body if isinstance(body, list) else [body]
    if not isinstance(body, list):
        raise Rejected("Can not deserialize instance of a list of destinations")
    if not body and switches["put_empty"] == "400":
        raise Rejected("At least one destination is needed")
    items = [_element(element, switches) for element in body]
    return _limit(items, switches["second_destination"])


def _limit(items: list[dict[str, Any]], rule: str) -> list[dict[str, Any]]:
    last = {item["typeCode"]: index for index, item in enumerate(items)}
    extra = [i for i, item in enumerate(items) if item["typeCode"] in SINGLE and last[item["typeCode"]] != i]
    if extra and rule == "400":
        raise Rejected("Only one destination of this type is allowed")
    return [item for i, item in enumerate(items) if i not in extra] if rule == "keep_last" else items


def _element(element: Any, switches: Settings) -> dict[str, Any]:
    if not isinstance(element, dict):
        raise Rejected("A destination has to be an object")
    _known(element, KEYS, switches)
    unknown = set(element) - set(KEYS) if switches["unknown_properties"] == "keep" else set()
    item: dict[str, Any] = {key: element.get(key) for key in (*KEYS, *sorted(unknown))}
    for key in KEYS[:4]:
        if item[key] is not None and not isinstance(item[key], str):
            raise Rejected(f"{key} has to be a string")
    if item["sysLogSettings"] is not None:
        item["sysLogSettings"] = _syslog(item["sysLogSettings"], switches)
    if switches["put_invalid"] == "400":
        _valid(item)
    used = USED.get(item["typeCode"])
    if switches["irrelevant"] == "accept" and used:
        for key in set(USED.values()) - {used}:
            item[key] = None
    return _normalised(item) if switches["normalise"] == "yes" else item


def _normalised(item: dict[str, Any]) -> dict[str, Any]:
    if item["emailAddress"]:
        item["emailAddress"] = item["emailAddress"].lower()
    if item["url"]:
        item["url"] = item["url"].rstrip("/") + "/"
    return item


def _known(given: dict[str, Any], keys: tuple[str, ...], switches: Settings) -> None:
    unknown = sorted(set(given) - set(keys))
    if unknown and switches["unknown_properties"] == "400":
        raise Rejected(f"Unrecognized field {unknown[0]}")


def _syslog(given: Any, switches: Settings) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Rejected("sysLogSettings has to be an object")
    _known(given, SYSLOG_KEYS, switches)
    if given.get("ipAddress") is not None and not isinstance(given["ipAddress"], str):
        raise Rejected("ipAddress has to be a string")
    return {"ipAddress": given.get("ipAddress"), "udpPort": _integer(given.get("udpPort"), switches),
            "facility": _integer(given.get("facility"), switches)}


def _integer(value: Any, switches: Settings) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and switches["quoted_integers"] == "accept":
        try:
            return int(value)
        except ValueError:
            pass
    raise Rejected("udpPort and facility have to be integers")


def _valid(item: dict[str, Any]) -> None:
    code = item["typeCode"]
    if code not in TYPES:
        raise Rejected("Unknown typeCode")
    if not item[USED[code]]:
        raise Rejected(f"{code} needs {USED[code]}")
    if code == "SYSLOG":
        settings = item["sysLogSettings"]
        if not settings["ipAddress"] or settings["udpPort"] not in PORTS or settings["facility"] not in FACILITIES:
            raise Rejected("sysLogSettings is incomplete or out of range")


def render(items: list[dict[str, Any]], switches: Settings) -> list[dict[str, Any]] | dict[str, Any]:
    """What GET shows."""
    shown = [_shape(item, switches["get_shape"]) for item in items]
    shown = shown[::-1] if switches["get_order"] == "reversed" else shown
    return {"notificationDestinations": shown} if switches["get_wrapper"] == "wrapped" else shown


def _shape(item: dict[str, Any], shape: str) -> dict[str, Any]:
    if shape == "omit":
        return {key: value for key, value in item.items() if value is not None}
    if shape == "nulls":
        return dict(item)
    empty = {"sysLogSettings": {"ipAddress": "", "udpPort": 0, "facility": 0}}
    return {key: empty.get(key, "") if value is None else value for key, value in item.items()}
