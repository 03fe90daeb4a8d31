# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates as detectors write them, and in normal form: ISO 8601 in UTC with milliseconds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Optional

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Epoch times below this are seconds (up to the year 5138), the others milliseconds (from 1973 on).
FIRST_MILLISECOND = 10**11

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ISO_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))? ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?"
    r"(?: (?:[A-Z]{3,4}|[+-][0-9]{4}))?"  # Go writes the zone twice, as offset and as name
)
JAVA_DATE = re.compile(
    rf"[A-Z][a-z]{{2}} ({'|'.join(MONTHS)}) ([0-9]{{2}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) (?:UTC|GMT|Z) ([0-9]{{4}})"
)


def iso_date(text: str) -> Optional[str]:
    """Return an ISO 8601 date in normal form, UTC without a time zone; None for anything else."""
    found = ISO_DATE.fullmatch(text)
    if not found:
        return None
    *parts, fraction, zone = found.groups()
    offset = 0
    if zone and zone[0] in "+-":
        offset = int(f"{zone[0]}1") * (int(zone[1:3]) * 60 + int(zone[-2:]))
    return _utc([int(part) for part in parts], int(f"{fraction or 0:0<3}"[:3]), offset)


def java_date(text: str) -> Optional[str]:
    """Read the text of a java.util.Date in UTC; the names of other time zones are ambiguous."""
    found = JAVA_DATE.fullmatch(text)
    if not found:
        return None
    month, *parts, year = found.groups()
    return _utc([int(year), MONTHS.index(month) + 1, *(int(part) for part in parts)], 0, 0)


def _utc(parts: list[int], milliseconds: int, offset: int) -> Optional[str]:
    year, month, day, hour, minute, second = parts
    try:
        date = datetime(year, month, day, hour, minute, second, milliseconds * 1000, timezone.utc) - timedelta(minutes=offset)
    except (ValueError, OverflowError):
        return None
    return _text(date)


def from_epoch(value: float) -> Optional[str]:
    """Return seconds or milliseconds since the epoch as ISO 8601 in UTC; None if out of range."""
    try:
        return _text(EPOCH + timedelta(milliseconds=int(value if value >= FIRST_MILLISECOND else value * 1000)))
    except OverflowError:
        return None


def written(seconds: float) -> str:
    """Return a current epoch time as ISO 8601 in UTC with milliseconds."""
    return _text(EPOCH + timedelta(milliseconds=int(seconds * 1000)))


def _text(date: datetime) -> str:
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")
