# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping secrets out of everything that is shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Optional
from urllib.parse import quote, urlsplit

MASK = "********"


class Redactor:
    """Replaces known secrets, also in their URL-encoded form, in texts that come from outside."""

    def __init__(self, secrets: Iterable[Optional[str]] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Optional[str]) -> None:
        """Learn a secret; very short ones are left out, since masking them would only garble texts."""
        if secret and len(secret) >= 4:
            self._secrets.extend({secret, quote(secret, safe="")} - set(self._secrets))
            self._secrets.sort(key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return text with every known secret replaced."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def mask_urls(value: Any) -> Any:
    """Return a copy of plain data in which every URL is masked; for input that was refused, where any value may be a misplaced secret."""
    if isinstance(value, str):
        return re.sub(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"]+", lambda match: mask_url(match[0]), value)
    if isinstance(value, dict):
        return {key: mask_urls(member) for key, member in value.items()}
    return [mask_urls(member) for member in value] if isinstance(value, list) else value


def url_passwords(values: Iterable[Any]) -> set[str]:
    """Return the passwords in those of the values that are URLs; such a URL is refused, and must not be echoed either."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, str) and "@" in value:
            try:
                password = urlsplit(value).password
            except ValueError:
                continue
            found.update({password} if password else ())
    return found


def mask_url(url: str) -> str:
    """Return scheme, host and a short digest of a URL whose path is a secret: it still shows that it changed."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unclosed bracket
        return f"{MASK}#{digest}"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/{MASK}#{digest}"
