# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record in the form for a store, and the exception for a store that cannot be used."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from .record import LARGEST_INTEGER, Record


class StoreTrouble(Exception):
    """A store cannot be used; the message says why, on one line and without secrets."""


class Row(NamedTuple):
    """A record as stored.

    Attributes:
        key: identifies the record, so that it is stored once however often it is delivered.
        values: of the columns (sql.NAMES), and when the entry ends, as every database takes them.
    """

    key: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, record: Record) -> Row:
        """Create one from a new record."""
        return cls(str(uuid.uuid4()), tuple(_storable(value) for value in (*record.cleaned()[:-1], record.ends)))


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "?").encode("utf-8", "replace").decode()  # JSON can contain lone surrogates, databases cannot
    return min(value, LARGEST_INTEGER) if isinstance(value, int) else value
