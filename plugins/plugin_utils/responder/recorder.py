# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the ledger from a thread of its own: a slow or full disk never holds a block up."""

from __future__ import annotations

import os
import queue
import threading
from typing import Callable, Union

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._core.ledger import Filter, Ledger, Record
from ...module_utils._cos.record import who

#: Most records that wait, and most that are written at once.
WAITING, BATCH = 100_000, 500

Then = Callable[[], None]


class LedgerThread:
    """Takes records from any thread; trouble calls `failed`, and is warned of by the ledger itself."""

    def __init__(self, ledger: Ledger, failed: Callable[[], None]) -> None:
        self._ledger = ledger
        self._failed = failed
        self._user, self._job = who(os.environ)
        self._queue: queue.Queue[Union[tuple[Record, bool], Then, None]] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def put(self, record: Record, replayed: bool) -> None:
        """Take a record; a replayed one is dropped if the event's block is in the ledger already."""
        try:
            self._queue.put_nowait((record, replayed))
        except queue.Full:
            self._failed()

    def then(self, done: Then) -> None:
        """Call something, which must not raise, after what was put before is written or given up."""
        try:
            self._queue.put_nowait(done)
        except queue.Full:
            done()

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            items = [self._queue.get()]
            while len(items) < BATCH and not self._queue.empty():
                items.append(self._queue.get())
            going = None not in items
            records = [item[0] for item in items if isinstance(item, tuple) and not (item[1] and self._is_known(item[0]))]
            if not self._ledger.record([record._replace(user=self._user, job=self._job) for record in records]):
                self._failed()
            for item in items:
                if callable(item):
                    item()

    def _is_known(self, record: Record) -> bool:
        try:
            found, _total = self._ledger.find(Filter(event=record.event, firewall=record.firewall, addresses=(record.address,)))
        except LedgerUnusable:
            return False
        return any((one.action, one.outcome) == (record.action, record.outcome) for one in found)
