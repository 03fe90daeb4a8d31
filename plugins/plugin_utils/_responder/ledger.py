# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the ledger from a separate thread, so that a slow or full disk never delays a block."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Collection, Sequence
from typing import Any, Callable, NamedTuple, Optional, TypeVar

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._cos.record import who
from ...module_utils._ledger.memory import Memory
from ...module_utils._ledger.query import exemptions
from ...module_utils._ledger.record import LONGEST_EXEMPTION, Filter, Past, Record
from ...module_utils._ledger.store import Ledger
from .batch import BatchWriter

LOG = logging.getLogger("intrusion.response")

#: Seconds for which records wait for others, and between two attempts to deliver records to a shared ledger.
PAUSE, DELIVERING = 0.05, 1.0
#: For how many wishes the ledger's answer is kept for the other firewalls.
MOST = 20_000

Found = TypeVar("Found")
Then = Callable[[], None]


class _Note(NamedTuple):
    """Records; what to call, without raising, after they are written or given up; whether to skip standing blocks."""

    records: tuple[Record, ...]
    then: Then
    completes: bool


class LedgerWriter(BatchWriter[_Note]):
    """Takes records from any thread; the ledger itself warns about failures.

    Args:
        on_failure: called at each failure, from any thread.
        memory: what is kept in memory of a shared ledger.

    Attributes:
        spooled: number of batches of records that recently waited for a shared ledger.
    """

    what = "Ledger"
    batch = 500
    patience = 60.0

    def __init__(self, ledger: Ledger, on_failure: Then, memory: Optional[Memory] = None) -> None:
        self._ledger = ledger
        self._memory = memory
        self._on_failure = on_failure
        self._user, self._job = who(os.environ)
        self.spooled = ledger.waiting
        self._asking = threading.Lock()
        self._pasts: dict[int, Past] = {}
        self._told: Optional[str] = None
        super().__init__()

    def note(self, records: Collection[Record], then: Then = lambda: None, completes: bool = False) -> None:
        """Accept records, and what to call after they, and all earlier ones, are written or given up.

        Args:
            completes: whether they are of standing blocks, so that those already in the ledger are skipped.
        """
        note = _Note(tuple(records), then, completes)
        if self._memory is not None and not completes:
            self._memory.add(records)
        if not self.put(note, PAUSE):
            then()

    def pasts(self, addresses: Collection[str]) -> dict[str, Past]:
        """Return when addresses were exempted and taken off, by now; of none if the ledger cannot be read. May block."""
        now = time.time()
        if self._memory is not None:
            return {address: self._memory.past(address, now) for address in addresses}
        return self._asked(lambda: self._ledger.pasts(addresses, now), {}, "It is unknown which blocks were undone.")

    def past(self, number: int, address: str, memory: float, event: str) -> Past:
        """Return the past of the address of a wish with this number; offences besides its event count for so many seconds.

        Reads a ledger that is not shared, so it may block; what the first worker reads is used for the other firewalls.
        """
        asked = address, time.time() - memory, event
        unknown = "Earlier blocks are not counted, and exemptions are unknown."
        if self._memory is not None:
            return self._memory.past(*asked)
        found = self._pasts.get(number)
        if found is None:  # without the lock, since all workers come at the same time
            with self._asking:
                found = self._pasts.get(number) or self._asked(lambda: self._ledger.past(*asked), Past(), unknown)
                if len(self._pasts) >= MOST:
                    self._pasts.clear()
                self._pasts[number] = found
        return found

    def _asked(self, ask: Callable[[], Found], otherwise: Found, consequence: str) -> Found:
        """Return the ledger's answer; if it cannot be read, tell what follows from that, once for each reason."""
        try:
            found = ask()
        except LedgerUnusable as error:
            if error.message != self._told:
                LOG.warning("%s %s", error.message, consequence)
            self._told = error.message
            self._on_failure()
            return otherwise
        self._told = None
        return found

    def exemptions(self) -> Optional[list[dict[str, Any]]]:
        """Return the exempt addresses, like query; None if the ledger cannot be read. May block."""
        now = time.time()
        since = now - LONGEST_EXEMPTION
        if self._memory is not None:
            return exemptions(self._memory.unblocks(since), now)
        try:
            return exemptions(self._ledger.find(Filter(actions=("unblock",), since=since))[0], now)
        except LedgerUnusable:
            return None

    def write(self, items: Sequence[_Note]) -> None:
        try:
            records = [record for note in items if not note.completes for record in note.records]
            standing = [record for note in items if note.completes for record in note.records]
            if standing:
                records += self._missing(standing, records)
            if not self._ledger.record([record._replace(user=self._user, job=self._job) for record in records]):
                raise LedgerUnusable("see the previous warning")
        except LedgerUnusable:
            self._on_failure()
            raise

    def _missing(self, records: Sequence[Record], waiting: Sequence[Record]) -> list[Record]:
        """Return the records of blocks that are neither in the ledger nor waiting to be written."""
        if not self._ledger.enabled:
            return []
        standing = [one.last for one in self._ledger.standing(Filter(), time.time())]
        known = {(record.firewall, record.address, record.service) for record in (*standing, *waiting)}
        found = {(record.firewall, record.address, record.service): record for record in records}
        missing = [record for key, record in found.items() if key not in known]
        if missing:
            LOG.warning("%s blocks of a responder that ended were not in the ledger, and are recorded now.", len(missing))
        return missing

    def tidy(self) -> float:
        """Deliver waiting records to a shared ledger."""
        if self._ledger.database is None:
            return math.inf
        is_delivered = self._ledger.deliver()
        self.spooled = self._ledger.waiting
        return DELIVERING if is_delivered else DELIVERING / 4

    def wrote(self, items: Sequence[_Note]) -> None:
        for note in items:
            note.then()

    def given_up(self, items: Sequence[_Note]) -> None:
        self.wrote(items)
