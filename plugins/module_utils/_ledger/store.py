# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what was blocked and unblocked, when, by whom and why, in an append-only SQLite file.

Writing never stands in the way of a block: whatever is wrong with the file or the disk is a warning. Reading fails where the
ledger cannot be read, since "nothing was recorded" would be a wrong answer then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, Callable, Optional

from .._core.errors import LedgerUnusable
from . import sqlite
from .place import parse_path
from .record import LARGEST_INTEGER, Filter, Record, Standing, offences, standing
from .sqlite import TROUBLE

if TYPE_CHECKING:
    import sqlite3

Warn = Callable[[str], None]

DAY = 86400
KEEP_DAYS = 400
#: Seconds to wait for other writers; a batch takes some milliseconds, and no more processes wait than there are forks.
PATIENCE = 10.0
LEAP = 30 * DAY


class Ledger:
    """The record of one machine, shared by all processes of its owner.

    Nothing is opened before it is needed. Every thread has a connection of its own, kept until close.

    Args:
        path: the file, made with mode 0600 in a directory made with mode 0700; None keeps nothing.
        warn: takes the warnings, one for each kind of trouble until writing works again.
        keep: days after which records are removed, 0 for never. Blocks that still stand are never removed.
        patience: seconds to wait for other writers, each time; may be changed.
    """

    def __init__(self, path: Optional[str], warn: Warn, keep: int = KEEP_DAYS, patience: float = PATIENCE) -> None:
        self.path = path
        self._warn = warn
        self._keep = keep
        self.patience = patience
        self._told: Optional[str] = None
        self._thread = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    def from_option(cls, value: Optional[str], warn: Warn, keep: int = KEEP_DAYS, patience: float = PATIENCE) -> Ledger:
        """Make one from the option ledger, where "none" switches it off; raises InvalidInput for what is no path."""
        return cls(parse_path(value, warn), warn, keep, patience)

    @property
    def enabled(self) -> bool:
        """Whether anything is kept."""
        return self.path is not None

    def is_there(self) -> bool:
        """Return whether there is a file; raises LedgerUnusable where that cannot be told."""
        try:
            return self.path is not None and sqlite.is_there(self.path)
        except OSError as error:
            raise LedgerUnusable(f"The ledger {self.path} cannot be read: {sqlite.reason(error)}.") from None

    def record(self, records: Sequence[Record]) -> bool:
        """Add records, all or none; return whether they are kept (or none should be). Never raises."""
        if self.path is None or not records:
            return True
        try:
            connection = self._connection(self.path)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(sqlite.INSERT, [_row(record) for record in records])
            self._retain(connection, time.time())
            connection.execute("COMMIT")
        except TROUBLE as error:
            self._drop()
            self._tell(f"The ledger {self.path} cannot be written: {sqlite.reason(error)}. What was done is not recorded.")
            return False
        self._told = None
        return True

    def offences(self, address: str, since: float, besides: Optional[str] = None) -> int:
        """Count the offences, as the function of this name does, in what was recorded of the address from then on.

        What the event `besides` has led to is left out: an event is no earlier offence of its own.

        Never raises; what cannot be read counts as nothing.
        """
        if self.path is None:
            return 0
        try:
            if not sqlite.is_there(self.path):
                return 0
            rows = self._connection(self.path).execute(sqlite.OFFENCES, (address, since)).fetchall()
        except TROUBLE as error:
            self._drop()
            self._tell(f"The ledger {self.path} cannot be read: {sqlite.reason(error)}. Earlier blocks are not counted.")
            return 0
        found = (Record(*row) for row in rows)
        return offences(record for record in found if besides is None or record.event != besides)

    def find(self, wanted: Filter, limit: int = 0) -> tuple[list[Record], int]:
        """Return records, newest first and at most limit of them (0 for all), and how many there are.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that is not there has no records.
        """
        rows = self._read(sqlite.FIND, wanted.values(limit=limit or -1))
        total = self._read(sqlite.COUNT, wanted.values())
        return [Record(*row) for row in rows], total[0][0] if total else 0

    def events(self, beginning: str, most: int) -> list[str]:
        """Return the ids of events that begin so, in their order and at most so many; one that is no longer comes first.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that is not there has none.
        """
        return [event for (event,) in self._read(sqlite.EVENTS, {"beginning": beginning, "most": most})]

    def standing(self, wanted: Filter, now: float) -> list[Standing]:
        """Return the standing blocks whose beginning is wanted, in the order in which they began.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that is not there has none.
        """
        rows = self._read(sqlite.LIVES, wanted.values(now=now))
        matching = {row[-2] for row in rows if row[-1]}
        return [found for found in standing((Record(*row[:-1]) for row in rows), now) if found.began.id in matching]

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            with suppress(*TROUBLE):
                self._connections.pop().close()
        self._thread = threading.local()

    def _connection(self, path: str) -> sqlite3.Connection:
        """Return this thread's connection to the file that is there now, which is made when it is not."""
        if not sqlite.is_there(path):
            sqlite.create(path)
        status = os.stat(path)
        file = (status.st_dev, status.st_ino)
        if getattr(self._thread, "file", None) != file:
            self._drop()
            self._thread.connection = connection = sqlite.open_file(path, read_only=False)
            self._thread.file = file
            self._connections.append(connection)
        opened: sqlite3.Connection = self._thread.connection
        sqlite.wait(opened, self.patience)
        return opened

    def _drop(self) -> None:
        """Forget this thread's connection, and with it a transaction that was begun."""
        connection = getattr(self._thread, "connection", None)
        self._thread.connection = self._thread.file = None
        if connection is not None:
            with suppress(ValueError):
                self._connections.remove(connection)
            with suppress(*TROUBLE):
                connection.close()

    def _retain(self, connection: sqlite3.Connection, now: float) -> None:
        """Remove what is too old, at most once a day."""
        if not self._keep:
            return
        ((applied,),) = connection.execute(sqlite.APPLIED).fetchall()
        if 0 <= now - applied < DAY:
            return
        if applied and now - applied > LEAP:  # the clock may be wrong, which the next day will show
            connection.execute(sqlite.POSTPONE, (now,))
            return
        horizon = now - self._keep * DAY
        connection.execute(sqlite.RETAIN, (horizon, now))
        connection.execute(sqlite.FORGET, {"horizon": horizon, "now": now})

    def _read(self, query: str, values: Mapping[str, Any]) -> list[Any]:
        if self.path is None:
            return []
        try:
            if not sqlite.is_there(self.path):
                return []
            with closing(sqlite.open_file(self.path, read_only=True)) as connection:
                return connection.execute(query, values).fetchall()
        except TROUBLE as error:
            raise LedgerUnusable(f"The ledger {self.path} cannot be read: {sqlite.reason(error)}.") from None

    def _tell(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._warn(message)


def _row(record: Record) -> list[Any]:
    """Return the values to insert, in a form that SQLite takes."""
    return [_storable(value) for value in (*record.cleaned()[:-1], record.ends)]


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # JSON can hold half a character, SQLite cannot
    return min(value, LARGEST_INTEGER) if isinstance(value, int) else value
