# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event loop and the workers tell each other: wishes one way, reports the other."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple, Optional

from ....module_utils._ledger.record import Record
from ..verdict import Result


class Wish(NamedTuple):
    """What the event loop asks for: an address to block for the sake of an event.

    Attributes:
        number: grows with every wish, so that what is answered is clear.
        received: epoch time of the event.
    """

    number: int
    address: str
    event: str
    event_rule: Optional[str]
    received: float
    rule_name: str
    description: str


class Blocked(NamedTuple):
    """What changed on a firewall: addresses that are listed now, those with our mark among them, and those without either now."""

    hosts: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    unmarked: frozenset[str] = frozenset()


class Outcome(NamedTuple):
    """What became of an address.

    Attributes:
        number: of the latest wish that this is about; it is about all earlier ones for this address, too.
        lead: the event that the entry is about; the others found it done.
        wrote: whether this responder wrote it for one of them.
        final: whether nothing will follow.
    """

    address: str
    number: int
    result: Result
    lead: Optional[str] = None
    wrote: bool = False
    final: bool = True
    records: tuple[Record, ...] = ()


class Report(NamedTuple):
    """What a worker tells the event loop: its health, what became of addresses, and what changed on the firewall.

    Attributes:
        protected: addresses of the firewall and of this machine towards it, with a listing.
        found: records of standing blocks of this responder, with the first listing.
    """

    firewall: str
    code: Optional[str]
    writes: Optional[str]
    outcomes: tuple[Outcome, ...] = ()
    blocked: Optional[Blocked] = None
    protected: Optional[tuple[frozenset[IPv4Address], frozenset[IPv4Address]]] = None
    found: tuple[Record, ...] = ()
