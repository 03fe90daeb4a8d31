# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger in an append-only SQLite file: its schema, how it is made and opened, written and read."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import sql
from .row import Row, StoreTrouble

try:
    import sqlite3
except ImportError:  # Python can be built without it
    sqlite3 = None  # type: ignore[assignment]
    TROUBLE: tuple[type[Exception], ...] = (OSError, ValueError)
else:
    TROUBLE = (sqlite3.Error, OSError, ValueError)

#: How many addresses one question is about; older releases of SQLite allow 999 values.
AT_ONCE = 500
FORMAT = 2
APPLICATION_ID = 0x49524C31
SCHEMA = """
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('block', 'renew', 'update', 'unblock')),
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'failed', 'unknown')),
    address TEXT NOT NULL,
    service TEXT NOT NULL,
    firewall TEXT NOT NULL,
    ttl INTEGER,
    rule_name TEXT NOT NULL,
    description TEXT NOT NULL,
    code TEXT,
    origin TEXT NOT NULL,
    user TEXT,
    job TEXT,
    event TEXT,
    event_rule TEXT,
    overridden TEXT,
    write TEXT,
    ends REAL
);
CREATE INDEX records_of_an_address ON records (address, at);
CREATE INDEX records_of_an_entry ON records (firewall, address, service);
CREATE INDEX records_by_time ON records (at);
CREATE INDEX records_of_a_write ON records (write, id) WHERE write IS NOT NULL;
CREATE INDEX records_by_end ON records (ends) WHERE action <> 'unblock' AND outcome <> 'failed';
CREATE TABLE retention (horizon REAL NOT NULL, applied REAL NOT NULL);
INSERT INTO retention VALUES (0, 0);
CREATE TRIGGER records_are_final BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER records_are_not_replaced BEFORE INSERT ON records WHEN EXISTS (SELECT 1 FROM records WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER records_are_kept BEFORE DELETE ON records WHEN OLD.at >= (SELECT max(horizon) FROM retention)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""

INSERT = sql.join("INSERT INTO records (", sql.COLUMNS, ", ends) VALUES (", ", ".join("?" * (len(sql.NAMES) + 1)), ")")


def _among(column: str, name: str, texts: Sequence[str]) -> tuple[str, str]:
    return f"instr(:{name}, ' ' || {column} || ' ')", f" {' '.join(texts)} "  # how many values there may be is bounded


def _rule(pattern: str) -> tuple[str, sql.Values]:
    condition = (
        "(lower(:rule) IN (lower(rule_name), lower(event_rule))"
        " OR lower(rule_name) GLOB lower(:rule) OR lower(event_rule) GLOB lower(:rule))"
    )
    return condition, {"rule": pattern}


DIALECT = sql.Dialect("id", _among, _rule, "substr(event, 1, length(:beginning)) = :beginning")


class SqliteStore:
    """Records in a file of one machine, shared by all processes of its owner.

    Nothing is opened before it is needed. Every thread has a connection of its own, kept until close.

    Attributes:
        patience: seconds to wait for other writers, each time; may be changed.
    """

    dialect = DIALECT

    def __init__(self, path: str, patience: float) -> None:
        self.path = path
        self.patience = patience
        self._thread = threading.local()
        self._connections: list[sqlite3.Connection] = []

    def is_there(self) -> bool:
        """Return whether the file exists; raises StoreTrouble if that cannot be determined."""
        with _trouble():
            return is_there(self.path)

    def add(self, rows: Sequence[Row], keep: int) -> None:
        """Add records, all or none, and remove those older than keep days (0 for never); raises StoreTrouble."""
        try:
            with _trouble():
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, [row.values for row in rows])
                if keep:
                    sql.retain(functools.partial(_execute, connection), keep, time.time())
                connection.execute("COMMIT")
        except StoreTrouble:
            self._drop()
            raise

    def past(self, addresses: Sequence[str], since: float) -> list[Any]:
        """Return the result of sql.past for these addresses, those of each in order of time; raises StoreTrouble."""
        found: list[Any] = []
        try:
            with _trouble():
                for first in range(0, len(addresses) if is_there(self.path) else 0, AT_ONCE):
                    values = {f"address{number}": address for number, address in enumerate(addresses[first : first + AT_ONCE])}
                    text = sql.past(f"address IN ({', '.join(f':{name}' for name in values)})")
                    found += self._connection().execute(text, {**values, "since": since}).fetchall()
            return found
        except StoreTrouble:
            self._drop()
            raise

    def read(self, text: str, values: Mapping[str, Any]) -> list[Any]:
        """Return the result of a query; a ledger that does not exist has no records. Raises StoreTrouble."""
        with _trouble():
            if not is_there(self.path):
                return []
            with closing(open_file(self.path, read_only=True)) as connection:
                return connection.execute(text, values).fetchall()

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            with suppress(*TROUBLE):
                self._connections.pop().close()
        self._thread = threading.local()

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection to the current file, which is created if it does not exist."""
        if not is_there(self.path):
            create(self.path)
        status = os.stat(self.path)
        file = (status.st_dev, status.st_ino)
        if getattr(self._thread, "file", None) != file:
            self._drop()
            self._thread.connection = connection = open_file(self.path, read_only=False)
            self._thread.file = file
            self._connections.append(connection)
        opened: sqlite3.Connection = self._thread.connection
        wait(opened, self.patience)
        return opened

    def _drop(self) -> None:
        """Discard this thread's connection, and with it an open transaction."""
        connection = getattr(self._thread, "connection", None)
        self._thread.connection = self._thread.file = None
        if connection is not None:
            with suppress(ValueError):
                self._connections.remove(connection)
            with suppress(*TROUBLE):
                connection.close()


def _execute(connection: sqlite3.Connection, text: str, values: Mapping[str, Any]) -> tuple[list[Any], int]:
    cursor = connection.execute(text, values)
    return cursor.fetchall(), cursor.rowcount


@contextmanager
def _trouble() -> Iterator[None]:
    try:
        yield
    except TROUBLE as error:
        raise StoreTrouble(_reason(error)) from None


def is_there(path: str) -> bool:
    """Return whether the file exists; raises OSError if that cannot be determined."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def create(path: str) -> None:
    """Create an empty ledger atomically; another process may be quicker.

    Raises:
        ValueError, OSError, sqlite3.Error: one of TROUBLE, as for open_file.
    """
    _need_sqlite()
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if os.stat(directory).st_uid not in (os.geteuid(), 0):
        raise ValueError("its directory belongs to another user")
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".new-")  # mode 0600
    os.close(descriptor)
    try:
        with closing(sqlite3.connect(temporary)) as connection:
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;")
            connection.execute("PRAGMA journal_mode = WAL")
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(temporary + suffix)


def open_file(path: str, *, read_only: bool) -> sqlite3.Connection:
    """Open an existing ledger.

    Raises:
        ValueError, OSError, sqlite3.Error: one of TROUBLE; the file is not a ledger, is not trusted, or cannot be opened.
    """
    _need_sqlite()
    if os.geteuid() not in (0, os.stat(path).st_uid):
        raise ValueError("it belongs to another user")
    mode = "rw"
    if read_only:
        # Write-ahead mode needs files beside the ledger. On a read-only disk they cannot be created, and are not needed.
        needs_none = not os.path.exists(f"{path}-wal") and not os.access(os.path.dirname(path), os.W_OK)
        mode = "ro&immutable=1" if needs_none else "ro"
    address = f"{Path(path).as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        ((application,),) = connection.execute("PRAGMA application_id").fetchall()
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        if application != APPLICATION_ID:
            raise ValueError("it is not a ledger")
        if version != FORMAT:
            age = "a newer" if version > FORMAT else "an older"
            raise ValueError(f"{age} release of intrusion.response created it (format {version}, this release knows {FORMAT})")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def wait(connection: sqlite3.Connection, seconds: float) -> None:
    """Let a connection wait that many seconds for other writers."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be used"
    return str(error)


def _need_sqlite() -> None:
    if sqlite3 is None:
        raise ValueError("this Python lacks the module sqlite3")
