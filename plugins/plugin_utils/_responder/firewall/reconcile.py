# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about one address on one firewall, by what the firewall lists. Nothing here sends or waits.

The listing is the truth: what it shows with enough time left needs no write, and a write counts once it is listed. So acting twice
on one event has no second effect, and several responders can share a firewall. What a second POST does is not documented
(cos-core-api.md A2), so an entry that a POST did not renew is replaced.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple, Optional

from ....module_utils._core.errors import IntrusionResponseError, NotAttempted, NotListedAfterWrite, Rejected, StoredDifferently
from ....module_utils._core.options import LONGEST_TTL
from ....module_utils._cos.blacklist import Entry
from ....module_utils._cos.change import Change
from ....module_utils._cos.wanted import TTL_TOLERANCE, Wanted
from ..decide.policy import Policy
from .listing import BEFORE_WRITING, BELIEVED, View
from .messages import Wish

#: Seconds until a target is tried again that could not be written, doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0


class Target:
    """An address that should be on the blacklist until a time, and why.

    Attributes:
        number: of the latest wish that it stands for.
        lead: the wish whose texts the entry bears, or will bear.
        until: epoch time until which it is to be blocked.
        longest: seconds for which a block is made at most, however the clock jumps.
        received: epoch time of the latest event.
        not_before: monotonic time before which nothing is sent.
        change: the write that was sent last, None before the first one.
        sent: monotonic time at which that began.
        ended: monotonic time at which it was answered or given up; a listing must have been begun later to tell of it.
        answered: epoch time at which the firewall accepted it.
        accepted: whether the answer is good enough for a verdict.
        tries: how often it was sent in vain.
        replaces: whether the entry that is listed has to be removed first.
        bare: whether to write it without the texts of the event, which the firewall may have rejected.
    """

    __slots__ = (
        "accepted",
        "address",
        "answered",
        "bare",
        "change",
        "ended",
        "failure",
        "lead",
        "longest",
        "not_before",
        "number",
        "received",
        "replaces",
        "sent",
        "tries",
        "until",
    )  # fmt: skip

    def __init__(self, wish: Wish, ttl: int) -> None:
        self.address = wish.address
        self.lead = wish
        self.number, self.received = wish.number, wish.received
        self.until = 0.0
        self.longest = 0
        self.not_before = -math.inf
        self.change: Optional[Change] = None
        self.sent = self.ended = -math.inf
        self.answered: Optional[float] = None
        self.accepted = False
        self.failure: Optional[IntrusionResponseError] = None
        self.tries = 0
        self.replaces = False
        self.bare = False
        self.add(wish, ttl)

    def add(self, wish: Wish, ttl: int) -> None:
        """Stand for another wish, too."""
        self.number, self.received = wish.number, wish.received
        self.until = max(self.until, min(wish.received, time.time()) + ttl)  # the clock may have been ahead
        self.longest = max(self.longest, ttl)

    @property
    def left(self) -> int:
        """Seconds for which the address is still to be blocked, at least 1."""
        return min(LONGEST_TTL, self.longest, max(1, math.ceil(self.until - time.time())))

    def needed(self, policy: Policy) -> float:
        """Seconds that an entry must have left so that nothing needs to be written."""
        return min(policy.renew_below, self.left)

    def wait(self) -> None:
        """Put the next attempt off, after one in vain."""
        self.not_before = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self.tries)
        self.tries += 1

    def unsent(self) -> None:
        """Forget what was sent: it did not arrive, or did not help."""
        self.sent, self.answered, self.accepted = -math.inf, None, False


class Step(NamedTuple):
    """What comes next for a target: send, list (only a newer listing can tell), settled by an entry, or failed."""

    what: str
    entry: Optional[Entry] = None
    failure: Optional[IntrusionResponseError] = None


SEND, LIST = Step("send"), Step("list")


def next_step(target: Target, view: View) -> Step:
    """Return what comes next for a target, by the latest listing."""
    if target.sent > -math.inf:
        return _after_a_write(target, view)
    if target.until <= time.time():
        return Step("failed", failure=target.failure or NotAttempted("The event is older than the block would be long."))
    entry = view.enough(target.address, target.needed(view.policy))
    if entry is not None:
        return Step("settled", entry) if view.is_fresh(BELIEVED) else LIST
    return SEND if view.is_fresh(BEFORE_WRITING) else LIST


def _after_a_write(target: Target, view: View) -> Step:
    entry = written(target, view)
    if entry is not None:
        return Step("settled", entry)
    if view.begun <= target.ended:
        return LIST
    owned, failure = view.owned(target.address), target.failure
    if not owned:
        if failure is None:
            failure = NotListedAfterWrite(
                f"The firewall accepted {target.address} ({view.policy.service}), but does not list it.",
                hint="The host may be on the firewall's whitelist, or the firewall has no room for more entries.",
                changed=True,
            )
            return _again(target, failure, target.tries == 0)
        if isinstance(failure, Rejected) and not target.replaces and not target.bare:
            target.bare = True
            target.unsent()
            return SEND
        return _again(target, failure, failure.retryable)
    if not target.replaces:
        target.replaces = True
        target.unsent()
        return SEND
    failure = failure or StoredDifferently(f"The firewall does not renew the entry of {target.address}.", changed=True)
    return _again(target, failure, failure.retryable or target.tries == 0)  # another responder may be replacing the same entry right now


def _again(target: Target, failure: IntrusionResponseError, is_worth_it: bool) -> Step:
    target.failure = failure
    if not is_worth_it:
        return Step("failed", failure=failure)
    target.unsent()
    target.wait()
    return SEND


def written(target: Target, view: View) -> Optional[Entry]:
    """Return the entry that a write was to lead to, whoever wrote it."""
    entry = target.change.goal if target.change is not None else None
    if entry is None or entry.ttl is None:
        return None
    passed = time.monotonic() - target.sent + TTL_TOLERANCE
    return view.enough(target.address, min(view.policy.renew_below, entry.ttl - passed))


def change_for(target: Target, view: View) -> Change:
    """Return what to write: an existing entry keeps its texts, and is not shortened, since it has less time than is wanted."""
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


def echoes(answer: Any, change: Change) -> bool:
    """Return whether the answer to a POST confirms host, service and ttl as they were sent."""
    raw = answer.get("blacklist_entry") if isinstance(answer, dict) else None
    if not isinstance(raw, dict) or change.goal is None:
        return False
    told = Entry.from_wire(raw)
    return told.key == change.key and told.ttl == change.goal.ttl
