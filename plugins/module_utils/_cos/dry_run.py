# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes nothing: it lists what is on the firewall, and what would have been written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .client import CosClient


class DryRun(CosClient):
    """A client that only simulates writes, which its transport would refuse anyway."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._imagined: dict[tuple[str, str], tuple[dict[str, Any], float]] = {}

    def blacklist(self) -> dict[str, Any]:
        """Return the answer that lists the whole blacklist, as it would be after the simulated writes."""
        answer, now = super().blacklist(), time.time()
        self._imagined = {key: found for key, found in self._imagined.copy().items() if found[1] > now}
        entries = [{**entry, "ttl": int(end - now), "alert_type": "REST"} for entry, end in self._imagined.values()]
        count = answer.get("blacklist_count")
        return {
            **answer,
            "blacklist_hosts": [*entries, *answer["blacklist_hosts"]],
            "blacklist_count": count + len(entries) if isinstance(count, int) else count,
        }

    def add(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Simulate adding an entry."""
        entry = {name: value for name, value in fields.items() if name != "close_established"}
        self._imagined[fields["host"], fields.get("service", "")] = (entry, time.time() + int(fields["ttl"]))
        return {"error": False, "blacklist_entry": entry}

    def remove(self, fields: Mapping[str, str]) -> None:
        """Simulate removing an entry."""
        self._imagined.pop((fields["host"], fields.get("service", "")), None)
