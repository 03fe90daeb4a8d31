# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of an object by type: None for a missing or empty value; InvalidEvent, which names the field, for a wrong type."""

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
    """Return a string that is not blank."""
    value = post.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} must be a string.")
    return value if value.strip() else None


def word(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a string in lower case, without surrounding spaces."""
    value = text(post, name)
    return value.strip().lower() if value else None


def code(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a string, or an integer as a string, such as the number of a rule."""
    value = post.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(post, name)


def number(post: Mapping[str, Any], name: str, allowed: range) -> Optional[int]:
    """Return an integer, even if given as a string; None if it is out of range."""
    value = post.get(name)
    if isinstance(value, str):
        value = int(value) if INTEGER.fullmatch(value.strip()) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidEvent(f"{name} must be a number or a string.")
    return value if value in allowed else None


def part(post: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object, an empty one if there is none."""
    value = post.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidEvent(f"{name} must be an object.")
    return value


def tags(post: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of strings, even if given as a comma-separated string."""
    value = post.get(name)
    if isinstance(value, list):
        if not all(isinstance(tag, str) for tag in value):
            raise InvalidEvent(f"{name} must contain only strings.")
        found = value
    else:
        found = (text(post, name) or "").split(",")
    return tuple(tag.strip() for tag in found if tag.strip())


def date(post: Mapping[str, Any], name: str) -> Optional[str]:
    """Return a date in normal form, or None if it cannot be read, which does not make the event invalid."""
    value = post.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        spelled = value.strip()
        value = float(spelled) if DECIMAL.fullmatch(spelled) else None
        if value is None:
            return iso_date(spelled) or java_date(spelled)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidEvent(f"{name} must be a number or a string.")
    # Java sends an unset number as 0
    return from_epoch(value) if value > 0 else None
