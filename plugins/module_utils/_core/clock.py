# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points in time, for people and other programs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Optional

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def utc_text(seconds: Optional[float], timespec: str = "seconds") -> Optional[str]:
    """Return seconds since the epoch as UTC in ISO 8601, such as 2026-11-22T03:10:00Z; None for None and out-of-range values.

    Args:
        seconds: since the epoch.
        timespec: the precision, as for datetime.isoformat.
    """
    if seconds is None:
        return None
    try:
        return (EPOCH + timedelta(seconds=seconds)).isoformat(timespec=timespec).replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return None
