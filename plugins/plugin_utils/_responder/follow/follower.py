# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a file: reads its lines, hands over their events at least once, and saves its position once they are safe."""

from __future__ import annotations

import asyncio
import concurrent.futures
import glob
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ....module_utils._core.errors import InvalidInput
from ....module_utils._core.state import StateDir
from ....module_utils._events.body import InvalidEvent
from ....module_utils._events.event import Event, Found, Ignored
from ....module_utils._events.formats.custom import Custom
from ....module_utils._events.reader import CUSTOM, NAMES, Reader
from ..monitor import Metrics
from ..settings import setting
from .tail import LineTooLong, Tail

LOG = logging.getLogger("intrusion.response")

#: Seconds between two checks of an idle file, and after events that could not be accepted.
POLL, AGAIN = 0.05, 0.5
#: Seconds between two saves of the position.
KEEP = 1.0
#: How many events are handed over at once.
AT_ONCE = 100
STOPPING = 5.0

#: Takes events; returns once all of them are durably recorded, and raises an exception if that fails.
Take = Callable[[Sequence[Event]], Awaitable[Any]]


def custom_format(name: str, given: Optional[Mapping[str, Any]]) -> Optional[Custom]:
    """Return the custom format, if one is configured; raises InvalidInput."""
    if (name == CUSTOM) != (given is not None):
        raise InvalidInput("format: custom requires custom, and vice versa.")
    try:
        return None if given is None else Custom(given)
    except ValueError as error:
        raise InvalidInput(f"custom {error}") from None


@dataclass(frozen=True)
class Follow:
    """One of `follow`: a file that a detector or a syslog server writes."""

    path: str = setting("path", "The file; required. It need not exist yet.", fixed=True)
    format: Optional[str] = setting("word", "The format of its lines.", choices=NAMES, fixed=True, shown="the `format` of all")
    custom: Optional[Mapping[str, Any]] = setting("object", "Its own format, for `format: custom`.", fixed=True)
    rotated: tuple[str, ...] = setting(
        "paths", "Patterns of the names that rotation gives it.", (), fixed=True, shown="its name with something appended or inserted"
    )
    from_start: bool = setting("boolean", "Whether to read existing content of a file that was not followed before.", False, fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> Follow:
        """Check the format, and fill in the names of rotated files."""
        if not self.path:
            raise InvalidInput("path is required.")
        if self.format is not None:
            custom_format(self.format, self.custom)
        # behind a symbolic link, what is renamed is the file that it leads to
        parts = [os.path.splitext(glob.escape(name)) for name in dict.fromkeys((self.path, os.path.realpath(self.path)))]
        return replace(self, rotated=self.rotated or tuple(name for stem, end in parts for name in (f"{stem}{end}?*", f"{stem}[-.]*{end}")))


class Follower:
    """Follows one file in a separate thread.

    Args:
        settings: which file, and its names after rotation.
        reader: reads its lines.
        folder: where the position is kept.
        take: called with the events, in the event loop.
        metrics: count what is refused and ignored.

    Attributes:
        reader: may be replaced while it runs.
    """

    def __init__(self, settings: Follow, reader: Reader, folder: str, take: Take, metrics: Metrics) -> None:
        self.path = settings.path
        self.reader = reader
        self._settings = settings
        self._state = StateDir(folder, LOG.warning)
        self._take = take
        self._metrics = metrics
        self._lines = 0
        self._waits = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow {os.path.basename(self.path)}", daemon=True)

    async def open(self) -> None:
        """Start following the file: what is written from now on counts."""
        self._loop = asyncio.get_running_loop()
        self._tail = await asyncio.to_thread(self._begin)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End; lines whose events are not safe are read again after the next start."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, STOPPING)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def status(self) -> dict[str, Any]:
        """Return whether it is following, how many lines it has read in this run, and whether the inbox makes it wait."""
        return {"healthy": self.is_alive, "lines": self._lines, "waits": self._waits}

    # The thread

    def _run(self) -> None:
        tail = self._tail
        kept, due = tail.state(), time.monotonic() + KEEP
        while not self._stopping.is_set():
            try:
                lines = tail.read()
            except LineTooLong:
                self._metrics.refused("line", self.path)
                continue
            except OSError as error:
                LOG.error("%s cannot be followed: %s.", self.path, error.strerror or type(error).__name__)
                self._stopping.wait(KEEP)
                continue
            if lines and not self._hand_over(self._read(lines)):
                break  # stopping, and these events are not safe
            if time.monotonic() >= due:
                state, due = tail.state(), time.monotonic() + KEEP
                if state != kept:
                    self._keep(state)
                    kept = state
            if not lines:
                self._stopping.wait(POLL)
        else:
            self._keep(tail.state())
        tail.close()

    def _begin(self) -> Tail:
        state = self._state.read("follow", (self.path,))
        try:
            tail = Tail(self.path, self._settings.rotated, state, self._settings.from_start)
        except (KeyError, TypeError, AttributeError):
            LOG.warning("The saved position in %s cannot be used; it is followed from its end.", self.path)
            tail, state = Tail(self.path, self._settings.rotated), None
        if state is None:
            self._keep(tail.state())  # otherwise lines before the first position would be lost in a crash
        return tail

    def _read(self, lines: list[bytes]) -> list[Event]:
        """Return the events of lines, and count the other lines."""
        now = time.time()
        ignored: Counter[str] = Counter()
        events: list[Event] = []
        for line in lines:
            if not line.strip():
                continue
            try:
                found: Found = self.reader.line(line, now)
            except InvalidEvent as error:
                self._metrics.refused("line", f"{self.path} ({error})")
                continue
            except Exception as error:  # a defect must not keep the lines behind it from being read
                LOG.error("A line of %s could not be read: %s.", self.path, type(error).__name__, exc_info=error)
                self._metrics.refused("line", self.path)
                continue
            for one in found:
                if isinstance(one, Ignored):
                    ignored[one.kind] += 1
                else:
                    events.append(one)
        self._lines += len(lines)
        for kind, count in ignored.items():
            self._metrics.ignored(kind, count)
        return events

    def _hand_over(self, events: list[Event]) -> bool:
        """Have the events recorded, however long it takes; return False if it is stopped first."""
        for begin in range(0, len(events), AT_ONCE):
            while True:
                if self._stopping.is_set():
                    return False
                try:
                    self._ask(events[begin : begin + AT_ONCE])
                    break
                except Exception as error:  # a full inbox, or a full disk: nothing is lost, it waits
                    if not self._waits:
                        LOG.warning("%s is paused: %s.", self.path, getattr(error, "text", None) or error or type(error).__name__)
                    self._waits = True
                    self._stopping.wait(AGAIN)
        self._waits = False
        return True

    def _ask(self, events: list[Event]) -> None:
        """Hand events to the loop, and wait for its answer while this runs."""
        asked = asyncio.run_coroutine_threadsafe(_awaited(self._take(events)), self._loop)
        while True:
            try:
                asked.result(AGAIN)
                return
            except concurrent.futures.TimeoutError:
                if asked.done() or self._stopping.is_set():
                    asked.cancel()
                    raise

    def _keep(self, state: dict[str, Any]) -> None:
        """Save the position durably; if that fails, these lines are read again after a restart, which has no second effect."""
        self._state.write("follow", (self.path,), state, durable=True)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
