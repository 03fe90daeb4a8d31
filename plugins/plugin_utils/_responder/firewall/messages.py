# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes between the event loop and a worker, none of which ever changes: wishes go in, reports come out."""

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
    ttl: Optional[int] = None


class Outcome(NamedTuple):
    """What became of an address.

    Attributes:
        number: of the latest wish that this is about; it is about all earlier ones for this address, too.
        lead: the event that the entry is about, None for the first of those that wait; the others found it done.
        final: whether nothing will follow.
    """

    address: str
    number: int
    result: Result
    lead: Optional[str] = None
    final: bool = True
    record: Optional[Record] = None


class Listed(NamedTuple):
    """What changed with a listing.

    Attributes:
        hosts, marked: addresses that are listed now, and those with our mark among them.
        gone, unmarked: those without either now.
        own: addresses of the firewall itself.
        standing: with the first listing, records of the blocks that this responder wrote before.
    """

    hosts: frozenset[str]
    marked: frozenset[str]
    gone: frozenset[str]
    unmarked: frozenset[str]
    own: frozenset[IPv4Address]
    standing: tuple[Record, ...]


class Report(NamedTuple):
    """What a worker tells the event loop: why the firewall does not answer or take writes, if so, and what came of what was wanted."""

    firewall: str
    code: Optional[str]
    writes: Optional[str]
    outcomes: tuple[Outcome, ...] = ()
    listed: Optional[Listed] = None
