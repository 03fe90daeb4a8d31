# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One firewall's worker: a thread that brings what should be blocked and what is listed together, step by step.

It gets wishes, and tells the event loop in immutable reports what became of them. Whatever has to wait (a firewall that is down,
a long blacklist, a write that is not listed yet) waits here, and delays neither other firewalls nor fresh wishes.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Callable, Optional, Union

from ....module_utils._core.errors import IntrusionResponseError, NotAttempted, RateLimited, Rejected, Unreachable
from ....module_utils._cos.blacklist import Entry
from ....module_utils._cos.change import Change
from ....module_utils._cos.guard import Guard
from ....module_utils._cos.wanted import TTL_TOLERANCE, Wanted
from ....module_utils._ledger.record import Record
from ..decide.escalation import Escalation
from ..decide.policy import Policy, event_in
from ..ledger import LedgerWriter
from ..verdict import ALREADY_BLOCKED, BLOCKED, FAILED, PENDING, PROTECTED, RENEWED, WITHDRAWN, Result
from .dry_run import Client
from .health import Health
from .listing import Answer, Lister, View
from .messages import Blocked, Outcome, Report, Wish
from .reconcile import LIST, SEND, Target, next_step
from .records import record_for, standing
from .sender import Sender

LOG = logging.getLogger("intrusion.response")

#: Seconds between two listings while accepted writes wait to be verified or events come, for how long after one that is, and otherwise.
RELIST, ACTIVE, IDLE = 1.0, 10.0, 30.0
#: Most addresses that are written at once.
BATCH = 64
#: Seconds for which a firewall in trouble is left alone: at first, at most, and at most where asking again will not change its answer.
FIRST_PAUSE, LONGEST_PAUSE, HOPELESS_PAUSE = 0.25, 1.0, 10.0
#: Seconds after an event from which on its address may have been taken off again by somebody before it is written.
LATE = 1.0
NEAREST = "it is an address of the firewall or of this machine"
#: Outcomes are told together, but do not wait for longer than so many seconds.
TELL = 0.005


class Worker:
    """Blocks addresses on one firewall.

    Args:
        name: the firewall's.
        address: the firewall as the ledger knows it.
        client: of the firewall.
        policy: for service, texts and times.
        guard: what must not be blocked; asked again before each write.
        escalation: tells how long a block lasts.
        ledger: is asked whether somebody took an address off in the meantime.
        instance: what the descriptions of this responder's entries bear.
        known: addresses that the ledger says are blocked.
        tell: takes reports, from this thread.

    Attributes:
        policy, guard: can be replaced at any time.
    """

    def __init__(
        self,
        name: str,
        address: str,
        client: Client,
        *,
        policy: Policy,
        guard: Guard,
        escalation: Escalation,
        ledger: LedgerWriter,
        instance: str,
        known: frozenset[str],
        tell: Callable[[Report], None],
    ) -> None:
        self.name = name
        self.address = address
        self.policy = policy
        self.guard = guard
        self.health = Health(name)
        self._client = client
        self._escalation = escalation
        self._ledger = ledger
        self._instance = instance
        self._tell = tell
        self._name_of_run = secrets.token_hex(8)
        self._wake = threading.Condition()
        self._closed = False
        self._wishes: deque[Wish] = deque()
        self._answers: deque[Union[Answer, IntrusionResponseError]] = deque()
        self._view = View(policy, known)
        self._sender = Sender(client, self._accepted)
        self._lister = Lister(name, client, lambda: self.policy, self._answered)
        self.targets: dict[str, Target] = {}
        self._unsent: dict[str, Target] = {}
        self._outcomes: deque[Outcome] = deque()
        self._told_at = 0.0
        self._next = -math.inf
        self._needs_listing = False
        self._not_before = self._active_at = -math.inf
        self._pause = FIRST_PAUSE
        self._trouble: Optional[IntrusionResponseError] = None
        self._found = False
        self._nearest: set[str] = set()
        self._last: Optional[Report] = None
        self._thread = threading.Thread(target=self._run, name=f"firewall {name}", daemon=True)

    def start(self) -> None:
        """Begin; the first thing it does is to look at the blacklist."""
        self._lister.start()
        self._thread.start()

    def want(self, wish: Wish) -> None:
        """Take a wish."""
        with self._wake:
            self._wishes.append(wish)
            self._wake.notify()

    def close(self) -> None:
        """End after the request under way, and leave unsettled what is."""
        with self._wake:
            self._closed = self._sender.closed = True
            self._wake.notify()
        self._lister.close()

    def join(self, timeout: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout)
        self._lister.join(max(0.0, timeout))

    def __len__(self) -> int:
        return len(self.targets) + len(self._wishes)

    @property
    def busy(self) -> float:
        """Seconds for which a request is under way."""
        since = [moment for moment in (self._sender.busy_since, self._lister.busy_since) if moment is not None]
        return time.monotonic() - min(since) if since else 0.0

    def _answered(self, answer: Union[Answer, IntrusionResponseError]) -> None:
        with self._wake:
            self._answers.append(answer)
            self._wake.notify()

    def _run(self) -> None:
        with self._client:
            while self._wait():
                try:
                    self._step()
                except Exception:  # a defect may cost the events at hand, never the firewall's worker
                    self._break_down()
                self._report()

    def _wait(self) -> bool:
        """Wait until there is something to do; return False at the end."""
        with self._wake:
            while not (self._closed or self._wishes or self._answers):
                pause = min(self._next, self._listing_due()) - time.monotonic()
                if pause <= 0:
                    break
                self._wake.wait(pause if pause < math.inf else None)
            return not self._closed

    def _break_down(self) -> None:
        LOG.exception("Firewall %s: unexpected failure", self.name)
        for target in list(self.targets.values()):
            self._fail(target, IntrusionResponseError("Unexpected failure, see the log."))
        self._hold(LONGEST_PAUSE)

    def _listing_due(self) -> float:
        """Return the monotonic time at which the blacklist is to be asked for."""
        view = self._view
        if self._lister.busy_since is not None:
            return math.inf
        if self._needs_listing:
            gap = view.gap
        elif len(self.targets) > len(self._unsent) or time.monotonic() < self._active_at + ACTIVE:
            gap = max(view.gap, RELIST)
        else:
            gap = max(view.gap, IDLE)
        return max(self._not_before, view.at + gap)

    def _step(self) -> None:
        self._view.policy = self.policy
        self._take_wishes()
        while self._answers:
            self._adopt(self._answers.popleft())
        now = time.monotonic()
        if now < self._not_before:
            self._give_up()
            self._next = self._not_before
            return
        if self._listing_due() <= now:
            self._lister.ask()
        self._next = math.inf
        if self._view.at > -math.inf:
            self._go_on(list(self._unsent.values()))

    def _take_wishes(self) -> None:
        while self._wishes:
            wish = self._wishes.popleft()
            ttl = self._escalation.ttl(self.policy.ttl, wish.address, wish.event)
            target = self.targets.get(wish.address)
            self._active_at = time.monotonic()
            if target is None:
                self.targets[wish.address] = self._unsent[wish.address] = Target(wish, ttl)
                continue
            target.add(wish, ttl)
            if target.accepted and target.change is not None:
                self._outcome(target, Result(ALREADY_BLOCKED, answered=time.time(), entry=target.change.goal), final=False)

    def _adopt(self, answer: Union[Answer, IntrusionResponseError]) -> None:
        if isinstance(answer, IntrusionResponseError):
            self._stumble(answer)
            return
        changes = self._view.adopt(answer)
        self._nearest = {str(address) for address in answer.addresses | answer.own}  # the guard that knows them may come too late
        self._trouble, self._not_before, self._needs_listing = None, -math.inf, False
        self.health.answers()
        found: tuple[Record, ...] = ()
        if not self._found:  # later ones also list writes of this run, which are recorded when they are settled
            self._found, found = True, standing(self.address, self._view.listing, self._instance)
        self._report(changes, (answer.addresses, answer.own), found)
        self._go_on([target for target in self.targets.values() if target.sent > -math.inf])

    def _go_on(self, targets: list[Target]) -> None:
        """Take the next step of each target; fresh ones are sent first, and the rest when there may be fresher ones."""
        now = time.monotonic()
        fresh: list[Target] = []
        again: list[Target] = []
        for target in targets:
            step = next_step(target, self._view) if target.not_before <= now else SEND
            if step is LIST:
                self._needs_listing = self._needs_listing or not target.accepted
            elif step is SEND:
                self._unsent[target.address] = target
                if target.not_before <= now:
                    (again if target.tries else fresh).append(target)
                else:
                    self._next = min(self._next, target.not_before)
            elif step.entry is not None:
                self._settle(target, step.entry)
            elif step.failure is not None:
                self.health.wrote_not(step.failure)
                self._fail(target, step.failure)
        due = fresh + again
        if len(due) > BATCH:
            self._next = -math.inf
        self._write(self._allowed(due[:BATCH]))

    def _allowed(self, targets: list[Target]) -> list[Target]:
        """Return the targets that may be written: not protected, and not taken back by somebody since their events."""
        late = [target for target in targets if time.time() - target.received > LATE]
        withdrawn = self._ledger.withdrawn([target.address for target in late], min(target.received for target in late)) if late else {}
        allowed = []
        for target in targets:
            reason = self.guard.reason(target.address) or (NEAREST if target.address in self._nearest else None)
            if reason is not None:
                self._outcome(target, Result(PROTECTED, "protected_address", reason))
            elif withdrawn.get(target.address, -math.inf) >= target.received:
                self._outcome(target, Result(WITHDRAWN, reason="it was taken off a blacklist after the event"))
            else:
                allowed.append(target)
        return allowed

    def _write(self, targets: list[Target]) -> None:
        """Send what is wanted; what may have arrived is verified by a later listing."""
        if not targets:
            return
        for target in targets:
            self._unsent.pop(target.address, None)
        self._sender.send(targets, self._view)
        trouble: Optional[IntrusionResponseError] = None
        for target in targets:
            failure = target.failure
            if failure is None or failure.outcome_unknown or isinstance(failure, Rejected):
                self._needs_listing = self._needs_listing or not target.accepted
                continue
            self.health.wrote_not(failure)
            if failure.retryable or isinstance(failure, NotAttempted):
                target.unsent()
                self._unsent[target.address] = target
                trouble = failure if isinstance(failure, (Unreachable, RateLimited)) else trouble
            else:
                self._fail(target, failure)
        if trouble is not None:
            self._stumble(trouble)
        elif self._sender.lost:
            self._view.forget()  # see first whether it answers at all
        else:
            self._pause = FIRST_PAUSE

    def _accepted(self, target: Target) -> None:
        """Tell that a write was accepted; with an answer that is good enough, that is a verdict."""
        change = target.change
        if change is None or target.answered is None or not target.accepted:
            self._outcome(target, Result(PENDING, answered=target.answered), final=False)
            return
        change.now = change.goal
        self.health.wrote()
        result = Result(BLOCKED, answered=target.answered, entry=change.goal)
        self._outcome(target, result, wrote=True, final=False, records=self._records(target, change, target.answered))
        if time.monotonic() - self._told_at > TELL:
            self._report()

    def _settle(self, target: Target, entry: Entry) -> None:
        """Tell that an address is blocked, as the listing shows."""
        change, now = target.change, time.time()
        event = event_in(entry.description, self._instance)
        is_ours = target.sent > -math.inf and not (isinstance(target.failure, Rejected) and event != target.lead.event)
        if change is None or change.goal is None or not is_ours:
            result = Result(BLOCKED if event else ALREADY_BLOCKED, answered=now, verified=True, entry=entry)
            self._outcome(target, result, lead=event or "")
            return
        at = target.answered or now
        if entry.ttl is not None and 0 <= (change.goal.ttl or 0) - entry.ttl <= now - at + TTL_TOLERANCE:
            entry = entry._replace(ttl=change.goal.ttl)  # only the time since the write is missing
        change.now, change.failure = entry, None
        self.health.wrote()
        records = () if target.accepted else self._records(target, change, at)
        result = Result(RENEWED if change.before else BLOCKED, answered=at, verified=True, entry=entry)
        self._outcome(target, result, wrote=True, records=records)

    def _stumble(self, error: IntrusionResponseError) -> None:
        """Leave the firewall alone for a while; fail what cannot succeed any more."""
        self.health.fails(error)
        self._trouble = error
        self._hold(LONGEST_PAUSE if error.retryable else HOPELESS_PAUSE)
        self._give_up()

    def _hold(self, most: float) -> None:
        self._view.forget()
        self._not_before = self._next = time.monotonic() + self._pause
        self._pause = min(most, 2 * self._pause)

    def _give_up(self) -> None:
        """Fail targets whose time is over, and all but those that were accepted where asking again will not change the answer."""
        trouble = self._trouble or NotAttempted("The firewall did not answer in time.")
        is_hopeless, now = self._trouble is not None and not self._trouble.retryable, time.time()
        for target in list(self.targets.values()) if is_hopeless else list(self._unsent.values()):
            if target.until <= now:
                self._fail(target, target.failure or trouble)
            elif is_hopeless and not target.accepted:
                self._fail(target, trouble)

    def _fail(self, target: Target, error: IntrusionResponseError) -> None:
        change = target.change or Change(Wanted(target.address, self.policy.service), "added")
        was_sent, change.failure = target.sent > -math.inf and target.failure is None, error
        records = self._records(target, change, time.time())
        if was_sent and error is self._trouble:
            records = tuple(record._replace(outcome="unknown") for record in records)
        self._outcome(target, Result(FAILED, error.code, error.message, target.answered), records=records)

    def _records(self, target: Target, change: Change, at: float) -> tuple[Record, ...]:
        return (record_for(self.address, change, target.lead, at, f"{self._name_of_run}.{target.lead.number}"),)

    def _outcome(
        self,
        target: Target,
        result: Result,
        lead: Optional[str] = None,
        *,
        wrote: bool = False,
        final: bool = True,
        records: tuple[Record, ...] = (),
    ) -> None:
        lead = target.lead.event if lead is None else lead
        self._outcomes.append(Outcome(target.address, target.number, result, lead, wrote, final, records))
        if final:
            self.targets.pop(target.address, None)
            self._unsent.pop(target.address, None)

    def _report(
        self,
        blocked: Optional[Blocked] = None,
        protected: Optional[tuple[frozenset[IPv4Address], frozenset[IPv4Address]]] = None,
        found: tuple[Record, ...] = (),
    ) -> None:
        outcomes: list[Outcome] = []
        with suppress(IndexError):  # several threads may write, and so tell
            while True:
                outcomes.append(self._outcomes.popleft())
        report = Report(self.name, self.health.code, self.health.writes, tuple(outcomes), blocked, protected, found)
        self._told_at = time.monotonic()
        if outcomes or blocked is not None or report != self._last:
            self._last = report
            self._tell(report)
