# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the responder may go: how many addresses it blocks, and how long those that come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Optional

from ...module_utils._core.options import LONGEST_TTL
from .section import Section

WINDOW = 60.0
#: A limit counts as over once this share of it is in use; else it would be reached and over in turn all the time.
OVER = 0.9


@dataclass(frozen=True)
class Escalation:
    """How the time of a block grows with the number of earlier ones.

    Attributes:
        multipliers: of the ttl, for the first offence, the second ...; the last one also for all after it.
        cap: no block gets longer than these seconds.
        memory: offences older than these seconds are forgotten.
    """

    multipliers: tuple[float, ...] = (1, 4, 24)
    cap: int = 604800
    memory: int = 2592000

    @classmethod
    def from_section(cls, section: Section, ttl: int) -> Escalation:
        """Read `respond.escalation`; raises InvalidInput."""
        multipliers = section.numbers("multipliers", cls.multipliers, 1, 100000)
        if not multipliers:
            raise section.error("multipliers", "must hold at least one number; [1] switches escalation off.")
        cap = section.integer("cap", max(cls.cap, ttl), 1, LONGEST_TTL)
        if cap < ttl:
            raise section.error("cap", f"must not be less than the policy's ttl ({ttl}); got {cap}.")
        return cls(multipliers, cap, section.integer("memory", cls.memory, 1, LONGEST_TTL))

    @property
    def needed(self) -> bool:
        """Whether earlier offences make a difference."""
        return any(multiplier != 1 for multiplier in self.multipliers)

    def ttl(self, ttl: int, offences: int) -> int:
        """Return the seconds of a block after so many earlier offences."""
        return int(min(self.cap, ttl * self.multipliers[min(offences, len(self.multipliers) - 1)]))


@dataclass(frozen=True)
class LimitSettings:
    """Most new addresses in any minute, and most addresses on the firewalls at any time."""

    new_per_minute: int = 100
    total: int = 5000

    @classmethod
    def from_section(cls, section: Section) -> LimitSettings:
        """Read `respond.limits`; raises InvalidInput."""
        return cls(
            section.integer("new_per_minute", cls.new_per_minute, 1, 1000000),
            section.integer("total", cls.total, 1, 1000000),
        )


class Limits:
    """Counts distinct addresses that are new, and stops at the limits.

    An address that a firewall lists already, or that is under way, is not new: it costs nothing, whatever happens to it. Times are
    those of a monotonic clock.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self._recent: deque[float] = deque()
        self._listed: dict[str, Set[str]] = {}
        self._marked: dict[str, Set[str]] = {}
        self._under_way: set[str] = set()
        self._known: set[str] = set()
        self._standing: set[str] = set()
        self._refused = 0
        self._reached: Optional[str] = None
        self._told: Optional[str] = None

    @property
    def reached(self) -> bool:
        """Whether a limit is in force."""
        return self._reached is not None

    def listed(self, firewall: str, hosts: Set[str], marked: Set[str]) -> None:
        """Take note of what a firewall lists: all addresses, and those that bear the responder's mark."""
        if hosts == self._listed.get(firewall) and marked == self._marked.get(firewall):
            return
        self._listed[firewall], self._marked[firewall] = hosts, marked
        self._known = self._under_way.union(*self._listed.values())
        self._standing = self._under_way.union(*self._marked.values())

    def remember(self, addresses: Set[str], now: float) -> None:
        """Count addresses that an earlier run blocked within the last minute."""
        self._recent.extend(now for _address in addresses)

    def admit(self, address: str, now: float) -> Optional[str]:
        """Count an address that is to be blocked; return why it must not be when that would be too many."""
        if address in self._known:
            return None
        self._forget(now)
        if len(self._recent) >= self._settings.new_per_minute:
            limit, reason = "new_per_minute", f"{self._settings.new_per_minute} new addresses within a minute"
        elif len(self._standing) >= self._settings.total:
            limit, reason = "total", f"{self._settings.total} addresses are blocked"
        else:
            self._recent.append(now)
            for addresses in (self._under_way, self._known, self._standing):
                addresses.add(address)
            return None
        self._reached = limit
        self._refused += 1
        return f"limit reached: {reason}"

    def settled(self, address: str) -> None:
        """Take note that nothing is under way for an address any more."""
        self._under_way.discard(address)
        if not any(address in hosts for hosts in self._listed.values()):
            self._known.discard(address)
        if not any(address in hosts for hosts in self._marked.values()):
            self._standing.discard(address)

    def change(self, now: float) -> Optional[dict[str, Any]]:
        """Return the event that tells of a limit reached, or over again, once for each time."""
        self._forget(now)
        in_use = {"new_per_minute": len(self._recent), "total": len(self._standing)}
        if self._reached and in_use[self._reached] < OVER * getattr(self._settings, self._reached):
            self._reached = None
        if self._reached == self._told:
            return None
        name = self._reached or self._told or ""
        state = "reached" if self._reached else "cleared"
        event = {"type": "limit", "state": state, "limit": name, "value": getattr(self._settings, name), "in_use": in_use[name]}
        if not self._reached:
            event["events_limited"], self._refused = self._refused, 0
        self._told = self._reached
        return event

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0] <= now - WINDOW:
            self._recent.popleft()
