# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger in a PostgreSQL database, which any number of machines share.

Separate threads talk to the database, so that nobody waits longer than intended for name resolution, a silent host or a stopped server.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from .._core.redact import Redactor, url_passwords
from .._core.text import clean
from . import sql
from .row import Row, StoreTrouble
from .schema import FORMAT, MIGRATING, MIGRATIONS, NAME, RETAINING

if TYPE_CHECKING:
    import psycopg

Found = TypeVar("Found")

#: Seconds for a connection, for the answer to a query, and for which a database that did not answer is left alone.
CONNECTING, READING, PAUSE = 10, 60.0, 1.0
#: A silent connection is given up after about ten seconds.
KEPT_ALIVE = {"keepalives": 1, "keepalives_idle": 4, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
#: Seconds between two removals of old records.
RETAINED = 3600.0
LONGEST_REASON = 200
TYPES = {"at": "float8", "ttl": "int8"}
_FOLD = str.maketrans({chr(number): chr(number + 32) for number in range(ord("A"), ord("Z") + 1)})


def _among(column: str, name: str, texts: Sequence[str]) -> tuple[str, list[str]]:
    return f"{column} = ANY(:{name})", list(texts)


def _rule(pattern: str) -> tuple[str, sql.Values]:
    folded = pattern.translate(_FOLD)
    same, like = (f"coalesce(lower(rule_name) {how}, FALSE) OR coalesce(lower(event_rule) {how}, FALSE)" for how in ("= :rule", "~ :like"))
    expression = regular_expression(folded)
    return f"({same} OR {like})" if expression else f"({same})", {"rule": folded, **({"like": expression} if expression else {})}


def regular_expression(pattern: str) -> Optional[str]:
    """Return a pattern with the wildcards *, ? and [...] as PostgreSQL's regular expression; None if it matches nothing."""
    parts, at = [], 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "[":
            inverted = pattern.startswith("^", at)
            end = pattern.find("]", at + inverted + 1)
            if end < 0:
                return None
            parts.append(f"[{'^' if inverted else ''}{_members(pattern[at + inverted : end])}]")
            at = end + 1
        else:
            parts.append({"*": ".*", "?": "."}.get(letter) or _escaped(letter))
    return f"^(?:{''.join(parts)})$"


def _members(text: str) -> str:
    found, at = [_escaped(text[0])], 1
    while at < len(text):
        if text[at] == "-" and at + 1 < len(text):
            first, last = text[at - 1], text[at + 1]
            found.append(f"{_escaped(first)}-{_escaped(last)}" if first <= last else _escaped(first))
            at += 2
        else:
            found.append(_escaped(text[at]))
            at += 1
    return "".join(found)


def _escaped(letter: str) -> str:
    return letter if letter.isalnum() or ord(letter) > 127 else f"\\{letter}"


DIALECT = sql.Dialect("arrived, id", _among, _rule, "event ^@ :beginning")

INSERT = sql.join(
    "INSERT INTO records (key, arrived,", sql.COLUMNS, ", ends)",
    "SELECT key, coalesce(arrived, extract(epoch FROM clock_timestamp()) - %(waited)s),", sql.COLUMNS, ", ends FROM unnest(",
    ", ".join(["%(key)s::uuid[]", "%(arrived)s::float8[]", *(f"%({name})s::{TYPES.get(name, 'text')}[]" for name in sql.NAMES),
               "%(ends)s::float8[]"]),
    ") WITH ORDINALITY AS given (key, arrived,", sql.COLUMNS, ", ends, number) ORDER BY number ON CONFLICT (key) DO NOTHING",
)  # fmt: skip


@functools.lru_cache(maxsize=256)
def named(text: str) -> str:
    """Return a statement with its values named as the driver expects."""
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", text.replace("%", "%%"))


class PostgresqlStore:
    """Records in a database. Every thread has a connection of its own, kept until close.

    Args:
        url: of the database, which may contain a password.
        patience: seconds that each write may take; may be changed.
    """

    dialect = DIALECT

    def __init__(self, url: str, patience: float) -> None:
        self.patience = patience
        self._url = url
        self._redact = Redactor(url_passwords([url]))
        self.reading = min(READING, 3 * patience)
        self._thread = threading.local()
        self._speakers: list[_Speaker] = []
        self._down: tuple[float, str] = (-float("inf"), "")
        self._retained_at = -float("inf")

    def is_there(self) -> bool:
        """Return whether the database has a ledger; raises StoreTrouble."""
        return self._speak(lambda connection: _format(connection) > 0, self.reading, prepare=False)

    def add(self, rows: Sequence[Row], keep: int, waited: float = 0.0, arrived: Sequence[Optional[float]] = ()) -> int:
        """Add the rows that do not exist yet, all or none, and remove those older than keep days (0 for never).

        Returns how many were added.

        Args:
            waited: seconds for which they have waited.
            arrived: when each arrived, if known, in seconds since the epoch by the database's clock.

        Raises:
            StoreTrouble: the rows may have been added, and can be added again.
        """
        until, reason = self._down
        if time.monotonic() < until:
            raise StoreTrouble(reason)
        columns = dict(zip((*sql.NAMES, "ends"), map(list, zip(*(row.values for row in rows)))))
        keys = [row.key for row in rows]
        values = {**columns, "key": keys, "waited": waited, "arrived": list(arrived) or [None] * len(rows)}

        def work(connection: psycopg.Connection[Any]) -> int:
            return connection.execute(INSERT, values).rowcount

        try:
            added = self._speak(work, self.patience)
        except StoreTrouble as error:
            self._down = (time.monotonic() + PAUSE, str(error))
            raise
        if keep and time.monotonic() - self._retained_at > RETAINED:
            self._retained_at = time.monotonic()
            with suppress(StoreTrouble):  # the next one will remove them
                self._speak(functools.partial(_retain, keep=keep), self.patience)
        return added

    def past(self, addresses: Sequence[str], since: float) -> list[Any]:
        """Return the result of sql.past for these addresses; raises StoreTrouble."""
        until, reason = self._down
        if time.monotonic() < until:
            raise StoreTrouble(reason)
        return self._ask(sql.past("address = ANY(:addresses)"), {"addresses": list(addresses), "since": since}, self.patience)

    def read(self, text: str, values: Mapping[str, Any]) -> list[Any]:
        """Return the result of a query; a ledger that does not exist has no records. Raises StoreTrouble."""
        return self._ask(text, values, self.reading)

    def close(self) -> None:
        """Close all connections."""
        while self._speakers:
            self._speakers.pop().close()
        self._thread = threading.local()

    def connect(self) -> psycopg.Connection[Any]:
        """Return a new connection; raises StoreTrouble, or what the driver raises."""
        try:
            import psycopg  # only here, since few need it
        except ImportError:
            raise StoreTrouble("it requires the Python package psycopg, 3.1 or newer") from None
        more = {"connect_timeout": CONNECTING, "client_encoding": "UTF8", "fallback_application_name": "intrusion.response", **KEPT_ALIVE}
        given = psycopg.conninfo.conninfo_to_dict(self._url)
        more = {name: value for name, value in more.items() if name not in given}
        connection: psycopg.Connection[Any] = psycopg.connect(self._url, autocommit=True, prepare_threshold=None, **more)  # type: ignore[arg-type]
        connection.execute(f"SET search_path = {NAME}, pg_catalog")
        return connection

    def open(self) -> psycopg.Connection[Any]:
        """Return a new connection to a ledger that exists and is up to date; raises StoreTrouble."""
        try:
            connection = self.connect()
            _prepare(connection)
        except StoreTrouble:
            raise
        except Exception as error:
            raise StoreTrouble(self.reason(error)) from None
        return connection

    def reason(self, error: Any) -> str:
        """Return the text to show for an error of the driver or the server."""
        primary = getattr(getattr(error, "diag", None), "message_primary", None)
        text = primary or str(error).partition("\n")[0] or type(error).__name__
        return clean(self._redact(text), LONGEST_REASON).rstrip(".")

    def _ask(self, text: str, values: Mapping[str, Any], seconds: float) -> list[Any]:
        def work(connection: psycopg.Connection[Any]) -> list[Any]:
            return connection.execute(named(text), values).fetchall() if _format(connection) else []

        return self._speak(work, seconds, prepare=False)

    def _speak(self, work: Callable[[psycopg.Connection[Any]], Found], seconds: float, prepare: bool = True) -> Found:
        """Run work in a transaction and return its result; raises StoreTrouble.

        Args:
            prepare: whether to create or upgrade the ledger if necessary.
        """
        speaker = getattr(self._thread, "speaker", None)
        if speaker is None:
            speaker = self._thread.speaker = _Speaker(self)
            self._speakers.append(speaker)
        return speaker.speak(work, seconds, prepare)


class _Speaker:
    """A thread with a connection, which works for one other thread. If that stops waiting, the work continues."""

    def __init__(self, store: PostgresqlStore) -> None:
        self._store = store
        self._tasks: SimpleQueue[Optional[Callable[[], None]]] = SimpleQueue()
        self._busy: Optional[Future[Any]] = None
        self._connection: Optional[psycopg.Connection[Any]] = None
        self._is_prepared = False
        self._thread: Optional[threading.Thread] = None

    def speak(self, work: Callable[[Any], Found], seconds: float, prepare: bool) -> Found:
        if self._busy is not None and not self._busy.done():
            raise StoreTrouble("it has not answered yet")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger database", daemon=True)
            self._thread.start()
        future: Future[Found] = Future()
        self._busy = future
        self._tasks.put(lambda: self._settle(future, work, prepare))
        try:
            return future.result(seconds)
        except NoAnswer:
            raise StoreTrouble(f"it did not answer within {seconds:.3g} s") from None

    def close(self) -> None:
        self._tasks.put(None)
        if self._thread is not None and (self._busy is None or self._busy.done()):
            self._thread.join()

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                self._drop()
                return
            task()

    def _settle(self, future: Future[Found], work: Callable[[Any], Found], prepare: bool) -> None:
        try:
            future.set_result(self._work(work, prepare))
        except StoreTrouble as error:
            future.set_exception(error)
        except BaseException as error:
            future.set_exception(StoreTrouble(f"an unexpected failure ({type(error).__name__})"))

    def _work(self, work: Callable[[Any], Found], prepare: bool) -> Found:
        while True:
            was_open = self._connection is not None
            try:
                if self._connection is None:
                    self._connection = self._store.connect()
                if prepare and not self._is_prepared:
                    _prepare(self._connection)
                    self._is_prepared = True
                with self._connection.transaction():
                    return work(self._connection)
            except StoreTrouble:
                self._drop()
                raise
            except Exception as error:
                is_lost = was_open and self._connection is not None and self._connection.broken
                self._drop()
                if not is_lost:  # an old connection may have been lost long ago: try a new one
                    raise StoreTrouble(self._store.reason(error)) from None

    def _drop(self) -> None:
        connection, self._connection, self._is_prepared = self._connection, None, False
        if connection is not None:
            with suppress(Exception):
                connection.close()


def _format(connection: psycopg.Connection[Any]) -> int:
    """Return the format of the existing ledger, 0 for none; raises StoreTrouble for a newer one."""
    ((there,),) = connection.execute("SELECT to_regclass(%s)", (f"{NAME}.format",)).fetchall()
    if there is None:
        return 0
    ((version,),) = connection.execute("SELECT max(version) FROM format").fetchall()
    if version > FORMAT:
        raise StoreTrouble(f"a newer release of intrusion.response created it (format {version}, this release knows {FORMAT})")
    return int(version)


def _prepare(connection: psycopg.Connection[Any]) -> None:
    """Create or upgrade the ledger, one session at a time."""
    if _format(connection) == FORMAT:
        return
    connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATING,))  # a separate transaction, so that the next one sees what others did
    try:
        with connection.transaction():
            for number in range(_format(connection), FORMAT):
                connection.execute(MIGRATIONS[number])
                connection.execute("UPDATE format SET version = %s", (number + 1,))
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", (MIGRATING,))


def _retain(connection: psycopg.Connection[Any], keep: int) -> None:
    """Remove old records, if the role may do that and nobody else is doing it."""

    def execute(text: str, values: Mapping[str, Any]) -> tuple[list[Any], int]:
        cursor = connection.execute(named(text), values)
        return (cursor.fetchall() if cursor.description else []), cursor.rowcount

    ((may,),) = connection.execute("SELECT has_table_privilege('records', 'DELETE')").fetchall()
    if may and connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (RETAINING,)).fetchall() == [(True,)]:
        sql.retain(execute, keep, time.time())
