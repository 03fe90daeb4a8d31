# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many addresses the responder blocks: in any minute, and at any time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Optional, Protocol

from ....module_utils._ledger.record import WINDOW
from ..settings import setting

#: A limit counts as over once this share of it is in use; else it would be reached and over in turn all the time.
OVER = 0.9
REACHED = {"new_per_minute": "new addresses within a minute", "total": "addresses are blocked"}


@dataclass(frozen=True)
class LimitSettings:
    """The section `respond.limits`."""

    new_per_minute: int = setting("integer", "New addresses in any minute at most.", 100, low=1, high=1_000_000)
    total: int = setting(
        "integer", "Addresses at most that bear the mark `policy.rule_name` on a firewall, or are under way.", 5000, low=1, high=1_000_000
    )


class Shared(Protocol):
    """What holds the limits over all responders that share a ledger."""

    in_use: int

    @property
    def is_alone(self) -> bool:
        """Whether others cannot be asked."""

    @property
    def is_full(self) -> bool:
        """Whether no more addresses may be admitted now."""

    def admit(self, address: str) -> None:
        """Take note that an address was admitted."""


class Limits:
    """Counts distinct addresses that are new, and stops at the limits.

    Attributes:
        reached: the limit that is in force.

    An address that a firewall lists already, or that is under way, is not new: it costs nothing, whatever happens to it. Times are
    those of a monotonic clock. Firewalls tell what changed since they were last listed, so nothing here goes through a whole list.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._recent: deque[float] = deque()
        self._listed: Counter[str] = Counter()
        self._marked: Counter[str] = Counter()
        self._under_way: set[str] = set()
        self._unmarked = 0  # of those under way
        self._refused = 0
        self.reached: Optional[str] = None
        self._told: Optional[str] = None
        self.shared: Optional[Shared] = None

    @property
    def _sharing(self) -> Optional[Shared]:
        """What holds the limits over all responders, None while this one counts alone."""
        return None if self.shared is None or self.shared.is_alone else self.shared

    @property
    def in_use(self) -> dict[str, int]:
        """How much of each limit is used."""
        recent = len(self._recent) if self._sharing is None else self._sharing.in_use
        return {"new_per_minute": recent, "total": len(self._marked) + self._unmarked}

    def room(self, admitted: Optional[Collection[str]]) -> int:
        """Return how many more addresses the total allows beside these, as far as they are not listed. For any thread."""
        return self.settings.total - len(self._marked) - sum(address not in self._marked for address in admitted or ())

    def listed(self, hosts: Iterable[str], marked: Iterable[str], gone: Iterable[str] = (), unmarked: Iterable[str] = ()) -> None:
        """Take note of what changed on one firewall: new addresses, those with the responder's mark, and those without either now."""
        for counter, more, less in ((self._listed, hosts, gone), (self._marked, marked, unmarked)):
            counter.update(more)
            for address in less:
                if counter[address] > 1:
                    counter[address] -= 1
                else:
                    del counter[address]
        self._unmarked = sum(address not in self._marked for address in self._under_way)

    def remember(self, count: int, now: float) -> None:
        """Count addresses that an earlier run blocked within the last minute."""
        self._recent.extend(now for _number in range(count))

    def admit(self, address: str, now: float) -> Optional[str]:
        """Count an address that is to be blocked; return why it must not be when that would be too many."""
        if address in self._under_way or address in self._listed:
            return None
        self._forget(now)
        sharing = self._sharing
        for name, used in self.in_use.items():
            most = getattr(self.settings, name)
            if used >= most or (sharing is not None and sharing.is_full):
                self.reached = name
                self._refused += 1
                return f"limit reached: {most} {REACHED[name]}"
        self._recent.append(now)
        self._under_way.add(address)
        self._unmarked += address not in self._marked
        if sharing is not None:
            sharing.admit(address)
        return None

    def settled(self, address: str) -> None:
        """Take note that nothing is under way for an address any more."""
        if address in self._under_way:
            self._under_way.remove(address)
            self._unmarked -= address not in self._marked

    def change(self, now: float) -> Optional[dict[str, Any]]:
        """Return the event that tells of a limit reached, or over again, once for each time."""
        self._forget(now)
        in_use = self.in_use
        if self.reached and in_use[self.reached] < OVER * getattr(self.settings, self.reached):
            self.reached = None
        if self.reached == self._told:
            return None
        name = self.reached or self._told or ""
        state = "reached" if self.reached else "cleared"
        event = {"type": "limit", "state": state, "limit": name, "value": getattr(self.settings, name), "in_use": in_use[name]}
        if not self.reached:
            event["events_limited"], self._refused = self._refused, 0
        self._told = self.reached
        return event

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0] <= now - WINDOW:
            self._recent.popleft()
