# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of an object by type: None for what is missing or says nothing, InvalidEvent, which names the field, for a wrong type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from .body import InvalidEvent
from .dates import from_epoch, iso_date, java_date

PORTS = range(65536)
SEVERITIES = ("low", "medium", "high", "critical")
INTEGER = re.compile(r"-?[0-9]{1,19}")
DECIMAL = re.compile(r"[0-9]{1,19}(\.[0-9]{1,9})?")


def text(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a text that is not blank."""
    value = post.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} is no text.")
    return value if value.strip() else None


def word(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a text in lower case, without blanks around it."""
    value = text(post, name)
    return value.strip().lower() if value else None


def code(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a text, or an integer as one, such as the number of a rule."""
    value = post.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(post, name)


def number(post: Mapping[str, Any], name: str, allowed: range) -> Optional[int]:
    """Return an integer, also one that is spelled as a text; None where it is not among those allowed."""
    value = post.get(name)
    if isinstance(value, str):
        value = int(value) if INTEGER.fullmatch(value.strip()) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidEvent(f"{name} is neither a number nor a text.")
    return value if value in allowed else None


def part(post: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object, an empty one where there is none."""
    value = post.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidEvent(f"{name} is no object.")
    return value


def tags(post: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts, also one that is spelled with commas."""
    value = post.get(name)
    if isinstance(value, list):
        if not all(isinstance(tag, str) for tag in value):
            raise InvalidEvent(f"{name} holds something that is no text.")
        found = value
    else:
        found = (text(post, name) or "").split(",")
    return tuple(tag.strip() for tag in found if tag.strip())


def date(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a date in its normal form, None for one that cannot be read: an event is not worth less for it."""
    value = post.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        spelled = value.strip()
        value = float(spelled) if DECIMAL.fullmatch(spelled) else None
        if value is None:
            return iso_date(spelled) or java_date(spelled)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidEvent(f"{name} is neither a number nor a text.")
    # 0 is what an unset number of Java looks like
    return from_epoch(value) if value > 0 else None
