# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger tells of each address: a line of the page, and as many rows of the table of `history` as it was blocked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Optional

from ...module_utils._ledger.record import Record

NO_RULE = "no rule named"


@dataclass
class Life:
    """One block of an address for one service on one firewall, from when it began to when it ended, or an attempt that failed.

    Attributes:
        records: all that the ledger has of it, in the order of time.
        began: the record that blocked the address; None where the ledger does not know how that began.
        last: the latest record after which it was, or may have been, blocked, which tells until when.
        ended: the record that took it back.
    """

    records: list[Record] = field(default_factory=list)
    began: Optional[Record] = None
    last: Optional[Record] = None
    ended: Optional[Record] = None


@dataclass
class Story:
    """What the ledger tells of one address, or of one rule."""

    name: str
    events: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    firewalls: set[str] = field(default_factory=set)
    people: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    blocks: int = 0
    renewals: int = 0
    undone: int = 0
    failed: int = 0
    first: float = 0.0
    last: float = 0.0
    blocked: bool = False
    lives: list[Life] = field(default_factory=list)
    _open: dict[tuple[str, str, str], Life] = field(default_factory=dict)

    def add(self, record: Record, rule: str, who: str) -> None:
        """Take one more record."""
        self.first = min(self.first or record.at, record.at)
        self.last = max(self.last, record.at)
        self.people[who] += 1
        self.addresses.add(record.address)
        self.firewalls.add(record.firewall)
        if record.event:
            self.events.add(record.event)
        if record.outcome == "failed":
            self.failed += 1
        elif record.action == "block":
            self.blocks += 1
            self.rules[rule] += 1
        elif record.action == "unblock":
            self.undone += record.ttl is None  # else it says how long the address is exempt, beside what was written
        else:
            self.renewals += 1
        self._live(record)

    def _live(self, record: Record) -> None:
        """Tell the block that the record belongs to; as in `standing`, what failed begins and ends nothing."""
        key = (record.firewall, record.address, record.service)
        alone = record.action == "unblock" and record.ttl is not None  # how long the address is exempt, beside what was written
        life = None if alone or record.action == "block" else self._open.get(key)
        if life is None:
            life = Life()
            self.lives.append(life)
        life.records.append(record)
        if alone or record.outcome == "failed":
            return
        if record.action == "unblock":
            if record.outcome == "ok":
                life.ended = record
                self._open.pop(key, None)
            return
        life.began = record if record.action == "block" else life.began
        life.last = record
        self._open[key] = life

    @property
    def order(self) -> int:
        """Where the name comes among all, where it is an address."""
        return int(ip_network(self.name).network_address)


def stories(records: Iterable[Record], of: Callable[[Record], str]) -> list[Story]:
    """Return what became of each, those with most events and blocks first; records are final and in the order of time."""
    found: dict[str, Story] = {}
    for record in records:
        name = of(record)
        found.setdefault(name, Story(name)).add(record, why(record), who(record))
    return sorted(found.values(), key=lambda one: (-len(one.events), -one.blocks, -one.last, one.name))


def why(record: Record) -> str:
    """Return the rule that led to it."""
    return record.event_rule or record.rule_name or NO_RULE


def who(record: Record) -> str:
    """Return who did it: the responder, or the user of a module."""
    return record.origin if record.origin == "responder" else record.user or record.origin or "unknown"
