# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what was blocked and unblocked, when, by whom and why, in an append-only SQLite file.

Writing never stands in the way of a block: whatever is wrong with the file or the disk is a warning. Reading fails where the
ledger cannot be read, since "nothing was recorded" would be a wrong answer then.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from . import ledger_file
from .errors import LedgerUnusable
from .ledger_file import TROUBLE

if TYPE_CHECKING:
    import sqlite3

Warn = Callable[[str], None]

DAY = 86400
KEEP_DAYS = 400
LEAP = 30 * DAY
LARGEST_INTEGER = 2**53


class Record(NamedTuple):
    """One write to one blacklist entry of one firewall.

    Attributes:
        at: when it was done, seconds since the epoch.
        action: block, renew, update or unblock.
        outcome: ok (the entry is listed, or gone, afterwards), failed, or unknown (it may have taken effect all the same).
        ttl: seconds from then on, None when unknown.
        rule_name: as listed afterwards, or as sent where that is not known; of an unblock, as it was listed before.
        code: code of the failure; together with ok, the entry stands, but was stored differently.
        door: what did it: the name of a module, or responder.
        event: id of the IPS event that led to it.
        event_rule: name of the IPS rule that raised the event.
        overridden: why the address was protected, where the user had that overridden.
        id: number in the ledger, given by it.
    """

    at: float
    action: str
    outcome: str
    address: str
    service: str
    firewall: str
    ttl: Optional[int] = None
    rule_name: str = ""
    description: str = ""
    code: Optional[str] = None
    door: str = ""
    user: Optional[str] = None
    job: Optional[str] = None
    event: Optional[str] = None
    event_rule: Optional[str] = None
    overridden: Optional[str] = None
    id: Optional[int] = None

    @property
    def ends(self) -> Optional[float]:
        """When the entry runs off; None when that is not known, and for an unblock."""
        return None if self.ttl is None or self.action == "unblock" else self.at + min(self.ttl, LARGEST_INTEGER)


class Standing(NamedTuple):
    """A block that was recorded and neither taken back nor run off.

    Attributes:
        began: the record that put the address on the blacklist, which tells why it is there; a renewal is no reason.
        last: the latest record of the same entry, which tells what is listed and for how long.
    """

    began: Record
    last: Record


@dataclass(frozen=True)
class Filter:
    """Which records are meant; what is None or empty does not matter.

    Attributes:
        rule_name: the rule of the entry or of the event, A to Z in either case; may hold the wildcards * and ?, and [...] for sets.
        since, until: seconds since the epoch; from since on, and before until.
    """

    event: Optional[str] = None
    rule_name: Optional[str] = None
    addresses: tuple[str, ...] = ()
    firewall: Optional[str] = None
    since: Optional[float] = None
    until: Optional[float] = None
    actions: tuple[str, ...] = ()
    door: Optional[str] = None

    def values(self, **more: Any) -> dict[str, Any]:
        """Return the values for a query; lists as one text each, since SQLite bounds how many values there may be."""
        given = (("addresses", self.addresses), ("actions", self.actions))
        lists = {name: f" {' '.join(found)} " if found else "" for name, found in given}
        plain = {name: getattr(self, name) for name in ("event", "rule_name", "firewall", "since", "until", "door")}
        return {**plain, **lists, **more}


class Ledger:
    """The record of one machine, shared by all processes of its owner.

    Nothing is opened before it is needed. Every thread has a connection of its own, kept until close.

    Args:
        path: the file, made with mode 0600 in a directory made with mode 0700; None keeps nothing.
        warn: takes the warnings, one for each kind of trouble until writing works again.
        keep: days after which records are removed, 0 for never. Blocks that still stand are never removed.
    """

    def __init__(self, path: Optional[str], warn: Warn, keep: int = KEEP_DAYS) -> None:
        self.path = path
        self._warn = warn
        self._keep = keep
        self._told: Optional[str] = None
        self._thread = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @classmethod
    def from_option(cls, value: Optional[str], warn: Warn, keep: int = KEEP_DAYS) -> Ledger:
        """Make one from the option ledger, where "none" or nothing switches it off."""
        if not value or value.strip().lower() == "none":
            return cls(None, warn, keep)
        return cls(os.path.abspath(os.path.expanduser(value)), warn, keep)

    @property
    def enabled(self) -> bool:
        """Whether anything is kept."""
        return self.path is not None

    def is_there(self) -> bool:
        """Return whether there is a file; raises LedgerUnusable where that cannot be told."""
        try:
            return self.path is not None and ledger_file.is_there(self.path)
        except OSError as error:
            raise LedgerUnusable(f"The ledger {self.path} cannot be read: {ledger_file.reason(error)}.") from None

    def record(self, records: Sequence[Record]) -> bool:
        """Add records, all or none; return whether they are kept (or none should be). Never raises."""
        if self.path is None or not records:
            return True
        try:
            connection = self._connection(self.path)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(ledger_file.INSERT, [_row(record) for record in records])
            self._retain(connection, time.time())
            connection.execute("COMMIT")
        except TROUBLE as error:
            self._drop()
            self._tell(f"The ledger {self.path} cannot be written: {ledger_file.reason(error)}. What was done is not recorded.")
            return False
        self._told = None
        return True

    def offences(self, address: str, since: float, besides: Optional[str] = None) -> int:
        """Count the offences, as the function of this name does, in what was recorded of the address from then on.

        What the event `besides` has led to is left out: an event is no earlier offence of its own.

        Never raises; what cannot be read counts as nothing.
        """
        if self.path is None:
            return 0
        try:
            if not ledger_file.is_there(self.path):
                return 0
            rows = self._connection(self.path).execute(ledger_file.OFFENCES, (address, since)).fetchall()
        except TROUBLE as error:
            self._drop()
            self._tell(f"The ledger {self.path} cannot be read: {ledger_file.reason(error)}. Earlier blocks are not counted.")
            return 0
        found = (Record(*row) for row in rows)
        return offences(record for record in found if besides is None or record.event != besides)

    def find(self, wanted: Filter, limit: int = 0) -> tuple[list[Record], int]:
        """Return records, newest first and at most limit of them (0 for all), and how many there are.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that is not there has no records.
        """
        rows = self._read(ledger_file.FIND, wanted.values(limit=limit or -1))
        total = self._read(ledger_file.COUNT, wanted.values())
        return [Record(*row) for row in rows], total[0][0] if total else 0

    def events(self, beginning: str, most: int) -> list[str]:
        """Return the ids of events that begin so, in their order and at most so many; one that is no longer comes first.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that is not there has none.
        """
        return [event for (event,) in self._read(ledger_file.EVENTS, {"beginning": beginning, "most": most})]

    def standing(self, wanted: Filter, now: float) -> list[Standing]:
        """Return the standing blocks whose beginning is wanted, in the order in which they began.

        Raises:
            LedgerUnusable: it cannot be read. A ledger that is not there has none.
        """
        rows = self._read(ledger_file.LIVES, wanted.values(now=now))
        matching = {row[-2] for row in rows if row[-1]}
        return [found for found in standing((Record(*row[:-1]) for row in rows), now) if found.began.id in matching]

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._connections:
            with suppress(*TROUBLE):
                self._connections.pop().close()
        self._thread = threading.local()

    def _connection(self, path: str) -> sqlite3.Connection:
        """Return this thread's connection to the file that is there now, which is made when it is not."""
        if not ledger_file.is_there(path):
            ledger_file.create(path)
        status = os.stat(path)
        file = (status.st_dev, status.st_ino)
        if getattr(self._thread, "file", None) != file:
            self._drop()
            self._thread.connection = connection = ledger_file.open_file(path, read_only=False)
            self._thread.file = file
            self._connections.append(connection)
        opened: sqlite3.Connection = self._thread.connection
        return opened

    def _drop(self) -> None:
        """Forget this thread's connection, and with it a transaction that was begun."""
        connection = getattr(self._thread, "connection", None)
        self._thread.connection = self._thread.file = None
        if connection is not None:
            with suppress(ValueError):
                self._connections.remove(connection)
            with suppress(*TROUBLE):
                connection.close()

    def _retain(self, connection: sqlite3.Connection, now: float) -> None:
        """Remove what is too old, at most once a day."""
        if not self._keep:
            return
        ((applied,),) = connection.execute(ledger_file.APPLIED).fetchall()
        if 0 <= now - applied < DAY:
            return
        if applied and now - applied > LEAP:  # the clock may be wrong, which the next day will show
            connection.execute(ledger_file.POSTPONE, (now,))
            return
        horizon = now - self._keep * DAY
        connection.execute(ledger_file.RETAIN, (horizon, now))
        connection.execute(ledger_file.FORGET, {"horizon": horizon, "now": now})

    def _read(self, query: str, values: Mapping[str, Any]) -> list[Any]:
        if self.path is None:
            return []
        try:
            if not ledger_file.is_there(self.path):
                return []
            with closing(ledger_file.open_file(self.path, read_only=True)) as connection:
                return connection.execute(query, values).fetchall()
        except TROUBLE as error:
            raise LedgerUnusable(f"The ledger {self.path} cannot be read: {ledger_file.reason(error)}.") from None

    def _tell(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._warn(message)


def standing(records: Iterable[Record], now: float) -> list[Standing]:
    """Return the blocks that stand after these records, which are in the order in which they were made.

    What was only renewed or changed had begun otherwise, so it is not ours. A block that may have failed counts as standing,
    and an unblock that may have failed as not done: asking the firewall once more does no harm.
    """
    lives: dict[tuple[str, str, str], Standing] = {}
    for record in records:
        key = (record.firewall, record.address, record.service)
        if record.action == "unblock":
            if record.outcome == "ok":
                lives.pop(key, None)
        elif record.outcome != "failed" and (record.action == "block" or key in lives):
            lives[key] = Standing(record if record.action == "block" else lives[key].began, record)
    found = [life for life in lives.values() if life.last.ends is None or life.last.ends > now]
    return sorted(found, key=lambda life: (life.began.at, life.began.id or 0))


def offences(records: Iterable[Record]) -> int:
    """Return how many events have led to a block, after these records of one address, which are in the order of time.

    Blocks without an event count one by one, on the firewall that has most. Renewals do not count, nor do blocks that were
    taken back: all that had time left when their entry was unblocked, and the latest before that, which renewals prolong.
    """
    blocks: list[Record] = []
    entries: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        entry = entries.setdefault((record.firewall, record.service), [])
        if record.action == "block" and record.outcome != "failed":
            entry.append(record)
        elif record.action == "unblock" and record.outcome == "ok":
            blocks += [block for block in entry[:-1] if block.ends is not None and block.ends < record.at]
            entry.clear()
    blocks += [block for entry in entries.values() for block in entry]
    done = [block for block in blocks if block.outcome == "ok"]
    alone = Counter(block.firewall for block in done if block.event is None)
    return len({block.event for block in done} - {None}) + max(alone.values(), default=0)


def _row(record: Record) -> list[Any]:
    """Return the values to insert, in a form that SQLite takes."""
    return [_storable(value) for value in (*record[:-1], record.ends)]


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # JSON can hold half a character, SQLite cannot
    return min(value, LARGEST_INTEGER) if isinstance(value, int) else value
