# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A firewall's worker: a thread that reconciles what should be blocked with what is listed, step by step.

It gets wishes, and reports their outcomes to the event loop in immutable messages. Whatever has to wait (for a firewall that is down,
a long blacklist, a write that is not listed yet) waits here, and delays neither other firewalls nor new wishes.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from ipaddress import IPv4Address
from queue import Empty, SimpleQueue
from typing import Any, Callable, Optional, Union

from ....module_utils._core.errors import IntrusionResponseError, NotAttempted, RateLimited, Rejected, Unreachable
from ....module_utils._cos.blacklist import Entry
from ....module_utils._cos.change import Change
from ....module_utils._cos.client import CosClient
from ....module_utils._cos.guard import Guard
from ....module_utils._cos.record import record_of
from ....module_utils._cos.wanted import TTL_TOLERANCE, Wanted
from ....module_utils._ledger.record import Record
from ..decide.escalation import EscalationSettings
from ..decide.policy import Policy, event_in
from ..ledger import LedgerWriter
from ..verdict import ALREADY_BLOCKED, BLOCKED, FAILED, PENDING, PROTECTED, RENEWED, WITHDRAWN, Result
from .link import Health, Link
from .messages import Listed, Outcome, Report, Wish
from .reconcile import LIST, SEND, Target, View, next_step

LOG = logging.getLogger("intrusion.response")

#: Seconds between two listings while accepted writes wait for verification or events arrive, for how long after an event, and otherwise.
RELIST, ACTIVE, IDLE = 1.0, 10.0, 30.0
#: Maximum number of addresses written at once.
BATCH = 64
#: Seconds for which a failing firewall is left alone: at first, at most, and at most if retrying will not change its answer.
FIRST_PAUSE, LONGEST_PAUSE, HOPELESS_PAUSE = 0.25, 0.5, 10.0
#: Seconds after an event from which somebody may have unblocked its address before it is written.
LATE = 1.0


class State(Enum):
    """The states of a worker; docs/design.md shows the transitions."""

    LOOKS = "writes nothing before it sees a listing"
    WORKS = "writes what is wanted, and verifies it by a listing now and then"
    RESTS = "leaves a firewall in trouble alone for a while"


class Worker:
    """Blocks addresses on one firewall.

    Args:
        name, address: of the firewall, the latter as in the ledger.
        policy, escalation, guard: for service, texts and times, and what must not be blocked; can be replaced at any time.
        ledger: for earlier offences, exemptions, and whether somebody unblocked an address in the meantime.
        instance: of this responder, as in the descriptions of its entries.
        known: addresses that are blocked according to the ledger.
        tell: called with reports, from any thread.
    """

    def __init__(
        self,
        name: str,
        address: str,
        client: CosClient,
        *,
        policy: Policy,
        escalation: EscalationSettings,
        guard: Guard,
        ledger: LedgerWriter,
        instance: str,
        known: frozenset[str],
        tell: Callable[[Report], None],
    ) -> None:
        self.name = name
        self.address = address
        self.policy = policy
        self.escalation = escalation
        self.guard = guard
        self.health = Health(name)
        self.targets: dict[str, Target] = {}
        self._client = client
        self._ledger = ledger
        self._instance = instance
        self._tell = tell
        self._name_of_run = secrets.token_hex(8)
        self._came: SimpleQueue[Union[Wish, View, IntrusionResponseError, None]] = SimpleQueue()
        self._view = View(policy, known, known)
        self.link = Link(name, client, self._came.put, self._accepted)
        self._unsent: dict[str, Target] = {}
        self._outcomes: deque[Outcome] = deque()
        self._said: tuple[Optional[str], ...] = ()
        self._next = self._not_before = self._active_at = self._listed_from = -math.inf  # monotonic times
        self._needs_listing = self._found = False
        self._pause = FIRST_PAUSE
        self._trouble: Optional[IntrusionResponseError] = None
        self._thread = threading.Thread(target=self._run, name=f"firewall {name}", daemon=True)

    def start(self) -> None:
        """Start, by reading the blacklist."""
        self._thread.start()

    def want(self, wish: Wish) -> None:
        """Accept a wish."""
        self._came.put(wish)

    def look(self) -> None:
        """Write nothing before another listing, since somebody else has written until now."""
        self._listed_from = time.monotonic()

    def close(self) -> None:
        """End after the request under way, and leave the rest unsettled."""
        self.link.closed = True
        self._came.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout)
        self.link.join(timeout)

    @property
    def state(self) -> State:
        """Its current state."""
        if time.monotonic() < self._not_before:
            return State.RESTS
        return State.WORKS if self._view.at > -math.inf else State.LOOKS

    def __len__(self) -> int:
        return len(self.targets) + self._came.qsize()

    def _run(self) -> None:
        with self._client:
            while not self.link.closed:
                try:
                    self._receive()
                    self._step()
                except Exception:  # a bug may cost the current events, but never the firewall's worker
                    LOG.exception("Firewall %s: unexpected failure", self.name)
                    for target in list(self.targets.values()):
                        self._fail(target, IntrusionResponseError("Unexpected failure; see the log."))
                    self._hold(LONGEST_PAUSE)
                self._report()

    def _receive(self) -> None:
        """Handle new messages, or wait for them until there is something else to do."""
        pause = max(self._not_before, min(self._next, self._listing_due())) - time.monotonic()
        with suppress(Empty):
            came = self._came.get(pause > 0, pause if math.isfinite(pause) else None)
            while True:
                if isinstance(came, Wish):
                    self._take(came)
                elif came is not None:
                    self._adopt(came)
                came = self._came.get_nowait()

    def _listing_due(self) -> float:
        """Return the monotonic time at which to request the blacklist, unless the firewall is left alone."""
        if self.link.asking is not None:
            return math.inf
        gap = self._view.gap
        if not self._needs_listing:
            is_active = len(self.targets) > len(self._unsent) or time.monotonic() < self._active_at + ACTIVE
            gap = max(gap, RELIST if is_active else IDLE)
        return self._view.at + gap

    def _step(self) -> None:
        self._view.policy = self.policy
        if self.link.closed:
            return
        if self._view.begun < self._listed_from:
            self._view.forget()
        state = self.state
        if state is State.RESTS:
            self._give_up()
            return
        if self._listing_due() <= time.monotonic():
            self.link.ask(self.policy)
        self._next = math.inf
        if state is State.WORKS:
            self._go_on(list(self._unsent.values()))

    def _take(self, wish: Wish) -> None:
        self._active_at = time.monotonic()
        past = self._ledger.past(wish.number, wish.address, self.escalation.memory, wish.event)
        target = self.targets.get(wish.address)
        if target is None:
            target = self.targets[wish.address] = self._unsent[wish.address] = Target(wish, past)
        # An event that another firewall has settled meanwhile is no earlier offence of those that are waiting here with it.
        target.past = past._replace(offences=target.past.offences)
        target.add(wish, self.escalation.ttl(self.policy.ttl, target.past.offences, wish.ttl))
        if target.accepted and target.change is not None:
            self._tell_of(target, Result(ALREADY_BLOCKED, answered=time.time(), entry=target.change.goal), final=False)

    def _adopt(self, found: Union[View, IntrusionResponseError]) -> None:
        if isinstance(found, IntrusionResponseError):
            self._stumble(found)
            return
        old, self._view = self._view, found
        self._trouble, self._not_before, self._needs_listing = None, -math.inf, False
        self.health.asked()
        # Later listings also contain writes of this run, which are recorded when they are settled.
        standing, self._found = () if self._found else tuple(self._standing()), True
        more, less = (found.hosts - old.hosts, found.marked - old.marked), (old.hosts - found.hosts, old.marked - found.marked)
        self._report(Listed(*more, *less, found.own, standing))
        self._go_on([target for target in self.targets.values() if target.sent > -math.inf])

    def _standing(self) -> Iterator[Record]:
        """Yield records of the listed blocks that this responder wrote, according to their descriptions."""
        for entry in self._view.listing.owned_entries():
            event = event_in(entry.description, self._instance)
            if event is not None:
                yield self._record_of(entry, event)

    def _record_of(self, entry: Entry, event: str, event_rule: Optional[str] = None) -> Record:
        change = Change(Wanted(*entry.key), "added", now=entry)
        return record_of(change, time.time(), firewall=self.address, origin="responder", event=event, event_rule=event_rule)

    def _go_on(self, targets: list[Target]) -> None:
        """Take the next step of each target; new ones are sent first, and the rest once there may be newer ones."""
        now = time.monotonic()
        due: list[Target] = []
        for target in targets:
            step = next_step(target, self._view) if target.not_before <= now else SEND
            if step == LIST:
                self._needs_listing = self._needs_listing or not target.accepted
            elif isinstance(step, Entry):
                self._settle(target, step)
            elif isinstance(step, IntrusionResponseError):
                self.health.wrote(step)
                self._fail(target, step)
            else:
                self._unsent[target.address] = target
                if target.not_before <= now:
                    due.append(target)
                else:
                    self._next = min(self._next, target.not_before)
        if len(due) > BATCH:
            self._next = -math.inf
        due.sort(key=lambda target: target.tries > 0)
        self._write(self._allowed(due[:BATCH]))

    def _allowed(self, targets: list[Target]) -> list[Target]:
        """Return the targets that may be written: not protected, and not undone by somebody since their events."""
        late = [target.address for target in targets if time.time() - target.received > LATE]
        pasts = self._ledger.pasts(late) if late else {}
        allowed = []
        for target in targets:
            past = pasts.get(target.address, target.past)
            reason = self.guard.reason(target.address)
            if reason is None and IPv4Address(target.address) in self._view.own:  # the guard may learn them too late
                reason = "it is the firewall's own address"
            if reason := reason or past.why_exempt(time.time()):
                self._tell_of(target, Result(PROTECTED, "protected_address", reason))
            elif target.address in pasts and (past.taken_off or -math.inf) >= target.received:
                self._tell_of(target, Result(WITHDRAWN, reason="it was taken off a blacklist after the event"))
            else:
                allowed.append(target)
        return allowed

    def _write(self, targets: list[Target]) -> None:
        """Send the targets; a later listing verifies what may have arrived."""
        if not targets:
            return
        for target in targets:
            self._unsent.pop(target.address, None)
        self.link.send(targets, self._view)
        trouble: Optional[IntrusionResponseError] = None
        for target in targets:
            failure = target.failure
            if failure is None or failure.outcome_unknown or isinstance(failure, Rejected):
                self._needs_listing = self._needs_listing or not target.accepted
                continue
            self.health.wrote(failure)
            if failure.retryable or isinstance(failure, NotAttempted):
                target.unsent()
                self._unsent[target.address] = target
                trouble = failure if isinstance(failure, (Unreachable, RateLimited)) else trouble
            else:
                self._fail(target, failure)
        if trouble is not None:
            self._stumble(trouble)
        elif self.link.lost:
            self._view.forget()  # check first whether it answers at all
        else:
            self._pause = FIRST_PAUSE

    def _accepted(self, target: Target) -> None:
        """Report that a write was accepted; if the answer is good enough, that is a verdict."""
        change = target.change
        if change is None or not target.answered or not target.accepted:
            self._tell_of(target, Result(PENDING, answered=target.answered), final=False)
            return
        change.now = change.goal
        self.health.wrote()
        result = Result(BLOCKED, answered=target.answered, entry=change.goal)
        self._tell_of(target, result, final=False, record=self._record(target, change, target.answered))
        self._report()

    def _settle(self, target: Target, entry: Entry) -> None:
        """Report that an address is blocked according to the listing."""
        change, now = target.change, time.time()
        event = event_in(entry.description, self._instance)
        is_ours = target.sent > -math.inf and not (isinstance(target.failure, Rejected) and event != target.lead.event)
        if change is None or change.goal is None or not is_ours:
            more: dict[str, Any] = {}
            if event is None and target.lead.taken_over and event_in(entry.description) == target.lead.event:
                event = target.lead.event
                more = {"record": self._record_of(entry, event, target.lead.event_rule), "completes": True}
            self._tell_of(target, Result(BLOCKED if event else ALREADY_BLOCKED, answered=now, verified=True, entry=entry), event, **more)
            return
        at = target.answered or now
        if entry.ttl is not None and 0 <= (change.goal.ttl or 0) - entry.ttl <= now - at + TTL_TOLERANCE:
            entry = entry._replace(ttl=change.goal.ttl)  # only the time since the write has passed
        change.now, change.failure = entry, None
        self.health.wrote()
        record = None if target.accepted else self._record(target, change, at)
        self._tell_of(target, Result(RENEWED if change.before else BLOCKED, answered=at, verified=True, entry=entry), record=record)

    def _stumble(self, error: IntrusionResponseError) -> None:
        """Leave the firewall alone for a while, and fail what can no longer succeed."""
        self.health.asked(error)
        self._trouble = error
        self._hold(LONGEST_PAUSE if error.retryable else HOPELESS_PAUSE)
        self._give_up()

    def _hold(self, most: float) -> None:
        self._view.forget()
        self._not_before = time.monotonic() + self._pause
        self._pause = min(most, 2 * self._pause)

    def _give_up(self) -> None:
        """Fail targets whose time is over, and, if retrying will not change the answer, all that were not accepted."""
        trouble = self._trouble or NotAttempted("The firewall did not answer in time.")
        is_hopeless, now = self._trouble is not None and not self._trouble.retryable, time.time()
        for target in list((self.targets if is_hopeless else self._unsent).values()):
            if target.until <= now or (is_hopeless and not target.accepted):
                self._fail(target, (target.failure if target.until <= now else None) or trouble)

    def _fail(self, target: Target, error: IntrusionResponseError) -> None:
        change = target.change or Change(Wanted(target.address, self.policy.service), "added")
        was_sent, change.failure = target.sent > -math.inf and target.failure is None, error
        record = self._record(target, change, time.time())
        if was_sent and error is self._trouble:
            record = record._replace(outcome="unknown")
        self._tell_of(target, Result(FAILED, error.code, error.message, target.answered), record=record)

    def _record(self, target: Target, change: Change, at: float) -> Record:
        """Return the record of a write; a later one of the same write supersedes it."""
        lead, write = target.lead, f"{self._name_of_run}.{target.lead.number}"
        about = {"firewall": self.address, "origin": "responder", "event": lead.event, "event_rule": lead.event_rule}
        return record_of(change, at, write=write, **about)

    def _tell_of(self, target: Target, result: Result, lead: Optional[str] = None, **more: Any) -> None:
        outcome = Outcome(target.address, target.number, result, lead, **more)
        self._outcomes.append(outcome)
        if outcome.final:
            self.targets.pop(target.address, None)
            self._unsent.pop(target.address, None)

    def _report(self, listed: Optional[Listed] = None) -> None:
        outcomes: list[Outcome] = []
        with suppress(IndexError):  # several threads may write, and so report
            while True:
                outcomes.append(self._outcomes.popleft())
        health = self.health.code, self.health.writes
        if outcomes or listed is not None or health != self._said:
            self._said = health
            self._tell(Report(self.name, *health, tuple(outcomes), listed))
