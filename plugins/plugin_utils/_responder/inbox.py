# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inbox: keeps accepted events until their verdict, on disk before they are acknowledged, and each of them once.

Everything that is waiting is committed together, so many events cost one disk flush. The file is checked before and after each
commit: if it is gone, or was replaced, truncated or overwritten, nothing is acknowledged until there is a new one, to which
everything without a verdict is written first.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from typing import Any, NamedTuple, Optional

from .batch import BatchWriter
from .ground import Ground, StateUnusable

LOG = logging.getLogger("intrusion.response")

#: Its name in the state directory.
FILE = "inbox.sqlite3"
#: How many of the newest events are kept in memory; older ones are looked up in the file.
REMEMBERED = 100_000
#: Maximum number of finished events that are remembered, and how many rows one step of the cleanup removes.
MOST_FINISHED, PRUNE_STEP = 200_000, 500
PRUNE_PAUSE = 5.0
INSERT = "INSERT OR IGNORE INTO events (id, received, event) VALUES (?, ?, ?)"
FINISH = "UPDATE events SET verdict = ?2, finished = ?3, event = NULL WHERE id = ?1"
NOTE = "UPDATE events SET verdict = ?2 WHERE id = ?1 AND finished IS NULL"
FORGET = "DELETE FROM events WHERE id = ?"
PRUNE = """
DELETE FROM events WHERE seq IN (
    SELECT seq FROM events WHERE finished < ?
    UNION ALL SELECT seq FROM events WHERE finished IS NOT NULL AND seq <= (SELECT max(seq) FROM events) - ? LIMIT ?
)
"""
#: Seconds for which a verdict may wait to be committed with others, or with the next event.
VERDICT_PAUSE = 0.05


class NotRecorded(Exception):
    """The event is not on disk, so its sender has to try again."""


class Stored(NamedTuple):
    """An accepted event; received is an epoch time in seconds, event its normal form as JSON, verdict the last one that went out."""

    id: str
    received: float
    event: str
    verdict: Optional[str] = None


class _Change(NamedTuple):
    """A statement, whose first value is the id of an event; if it adds one, there is a future for whether it is new."""

    statement: str
    values: tuple[Any, ...]
    done: Optional[asyncio.Future[bool]] = None


class Inbox(BatchWriter[_Change]):
    """Accepted events and their verdicts. `accept`, `knows` and `restore` belong to the event loop.

    Args:
        path: file of the database, created with mode 0600; a missing directory is created with mode 0700.
        keep: seconds for which finished events are remembered (their ids and verdicts).

    Attributes:
        size: bytes of the events without a verdict.
        instance: identifies the responder that writes on behalf of these events: four random digits, always the same.

    Raises:
        StateInUse: another process uses it.
        StateUnusable: the file is damaged, of another release, or not ours to write.
    """

    what = "The inbox"

    def __init__(self, path: str, keep: float) -> None:
        self.path = path
        self._keep = keep
        self._ground = Ground(path)
        self.instance = str(self._ground.database.execute("SELECT name FROM instance").fetchone()[0])
        newest = self._ground.database.execute("SELECT id FROM events ORDER BY seq DESC LIMIT ?", (REMEMBERED,)).fetchall()
        self._known: OrderedDict[str, Optional[asyncio.Future[bool]]] = OrderedDict((row[0], None) for row in reversed(newest))
        self._unfinished: dict[str, Stored] = {}
        self.size = 0
        self._lock_of_size = threading.Lock()
        self._lost_ground = False
        super().__init__()

    def accept(self, stored: Stored, act: Callable[[], None]) -> asyncio.Future[bool]:
        """Accept an event; return whether it was new, once it is on disk. All its senders share the future, so none may cancel it.

        Acting does not wait for that: a full disk is not a reason not to block. The sender is told to try again, which has no
        second effect.

        Args:
            act: starts acting on a new event.

        Raises:
            NotRecorded: (by the future) it is not on disk.
        """
        done = self._known.get(stored.id)
        if done is not None:
            return done
        done = asyncio.get_running_loop().create_future()
        if stored.id in self._known:
            done.set_result(False)
            return done
        self._known[stored.id] = done
        self.restore(stored)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        change = _Change(INSERT, stored[:3], done)
        if self.put(change):
            act()
        else:
            self._settle([change], None)
        return done

    def knows(self, event_id: str) -> bool:
        return event_id in self._known

    def restore(self, stored: Stored) -> None:
        """Note a pending event."""
        with self._lock_of_size:
            self._unfinished[stored.id] = stored
            self.size += len(stored.event)

    def finish(self, event_id: str, verdict: Mapping[str, Any]) -> None:
        """Record that an event is settled, with the next commit that succeeds.

        An event whose verdict is lost is acted on again after a restart, which changes nothing on the firewalls. Can be called from
        any thread.
        """
        self._drop(event_id)
        self.put(_Change(FINISH, (event_id, _text(verdict), time.time())), VERDICT_PAUSE)

    def note(self, event_id: str, verdict: Mapping[str, Any]) -> None:
        """Record the verdict of an event that is not settled by it, so that it is not repeated after a restart."""
        self.put(_Change(NOTE, (event_id, _text(verdict))), VERDICT_PAUSE)

    def forget(self, event_id: str) -> None:
        """Drop an event for which nothing was done, so that it is new when it is sent again."""
        self._known.pop(event_id, None)
        self._drop(event_id)
        self.put(_Change(FORGET, (event_id,)), VERDICT_PAUSE)

    def _drop(self, event_id: str) -> None:
        with self._lock_of_size:
            stored = self._unfinished.pop(event_id, None)
            self.size -= 0 if stored is None else len(stored.event)

    def newest(self) -> int:
        """Return the number of the newest event. Reads the file."""
        return int(self._read("SELECT coalesce(max(seq), 0) FROM events")[0][0])

    def pending(self, after: int, most: int, newest: int) -> tuple[list[Stored], int]:
        """Return accepted events without a verdict, oldest first, and the number after which to ask for more. Reads the file.

        Args:
            after, newest: numbers; only events after the one and up to the other.
        """
        query = "SELECT seq, id, received, event, verdict FROM events WHERE finished IS NULL AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        rows = self._read(query, (after, newest, most))
        return [Stored(*row[1:]) for row in rows], rows[-1][0] if rows else after

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query, values).fetchall()

    def close(self, timeout: Optional[float] = None) -> None:
        """Commit what is waiting, and release the state."""
        super().close(timeout)
        with suppress(sqlite3.Error):
            self._ground.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._ground.release()

    def write(self, items: Sequence[_Change]) -> None:
        """Commit all of it, together with everything that is pending if the file is new."""
        if self._lost_ground and not self._ground.is_open:
            self._ground = Ground(self.path)  # raises if it is not available
        try:
            self._new = self._commit(items)
            self._look_at_the_ground()  # the commit may have gone to a file that nobody finds again
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                if self._ground.database.in_transaction:
                    self._ground.database.execute("ROLLBACK")
            raise

    def _commit(self, changes: Sequence[_Change]) -> list[bool]:
        execute = self._ground.database.execute
        execute("BEGIN IMMEDIATE")
        if self._lost_ground:
            execute("UPDATE instance SET name = ?", (self.instance,))
            pending = list(self._unfinished.copy().values())
            for stored in pending:
                execute(INSERT, stored[:3])
        counts = [execute(change.statement, change.values).rowcount for change in changes]
        execute("COMMIT")
        new = [count == 1 or self._lost_ground for change, count in zip(changes, counts) if change.done is not None]
        if self._lost_ground:
            LOG.warning("There is a new inbox in %s, with %s events that wait for a verdict.", self.path, len(pending))
            self._lost_ground = False
        return new

    def wrote(self, items: Sequence[_Change]) -> None:
        self._answer(items, self._new)

    def failed(self, items: Sequence[_Change]) -> Sequence[_Change]:
        """Tell the senders to try again, and keep verdicts for another attempt."""
        self._answer(items, None)
        return [change for change in items if change.done is None]

    def _answer(self, changes: Sequence[_Change], new: Optional[list[bool]]) -> None:
        additions = [change for change in changes if change.done is not None]
        if additions and additions[0].done is not None:
            with suppress(RuntimeError):  # the loop is closed
                additions[0].done.get_loop().call_soon_threadsafe(self._settle, additions, new)

    def _settle(self, additions: Sequence[_Change], new: Optional[list[bool]]) -> None:
        for number, (_statement, (event_id, *_more), done) in enumerate(additions):
            if self._known.get(event_id) is done:
                self._known[event_id] = None
                if new is None:
                    del self._known[event_id]
            if done is None or done.done():
                continue
            if new is None:
                done.set_exception(NotRecorded("The event could not be recorded."))
                done.exception()  # otherwise asyncio complains if nobody waits for it any more
            else:
                done.set_result(new[number])

    def _look_at_the_ground(self) -> None:
        """Make sure that the open file is the one that will be found again; otherwise close it, and raise."""
        if self._ground.is_ours():
            return
        if not self._lost_ground:
            LOG.error("%s was removed, replaced or truncated. Nothing is acknowledged until there is a new one.", self.path)
        self._lost_ground = True
        self._ground.release()
        raise StateUnusable(f"{self.path} was removed, replaced or truncated.")

    def tidy(self) -> float:
        """Remove old events, some at a time."""
        self._look_at_the_ground()
        with suppress(sqlite3.Error):
            values = (time.time() - self._keep, MOST_FINISHED, PRUNE_STEP)
            if self._ground.database.execute(PRUNE, values).rowcount >= PRUNE_STEP:
                return 0.0
        return PRUNE_PAUSE


def _text(verdict: Mapping[str, Any]) -> str:
    return json.dumps(verdict, separators=(",", ":"), default=str)
