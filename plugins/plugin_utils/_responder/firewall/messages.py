# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The immutable messages between the event loop and a worker: wishes go in, reports come out."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple, Optional

from ....module_utils._ledger.record import Record
from ..verdict import Result


class Wish(NamedTuple):
    """A wish of the event loop: an address to block because of an event.

    Attributes:
        number: increases with every wish, to identify what an outcome answers.
        received: epoch time of the event.
        taken_over: whether another responder with the same ledger may have written it, and died before it recorded that.
    """

    number: int
    address: str
    event: str
    event_rule: Optional[str]
    received: float
    rule_name: str
    description: str
    ttl: Optional[int] = None
    taken_over: bool = False


class Outcome(NamedTuple):
    """The outcome for an address.

    Attributes:
        number: of the latest wish that this answers, together with all earlier ones for this address.
        lead: the event of the entry, None for the first waiting one; for the others, the address is already blocked.
        final: whether nothing will follow.
        completes: whether the record is about a listed block, so that it is skipped if the ledger has it.
    """

    address: str
    number: int
    result: Result
    lead: Optional[str] = None
    final: bool = True
    record: Optional[Record] = None
    completes: bool = False


class Listed(NamedTuple):
    """What changed in a listing.

    Attributes:
        hosts, marked: newly listed addresses, and those with our mark among them.
        gone, unmarked: addresses that lost either.
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
    """A worker's report to the event loop: why the firewall does not answer or accept writes, if so, and the outcomes."""

    firewall: str
    code: Optional[str]
    writes: Optional[str]
    outcomes: tuple[Outcome, ...] = ()
    listed: Optional[Listed] = None
