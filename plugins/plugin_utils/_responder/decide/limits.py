# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many addresses the responder blocks, per minute and in total. A new limit is a class here, and a line in LimitSettings."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Collection, Iterable
from typing import Any, ClassVar, Optional, Protocol

from ....module_utils._ledger.record import WINDOW
from ..settings import setting

MOST = 1_000_000
#: A limit clears once less than this share of it is in use; otherwise it would be reached and cleared all the time.
OVER = 0.9


class Shared(Protocol):
    """Applies the limits across all responders that share a ledger."""

    in_use: int

    @property
    def is_alone(self) -> bool:
        """Whether the others cannot be reached."""

    @property
    def is_full(self) -> bool:
        """Whether no more addresses may be admitted now."""

    def admit(self, address: str) -> None:
        """Note that an address was admitted."""


class Blocks:
    """What is known to be blocked: what firewalls list, and what is under way.

    Firewalls report what changed since their last listing, so nothing here processes a whole list.
    """

    def __init__(self) -> None:
        self._listed: Counter[str] = Counter()
        self._marked: Counter[str] = Counter()
        self._under_way: set[str] = set()
        self._unmarked = 0  # of addresses under way

    def __contains__(self, address: str) -> bool:
        return address in self._under_way or address in self._listed

    @property
    def ours(self) -> int:
        """How many addresses have the mark, or are under way."""
        return len(self._marked) + self._unmarked

    def beside(self, addresses: Collection[str]) -> int:
        """Return how many addresses have the mark, or are among these. Thread-safe."""
        return len(self._marked) + sum(address not in self._marked for address in addresses)

    def listed(self, hosts: Iterable[str], marked: Iterable[str], gone: Iterable[str] = (), unmarked: Iterable[str] = ()) -> None:
        """Note what changed on one firewall: new addresses, those with the responder's mark, and those that lost either."""
        for counter, more, less in ((self._listed, hosts, gone), (self._marked, marked, unmarked)):
            counter.update(more)
            for address in less:
                if counter[address] > 1:
                    counter[address] -= 1
                else:
                    del counter[address]
        self._unmarked = sum(address not in self._marked for address in self._under_way)

    def add(self, address: str) -> None:
        """Note that an address is under way."""
        self._under_way.add(address)
        self._unmarked += address not in self._marked

    def settled(self, address: str) -> None:
        """Note that nothing is under way for an address any more."""
        if address in self._under_way:
            self._under_way.remove(address)
            self._unmarked -= address not in self._marked


class Limit:
    """One limit.

    Attributes:
        help: the text for the documentation.
        what: what there are too many of when it is reached.
    """

    help: ClassVar[str]
    what: ClassVar[str]

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def used(self, shared: Optional[Shared]) -> int:
        """Return how much of it is in use, here or across all."""
        raise NotImplementedError

    def admitted(self, now: float) -> None:
        """Count an address to be blocked."""

    def pass_time(self, now: float) -> None:
        """Drop what no longer counts."""


class NewPerMinute(Limit):
    help = "New addresses per minute, at most."
    what = "new addresses within a minute"

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self._recent: deque[float] = deque()

    def used(self, shared: Optional[Shared]) -> int:
        return len(self._recent) if shared is None else shared.in_use

    def admitted(self, now: float) -> None:
        self._recent.append(now)

    def pass_time(self, now: float) -> None:
        while self._recent and self._recent[0] <= now - WINDOW:
            self._recent.popleft()


class Total(Limit):
    help = "Addresses at most that bear the mark `policy.rule_name` on a firewall, or are under way."
    what = "addresses are blocked"

    def used(self, _shared: Optional[Shared]) -> int:
        return self.blocks.ours


def _limit(kind: type[Limit], default: int) -> Any:
    declared = setting("integer", kind.help, default, low=1, high=MOST)
    return dataclasses.field(default=default, metadata={**declared.metadata, "limit": kind})  # pylint: disable=invalid-field-call


@dataclasses.dataclass(frozen=True)
class LimitSettings:
    """The section `respond.limits`."""

    new_per_minute: int = _limit(NewPerMinute, 100)
    total: int = _limit(Total, 5000)


class Limits:
    """Counts distinct new addresses, and stops at the limits.

    Attributes:
        reached: the limit that is currently reached.

    An address that a firewall already lists, or that is under way, is not new, and does not count, whatever happens to it. Times are
    monotonic.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._blocks = Blocks()
        self.listed, self.settled = self._blocks.listed, self._blocks.settled
        self._limits: dict[str, Limit] = {
            field.name: field.metadata["limit"](self._blocks) for field in dataclasses.fields(settings)
        }  # fmt: skip
        self._refused = 0
        self.reached: Optional[str] = None
        self._told: Optional[str] = None
        self.shared: Optional[Shared] = None

    @property
    def _sharing(self) -> Optional[Shared]:
        """Applies the limits across all responders; None while this one counts alone."""
        return None if self.shared is None or self.shared.is_alone else self.shared

    def status(self) -> dict[str, dict[str, int]]:
        """Return how much of each limit is in use, and what it is."""
        sharing = self._sharing
        return {name: {"in_use": limit.used(sharing), "of": self._most(name)} for name, limit in self._limits.items()}

    def room(self, admitted: Optional[Collection[str]]) -> int:
        """Return how many more addresses the total allows besides these, as far as they are not listed. Thread-safe."""
        return self.settings.total - self._blocks.beside(admitted or ())

    def remember(self, count: int, now: float) -> None:
        """Count addresses that an earlier run blocked within the last minute."""
        for limit in self._limits.values():
            for _number in range(count):
                limit.admitted(now)

    def admit(self, address: str, now: float) -> Optional[str]:
        """Count an address to be blocked; return why it must not be, if that would be too many."""
        if address in self._blocks:
            return None
        self._pass_time(now)
        sharing = self._sharing
        shares = {name: limit.used(sharing) / self._most(name) for name, limit in self._limits.items()}
        nearest = max(shares, key=shares.__getitem__)
        if shares[nearest] >= 1 or (sharing is not None and sharing.is_full):  # the rest may be reserved by others
            self.reached = nearest
            self._refused += 1
            return f"limit reached: {self._most(nearest)} {self._limits[nearest].what}"
        for limit in self._limits.values():
            limit.admitted(now)
        self._blocks.add(address)
        if sharing is not None:
            sharing.admit(address)
        return None

    def change(self, now: float) -> Optional[dict[str, Any]]:
        """Return the event about a limit that was reached or cleared, once for each time."""
        self._pass_time(now)
        state = self.status()
        if self.reached and state[self.reached]["in_use"] < OVER * self._most(self.reached):
            self.reached = None
        if self.reached == self._told:
            return None
        name = self.reached or self._told or ""
        told = "reached" if self.reached else "cleared"
        event = {"type": "limit", "state": told, "limit": name, "value": self._most(name), "in_use": state[name]["in_use"]}
        if not self.reached:
            event["events_limited"], self._refused = self._refused, 0
        self._told = self.reached
        return event

    def _most(self, name: str) -> int:
        return int(getattr(self.settings, name))

    def _pass_time(self, now: float) -> None:
        for limit in self._limits.values():
            limit.pass_time(now)
