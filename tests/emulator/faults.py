# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that can be put on the way of a request.

A fault matches on ``service``, ``firewall``, ``method`` and ``path`` (a regular expression, searched), skips the
first ``skip`` requests that match and strikes the next ``times`` ones (None: for ever).
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .wire import Reply, Req

KINDS = {
    "drop_before": "close the connection, nothing is applied",
    "drop_after": "apply, then close the connection without an answer",
    "drop_mid": "apply, then close the connection in the middle of the body",
    "delay": "wait `seconds` before applying",
    "delay_after": "apply, then wait `seconds` before answering",
    "status": "answer `status` in place of the service; with `commit` after applying",
    "truncate": "apply, then send only the first half of the body, consistently framed",
    "garbage": "apply, then answer 200 with a body that is no JSON (`body`)",
    "drip": "apply, then answer with a `part` of it (header, continue, chunk, body) in 600 pieces, `seconds` before each",
    "stale": "a read after the next write shows the state from before that write",
    "install_never_completes": "accept the install, the agent stays in installing",
    "redirect": "answer `status` (307) with a Location: `to` is https, foreign or a URL",
}
PARTS = ("header", "continue", "chunk", "body")
PIECES = 600
GARBAGE = "\x00\x01 this is no JSON {"
TEXT_500 = "No exception message provided."
HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1><p>The proxy has nothing to offer.</p></body></html>"
REASONS = {502: "502 Bad Gateway", 503: "503 Service Unavailable"}


class BadFault(ValueError):
    """A fault with an unknown kind or member."""


@dataclass
class Fault:
    """One fault; see :data:`KINDS`."""

    kind: str
    service: str | None = None
    firewall: str | None = None
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    skip: int = 0
    seconds: float = 0.0
    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    headers: Mapping[str, str] | None = None
    retry_after: str | int | None = None
    commit: bool = False
    to: str = "https"
    part: str = "body"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadFault(f"unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        if self.kind == "status" and not isinstance(self.status, int):
            raise BadFault("a fault of kind status needs a status")
        if self.service not in (None, "clc", "ips", "cos"):
            raise BadFault(f"unknown service {self.service!r}; there are clc, ips, cos")
        if self.part not in PARTS:
            raise BadFault(f"unknown part {self.part!r}; there are {', '.join(PARTS)}")
        try:
            self._pattern = re.compile(self.path or "")
        except re.error as error:
            raise BadFault(f"path is not a regular expression: {error}") from error
        self.before: Any = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Fault:
        unknown = set(given) - {field.name for field in fields(cls)}
        if unknown or "kind" not in given:
            raise BadFault(f"unknown members {sorted(unknown)}" if unknown else "kind is needed")
        return cls(**given)

    def matches(self, service: str, firewall: str | None, req: Req) -> bool:
        if self.service not in (None, service) or self.firewall not in (None, firewall):
            return False
        if self.kind == "stale" and req.method != "GET":
            return False
        if self.kind == "install_never_completes" and (service, req.method) != ("ips", "POST"):
            return False
        return self.method in (None, req.method) and bool(self._pattern.search(req.path))

    def strike(self) -> bool:
        """Count one matching request; True if it is to be struck."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            if self.times <= 0:
                return False
            self.times -= 1
        return True

    def answer(self) -> Reply:
        """The answer of a ``status`` fault."""
        status = self.status or 500
        text, kind = (HTML.format(REASONS[status]), "text/html") if status in REASONS else ("", "text/plain")
        if status == 500:
            text = TEXT_500
        headers = {"Content-Type": self.content_type or kind, **(self.headers or {})}
        retry_after = self.retry_after if self.retry_after is not None else (1 if status == 429 else None)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return Reply(status, (text if self.body is None else self.body).encode(), headers)


def drip(part: str, reply: Reply) -> tuple[bytes, bytes, bytes]:
    """What is sent at once, then one piece of what is sent PIECES times, and the rest, together a well-formed answer."""
    status = f"HTTP/1.1 {reply.status} OK\r\n".encode()
    body = reply.body or b"{}"
    kind = f"Content-Type: {reply.headers.get('Content-Type', 'text/plain')}\r\n".encode()
    head = kind + b"Content-Length: %d\r\n\r\n" % len(body)
    if part == "header":
        return status + b"X-Slow: ", b"x", b"\r\n" + head + body
    if part == "continue":
        return b"", b"HTTP/1.1 100 Continue\r\n\r\n", status + head + body
    if part == "chunk":
        start = status + kind + b"Transfer-Encoding: chunked\r\n\r\n"
        return start, b"0", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return status + kind + b"Content-Length: %d\r\n\r\n" % (len(body) + PIECES), b" ", body


class Faults:
    """The faults in force, in the order in which they were set; the first that matches strikes."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def add(self, given: Any) -> None:
        """Add one fault or a list of them; all are checked first."""
        self.active.extend([Fault.parse(one) for one in (given if isinstance(given, list) else [given])])

    def clear(self) -> None:
        self.active = []

    def choose(self, service: str, firewall: str | None, req: Req) -> Fault | None:
        for fault in self.active:
            if fault.kind == "stale" and (fault.before is None or fault.before[:2] != (service, firewall)):
                continue
            if fault.matches(service, firewall, req) and fault.strike():
                return fault
        return None

    def before_write(self, service: str, firewall: str | None, snapshot: Any) -> None:
        """Give stale faults the state from before the first write that they see.

        :param snapshot: called only if such a fault waits.
        """
        for fault in self.active:
            scope = fault.service in (None, service) and fault.firewall in (None, firewall)
            if fault.kind == "stale" and fault.before is None and scope:
                fault.before = (service, firewall, snapshot())
