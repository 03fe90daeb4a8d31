# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What responders share beside the records: firewalls, each worked by one of them; targets; and what they may block.

A responder is a member for as long as its session with the database lives. It works the firewalls whose advisory locks its session
holds, so that a member that dies, or is cut off, lets go of them by itself. One that hangs is cut off by the others.
"""

from __future__ import annotations

import hashlib
import math
import select
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Callable, NamedTuple, Optional

from . import sql
from .postgresql import PostgresqlStore, named
from .record import WINDOW, Record
from .row import StoreTrouble
from .schema import ADMITTING, CHANNEL, MEMBERS

#: Seconds between two checks of which members are alive, and between two checks for rows that were committed late.
HOUSEKEEPING, LOOKING_BACK = 0.4, 3.0
#: Seconds after which a silent member is disconnected.
SILENT = 4.0
#: Seconds for which settled targets are kept, for members that ask late, and how many targets one turn takes at most.
KEPT, MOST = 600.0, 2000
#: Lets the server notice within about four seconds that a member is cut off.
KEPT_ALIVE = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2; SET tcp_user_timeout = 4000"
NOW = "extract(epoch FROM clock_timestamp())::float8"


Room = Callable[[Optional[list[str]]], int]


class Target(NamedTuple):
    """An address to be blocked on a firewall because of an event.

    Attributes:
        member, instance: the responder that received the event, by its name here and in the descriptions of its entries.
        received: epoch time of the event.
        ttl: seconds that its detector wants, None for those of the policy.
    """

    event: str
    firewall: str
    member: str
    address: str
    event_rule: Optional[str]
    received: float
    rule_name: str
    description: str
    instance: str
    ttl: Optional[int]


class Answer(NamedTuple):
    """The outcome of a target so far: a text in the responder's own format, and whether it is final."""

    event: str
    firewall: str
    result: str
    settled: bool


class Turn(NamedTuple):
    """What a member found in the database.

    Attributes:
        owned: firewalls that it owns.
        members: how many responders there are.
        targets: unsettled targets on its firewalls.
        answers: outcomes of targets of its own events since its last turn.
    """

    owned: frozenset[str]
    members: int
    targets: list[Target]
    answers: list[Answer]


class Session:
    """The life of a member; every method raises StoreTrouble, after which the session is over.

    Args:
        store: the database.
        member: its name.
        firewalls: all firewalls.

    Attributes:
        leaving: firewalls that it owns but is handing over.
    """

    def __init__(self, store: PostgresqlStore, member: str, firewalls: Sequence[str]) -> None:
        self.member = member
        self._store = store
        self._firewalls = {_lease_key(firewall): firewall for firewall in firewalls}
        self._owned: set[str] = set()
        self.leaving: set[str] = set()
        self._members = 1
        self._kept_house_at = -math.inf
        self._targets_seen, self._records_seen, self._answers_seen = _Mark(), _Mark(), _Mark()
        self._seen: set[int] = set()
        self._connection = store.open()
        try:
            self._execute(KEPT_ALIVE)
            self._execute("SET statement_timeout = 3000")
            self._execute("SET synchronous_commit = off")  # the inboxes make up for what is lost here; records use their own connections
            self._execute(f"LISTEN {CHANNEL}")
            ((self._pid, now),) = self._execute(sql.join("SELECT pg_backend_pid(),", NOW))
            self._answers_seen.move(now - KEPT)
            self._execute("SELECT pg_advisory_lock(%s, %s)", (MEMBERS, self._pid))
            self._execute(
                sql.join(
                    "INSERT INTO members VALUES (%s, %s,", NOW, ", 0) ON CONFLICT (name)",
                    "DO UPDATE SET pid = excluded.pid, seen = excluded.seen",
                ),
                (member, self._pid),
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the session, and release everything."""
        with suppress(Exception):
            self._connection.close()

    def leave(self) -> None:
        """Release at once what was reserved."""
        self._execute("DELETE FROM members WHERE name = %s", (self.member,))

    def wait(self, descriptor: int, seconds: float) -> None:
        """Wait for a notification, until the descriptor is readable, or for so many seconds."""
        try:
            select.select([self._connection.fileno(), descriptor], [], [], seconds)
        except Exception as error:
            raise StoreTrouble(f"the connection is lost ({type(error).__name__})") from None

    def turn(self, new: Sequence[Target], answers: Sequence[Answer]) -> Turn:
        """Report that the member is alive, hand over its targets and answers, and fetch those for it."""
        if time.monotonic() - self._kept_house_at > HOUSEKEEPING:
            self._kept_house_at = time.monotonic()
            self._execute(sql.join("UPDATE members SET seen =", NOW, "WHERE name = %s"), (self.member,))
            self._members = self._lease()
        if new:
            columns = ", ".join(f'"{name}"' for name in Target._fields)
            types = ({"received": "float8", "ttl": "integer"}.get(name, "text") for name in Target._fields)
            self._execute(
                sql.join(
                    "INSERT INTO targets (", columns, ", changed) SELECT *,", NOW, "FROM unnest(",
                    ", ".join(f"%s::{kind}[]" for kind in types), ") ON CONFLICT (event, firewall, member) DO NOTHING",
                ),
                [list(column) for column in zip(*new)],
            )  # fmt: skip
        if answers:
            self._execute(
                sql.join(
                    "UPDATE targets SET result = given.result, settled = given.settled, changed =", NOW,
                    "FROM unnest(%s::text[], %s::text[], %s::text[], %s::boolean[]) AS given (event, firewall, result, settled)",
                    "WHERE targets.event = given.event AND targets.firewall = given.firewall AND NOT targets.settled",
                ),
                [list(column) for column in zip(*answers)],
            )  # fmt: skip
        if new or answers:
            self._execute(f"NOTIFY {CHANNEL}")
        return Turn(frozenset(self._owned - self.leaving), self._members, self._targets(), self._answers())

    def admit(self, addresses: Collection[str], wanted: int, per_minute: int, room: Room) -> tuple[int, int]:
        """Report addresses that were admitted, and reserve room for so many more in total.

        Args:
            per_minute: how many all may admit in a minute.
            room: returns how many more there may be in all besides these addresses, which were admitted within the last minute, or
                besides those that are known without them.

        Returns:
            How many may be admitted now, and how many of the limit others have in use or reserved, and this one has in use.
        """
        with self._connection.transaction():
            self._execute("SELECT pg_advisory_xact_lock(%s)", (ADMITTING,))
            if addresses:
                self._execute(
                    sql.join(
                        "INSERT INTO admitted SELECT DISTINCT address,", NOW, "FROM unnest(%s::text[]) AS given (address)",
                        "ON CONFLICT (address) DO UPDATE SET at = excluded.at",
                    ),
                    (list(addresses),),
                )  # fmt: skip
            # A member that is gone may have used what it had reserved, so that counts for another minute.
            self._execute(sql.join("DELETE FROM members WHERE seen <", NOW, "- %s"), (WINDOW,))
            ((used, reserved),) = self._execute(
                sql.join(
                    "SELECT (SELECT count(*)::int FROM admitted WHERE at >", NOW, "- %s),",
                    "(SELECT coalesce(sum(unused), 0)::int FROM members WHERE name <> %s)",
                ),
                (WINDOW, self.member),
            )  # fmt: skip
            left = room(None) - used
            if left < reserved + wanted:  # check exactly
                left = room([one for (one,) in self._execute(sql.join("SELECT address FROM admitted WHERE at >", NOW, "- %s"), (WINDOW,))])
            granted = max(0, min(wanted, per_minute - used - reserved, left - reserved))
            self._execute("UPDATE members SET unused = %s WHERE name = %s", (granted, self.member))
        return granted, used + reserved

    def records(self, since: float, most: int) -> list[Record]:
        """Return blocks and unblocks added since the last call, or, in the first call, the newest ones since a time."""
        after = self._records_seen.after()
        condition = "at >= :since" if after is None else "id > :after"
        text = sql.join(
            "SELECT", sql.COLUMNS, ", id FROM records WHERE action IN ('block', 'unblock') AND", condition, "ORDER BY id DESC LIMIT :most",
        )  # fmt: skip
        rows = self._execute(named(text), {"since": since, "after": after, "most": most})
        new = [Record(*row) for row in reversed(rows) if row[-1] not in self._seen]
        if rows:
            self._records_seen.move(rows[0][-1])
        else:
            self._records_seen.move(after or 0)
        self._seen = {number for number in self._seen if number > self._records_seen.before} | {one.id or 0 for one in new}
        return new

    def tidy(self) -> None:
        """Remove what is no longer needed."""
        self._execute(sql.join("DELETE FROM admitted WHERE at <", NOW, "- %s"), (2 * WINDOW,))
        self._execute(sql.join("DELETE FROM targets WHERE (settled AND changed <", NOW, "- %s) OR changed <", NOW, "- 86400"), (KEPT,))

    def _lease(self) -> int:
        """Take firewalls without an owner, hand over those beyond a fair share, disconnect hanging members; return the members."""
        rows = self._execute(
            "SELECT objsubid, classid::bigint << 32 | objid::bigint, pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND (objsubid = 1 OR classid = %s) AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (MEMBERS,),
        )
        members = {pid for parts, _key, pid in rows if parts == 2}
        holders = {key: pid for parts, key, pid in rows if parts == 1}
        fair = -(-len(self._firewalls) // max(1, len(members)))
        for key, firewall in self._firewalls.items():
            if key not in holders and len(self._owned) < fair:
                ((got,),) = self._execute("SELECT pg_try_advisory_lock(%s)", (key,))
                if got:
                    self._owned.add(firewall)
                    self._targets_seen = _Mark()
        with suppress(StoreTrouble):  # other sessions may belong to another role
            self._execute(
                sql.join("SELECT pg_terminate_backend(pid) FROM members WHERE seen <", NOW, "- %s AND pid = ANY(%s) AND name <> %s"),
                (SILENT, [*members], self.member),
            )
        return len(members)

    def release(self, firewall: str) -> None:
        """Release a firewall for another member."""
        key = next(key for key, name in self._firewalls.items() if name == firewall)
        self._execute("SELECT pg_advisory_unlock(%s)", (key,))
        self._owned.discard(firewall)
        self.leaving.discard(firewall)

    def _targets(self) -> list[Target]:
        columns = ", ".join(f'"{name}"' for name in Target._fields)
        after = self._targets_seen.after() or 0
        text = sql.join(
            "SELECT", columns, ", id FROM targets WHERE NOT settled AND firewall = ANY(%s) AND id > %s ORDER BY id LIMIT", str(MOST)
        )  # fmt: skip
        rows = self._execute(text, (sorted(self._owned - self.leaving), after)) if self._owned else []
        self._targets_seen.move(rows[-1][-1] if rows else after)
        return [Target(*row[:-1]) for row in rows]

    def _answers(self) -> list[Answer]:
        after = self._answers_seen.after() or 0.0
        rows = self._execute(
            "SELECT event, firewall, result, settled, changed FROM targets WHERE member = %s AND changed > %s AND result IS NOT NULL"
            " AND firewall <> ALL(%s) ORDER BY changed",
            (self.member, after, sorted(self._owned)),
        )
        self._answers_seen.move(rows[-1][-1] if rows else after)
        return [Answer(*row[:-1]) for row in rows]

    def _execute(self, text: str, values: Any = None) -> list[Any]:
        try:
            cursor = self._connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []
        except Exception as error:
            raise StoreTrouble(self._store.reason(error)) from None


class _Mark:
    """How far a table was read. Since a row may be committed after later ones, earlier ones are read again now and then."""

    def __init__(self) -> None:
        self.before: float = 0
        self._latest: Optional[float] = None
        self._moved_at = -math.inf

    def after(self) -> Any:
        """Return what to read after, None for all."""
        if self._latest is not None and time.monotonic() - self._moved_at > LOOKING_BACK:
            before, self.before, self._moved_at = self.before, self._latest, time.monotonic()
            return before
        return self._latest

    def move(self, latest: float) -> None:
        """Note what was read last."""
        self._latest = max(latest, self._latest or latest)


def _lease_key(firewall: str) -> int:
    """Return the number of the lock that stands for a firewall: of 64 bits, so that no two names share one."""
    return int.from_bytes(hashlib.sha256(firewall.encode()).digest()[:8], "big", signed=True)
