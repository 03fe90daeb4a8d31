# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the blacklist and the device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .._core.errors import NotFound, WrongService
from .._core.options import parse_ipv4, refuse_control_characters
from .blacklist import Entry, Listing, expiry, normal_alert_type, parse_service
from .client import CosClient


@dataclass(frozen=True)
class Filter:
    """Which entries to show; the filtering is done here, since the API's own count is meaningless with a filter."""

    hosts: tuple[str, ...] = ()
    service: Optional[str] = None
    alert_type: Optional[str] = None
    ttl_meaning: str = "remaining"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Filter:
        """Validate module options; raises InvalidInput."""
        alert_type = params["alert_type"]
        return cls(
            hosts=tuple(parse_ipv4("hosts", host) for host in params["hosts"]),
            service=None if params["service"] is None else parse_service("service", params["service"]),
            alert_type=None if alert_type in (None, "", "ALL") else normal_alert_type(refuse_control_characters("alert_type", alert_type)),
            ttl_meaning=params["ttl_meaning"],
        )

    def shows(self, entry: Entry) -> bool:
        """Whether the entry matches."""
        return (
            (self.service is None or entry.service == self.service)
            and (self.alert_type is None or entry.alert_type == self.alert_type)
            and (not self.hosts or any(entry.covers(host) for host in self.hosts))
        )


def listing(client: CosClient, wanted: Filter, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return entries, raw and total as module return values."""
    found = Listing.from_wire(client.blacklist())
    now, counts_down = time.time(), wanted.ttl_meaning == "remaining"
    shown = [(entry, raw) for entry, raw in zip(found.entries, found.raw) if wanted.shows(entry)]
    if any(entry.ttl is None for entry, _raw in shown):
        warn("The firewall lists a ttl that is not a number; it is returned as null.")
    return {
        "changed": False,
        "entries": [{**entry._asdict(), "expires_at": expiry(entry, now) if counts_down else None} for entry, _raw in shown],
        "raw": [raw for _entry, raw in shown],
        "total": len(found.entries),
    }


def device(client: CosClient) -> dict[str, Any]:
    """Return device and high_availability as module return values."""
    about = client.about()
    try:
        answer = client.high_availability()
    except (NotFound, WrongService):  # older releases do not have this resource
        high_availability = None
    else:
        status = answer.get("status")
        active = status.get("active") if isinstance(status, dict) else None
        high_availability = {"enabled": answer.get("enabled"), "active": active}
    names = ("vendor", "product", "version", "model", "device_name")
    return {"device": {name: about.get(name) for name in names}, "high_availability": high_availability}
