# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger hears of a worker's writes."""

from __future__ import annotations

import time

from ....module_utils._cos.blacklist import Listing
from ....module_utils._cos.change import Change
from ....module_utils._cos.record import record_of
from ....module_utils._cos.wanted import Wanted
from ....module_utils._ledger.record import Record
from ..decide.policy import event_in
from .messages import Wish

ORIGIN = "responder"


def record_for(firewall: str, change: Change, lead: Wish, at: float, write: str) -> Record:
    """Return the record of a write for the sake of an event; a later one of the same write supersedes it."""
    return record_of(change, at, firewall=firewall, origin=ORIGIN, event=lead.event, event_rule=lead.event_rule, write=write)


def standing(firewall: str, listing: Listing, instance: str) -> tuple[Record, ...]:
    """Return records of the blocks that are listed and were written by this responder, as their descriptions say."""
    now = time.time()
    found = ((entry, event_in(entry.description, instance)) for entry in listing.owned_entries())
    return tuple(
        record_of(Change(Wanted(*entry.key), "added", now=entry), now, firewall=firewall, origin=ORIGIN, event=event)
        for entry, event in found
        if event
    )
