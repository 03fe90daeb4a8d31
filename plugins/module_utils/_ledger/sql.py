# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries in the SQL that all stores share; values are named `:name`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

from .record import Filter, Record

#: All columns except the number, in the order of the fields.
NAMES = Record._fields[:-1]
COLUMNS = ", ".join(f'"{name}"' for name in NAMES)
#: Not superseded by a later record of the same write.
FINAL = "NOT EXISTS (SELECT 1 FROM records AS later WHERE later.write = records.write AND later.id > records.id)"
#: Entries with a block that has not expired, whether or not it was removed.
LIVE = "SELECT firewall, address, service FROM records WHERE action <> 'unblock' AND outcome <> 'failed' AND"

#: The number of final records, one for each write; much faster than checking each record.
_COUNT_ALL = (
    "SELECT (SELECT count(*) FROM records WHERE write IS NULL)"
    " + (SELECT count(*) FROM (SELECT DISTINCT write FROM records WHERE write IS NOT NULL) AS writes)"
)

Values = dict[str, Any]


class Dialect(NamedTuple):
    """What differs between stores.

    Attributes:
        order: columns that sort records in the order in which they were made.
        among: returns a condition that a column is one of the texts `:name`, and their value.
        rule: returns a condition for a rule's name with wildcards, and its values.
        begins: the condition that an event begins with `:beginning`.
    """

    order: str
    among: Callable[[str, str, Sequence[str]], tuple[str, Any]]
    rule: Callable[[str], tuple[str, Values]]
    begins: str


def join(*parts: str) -> str:
    """Return a statement from its parts."""
    return " ".join(parts)


def wanted(dialect: Dialect, found: Filter) -> tuple[str, Values]:
    """Return the condition for a filter, and its values."""
    conditions, values = ["1 = 1"], Values()
    for name, value, operator in (
        ("event", found.event, "event ="),
        ("firewall", found.firewall, "firewall ="),
        ("since", found.since, "at >="),
        ("until", found.until, "at <"),
        ("origin", found.origin, "origin ="),
    ):
        if value is not None:
            conditions.append(f"{operator} :{name}")
            values[name] = value
    for name, column, texts in (("addresses", "address", found.addresses), ("actions", "action", found.actions)):
        if texts:
            condition, values[name] = dialect.among(column, name, texts)
            conditions.append(condition)
    if found.rule_name is not None:
        condition, more = dialect.rule(found.rule_name)
        conditions.append(condition)
        values.update(more)
    return " AND ".join(conditions), values


def find(dialect: Dialect, found: Filter, limit: int) -> tuple[str, Values]:
    """Return the query for records, newest first."""
    condition, values = wanted(dialect, found)
    order = "ORDER BY at DESC, id DESC"
    return join("SELECT", COLUMNS, ", id FROM records WHERE", condition, "AND", FINAL, order, f"LIMIT {limit:d}" if limit else ""), values


def count(dialect: Dialect, found: Filter) -> tuple[str, Values]:
    """Return the query for the number of records."""
    condition, values = wanted(dialect, found)
    return (join("SELECT count(*) FROM records WHERE", condition, "AND", FINAL) if values else _COUNT_ALL), values


def lives(dialect: Dialect, found: Filter, now: float) -> tuple[str, Values]:
    """Return the query for all records of the entries that may stand, with whether each is wanted, in the order in which they were made.

    Entries with no wanted block, by which they could have begun, are left out.
    """
    condition, values = wanted(dialect, found)
    entries = join("AND (firewall, address, service) IN (", LIVE, "(ends IS NULL OR ends > :now) )")
    if len(values):
        entries = join(entries, "AND (firewall, address, service) IN (", LIVE, "action = 'block' AND", condition, ")")
    is_wanted = join("CASE WHEN", condition, "THEN 1 ELSE 0 END")
    text = join("SELECT", COLUMNS, ", id,", is_wanted, "FROM records WHERE", FINAL, entries, "ORDER BY", dialect.order)
    return text, {**values, "now": now}


def events(dialect: Dialect) -> str:
    """Return the query for at most `:most` events that begin with `:beginning`."""
    return join("SELECT DISTINCT event FROM records WHERE", dialect.begins, "ORDER BY event LIMIT :most")


def past(among: str) -> str:
    """Return the query for blocks and unblocks since `:since`, of addresses for which a condition holds."""
    return join(
        "SELECT", COLUMNS, "FROM records WHERE", among, "AND at >= :since AND action IN ('block', 'unblock') AND", FINAL, "ORDER BY at, id"
    )  # fmt: skip


#: An old block that has not expired stays, and with it the records that say whether it was removed.
_FORGET = join(
    "DELETE FROM records WHERE id IN ( SELECT id FROM records WHERE at < :horizon AND (firewall, address, service) NOT IN (", LIVE,
    "ends > :now AND at < :horizon ) LIMIT :most )",
)  # fmt: skip
DAY = 86400
LEAP = 30 * DAY
#: Maximum number of records that are removed at once, so that writers do not have to wait.
REMOVED = 10_000


def retain(execute: Callable[[str, Values], tuple[list[Any], int]], keep: int, now: float) -> None:
    """Remove records older than keep days, at most once a day, in a transaction.

    Args:
        execute: carries a statement out, and returns rows and how many rows were concerned.
    """
    (((applied,),), _count) = execute("SELECT max(applied) FROM retention", {})
    if 0 <= now - applied < DAY:
        return
    if not applied or now - applied <= LEAP:  # otherwise the clock may be wrong; the next day will show
        horizon = now - keep * DAY
        execute("UPDATE retention SET horizon = :horizon", {"horizon": horizon})
        _rows, removed = execute(_FORGET, {"horizon": horizon, "now": now, "most": REMOVED})
        if removed >= REMOVED:
            return  # the next write continues
    execute("UPDATE retention SET applied = :now", {"now": now})
