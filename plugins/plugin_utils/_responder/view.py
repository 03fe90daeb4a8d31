# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one firewall listed when it was last asked, and how far that can be relied on."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Optional

from ...module_utils._cos.blacklist import Entry, Listing
from .policy import Policy

#: Listings come at most every so many seconds, and take one part in RARELY of the time, since what is to be written waits meanwhile;
#: where that would make them more than LONG seconds apart, one part in OFTEN.
SHORTEST_GAP, RARELY, LONG, OFTEN = 0.25, 100, 5.0, 20
#: What a listing takes is the least of so many, since a busy moment says nothing about the firewall.
COMPARED = 4


class View:
    """The latest listing; times are those of the monotonic clock.

    In a dry run it also holds the entries that would have been written.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.listing = Listing([])
        self.at = -math.inf
        self.gap = SHORTEST_GAP
        self._costs: deque[float] = deque(maxlen=COMPARED)
        self._imagined: dict[str, tuple[Entry, float]] = {}

    def adopt(self, listing: Listing, cost: Optional[float] = None) -> None:
        """Take a new listing, and the seconds that it took."""
        self.listing = listing
        self.at = time.monotonic()
        if cost is not None:
            self._costs.append(cost)
            least = min(self._costs)
            self.gap = max(SHORTEST_GAP, min(RARELY * least, max(LONG, OFTEN * least)))

    def forget(self) -> None:
        """Rely on the listing no longer."""
        self.at = -math.inf

    def is_fresh(self, age: float) -> bool:
        """Whether the listing is not older than so many seconds."""
        return time.monotonic() - self.at <= age

    def owned(self, address: str) -> list[Entry]:
        """Return the entries of the API for the policy's service."""
        return self.listing.owned((address, self._policy.service))

    def enough(self, address: str, seconds: float) -> Optional[Entry]:
        """Return an entry, whoever wrote it through the API, that blocks the address for at least so long."""
        now = time.monotonic()
        for entry in self.owned(address):
            if entry.ttl is None or entry.ttl - (now - self.at) >= seconds:
                return entry
        imagined = self._imagined.get(address)
        return imagined[0] if imagined and imagined[1] - now >= seconds else None

    def imagine(self, entry: Entry, seconds: float) -> None:
        """Go on as if an entry had been written."""
        self._imagined[entry.host] = (entry, time.monotonic() + seconds)

    def hosts(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the addresses that are blocked for the policy's service, and those among them that bear its mark."""
        now = time.monotonic()
        self._imagined = {host: found for host, found in self._imagined.items() if found[1] > now}
        entries = [entry for entry in self.listing.owned_entries() if entry.service == self._policy.service]
        entries.extend(entry for entry, _end in self._imagined.values())
        marked = frozenset(entry.host for entry in entries if self._policy.marked(entry.rule_name))
        return frozenset(entry.host for entry in entries), marked
