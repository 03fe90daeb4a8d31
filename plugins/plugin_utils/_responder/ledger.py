# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the ledger from a thread of its own: a slow or full disk never holds a block up."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Sequence
from typing import Callable, NamedTuple, Optional

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._cos.record import who
from ...module_utils._ledger.record import Filter, Record
from ...module_utils._ledger.store import Ledger
from .batch import BatchWriter

LOG = logging.getLogger("intrusion.response")

#: Most records that are written at once, for how many seconds they wait for others, and after how many of trouble they are given up.
BATCH, PAUSE, PATIENCE = 500, 0.05, 60.0

Then = Callable[[], None]


class _Note(NamedTuple):
    """Records; what to call, without raising, after they are written or given up; whether to leave out what stands already."""

    records: tuple[Record, ...] = ()
    then: Optional[Then] = None
    completes: bool = False


class LedgerWriter:
    """Takes records from any thread; trouble is warned of by the ledger itself.

    Args:
        failed: called at each failure, from any thread.
    """

    def __init__(self, ledger: Ledger, failed: Then) -> None:
        self._ledger = ledger
        self._failed = failed
        self._user, self._job = who(os.environ)
        self._writer: BatchWriter[_Note] = BatchWriter(
            "Ledger", self._write, wrote=self._settle, given_up=self._settle, batch=BATCH, patience=PATIENCE
        )

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded."""
        return self._writer.healthy

    @property
    def lost(self) -> int:
        """How many records and followers could not be written."""
        return self._writer.lost

    def put(self, records: Collection[Record], then: Optional[Then] = None) -> None:
        """Take records, and what to call after they, and what was put before, are written or given up."""
        note = _Note(tuple(records), then)
        if not self._writer.put(note, PAUSE):
            self._settle((note,))

    def complete(self, records: Collection[Record]) -> None:
        """Take records of blocks that stand; what the ledger has of them already is left out."""
        self._writer.put(_Note(tuple(records), completes=True), PAUSE)

    def withdrawn(self, addresses: Collection[str], since: float) -> dict[str, float]:
        """Return when somebody took addresses off a firewall, last and since an epoch time. Reads the ledger, so it may block."""
        wanted = Filter(addresses=tuple(addresses), actions=("unblock",), since=since)
        try:
            found, _count = self._ledger.find(wanted)
        except LedgerUnusable as error:
            LOG.warning("%s What was taken back is not known.", error.message)
            self._failed()
            return {}
        return {record.address: record.at for record in reversed(found) if record.outcome != "failed"}

    def close(self) -> None:
        """Write what waits, and end."""
        self._writer.close()

    def _write(self, notes: Sequence[_Note]) -> None:
        try:
            records: list[Record] = []
            for note in notes:
                records += self._missing(note.records, records) if note.completes else note.records
            if not self._ledger.record([record._replace(user=self._user, job=self._job) for record in records]):
                raise LedgerUnusable("see the warning before this")
        except LedgerUnusable:
            self._failed()
            raise

    def _missing(self, records: Sequence[Record], waiting: Sequence[Record]) -> list[Record]:
        """Return the records of blocks that neither the ledger nor what waits to be written has."""
        if not self._ledger.enabled:
            return []
        standing = [one.last for one in self._ledger.standing(Filter(), time.time())]
        known = {(record.firewall, record.address, record.service) for record in (*standing, *waiting)}
        missing = [record for record in records if (record.firewall, record.address, record.service) not in known]
        if missing:
            LOG.warning("%s blocks of an earlier run were not in the ledger; they are recorded now.", len(missing))
        return missing

    def _settle(self, notes: Sequence[_Note]) -> None:
        for note in notes:
            if note.then is not None:
                note.then()
