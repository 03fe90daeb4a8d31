# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that imports the records of a file into a database; records that were imported before are skipped.

    python3 -m ansible_collections.intrusion.response.plugins.module_utils._ledger.bring FILE [DATABASE]

DATABASE defaults to INTRUSION_RESPONSE_LEDGER, in which no other user can read a password.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Callable, Optional

from .._core.errors import IntrusionResponseError, InvalidInput, LedgerUnusable
from .._core.options import LEDGER
from . import sql
from .place import parse_place
from .postgresql import PostgresqlStore
from .row import Row, StoreTrouble
from .sqlite import SqliteStore

#: How many records are imported at a time, and seconds to wait for them.
BATCH, PATIENCE = 5000, 120.0
_NEXT = sql.join("SELECT id,", sql.COLUMNS, ", ends FROM records WHERE id > :last ORDER BY id LIMIT :most")


def bring(source: SqliteStore, target: PostgresqlStore) -> tuple[int, int]:
    """Import all records; return how many there are, and how many of them were new.

    They are sorted among those of the database by their time, but never before one that precedes them in the file.

    Raises:
        StoreTrouble: one of the two cannot be used.
    """
    total = new = 0
    latest = 0.0
    for found in _batches(source):
        arrived = []
        for row in found:
            latest = min(max(latest, row[1]), time.time())
            arrived.append(latest)
        rows = [Row(_key(row), tuple(row[1:])) for row in found]
        total, new = total + len(rows), new + target.add(rows, 0, arrived=arrived)
    return total, new


def _batches(source: SqliteStore) -> Iterator[Sequence[Any]]:
    last = 0
    while True:
        found = source.read(_NEXT, {"last": last, "most": BATCH})
        if not found:
            return
        yield found
        last = found[-1][0]


def _key(row: Sequence[Any]) -> str:
    """Return what identifies a record, the same each time."""
    return str(uuid.UUID(hashlib.sha256(json.dumps(row).encode()).hexdigest()[:32]))


def main(arguments: Optional[Sequence[str]] = None, show: Callable[[str], Any] = sys.stdout.write) -> int:
    """Run as a command; return its status."""
    parser = argparse.ArgumentParser(prog="bring", description="Bring the records of a file into a database.")
    parser.add_argument("file", help="the ledger from which to bring")
    parser.add_argument("database", nargs="?", help=f"such as postgresql://user@db.example.com/name; else what {LEDGER[0].env[0]} says")
    given = parser.parse_args(arguments)
    try:
        source = parse_place(given.file, show)
        target = parse_place(given.database or os.environ.get(LEDGER[0].env[0]), show)
        if source is None or source.path is None:
            raise InvalidInput("FILE must be the path of a ledger.")
        if target is None or target.url is None:
            raise InvalidInput("DATABASE must be an address such as postgresql://user@db.example.com/name.")
        file = SqliteStore(source.path, PATIENCE)
        try:
            if not file.is_there():
                raise LedgerUnusable(f"There is no ledger {source.name}.")
            with closing(PostgresqlStore(target.url, PATIENCE)) as database:
                total, new = bring(file, database)
        except StoreTrouble as error:
            raise LedgerUnusable(f"The ledger cannot be imported: {error}.", hint="Run the command again to continue.") from None
    except IntrusionResponseError as error:
        sys.stderr.write(f"{error.as_result()['msg']}\n")
        return 1
    show(f"{source.name} has {total} records; {new} of them are new in {target.name}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
