# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request journal: every request to the two services, without its secrets."""
from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

from .clc import LOGIN_PATH, login_fields
from .clock import Clock
from .wire import Req, basic_credentials, bearer_token

MASK = "********"
READS = ("GET", "HEAD")


class Journal:
    """Records of requests in order of arrival.

    A record holds ``seq, at, service, firewall, method, path, query, headers, body, status, answered, write, fault,
    applied``; ``status`` and ``answered`` (on the system's monotonic clock, in seconds) are None until, and unless, an
    answer goes out.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        self.records: list[dict[str, Any]] = []
        self._seq = 0

    def open(self, service: str, firewall: str | None, req: Req) -> dict[str, Any]:
        """Record an arrival; the listener completes the record."""
        self._seq += 1
        login = service == "clc" and req.path.rstrip("/") == LOGIN_PATH
        record = {
            "seq": self._seq, "at": self._clock.now(), "service": service, "firewall": firewall,
            "method": req.method, "path": req.path, "query": req.query, "headers": _headers(req),
            "body": _login_body(req) if login else req.body.decode("utf-8", "replace"),
            "status": None, "answered": None,
            "write": req.method not in READS and not (login and req.method == "POST"),
            "fault": None, "applied": False,
        }
        self.records.append(record)
        return record

    def select(self, service: str | None = None, firewall: str | None = None,
               writes: bool | None = None) -> list[dict[str, Any]]:
        """Copies of the records that match."""
        return [dict(record) for record in self.records
                if service in (None, record["service"]) and firewall in (None, record["firewall"])
                and writes in (None, record["write"])]


def _headers(req: Req) -> dict[str, Any]:
    headers: dict[str, Any] = {name.lower(): value for name, value in req.headers.items()}
    if "authorization" in headers:
        headers["authorization"] = _identity(headers["authorization"])
    return headers


def _identity(header: str) -> dict[str, str]:
    credentials, token = basic_credentials(header), bearer_token(header)
    if credentials:
        return {"scheme": "Basic", "user": credentials[0]}
    digest = hashlib.sha256((token or header).encode()).hexdigest()[:12]
    return {"scheme": "Bearer" if token else "unknown", "digest": digest}


def _login_body(req: Req) -> str:
    fields = login_fields(req)
    if fields is None:
        return MASK
    if "password" in fields:
        fields["password"] = MASK
    form = req.content_type == "application/x-www-form-urlencoded"
    return urlencode(fields, safe="*") if form else json.dumps(fields)
