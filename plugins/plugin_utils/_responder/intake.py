# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The durable record of accepted events: what was acknowledged is acted on, also after a crash.

One thread owns the database. Everything that waits is committed together (SQLite in WAL mode, synchronous=FULL: a commit is on the
disk when it returns), so many events cost one flush of the disk.
"""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import os
import sqlite3
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Optional

from ...module_utils._core.errors import IntrusionResponseError

LOG = logging.getLogger("intrusion.response")

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    received REAL NOT NULL,
    post TEXT,
    verdict TEXT,
    finished REAL
);
CREATE TABLE IF NOT EXISTS instance (name TEXT NOT NULL);
INSERT INTO instance SELECT lower(hex(randomblob(2))) WHERE NOT EXISTS (SELECT 1 FROM instance);
CREATE INDEX IF NOT EXISTS events_pending ON events (seq) WHERE finished IS NULL;
CREATE INDEX IF NOT EXISTS events_finished ON events (finished) WHERE finished IS NOT NULL;
"""
#: Most finished events that are remembered, whatever their age.
MOST_FINISHED = 200_000
#: Rows that one step of tidying up removes, so that no commit waits long for it.
PRUNE_STEP = 500
PRUNE_PAUSE = 5.0
#: Seconds for which a verdict may wait for others, or for the next event, to be committed with.
VERDICT_PAUSE = 0.05
#: Seconds until verdicts are tried again that could not be committed, and how many of them are kept at most.
RETRY_PAUSE = 1.0
MOST_VERDICTS = 50_000
NOT_REPLACED = "It may hold events that were acknowledged, so it is never replaced. Repair it, or move it away yourself to start afresh."
NOT_OURS = "state_dir must be a directory that the user of this process can write to."


class StateInUse(IntrusionResponseError):
    """Another process works with this state."""

    code = "state_in_use"


class StateUnusable(IntrusionResponseError):
    """The state cannot be read or written; starting without it could lose events that were acknowledged."""

    code = "state_unusable"


class NotRecorded(Exception):
    """The event is not on the disk, so its sender has to try again."""


@dataclass(frozen=True)
class Stored:
    """An accepted event as it was recorded; received is an epoch time in seconds."""

    id: str
    received: float
    post: dict[str, Any]


@dataclass(frozen=True)
class _Addition:
    row: tuple[str, float, str]
    done: Future[bool]


class Intake:
    """Accepted events and their verdicts.

    Args:
        path: file of the database; its directory is made with mode 0700 where it is missing, the file has mode 0600.
        keep: seconds for which finished events are remembered (their ids and verdicts, not the posts).

    Raises:
        StateInUse: another process has it.
        StateUnusable: the file is damaged, of a newer release, or not ours to write.
    """

    def __init__(self, path: str, keep: float) -> None:
        self.path = path
        self._keep = keep
        self._wake = threading.Condition()
        self._additions: list[_Addition] = []
        self._verdicts: OrderedDict[str, str] = OrderedDict()
        self._verdicts_due = 0.0
        self._closing = False
        self._healthy = True
        self._next_prune = 0.0
        self._lock = _prepare(path)
        try:
            self._database = _open(path)
        except BaseException:
            os.close(self._lock)
            raise
        self._thread = threading.Thread(target=self._work, name="intake", daemon=True)
        self._thread.start()

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    @property
    def healthy(self) -> bool:
        """Whether the last commit succeeded."""
        return self._healthy

    @functools.cached_property
    def instance(self) -> str:
        """What tells those who write on behalf of these events from others: four random digits, always the same."""
        return str(self._read("SELECT name FROM instance")[0][0])

    def pending(self) -> list[Stored]:
        """Return the accepted events without a verdict, oldest first."""
        rows = self._read("SELECT id, received, post FROM events WHERE finished IS NULL ORDER BY seq")
        try:
            return [Stored(id_, received, json.loads(post)) for id_, received, post in rows]
        except (TypeError, ValueError):
            raise _unusable(self.path, "it holds an event that is not readable") from None

    def recent(self, count: int) -> list[str]:
        """Return the ids of the newest events, oldest of them first."""
        rows = self._read("SELECT id FROM events ORDER BY seq DESC LIMIT ?", (count,))
        return [row[0] for row in reversed(rows)]

    def add(self, id: str, received: float, post: Mapping[str, Any]) -> Future[bool]:
        """Record an event; the future resolves when it is on the disk.

        Returns:
            A future of True for a new event, of False for one that was there, or with NotRecorded.
        """
        done: Future[bool] = Future()
        done.set_running_or_notify_cancel()  # whoever waits for it may give up, the record is made all the same
        try:
            addition = _Addition((id, received, _json(post)), done)
        except (TypeError, ValueError, RecursionError):
            done.set_exception(NotRecorded("The event is not plain data."))
            return done
        with self._wake:
            if self._closing:
                done.set_exception(NotRecorded("The intake is closed."))
            else:
                self._additions.append(addition)
                self._wake.notify()
        return done

    def finish(self, id: str, verdict: Mapping[str, Any]) -> None:
        """Record that an event is settled, with the next commit that succeeds.

        An event whose verdict is lost is acted on again after a restart, which changes nothing on the firewalls.
        """
        text = _json(verdict)
        with self._wake:
            if not self._verdicts:
                self._verdicts_due = time.monotonic() + VERDICT_PAUSE
            self._verdicts[id] = text
            while len(self._verdicts) > MOST_VERDICTS:
                self._verdicts.popitem(last=False)
            self._wake.notify()

    def close(self) -> None:
        """Commit what waits, and let go of the state."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify()
        self._thread.join()
        os.close(self._lock)

    def _read(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(self.path, timeout=10)) as database:
                return database.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise _unusable(self.path, str(error)) from None

    def _work(self) -> None:
        closing_down = False
        while not closing_down:
            with self._wake:
                while not (self._additions or self._closing or self._pause() <= 0):
                    self._wake.wait(self._pause())
                closing_down = self._closing
                additions, self._additions = self._additions, []
                verdicts, self._verdicts = self._verdicts, OrderedDict()
            if additions or verdicts:
                self._commit(additions, verdicts)
            if time.monotonic() >= self._next_prune and not closing_down:
                self._prune()
        with suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def _pause(self) -> float:
        due = min(self._verdicts_due, self._next_prune) if self._verdicts else self._next_prune
        return due - time.monotonic()

    def _commit(self, additions: list[_Addition], verdicts: OrderedDict[str, str]) -> None:
        try:
            new = self._write(additions, verdicts)
        except Exception as error:  # whatever it is, the thread must live on
            with suppress(sqlite3.Error):
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
            if self._healthy:
                LOG.error("Events cannot be recorded in %s: %s. Their senders are told to try again.", self.path, error)
            self._healthy = False
            for addition in additions:
                addition.done.set_exception(NotRecorded("The event could not be recorded."))
            with self._wake:
                verdicts.update(self._verdicts)
                self._verdicts = verdicts
                self._verdicts_due = time.monotonic() + RETRY_PAUSE
            return
        if not self._healthy:
            LOG.warning("Events can be recorded in %s again.", self.path)
        self._healthy = True
        for addition, is_new in zip(additions, new):
            addition.done.set_result(is_new)

    def _write(self, additions: list[_Addition], verdicts: Mapping[str, str]) -> list[bool]:
        new = []
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        for addition in additions:
            new.append(execute("INSERT OR IGNORE INTO events (id, received, post) VALUES (?, ?, ?)", addition.row).rowcount == 1)
        now = time.time()
        self._database.executemany(
            "UPDATE events SET verdict = ?, finished = ?, post = NULL WHERE id = ?",
            ((verdict, now, id_) for id_, verdict in verdicts.items()),
        )
        execute("COMMIT")
        return new

    def _prune(self) -> None:
        self._next_prune = time.monotonic() + PRUNE_PAUSE
        with suppress(sqlite3.Error):
            removed = self._database.execute(
                "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE finished < ?"
                " UNION ALL SELECT seq FROM events WHERE finished IS NOT NULL AND seq <= (SELECT max(seq) FROM events) - ? LIMIT ?)",
                (time.time() - self._keep, MOST_FINISHED, PRUNE_STEP),
            ).rowcount
            if removed >= PRUNE_STEP:
                self._next_prune = 0.0


def _prepare(path: str) -> int:
    """Make the directory, lock it against other processes, make the file; return the lock's descriptor."""
    directory = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if os.stat(directory).st_mode & stat.S_IWOTH:
            raise _unusable(directory, "everybody can write to this directory", "Take that right away from others (chmod o-w).")
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(directory, error.strerror or "no access", NOT_OURS) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        database = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(database, 0o600)
        os.close(database)
        _sync_directory(directory)
    except BlockingIOError:
        os.close(lock)
        raise StateInUse(f"{directory} is used by another process.", hint="Give each responder a state_dir of its own.") from None
    except OSError as error:
        os.close(lock)
        raise _unusable(path, error.strerror or "no access", NOT_OURS) from None
    return lock


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: str) -> sqlite3.Connection:
    database: Optional[sqlite3.Connection] = None
    try:
        database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise _unusable(path, f"it was written by a newer release (its schema is {version}, this one's {SCHEMA_VERSION})")
        if version < SCHEMA_VERSION:
            database.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
        database.execute("SELECT id, received, post, verdict, name FROM events, instance WHERE finished IS NULL LIMIT 1").fetchall()
    except (sqlite3.Error, StateUnusable) as error:
        if database is not None:
            database.close()
        raise error if isinstance(error, StateUnusable) else _unusable(path, str(error)) from None
    return database


def _unusable(path: str, reason: str, hint: str = NOT_REPLACED) -> StateUnusable:
    return StateUnusable(f"{path} cannot be used: {reason}.", hint=hint)


def _json(value: Mapping[str, Any]) -> str:
    """Return JSON in ASCII, since a lone surrogate that came escaped could not be stored as UTF-8."""
    return json.dumps(value, separators=(",", ":"), default=str)
