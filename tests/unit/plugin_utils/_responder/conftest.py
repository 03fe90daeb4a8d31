# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the responder share: the published event, somebody who takes events, and requests as raw bytes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

#: The one published event (KB "Verify IPS from the command line").
POST = {
    "packetSize": 103, "rank": 50, "driverTime": 1440646622000, "startTime": 1440646622000, "endTime": 1440646622000,
    "action": "Reset", "data": "R0VUIC8uLi8uLi8uLi8uLi9ldGMvcGFzc3dkIEhUVFAvMS4xCg==",
    "destinationIP": "10.126.155.23", "destinationMAC": "00:0C:29:F3:6D:AE", "destinationPort": "80",
    "direction": "Incoming", "eventOrigin": "AGENT", "flags": "ACK PSH DF=1", "flow": "Connection Flow",
    "hostName": "VA1SCDVMDC101", "iface": "00:0C:29:F3:6D:AE", "protocol": "TCP", "reason": "Invalid Traversal",
    "sourceIP": "203.0.113.7", "sourceMAC": "6E:58:E3:7A:D3:1E", "sourcePort": "48478", "tags": "", "severity": "High",
}  # fmt: skip
BODY = json.dumps(POST).encode()


class Taker:
    """Takes events, or raises what it is told to."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.ids: set[str] = set()
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def take(self, found: list[Any], is_test: bool) -> dict[str, Any]:
        """Answer as the app does."""
        events = [one for one in found if hasattr(one, "id")]
        if is_test:
            return {"ids": [events[0].id], "test": True}
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        new = len({event.id for event in events} - self.ids)
        self.ids.update(event.id for event in events)
        self.events += events
        return {"ids": [event.id for event in events], "new": new, "known": len(events) - new, "ignored": len(found) - len(events)}


def sign(key: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a signed request."""
    digest = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Timestamp": str(timestamp), "X-Signature-256": f"sha256={digest}"}


def request(path: str, body: bytes = BODY, length: int | None = None, **headers: str) -> bytes:
    """Return a POST as raw bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: webhook", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
