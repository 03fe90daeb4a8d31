# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the ledger from a thread of its own: a slow or full disk never holds a block up."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from typing import Callable, Optional, Union

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._cos.record import who
from ...module_utils._ledger.record import Filter, Record
from ...module_utils._ledger.store import Ledger

LOG = logging.getLogger("intrusion.response")

#: Most records that wait, and most that are written at once.
WAITING, BATCH = 100_000, 500
#: Seconds until writing is tried again, and after which what cannot be written is given up.
PAUSE, PATIENCE = 1.0, 60.0

Then = Callable[[], None]


class LedgerThread:
    """Takes records from any thread; trouble calls `failed`, and is warned of by the ledger itself."""

    def __init__(self, ledger: Ledger, failed: Callable[[], None]) -> None:
        self._ledger = ledger
        self._failed = failed
        self._user, self._job = who(os.environ)
        self._queue: queue.Queue[Union[Record, Then, None]] = queue.Queue(WAITING)
        self._closing = False
        self._failing_since: Optional[float] = None
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Take a record."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._failed()

    def then(self, done: Then) -> None:
        """Call something, which must not raise, after what was put before is written or given up."""
        try:
            self._queue.put_nowait(done)
        except queue.Full:
            done()

    def complete(self, records: list[Record]) -> None:
        """Take records of blocks that stand; what the ledger has of them already is left out."""
        self.then(lambda: self._complete(records))

    def close(self) -> None:
        """Write what waits, and end."""
        self._closing = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            items = [self._queue.get()]
            while len(items) < BATCH and not self._queue.empty():
                items.append(self._queue.get())
            going = None not in items
            records = [item for item in items if isinstance(item, Record)]
            while records and not self._write(records) and self._may_wait:
                time.sleep(PAUSE)
            for item in items:
                if callable(item):
                    item()

    @property
    def _may_wait(self) -> bool:
        """Whether what could not be written is tried again: trouble may pass, but not for ever."""
        passed = 0.0 if self._failing_since is None else time.monotonic() - self._failing_since
        return not self._closing and passed < PATIENCE and self._queue.qsize() < WAITING // 2

    def _write(self, records: list[Record]) -> bool:
        if self._ledger.record([record._replace(user=self._user, job=self._job) for record in records]):
            self._failing_since = None
            return True
        self._failing_since = self._failing_since or time.monotonic()
        self._failed()
        return False

    def _complete(self, records: list[Record]) -> None:
        try:
            standing = self._ledger.standing(Filter(), time.time())
        except LedgerUnusable:
            self._failed()
            return
        known = {(one.last.firewall, one.last.address, one.last.service) for one in standing}
        missing = [record for record in records if (record.firewall, record.address, record.service) not in known]
        if missing and self._ledger.enabled:
            LOG.warning("%s blocks of an earlier run were not in the ledger; they are recorded now.", len(missing))
            self._write(missing)
