# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about one address on one firewall, based on its listing. Nothing here sends or waits.

The listing is the truth: an entry with enough time left needs no write, and a write counts once it is listed. So acting twice
on one event has no second effect, and several responders can share a firewall. The effect of a second POST is not documented
(cos-core-api.md A2), so an entry that a POST did not renew is replaced.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Optional, Union

from ....module_utils._core.errors import IntrusionResponseError, NotAttempted, NotListedAfterWrite, Rejected, StoredDifferently
from ....module_utils._core.options import LONGEST_TTL
from ....module_utils._cos.blacklist import Entry, Listing
from ....module_utils._cos.change import Change
from ....module_utils._cos.wanted import TTL_TOLERANCE, Wanted
from ....module_utils._ledger.record import Past
from ..decide.policy import Policy
from .messages import Wish

#: Seconds until a failed target is retried, doubled each time.
FIRST_RETRY, LONGEST_RETRY = 0.5, 60.0
#: Maximum age of a listing in seconds for treating an address as blocked, and for writing.
BELIEVED, BEFORE_WRITING = 1.0, 2.0


@dataclass(eq=False)
class Target:
    """An address that should be on the blacklist until a time, and why. Times are monotonic unless stated otherwise.

    Attributes:
        lead: the wish whose texts the entry has, or will have.
        past: the offences before the first wish, and the exemption at the latest.
        number: of the latest wish that it represents.
        received: epoch time of the latest event.
        until: epoch time until which it should be blocked.
        longest: maximum seconds of a block, even if the clock jumps.
        not_before: time before which nothing is sent.
        change: the write that was sent last, None before the first one.
        sent: when that began.
        ended: when it was answered or given up; only a listing that was requested later shows its effect.
        answered: epoch time at which the firewall accepted it.
        accepted: whether the answer is good enough for a verdict.
        failure: why the latest attempt failed.
        tries: how often it was sent without effect.
        replaces: whether the listed entry has to be removed first.
        bare: whether to write it without the texts of the event, which the firewall may have rejected.
    """

    lead: Wish
    past: Past = field(default_factory=Past)
    number: int = 0
    received: float = 0.0
    until: float = 0.0
    longest: int = 0
    not_before: float = -math.inf
    change: Optional[Change] = None
    sent: float = -math.inf
    ended: float = -math.inf
    answered: Optional[float] = None
    accepted: bool = False
    failure: Optional[IntrusionResponseError] = None
    tries: int = 0
    replaces: bool = False
    bare: bool = False

    def add(self, wish: Wish, ttl: int) -> None:
        """Represent a wish, with a block of so many seconds."""
        self.number, self.received = wish.number, wish.received
        self.until = max(self.until, min(wish.received, time.time()) + ttl)  # the clock may have been ahead
        self.longest = max(self.longest, ttl)

    @property
    def address(self) -> str:
        """What to block."""
        return self.lead.address

    @property
    def left(self) -> int:
        """Seconds for which the address should still be blocked, at least 1."""
        return min(LONGEST_TTL, self.longest, max(1, math.ceil(self.until - time.time())))

    def unsent(self) -> None:
        """Discard what was sent: it did not arrive, or did not help."""
        self.sent, self.answered, self.accepted = -math.inf, None, False


@dataclass
class View:
    """The last listing of a firewall.

    Attributes:
        policy: for its service and mark.
        hosts, marked: addresses that are listed for that service, and those with our mark among them; before the first listing, the
            assumed ones.
        own: addresses of the firewall itself.
        begun, at: monotonic times of the request and of the answer, -inf if the listing can no longer be relied on.
        gap: seconds until another request is worthwhile.
    """

    policy: Policy
    hosts: frozenset[str] = frozenset()
    marked: frozenset[str] = frozenset()
    own: frozenset[IPv4Address] = frozenset()
    listing: Listing = field(default_factory=lambda: Listing([]))
    begun: float = -math.inf
    at: float = -math.inf
    gap: float = 0.0

    def forget(self) -> None:
        """Stop relying on the listing."""
        self.begun = self.at = -math.inf

    def is_fresh(self, age: float) -> bool:
        """Whether the listing is at most so many seconds old, or as recent as slow listings can be."""
        return time.monotonic() - self.at <= max(age, 2 * self.gap)

    def owned(self, address: str) -> list[Entry]:
        """Return the entries of the API for the policy's service."""
        return self.listing.owned((address, self.policy.service))

    def enough(self, address: str, seconds: float) -> Optional[Entry]:
        """Return an entry written through the API, by whomever, that blocks the address for at least so long."""
        age = time.monotonic() - self.at
        return next((entry for entry in self.owned(address) if entry.ttl is None or entry.ttl - age >= seconds), None)


#: The next step for a target: to send it, to wait for a newer listing, or its end: the entry that settles it, or a failure.
Step = Union[str, Entry, IntrusionResponseError]
SEND, LIST = "send", "list"


def next_step(target: Target, view: View) -> Step:
    """Return the next step for a target, based on the latest listing."""
    if target.sent > -math.inf:
        return _after_a_write(target, view)
    if target.until <= time.time():
        return target.failure or NotAttempted("The block would already have expired.")
    entry = view.enough(target.address, min(view.policy.renew_below, target.left))
    if entry is not None:
        return entry if view.is_fresh(BELIEVED) else LIST
    return SEND if view.is_fresh(BEFORE_WRITING) else LIST


def _after_a_write(target: Target, view: View) -> Step:
    goal = target.change.goal if target.change is not None else None
    if goal is not None and goal.ttl is not None:  # by whomever it was written
        passed = time.monotonic() - target.sent + TTL_TOLERANCE
        entry = view.enough(target.address, min(view.policy.renew_below, goal.ttl - passed))
        if entry is not None:
            return entry
    if view.begun <= target.ended:
        return LIST
    owned, failure = view.owned(target.address), target.failure
    is_rejected = isinstance(failure, Rejected) and not owned
    if owned and not target.replaces:
        target.replaces = True
    elif is_rejected and not target.replaces and not target.bare:
        target.bare = True
    else:
        if failure is None:
            accepted = f"The firewall accepted {target.address} ({view.policy.service}), but does not "
            hint = "The host may be on the firewall's whitelist, or the blacklist may be full."
            failure = StoredDifferently(f"{accepted}renew it.", changed=True) if owned else None
            failure = failure or NotListedAfterWrite(f"{accepted}list it.", hint=hint, changed=True)
        target.failure = failure
        # Try once more: another responder may be replacing the same entry right now, or there may be room then.
        if not failure.retryable and (is_rejected or target.tries):
            return failure
        target.not_before = time.monotonic() + min(LONGEST_RETRY, FIRST_RETRY * 2.0**target.tries)
        target.tries += 1
    target.unsent()
    return SEND


def change_for(target: Target, view: View) -> Change:
    """Return what to write: an existing entry keeps its texts, and is not shortened, since it has less time left than desired."""
    policy, ttl, lead = view.policy, target.left, target.lead
    owned = view.owned(target.address)
    before = owned[0] if owned else target.change.before if target.replaces and target.change is not None else None
    wanted = Wanted(
        target.address,
        policy.service,
        ttl=ttl,
        renew_below=min(policy.renew_below, ttl),
        rule_name=None if before else policy.rule_name if target.bare else lead.rule_name,
        description=None if before or target.bare else lead.description,
        close_established=policy.close_established,
    )
    return Change(wanted, "renewed" if before else "added", before)
