# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that writes what others put, together where much waits; it serves the inbox, the ledger and the output."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Callable, Generic, Optional, TypeVar

LOG = logging.getLogger("intrusion.response")

Item = TypeVar("Item")

#: Seconds until what failed is tried again when nothing new comes.
PAUSE = 1.0


class BatchWriter(Generic[Item]):
    """Writes items in their order; whoever puts one never waits.

    A write that fails is tried again, with what came since, until it succeeds, until patience is at its end, or until the close.

    Args:
        what: what is written, for the log ("Verdicts").
        write: writes items, all or none, in the writer's thread; raises when it could not.
        wrote: told the items that were written.
        keep: given the items that could not be written, returns those that are worth another attempt; all by default.
        given_up: told the items that are lost.
        waiting: items at most that wait; more are lost.
        batch: items at most that are written at once.
        patience: seconds of trouble after which what could not be written is given up.
        tidy: called now and then while nothing fails; returns the seconds until the next time.
    """

    def __init__(
        self,
        what: str,
        write: Callable[[Sequence[Item]], None],
        *,
        wrote: Callable[[Sequence[Item]], None] = lambda _items: None,
        keep: Callable[[Sequence[Item]], Sequence[Item]] = lambda items: items,
        given_up: Callable[[Sequence[Item]], None] = lambda _items: None,
        waiting: int = 100_000,
        batch: int = 1000,
        patience: float = math.inf,
        tidy: Optional[Callable[[], float]] = None,
    ) -> None:
        self._what = what
        self._write = write
        self._wrote = wrote
        self._keep = keep
        self._given_up = given_up
        self._waiting = waiting
        self._batch = batch
        self._patience = patience
        self._tidy = tidy
        self._tidy_at = 0.0 if tidy else math.inf
        self._wake = threading.Condition()
        self._items: deque[Item] = deque()
        self._due = math.inf
        self._closing = False
        self._failing_since: Optional[float] = None
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name=what.lower(), daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded."""
        return self._failing_since is None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, delay: float = 0.0) -> bool:
        """Take an item, which may wait so many seconds for others; return whether it is going to be written."""
        with self._wake:
            if self._closing or len(self._items) >= self._waiting:
                self.lost += 1
                return False
            self._items.append(item)
            due = time.monotonic() + delay if delay else -math.inf
            if due < self._due:
                self._due = due
                self._wake.notify()
            return True

    def close(self, timeout: Optional[float] = None) -> None:
        """Write what waits, once, and end; return after so many seconds even if that takes longer."""
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
                items = [self._items.popleft() for _number in range(min(self._batch, len(self._items)) if is_due else 0)]
                if not self._items:
                    self._due = math.inf
                closing = self._closing and not self._items
            if items:
                self._attempt(items)
            elif self._tidy is not None and not closing:
                self._tidy_at = time.monotonic() + self._tidied(self._tidy)

    def _tidied(self, tidy: Callable[[], float]) -> float:
        if not self.healthy:
            self._attempt(())  # is it over?
        try:
            return tidy() if self.healthy else PAUSE
        except Exception as error:
            self._trouble(error)
            return PAUSE

    def _trouble(self, error: Exception) -> float:
        """Say once that there is trouble; return since when."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            LOG.error("%s cannot be written: %s.", self._what, str(error).rstrip(".") or type(error).__name__)
        return self._failing_since

    def _attempt(self, items: Sequence[Item]) -> None:
        try:
            self._write(items)
        except Exception as error:  # whatever it is, the thread must live on
            since, now = self._trouble(error), time.monotonic()
            kept = self._keep(items)
            with self._wake:
                if self._closing or now - since >= self._patience:
                    lost = kept
                else:
                    room = max(0, self._waiting - len(self._items))
                    lost = kept[: len(kept) - room] if len(kept) > room else ()
                    self._due = -math.inf if self._items else now + PAUSE
                    self._items.extendleft(reversed(kept[len(lost) :]))
                self.lost += len(lost)
            if lost:
                self._given_up(lost)
            return
        if self._failing_since is not None:
            LOG.warning("%s can be written again%s.", self._what, f"; {self.lost} were lost" if self.lost else "")
            self._failing_since = None
        self._wrote(items)
