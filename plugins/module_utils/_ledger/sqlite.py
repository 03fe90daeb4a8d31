# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of the ledger: its schema, how it is made and opened, and what is asked of it."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing, suppress
from pathlib import Path

try:
    import sqlite3
except ImportError:  # Python can be built without it
    sqlite3 = None  # type: ignore[assignment]
    TROUBLE: tuple[type[Exception], ...] = (OSError, ValueError)
else:
    TROUBLE = (sqlite3.Error, OSError, ValueError)

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

_COLUMNS = (
    "at, action, outcome, address, service, firewall, ttl, rule_name, description, code, origin, user, job, event, event_rule, overridden,"
    " write"
)
_WANTED = (
    "(:event IS NULL OR event = :event)"
    " AND (:rule_name IS NULL OR lower(:rule_name) IN (lower(rule_name), lower(event_rule))"
    " OR lower(rule_name) GLOB lower(:rule_name) OR lower(event_rule) GLOB lower(:rule_name))"
    " AND (:addresses = '' OR instr(:addresses, ' ' || address || ' '))"
    " AND (:firewall IS NULL OR firewall = :firewall)"
    " AND (:since IS NULL OR at >= :since)"
    " AND (:until IS NULL OR at < :until)"
    " AND (:actions = '' OR instr(:actions, ' ' || action || ' '))"
    " AND (:origin IS NULL OR origin = :origin)"
)
#: Not superseded by a later record of the same write.
_FINAL = "NOT EXISTS (SELECT 1 FROM records AS later WHERE later.write = records.write AND later.id > records.id)"
#: Entries with a block that has not expired, whether or not it was taken back.
_LIVE = "SELECT firewall, address, service FROM records WHERE action <> 'unblock' AND outcome <> 'failed' AND"


def _join(*parts: str) -> str:
    return " ".join(parts)


INSERT = _join("INSERT INTO records (", _COLUMNS, ", ends) VALUES (", ", ".join("?" * (_COLUMNS.count(",") + 2)), ")")
FIND = _join("SELECT", _COLUMNS, ", id FROM records WHERE", _WANTED, "AND", _FINAL, "ORDER BY at DESC, id DESC LIMIT :limit")
COUNT = _join("SELECT count(*) FROM records WHERE", _WANTED, "AND", _FINAL)
#: All records of the entries that may stand, with whether each is wanted.
LIVES = _join(
    "SELECT", _COLUMNS, ", id, coalesce(", _WANTED, ", 0) FROM records WHERE", _FINAL, "AND (firewall, address, service) IN (",
    _LIVE, "(ends IS NULL OR ends > :now) ) ORDER BY id",  # the clock may have been set back in between
)  # fmt: skip
EVENTS = "SELECT DISTINCT event FROM records WHERE substr(event, 1, length(:beginning)) = :beginning ORDER BY event LIMIT :most"
OFFENCES = _join(
    "SELECT", _COLUMNS, "FROM records WHERE address = ? AND at >= ? AND action IN ('block', 'unblock') AND", _FINAL, "ORDER BY at, id"
)  # fmt: skip
APPLIED = "SELECT max(applied) FROM retention"
RETAIN = "UPDATE retention SET horizon = ?, applied = ?"
POSTPONE = "UPDATE retention SET applied = ?"
#: An old block that has time left stays, and with it what tells whether it was taken back.
FORGET = _join(
    "DELETE FROM records WHERE at < :horizon AND (firewall, address, service) NOT IN (", _LIVE, "ends > :now AND at < :horizon )"
)


def is_there(path: str) -> bool:
    """Return whether there is a file; raises OSError where that cannot be told."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def create(path: str) -> None:
    """Make an empty ledger, complete at the moment when it is there; another process may be quicker.

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
    """Open a ledger that is there.

    Raises:
        ValueError, OSError, sqlite3.Error: one of TROUBLE; it is none, is not to be trusted, or cannot be opened.
    """
    _need_sqlite()
    if os.geteuid() not in (0, os.stat(path).st_uid):
        raise ValueError("it belongs to another user")
    mode = "rw"
    if read_only:
        # Write-ahead mode needs files beside the ledger. On a read-only disk they cannot be made, and nobody needs them.
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
            raise ValueError(f"{age} release of intrusion.response made it (format {version}, this release knows {FORMAT})")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def wait(connection: sqlite3.Connection, seconds: float) -> None:
    """Let a connection wait so long for other writers."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def reason(error: Exception) -> str:
    """Return what to tell the user of one of TROUBLE."""
    if isinstance(error, OSError):
        return error.strerror or "it cannot be used"
    return str(error)


def _need_sqlite() -> None:
    if sqlite3 is None:
        raise ValueError("this Python has no module sqlite3")
