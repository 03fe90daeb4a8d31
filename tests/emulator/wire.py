# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and replies as the two services see them, free of any HTTP library."""
from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True)
class Req:
    """One request. ``path`` and ``query`` are raw; ``headers`` is case-insensitive."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    flags: frozenset[str] = frozenset()

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def segments(self, prefix: str) -> list[str]:
        """The decoded path segments after ``prefix`` (none if it differs); a trailing slash adds none."""
        if not self.path.startswith(prefix):
            return []
        parts = [unquote(part) for part in self.path[len(prefix):].split("/")]
        return parts[:-1] if len(parts) > 1 and parts[-1] == "" else parts


@dataclass
class Reply:
    """One answer. ``Content-Length`` is added by the listener."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def dumps(value: Any) -> bytes:
    """Compact JSON, as both services send it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def json_reply(status: int, value: Any, content_type: str = "application/json", **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, dumps(value), {"Content-Type": content_type, **named})


def text_reply(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "text/plain"})


def invented(text: str) -> str:
    """Mark a text that no document gives. No test may match on it."""
    return text


def basic_credentials(header: str) -> tuple[str, str] | None:
    """User name and password of a Basic ``Authorization`` header, None if it is not one."""
    scheme, _unused, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def bearer_token(header: str) -> str | None:
    """The token of a Bearer ``Authorization`` header, None if it is not one."""
    scheme, _unused, value = header.partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
