# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what was blocked and unblocked, when, by whom and why, in an append-only file or database.

Writing never stops a block: any problem with the file, disk or database is only a warning. Reading fails if the ledger cannot be read,
since "nothing was recorded" would then be a wrong answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, Optional, Protocol, Union

from .._core.errors import LedgerUnusable
from . import sql
from .place import Place, parse_place, spool_path
from .postgresql import PostgresqlStore
from .record import LONGEST_EXEMPTION, Filter, Past, Record, Standing, standing
from .row import Row, StoreTrouble
from .spool import Spool
from .sql import DAY
from .sqlite import SqliteStore

__all__ = ["DAY", "KEEP_DAYS", "PATIENCE", "Ledger", "Store"]

Warn = Callable[[str], None]

KEEP_DAYS = 400
#: Seconds to wait for other writers or a database; a batch takes a few milliseconds, and no more processes wait than there are forks.
PATIENCE = 10.0


class Store(Protocol):
    """Where records are kept. All methods except close raise StoreTrouble; a store that does not exist has no records.

    Attributes:
        patience: seconds that each write may take; may be changed.
    """

    @property
    def dialect(self) -> sql.Dialect:
        """What is specific to its SQL."""

    patience: float

    def is_there(self) -> bool:
        """Return whether it exists."""

    def add(self, rows: Sequence[Row], keep: int) -> Any:
        """Add rows, all or none, and remove rows older than keep days (0 for never)."""

    def past(self, addresses: Sequence[str], since: float) -> list[Any]:
        """Return the result of sql.past for these addresses, those of each in order of time."""

    def read(self, text: str, values: Mapping[str, Any]) -> list[Any]:
        """Return the result of a query."""

    def close(self) -> None:
        """Close all connections."""


class Ledger:
    """The records of one machine, or of all machines that share a database.

    Nothing is opened before it is needed.

    Args:
        place: the file, created with mode 0600 in a directory with mode 0700, or the database; None keeps nothing.
        warn: called with warnings, once for each kind of problem until writing works again.
        keep: days after which records are removed, 0 for never. Standing blocks are never removed.
        patience: seconds to wait for other writers or for the database, each time.
        spool: parent directory of the records that wait for a database; by default in the user's state directory.

    Attributes:
        place: the name to show to people, None for nowhere.
        path: the file, None for a database.
    """

    def __init__(
        self, place: Union[str, Place, None], warn: Warn, keep: int = KEEP_DAYS, patience: float = PATIENCE, spool: Optional[str] = None
    ) -> None:
        found = Place(place, path=place) if isinstance(place, str) else place
        self.place = None if found is None else found.name
        self.path = None if found is None else found.path
        self._warn = warn
        self._keep = keep
        self._told: Optional[str] = None
        self._store: Optional[Store] = None
        self._spool: Optional[Spool] = None
        self._database: Optional[PostgresqlStore] = None
        if found is not None and found.url is not None:
            self._store = self._database = PostgresqlStore(found.url, patience)
            directory = spool_path(found, spool, warn)
            self._spool = None if directory is None else Spool(directory)
        elif found is not None and found.path is not None:
            self._store = SqliteStore(found.path, patience)

    @classmethod
    def from_option(
        cls, value: Optional[str], warn: Warn, keep: int = KEEP_DAYS, patience: float = PATIENCE, spool: Optional[str] = None
    ) -> Ledger:
        """Create one from the option ledger, where "none" switches it off; raises InvalidInput for an invalid place."""
        return cls(parse_place(value, warn), warn, keep, patience, spool)

    @property
    def enabled(self) -> bool:
        """Whether anything is kept."""
        return self._store is not None

    @property
    def patience(self) -> float:
        """Seconds to wait for other writers or for the database, each time; may be changed."""
        return 0.0 if self._store is None else self._store.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        if self._store is not None:
            self._store.patience = seconds

    @property
    def waiting(self) -> int:
        """How many batches of records wait for a database."""
        return 0 if self._spool is None else len(self._spool.waiting())

    @property
    def spool(self) -> Optional[str]:
        """The directory in which records wait for a database, or None."""
        return None if self._spool is None else self._spool.path

    @property
    def database(self) -> Optional[PostgresqlStore]:
        """The database, which responders also share for other purposes; None for a file."""
        return self._database

    def is_there(self) -> bool:
        """Return whether the ledger exists; raises LedgerUnusable if that cannot be determined."""
        try:
            return self._store is not None and self._store.is_there()
        except StoreTrouble as error:
            raise self._unreadable(error) from None

    def record(self, records: Sequence[Record]) -> bool:
        """Add records, all or none; return whether they are kept, or need not be. Never raises."""
        if self._store is None or not records:
            return True
        rows = [Row.of(record) for record in records]
        try:
            self._deliver()
            self._store.add(rows, self._keep)
        except StoreTrouble as error:
            return self._set_aside(rows, error)
        self._told = None
        return True

    def deliver(self) -> bool:
        """Deliver waiting records to the database; return whether none wait any more. Never raises."""
        try:
            self._deliver()
        except StoreTrouble as error:
            self._tell(f"The ledger {self.place} cannot be written: {error}. Records are waiting in {self.spool}.")
            return False
        self._told = None
        return True

    def _deliver(self) -> None:
        database = self._database
        if self._spool is not None and database is not None:
            self._spool.deliver(lambda rows, waited: database.add(rows, 0, waited), database.patience)

    def _set_aside(self, rows: Sequence[Row], trouble: StoreTrouble) -> bool:
        """Let rows wait for the database, if there is one; return whether they are kept."""
        said = f"The ledger {self.place} cannot be written: {trouble}."
        if self._spool is None:
            self._tell(f"{said} What was done is not recorded.")
            return False
        try:
            self._spool.put(rows)
        except StoreTrouble as error:
            self._tell(f"{said} What was done is not recorded, since it cannot be kept for later either: {error}.")
            return False
        self._tell(f"{said} What was done is not recorded yet; the record waits in {self.spool} for the next run on this machine.")
        return True

    def past(self, address: str, since: float, besides: Optional[str] = None) -> Past:
        """Return the past of an address, like Past.of; raises LedgerUnusable."""
        return self.pasts([address], since, besides)[address]

    def pasts(self, addresses: Iterable[str], since: float, besides: Optional[str] = None) -> dict[str, Past]:
        """Return the pasts of addresses, like Past.of; raises LedgerUnusable."""
        records: dict[str, list[Record]] = {address: [] for address in addresses}
        try:
            rows = self._store.past(list(records), min(since, time.time() - LONGEST_EXEMPTION)) if self._store is not None else []
        except StoreTrouble as error:
            raise self._unreadable(error) from None
        for record in (Record(*row) for row in rows):
            records[record.address].append(record)
        return {address: Past.of(found, since, besides) for address, found in records.items()}

    def find(self, wanted: Filter, limit: int = 0) -> tuple[list[Record], int]:
        """Return records, newest first and at most limit of them (0 for all), and how many there are.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that does not exist has no records.
        """
        rows = self._ask(lambda dialect: sql.find(dialect, wanted, limit))
        if not limit or len(rows) < limit:
            return [Record(*row) for row in rows], len(rows)
        total = self._ask(lambda dialect: sql.count(dialect, wanted))
        return [Record(*row) for row in rows], total[0][0]

    def events(self, beginning: str, most: int) -> list[str]:
        """Return at most that many ids of events with this beginning, in order; an exact match comes first.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that does not exist has none.
        """
        return [event for (event,) in self._ask(lambda dialect: (sql.events(dialect), {"beginning": beginning, "most": most}))]

    def standing(self, wanted: Filter, now: float) -> list[Standing]:
        """Return the standing blocks whose first record matches, in the order in which they were made.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that does not exist has none.
        """
        rows = self._ask(lambda dialect: sql.lives(dialect, wanted, now))
        matching = {row[-2] for row in rows if row[-1]}
        return [found for found in standing((Record(*row[:-1]) for row in rows), now) if found.began.id in matching]

    def close(self) -> None:
        """Close all connections."""
        if self._store is not None:
            self._store.close()

    def _ask(self, query: Callable[[sql.Dialect], tuple[str, sql.Values]]) -> list[Any]:
        if self._store is None:
            return []
        try:
            if self.waiting:
                self.deliver()
            return self._store.read(*query(self._store.dialect))
        except StoreTrouble as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: StoreTrouble) -> LedgerUnusable:
        return LedgerUnusable(f"The ledger {self.place} cannot be read: {error}.")

    def _tell(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._warn(message)
