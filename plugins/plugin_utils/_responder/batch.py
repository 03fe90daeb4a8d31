# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that writes items in batches; the inbox, the ledger and the output are such writers."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Generic, Optional, TypeVar

LOG = logging.getLogger("intrusion.response")

Item = TypeVar("Item")

#: Seconds until a failed write is retried if nothing new arrives.
PAUSE = 1.0


class BatchWriter(Generic[Item]):
    """Writes items in order, without making callers wait.

    A failed write is retried, together with later items, until it succeeds, patience runs out, or the writer is closed.

    Attributes:
        what: what is written, for the log ("Verdicts").
        waiting: maximum number of waiting items; more are lost.
        batch: maximum number of items written at once.
        patience: seconds of failures after which waiting items are given up.
        lost: how many items were given up.
    """

    what: ClassVar[str]
    waiting = 100_000
    batch = 1000
    patience = math.inf

    def __init__(self) -> None:
        self.lost = 0
        self._tidy_at = 0.0
        self._wake = threading.Condition()
        self._items: deque[Item] = deque()
        self._due = math.inf
        self._closing = False
        self._failing_since: Optional[float] = None
        self._thread = threading.Thread(target=self._run, name=self.what.lower(), daemon=True)
        self._thread.start()

    # Called by the writer's thread

    def write(self, items: Sequence[Item]) -> None:
        """Write items, all or none; raises if that fails."""
        raise NotImplementedError

    def wrote(self, items: Sequence[Item]) -> None:
        """Handle items that were written."""

    def failed(self, items: Sequence[Item]) -> Sequence[Item]:
        """Handle items that could not be written, and return those that are worth another attempt."""
        return items

    def given_up(self, items: Sequence[Item]) -> None:
        """Handle items that are lost."""

    def tidy(self) -> float:
        """Do periodic work while nothing fails; return the seconds until the next time."""
        return math.inf

    # Called by others

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded."""
        return self._failing_since is None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, delay: float = 0.0) -> bool:
        """Accept an item, which may wait so many seconds for others; return whether it will be written."""
        with self._wake:
            if self._closing or len(self._items) >= self.waiting:
                self.lost += 1
                return False
            self._items.append(item)
            due = time.monotonic() + delay if delay else -math.inf
            if due < self._due:
                self._due = due
                self._wake.notify()
            return True

    def close(self, timeout: Optional[float] = None) -> None:
        """Write the waiting items once, and end; return after so many seconds even if that takes longer."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._wake:
                while not self._closing and min(self._due, self._tidy_at) > time.monotonic():
                    pause = min(self._due, self._tidy_at) - time.monotonic()
                    self._wake.wait(pause if math.isfinite(pause) else None)
                is_due = self._closing or self._due <= time.monotonic()
                items = [self._items.popleft() for _number in range(min(self.batch, len(self._items)) if is_due else 0)]
                if not self._items:
                    self._due = math.inf
                closing = self._closing and not self._items
            if items:
                self._attempt(items)
            elif not closing:
                self._tidy()

    def _tidy(self) -> None:
        if not self.healthy:
            self._attempt(())  # is it over?
        pause = PAUSE
        try:
            pause = self.tidy() if self.healthy else PAUSE
        except Exception as error:
            self._trouble(error)
        self._tidy_at = time.monotonic() + pause

    def _trouble(self, error: Exception) -> float:
        """Report once that writing fails; return since when."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            LOG.error("%s cannot be written: %s.", self.what, str(error).rstrip(".") or type(error).__name__)
        return self._failing_since

    def _attempt(self, items: Sequence[Item]) -> None:
        try:
            self.write(items)
        except Exception as error:  # whatever it is, the thread must survive
            since, now = self._trouble(error), time.monotonic()
            kept = self.failed(items)
            with self._wake:
                is_over = self._closing or now - since >= self.patience
                lost = kept[: len(kept) if is_over else max(0, len(kept) + len(self._items) - self.waiting)]
                self._due = -math.inf if self._items else now + PAUSE
                self._items.extendleft(reversed(kept[len(lost) :]))
                self.lost += len(lost)
            self.given_up(lost)
            return
        if self._failing_since is not None:
            LOG.warning("%s can be written again%s.", self.what, f"; {self.lost} were lost" if self.lost else "")
            self._failing_since = None
        self.wrote(items)
