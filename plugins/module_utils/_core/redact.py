# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping secrets out of everything that is shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional
from urllib.parse import quote, unquote, urlsplit

MASK = "********"


class Redactor:
    """Replaces known secrets, including in their URL-encoded form, in texts from outside."""

    def __init__(self, secrets: Iterable[Optional[str]] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Optional[str]) -> None:
        """Learn a secret; very short ones are ignored, since masking them would only garble texts."""
        if secret and len(secret) >= 4:
            self._secrets.extend({secret, quote(secret, safe="")} - set(self._secrets))
            self._secrets.sort(key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return text with every known secret replaced."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def secret_values(spec: Mapping[str, Mapping[str, Any]], arguments: Mapping[str, Any]) -> set[str]:
    """Return the texts of all options that are no_log, including suboptions, whatever the shape of the arguments.

    Ansible's own search stops at the first option whose suboptions do not have the documented shape. Here, every part of such
    an option counts as secret if one of its suboptions is.

    Args:
        spec: an argument specification.
        arguments: as given, or as validated.
    """
    found: set[str] = set()
    for option, argument in spec.items():
        suboptions = argument.get("options") or {}
        for value in (arguments[name] for name in (option, *argument.get("aliases", ())) if name in arguments):
            if argument.get("no_log"):
                found.update(_texts(value))
            for element in (value if isinstance(value, list) else [value]) if suboptions else ():
                if isinstance(element, Mapping):
                    found |= secret_values(suboptions, element)
                elif _has_secrets(suboptions):
                    found.update(_texts(element))
    return found


def _has_secrets(spec: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(argument.get("no_log") or _has_secrets(argument.get("options") or {}) for argument in spec.values())


def _texts(value: Any) -> Iterator[str]:
    """Yield a scalar as text, and every scalar in a container."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for member in value:
            yield from _texts(member)
    elif value not in (None, True, False, ""):
        yield str(value)


def shown_arguments(spec: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return refused arguments in a form that may be shown: without URLs, and without the values of unknown options.

    A misplaced or misspelled option may be a secret.
    """
    names = {name for option, argument in spec.items() for name in (option, *argument.get("aliases", ()))}
    return {name: mask_urls(value) if name in names else MASK for name, value in arguments.items()}


def mask_urls(value: Any) -> Any:
    """Return a copy of plain data with every URL masked."""
    if isinstance(value, str):
        return re.sub(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"]+", lambda match: mask_url(match[0]), value)
    if isinstance(value, dict):
        return {key: mask_urls(member) for key, member in value.items()}
    return [mask_urls(member) for member in value] if isinstance(value, list) else value


#: A password in a URL, even if not properly encoded, and one in its parameters.
URL_PASSWORDS = (
    re.compile(r"^\s*[a-z][a-z0-9+.-]*:/*[^:@/]*:([^@]*)@", re.IGNORECASE),
    re.compile(r"^\s*[a-z][a-z0-9+.-]*:/*[^:@/]*:(.*)@", re.IGNORECASE | re.DOTALL),
    re.compile(r"[?&](?:ssl)?password=([^&\s]+)", re.IGNORECASE),
)


def url_passwords(values: Iterable[Any]) -> set[str]:
    """Return the passwords in those of the values that are URLs, both as written and decoded."""
    texts = [value for value in values if isinstance(value, str)]
    found = {secret for text in texts for pattern in URL_PASSWORDS for secret in pattern.findall(text) if secret}
    return found | {unquote(secret) for secret in found}


def mask_url(url: str) -> str:
    """Return scheme, host and a short digest of a URL whose path is a secret, so that a diff still shows that it changed."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unclosed bracket
        return f"{MASK}#{digest}"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/{MASK}#{digest}"
