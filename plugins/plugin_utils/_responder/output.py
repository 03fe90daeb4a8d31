# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where verdicts and other events go: to the rule engine, or to standard output as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from .batch import BatchWriter

LOG = logging.getLogger("intrusion.response")

#: Maximum number of events that wait for the rule engine, and of lines that wait for the reader of standard output.
WAITING, LINES = 10_000, 1000
#: Seconds to end, and until waiting events are checked again.
DRAIN, LOOK = 2.0, 0.05

Emit = Callable[[dict[str, Any]], Awaitable[None]]


class Output:
    """An asynchronous context manager that passes on events one after the other, without making anybody wait for their consumer.

    Args:
        emit: consumes one event, at its own pace.

    Attributes:
        lost: how many events were given up.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._items: deque[tuple[dict[str, Any], Callable[[], None]]] = deque()
        self._wake = asyncio.Event()
        self._is_late = False
        self.lost = 0

    async def __aenter__(self) -> Output:
        self._task = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(self, *_unused: object) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drain(), DRAIN)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_full(self) -> bool:
        return len(self._items) >= WAITING

    def put(self, event: dict[str, Any], done: Callable[[], None] = lambda: None) -> None:
        """Accept an event, and what to call once it is passed on; if too many are waiting, the oldest is given up."""
        if self.is_full:
            del self._items[1]  # the first one is being passed on
            self.lost += 1
            if not self._is_late:
                LOG.warning("The reader of the verdicts is too slow: some are lost. Blocking continues.")
            self._is_late = True
        self._items.append((event, done))
        self._wake.set()

    async def _run(self) -> None:
        while True:
            while not self._items:
                if self._is_late:
                    LOG.warning("The reader of the verdicts has caught up; %s events were lost.", self.lost)
                self._is_late = False
                self._wake.clear()
                await self._wake.wait()
            event, done = self._items[0]
            try:
                await self._emit(event)
            except Exception:  # for example in an event filter: the next event may pass
                LOG.exception("An event could not be handed to the rule engine")
            self._items.popleft()
            done()
            await asyncio.sleep(0)  # the consumer may never wait, and there is more to do than reporting

    async def _drain(self) -> None:
        while self._items:  # noqa: ASYNC110
            await asyncio.sleep(LOOK)


class Lines(BatchWriter[bytes]):
    """Writes events to a descriptor, one JSON object per line, in a separate thread; a failed write is continued from where it stopped."""

    what = "Verdicts"
    waiting = LINES

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest, self._begun = b"", 0  # the rest of so many lines
        super().__init__()

    async def emit(self, event: dict[str, Any]) -> None:
        """Accept one event; if too many lines are waiting, wait."""
        while len(self) >= LINES:  # noqa: ASYNC110  the lines are taken in another thread
            await asyncio.sleep(LOOK)
        self.put(f"{json.dumps(event, separators=(',', ':'), default=str)}\n".encode())

    def write(self, items: Sequence[bytes]) -> None:
        """Write lines; after a failure they come again, followed by others."""
        content = self._rest + b"".join(items[self._begun :])
        self._begun = len(items)
        try:
            while content:
                content = content[os.write(self._descriptor, content) :]
            self._begun = 0
        finally:
            self._rest = content
