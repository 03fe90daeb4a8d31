# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the inbox: created, locked, and checked for being replaced.

SQLite in WAL mode with synchronous=FULL: a commit is on disk when it returns.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from contextlib import suppress
from typing import Optional

from ...module_utils._core.errors import IntrusionResponseError

SCHEMA_VERSION = 3
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received REAL NOT NULL, event TEXT, verdict TEXT, finished REAL
);
CREATE TABLE IF NOT EXISTS instance (name TEXT NOT NULL);
INSERT INTO instance SELECT lower(hex(randomblob(2))) WHERE NOT EXISTS (SELECT 1 FROM instance);
CREATE INDEX IF NOT EXISTS events_pending ON events (seq) WHERE finished IS NULL;
CREATE INDEX IF NOT EXISTS events_finished ON events (finished) WHERE finished IS NOT NULL;
"""
NOT_REPLACED = "It may contain acknowledged events, so it is never replaced. Repair it, or move it away to start afresh."
NOT_OURS = "state_dir must be a directory that the user of this process can write to."
#: Offset of the application id in SQLite's header (fileformat2, 1.3), which reveals an overwritten file.
OUR_NUMBER = slice(68, 72)
HEADER = 100


class StateInUse(IntrusionResponseError):
    """Another process uses this state."""

    code = "state_in_use"


class StateUnusable(IntrusionResponseError):
    """The state cannot be read or written; starting without it could lose acknowledged events."""

    code = "state_unusable"


class Ground:
    """The open database.

    Args:
        path: its file, created with mode 0600; a missing directory is created with mode 0700.

    Raises:
        StateInUse: another process uses it.
        StateUnusable: it is damaged, of another release, or not ours to write.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock, self._file = _prepare(path)
        try:
            self.database = _database(path)
            self._number = os.pread(self._file, HEADER, 0)[OUR_NUMBER]
            self._journal = os.stat(f"{path}-wal")
            self._size = os.fstat(self._file).st_size
        except BaseException:
            self.release()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._file >= 0

    def is_ours(self) -> bool:
        """Return whether the files at these paths are still those that are open here, and not truncated or overwritten."""
        try:
            file, lock, journal = (os.stat(f"{self._path}{suffix}") for suffix in ("", ".lock", "-wal"))
            same = os.path.samestat
            are_these = same(file, os.fstat(self._file)) and same(lock, os.fstat(self._lock)) and same(journal, self._journal)
            is_whole = journal.st_size > 0 and file.st_size >= self._size and self._number == os.pread(self._file, HEADER, 0)[OUR_NUMBER]
        except OSError:
            return False
        self._size = file.st_size  # it never shrinks by itself
        return are_these and is_whole

    def release(self) -> None:
        """Close everything; closing any descriptor of the file releases SQLite's locks, so ours is closed last."""
        with suppress(AttributeError, sqlite3.Error):
            self.database.close()
        for descriptor in (self._file, self._lock):
            with suppress(OSError):
                os.close(descriptor)
        self._file = self._lock = -1


def _prepare(path: str) -> tuple[int, int]:
    """Create the directory, lock it against other processes, and create the file; return the descriptors of the lock and of the file."""
    where = directory = os.path.dirname(os.path.abspath(path))
    lock = -1
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if os.stat(directory).st_mode & stat.S_IWOTH:
            raise _unusable(directory, "everybody can write to this directory", "Remove that permission (chmod o-w).")
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        where = path
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(file, 0o600)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        if isinstance(error, BlockingIOError):
            raise StateInUse(f"{directory} is used by another process.", hint="Give each responder its own state_dir.") from None
        raise _unusable(where, error.strerror or "no access", NOT_OURS) from None
    return lock, file


def _database(path: str) -> sqlite3.Connection:
    """Open the database, and create its tables if it is new; a file that is not ours is left unchanged."""
    database: Optional[sqlite3.Connection] = None
    try:
        database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise _unusable(path, f"it was written by another release (its schema is {version}, this one's {SCHEMA_VERSION})")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        number = int.from_bytes(os.urandom(3), "big") + 1
        if not version:
            version = f"PRAGMA application_id = {number};PRAGMA user_version = {SCHEMA_VERSION};"
            database.executescript(f"BEGIN IMMEDIATE;{SCHEMA}{version}COMMIT;")
        database.execute("SELECT id, received, event, verdict, name FROM events, instance WHERE finished IS NULL LIMIT 1").fetchall()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")  # a write, after which the -wal file exists permanently
    except (sqlite3.Error, StateUnusable) as error:
        if database is not None:
            database.close()
        raise error if isinstance(error, StateUnusable) else _unusable(path, str(error)) from None
    return database


def _unusable(path: str, reason: str, hint: str = NOT_REPLACED) -> StateUnusable:
    return StateUnusable(f"{path} cannot be used: {reason}.", hint=hint)
