# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between the door and those who act: each event once, and acknowledged only when it is on the disk."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any, Callable, Optional

from ...module_utils._ips.event import Event
from .door import Busy
from .intake import Intake

LOG = logging.getLogger("intrusion.response")

#: How many of the newest events are known by heart; older ones are found in the intake.
REMEMBERED = 100_000
#: Most events that wait for the rule engine.
WAITING = 10_000

Act = Callable[[Event, float], None]
Emit = Callable[[dict[str, Any]], Awaitable[None]]


class Inbox:
    """The door's sink.

    Acting on an event does not wait until it is recorded: a full disk is no reason not to block. Whoever sent it is told to try again,
    which has no second effect.

    Args:
        intake: records events.
        act: begins to act on an event; gets it and the epoch time at which it came.
        is_full: whether no more events can be taken.
    """

    def __init__(self, intake: Intake, act: Act, is_full: Callable[[], bool]) -> None:
        self._intake = intake
        self._act = act
        self._is_full = is_full
        self._known: OrderedDict[str, Optional[asyncio.Future[bool]]] = OrderedDict.fromkeys(intake.recent(REMEMBERED))

    async def accept(self, event: Event, post: Mapping[str, Any]) -> bool:
        """Take an event; return whether it is new, once it is on the disk.

        Raises:
            Busy: too many wait.
            NotRecorded: it is not on the disk.
        """
        if event.id in self._known:
            first = self._known[event.id]
            if first is not None:
                await asyncio.shield(first)
            return False
        if self._is_full():
            raise Busy()
        received = datetime.fromisoformat(event.received_at.replace("Z", "+00:00")).timestamp()
        recorded = asyncio.wrap_future(self._intake.add(event.id, received, post))
        self._act(event, received)
        self._known[event.id] = recorded
        recorded.add_done_callback(lambda done: self._recorded(event.id, done))
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return await asyncio.shield(recorded)

    def _recorded(self, event_id: str, done: asyncio.Future[bool]) -> None:
        if event_id in self._known:
            self._known[event_id] = None
            if done.cancelled() or done.exception() is not None:
                del self._known[event_id]


class Outbox:
    """Hands events to the rule engine one after the other; nobody waits for it.

    Args:
        emit: takes one event, in its own time.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._items: deque[tuple[dict[str, Any], Optional[Callable[[], None]]]] = deque()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._lost = 0

    @property
    def is_full(self) -> bool:
        """Whether the next event would push out the oldest."""
        return len(self._items) >= WAITING

    def put(self, event: dict[str, Any], done: Optional[Callable[[], None]] = None) -> None:
        """Take an event, and what to call once it is handed on; when too many wait, the oldest is given up."""
        if self.is_full:
            self._items.popleft()
            if not self._lost:
                LOG.warning("The rule engine is too slow: events about verdicts are lost. Blocking goes on.")
            self._lost += 1
        self._items.append((event, done))
        self._wake.set()

    async def run(self) -> None:
        """Hand events on until cancelled."""
        while True:
            while not self._items:
                if self._lost:
                    LOG.warning("The rule engine caught up; %s events were lost.", self._lost)
                    self._lost = 0
                self._wake.clear()
                await self._wake.wait()
            event, done = self._items[0]
            try:
                await self._emit(event)
            except Exception:  # such as one of an event filter: the next event may pass
                LOG.exception("An event could not be handed to the rule engine")
            if self._items and self._items[0][0] is event:
                self._items.popleft()
            if done is not None:
                done()
            self._moved.set()
            await asyncio.sleep(0)  # whoever takes it may do so without ever waiting, and there is more to do than to report

    async def wait(self, most: int) -> None:
        """Return when at most so many events wait."""
        while len(self._items) > most:
            self._moved.clear()
            await self._moved.wait()
