# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One firewall's worker: a thread that looks at the blacklist, writes what is missing, and looks again.

The firewall's listing is the truth: what it shows with enough time left needs no write, and a write counts once it is listed. So
acting twice on one event has no second effect, and several responders can share a firewall.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Optional

from ...module_utils._core.errors import (
    IntrusionResponseError,
    NotAttempted,
    NotListedAfterWrite,
    RateLimited,
    Rejected,
    TimeoutUnknown,
    Unreachable,
)
from ...module_utils._cos.apply import Writer, read
from ...module_utils._cos.blacklist import Entry
from ...module_utils._cos.change import Change
from ...module_utils._cos.client import CosClient
from ...module_utils._cos.guard import Guard
from ...module_utils._cos.record import record_of
from ...module_utils._cos.wanted import TTL_TOLERANCE, Wanted
from .case import ALREADY_BLOCKED, BLOCKED, FAILED, RENEWED, Case, Observer, Result
from .condition import Condition
from .firewall_settings import FirewallSettings
from .policy import Policy, event_in
from .tasks import Task, Tasks, Unverified, job_for
from .view import View

LOG = logging.getLogger("intrusion.response")

#: Oldest listing, in seconds, after which an address is believed to be blocked, and before which a write may go out.
BELIEVED, BEFORE_WRITING = 1.0, 2.0
#: Seconds between two listings while events come, for how long after an event that is, and otherwise.
RELIST, ACTIVE, IDLE = 0.75, 10.0, 30.0
#: Seconds without an event after which writes are verified, and for how long events that keep coming can put that off.
QUIET, OVERDUE = 0.05, 1.0
#: From how many writes on several connections are worth their threads.
SIDE_BY_SIDE = 16
#: Most addresses that are written at once, and seconds between verifying some and some more, which is not urgent.
BATCH, PACE = 256, 0.01
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_TASK_PAUSE = 0.5, 10.0, 60.0
GUARD_REFRESH = 60.0


class FirewallWorker:
    """Blocks addresses on one firewall.

    Args:
        settings: of the firewall.
        policy: for service, texts and times.
        observer: is told what happens.
        instance: what the descriptions of this responder's entries bear.
        dry_run: decide everything, write nothing.

    Raises:
        InvalidInput: the connection settings cannot work.
    """

    def __init__(self, settings: FirewallSettings, policy: Policy, observer: Observer, instance: str, dry_run: bool = False) -> None:
        self.settings = settings
        self.name = settings.name
        self.tasks = Tasks()
        self.condition = Condition(settings.name, observer)
        self._policy = policy
        self._observer = observer
        self._instance = instance
        self._dry_run = dry_run
        self._client = CosClient.from_call(settings.call)
        self.guard = Guard.from_call(settings.call, self._client.endpoint)
        self._guard_at = time.monotonic()
        self._view = View(policy)
        self._unverified = Unverified()
        self._active_at = self._verified_at = -math.inf
        self._resume_at = -math.inf
        self._pause_length = FIRST_PAUSE
        self._trouble: Optional[IntrusionResponseError] = None
        self._lost = self._told_found = False
        self._thread = threading.Thread(target=self._run, name=f"firewall {self.name}", daemon=True)

    def start(self) -> None:
        """Begin; the first thing it does is to look at the blacklist."""
        self._thread.start()

    def stop(self) -> None:
        """End after the request under way, and leave unsettled what is. Blocks for as long as that takes."""
        self.tasks.close()
        self._thread.join()

    def _run(self) -> None:
        with self._client:
            while self.tasks.wait(self._pause):
                self._step()

    def _step(self) -> None:
        batch = [] if self._must_verify() else self.tasks.take(BATCH)
        try:
            if batch:
                self._handle(batch)
            if self._unverified.is_listed:
                if time.monotonic() >= self._verified_at + PACE:
                    self._verify()
            elif not batch:
                self._look()
                self._refresh_guard()
        except Exception:  # a defect may cost the events at hand, never the firewall's worker
            LOG.exception("Firewall %s: unexpected failure", self.name)
            left = {task: None for task in (*batch, *self._unverified.drain()) if task.cases}
            self._fail(left, IntrusionResponseError("Unexpected failure, see the log."))
            self._hold()

    @property
    def _is_hopeless(self) -> bool:
        """Whether the firewall's last answer was one that asking again will not change."""
        return self._trouble is not None and not self._trouble.retryable

    def _pause(self) -> float:
        """Return for how many seconds there is nothing to do."""
        now, due = time.monotonic(), self.tasks.due
        if now < self._resume_at:
            return 0.0 if self._is_hopeless and due <= now else self._resume_at - now
        if self._unverified.is_listed:
            due = min(due, self._verified_at + PACE)
        elif self._unverified:
            due = min(due, max(self._view.at + self._view.gap, self._active_at + QUIET))
        else:
            due = min(due, self._view.at + (max(self._view.gap, RELIST) if now < self._active_at + ACTIVE else IDLE))
        return due - now

    def _must_verify(self) -> bool:
        now = time.monotonic()
        return now >= max(self._unverified.oldest + OVERDUE, self._view.at + self._view.gap, self._resume_at)

    def _handle(self, batch: list[Task]) -> None:
        """Settle what needs no write, and write the rest."""
        if self._trouble is not None and self._is_hopeless and time.monotonic() < self._resume_at:
            self._fail(batch, self._trouble)
            return
        self._active_at = time.monotonic()
        now = time.time()
        self._bury([task for task in batch if task.until <= now])
        batch = [task for task in batch if task.until > now]
        if not self._see(BEFORE_WRITING, batch):
            return
        found = self._blocked(batch)
        if any(found.values()):
            if not self._see(max(BELIEVED, self._view.gap), batch):
                return
            found = self._blocked(batch)
        self._settle([(task, self._already(task, entry)) for task, entry in found.items() if entry is not None])
        missing = [task for task, entry in found.items() if entry is None]
        jobs = {task: job_for(task, self._view.owned(task.address), self._policy) for task in missing}
        if self._dry_run:
            self._imagine(jobs)
        elif jobs:
            self._write(jobs)

    def _blocked(self, tasks: Iterable[Task]) -> dict[Task, Optional[Entry]]:
        return {task: self._view.enough(task.address, min(self._policy.renew_below, task.left)) for task in tasks}

    def _see(self, age: float, batch: list[Task]) -> bool:
        """Make sure that the listing is not older; return whether there is one, else the batch is taken care of."""
        if self._view.is_fresh(age) or self._look():
            return True
        if self._trouble is not None and self._is_hopeless:
            self._fail(batch, self._trouble)
        else:
            self.tasks.back(batch)
        return False

    def _already(self, task: Task, entry: Entry) -> Result:
        """Return the result for an entry that is there; it was written for this very event when a crash came in between."""
        events = {event_in(one.description, self._instance) for one in self._view.owned(task.address)}
        return Result(BLOCKED if task.lead.event.id in events else ALREADY_BLOCKED, answered=time.time(), entry=entry)

    def _imagine(self, jobs: dict[Task, Change]) -> None:
        settled = []
        for task, job in jobs.items():
            entry = job.goal
            if entry is not None:
                self._view.imagine(entry, task.left)
                settled.append((task, Result(RENEWED if job.before else BLOCKED, answered=time.time(), entry=entry)))
        self._observer.listed(self.name, *self._view.hosts())
        self._settle(settled)

    def _write(self, jobs: dict[Task, Change]) -> None:
        """Send what is wanted; what may have arrived is verified later, since that is not urgent."""
        writer = Writer(self._client, LOG.debug)
        self._lost = False
        for task, job in jobs.items():
            task.job, task.author, task.answered, task.posted = job, task.lead, None, time.monotonic()
        if len(jobs) < SIDE_BY_SIDE:
            for task in jobs:
                self._post(task)
        else:
            self._client.each(self._post, jobs)
        verify, back = [], []
        trouble: Optional[IntrusionResponseError] = None
        for task, job in jobs.items():
            failure = task.failure = job.failure
            if failure is None or failure.outcome_unknown or isinstance(failure, Rejected):
                verify.append(task)
            elif failure.retryable or isinstance(failure, NotAttempted):
                back.append(task)
                self.condition.wrote_not(failure)
                trouble = failure if isinstance(failure, (Unreachable, RateLimited)) else trouble
            else:
                self.condition.wrote_not(failure)
                self._fail([task], failure)
            if failure is None:
                self._pause_length = FIRST_PAUSE
        self._unverified.add(writer, verify)
        self.tasks.back(back)
        if trouble is not None:
            self._stumble(trouble)
        elif self._lost:
            self._forget()  # see first whether it answers at all

    def _post(self, task: Task) -> None:
        job = task.job
        if job is None or job.goal is None:
            return
        if self._lost or self.tasks.is_closed:
            job.failure = NotAttempted("The firewall did not answer an earlier request, or the responder was stopped.")
            return
        task.posted = time.monotonic()
        try:
            self._client.add(job.fields())
        except IntrusionResponseError as error:
            job.failure = error
            self._lost = self._lost or isinstance(error, (Unreachable, TimeoutUnknown))
        else:
            task.answered = time.time()
            task.author.accepted[self.name] = task.answered

    def _look(self) -> bool:
        """Ask for the blacklist, and settle what waits for it."""
        begun, connects = time.monotonic(), self._view.at == -math.inf
        try:
            listing = read(self._client)
        except IntrusionResponseError as error:
            self._stumble(error)
            return False
        self._view.adopt(listing, None if connects else time.monotonic() - begun)  # that pays for the connection, too
        self._trouble, self._resume_at = None, -math.inf
        if self.tasks.due == math.inf and not self._unverified:
            self._pause_length = FIRST_PAUSE
        self.condition.answers()
        self._observer.listed(self.name, *self._view.hosts())
        if not self._told_found:  # later ones also list writes of this run, which are recorded when they are verified
            self._told_found = True
            self._tell_found()
        self._unverified.adopt()
        return True

    def _tell_found(self) -> None:
        now, door = time.time(), {"firewall": self.settings.address, "door": "responder"}
        events = {entry: event_in(entry.description, self._instance) for entry in self._view.listing.owned_entries()}
        self._observer.found(
            [
                record_of(Change(Wanted(*entry.key), "added", now=entry), now, event=event, **door)
                for entry, event in events.items()
                if event
            ]
        )

    def _verify(self) -> None:
        """Verify some writes by the latest listing; the next ones have their turn after new events."""
        self._verified_at = time.monotonic()
        for writer, tasks in self._unverified.take():
            listed = {task: self._written(task) for task in tasks}
            self._settle([(task, self._done(task, entry)) for task, entry in listed.items() if entry is not None])
            stubborn = [task for task, entry in listed.items() if entry is None]
            if stubborn:
                self._insist(writer, stubborn)

    def _written(self, task: Task) -> Optional[Entry]:
        """Return the entry that a write was to lead to, whoever wrote it."""
        if task.job is None or task.job.goal is None or task.job.goal.ttl is None:
            return None
        passed = time.monotonic() - task.posted + TTL_TOLERANCE
        return self._view.enough(task.address, min(self._policy.renew_below, task.job.goal.ttl - passed))

    def _done(self, task: Task, entry: Entry) -> Result:
        """Return the result of a write that is listed."""
        job, now = task.job or Change(Wanted(*entry.key), "added"), time.time()
        if isinstance(job.failure, Rejected) and event_in(entry.description, self._instance) != task.author.event.id:  # somebody else's
            return Result(ALREADY_BLOCKED, answered=now, entry=entry)
        at = task.answered or now
        if job.goal is not None and entry.ttl is not None and 0 <= (job.goal.ttl or 0) - entry.ttl <= now - at + TTL_TOLERANCE:
            entry = entry._replace(ttl=job.goal.ttl)  # only the time since the write is missing
        job.now, job.failure = entry, None
        self.condition.wrote()
        self._record(task, job, at)
        return Result(RENEWED if job.before else BLOCKED, answered=at, entry=entry)

    def _insist(self, writer: Writer, tasks: list[Task]) -> None:
        """Go the long way with entries that are not listed as they should be: replace them, or find out why not."""
        listing = writer.settle([task.job for task in tasks if task.job is not None], self._view.listing)
        if not listing.stale:
            self._view.adopt(listing)
            self._observer.listed(self.name, *self._view.hosts())
        for task in tasks:
            job = task.job or Change(Wanted(task.address, self._policy.service), "added")
            failure = task.failure = job.failure
            entry = None if listing.stale else self._written(task)
            if entry is not None or failure is None:
                written = entry or job.now or job.goal
                if written is not None:
                    self._settle([(task, self._done(task, written))])
            elif isinstance(failure, Rejected) and job.before is None and not task.bare:
                task.bare = True
                self.tasks.back([task])
            elif failure.retryable or (not task.tries and (job.before or isinstance(failure, NotListedAfterWrite))):
                # another responder may be replacing the same entry right now
                self.tasks.later(task, min(LONGEST_TASK_PAUSE, FIRST_PAUSE * 2**task.tries))
                task.tries += 1
                self.condition.wrote_not(failure)
            else:
                self.condition.wrote_not(failure)
                self._fail([task], failure)

    def _stumble(self, error: IntrusionResponseError) -> None:
        """Leave the firewall alone for a while; fail what cannot succeed any more."""
        self._hold()
        self._trouble = error
        self.condition.fails(error)
        if self._is_hopeless:
            self._fail(self._unverified.drain(), error, outcome="unknown")
            self._fail(self.tasks.drain(), error)
        self._bury(self.tasks.drain(time.time()))

    def _forget(self) -> None:
        self._view.forget()
        self._unverified.forget()

    def _hold(self) -> None:
        self._forget()
        self._resume_at = time.monotonic() + self._pause_length
        self._pause_length = min(LONGEST_PAUSE, 2 * self._pause_length)

    def _bury(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            error = task.failure or self._trouble or NotAttempted("The event is older than the block would be long.")
            self._fail([task], error)

    def _fail(self, tasks: Iterable[Task], error: IntrusionResponseError, outcome: Optional[str] = None) -> None:
        settled = []
        for task in tasks:
            job = task.job or Change(Wanted(task.address, self._policy.service), "added")
            job.failure = error
            self._record(task, job, time.time(), outcome)
            settled.append((task, Result(FAILED, error.code, error.message, task.answered, job.now)))
        self._settle(settled)

    def _settle(self, settled: Sequence[tuple[Task, Result]]) -> None:
        """Hand results on; of several events about one address, the first caused the write, the others found it done."""
        results: list[tuple[Case, Result]] = []
        for task, result in settled:
            others = result._replace(result=ALREADY_BLOCKED) if result.result in (BLOCKED, RENEWED) else result
            results.extend((case, others if index else result) for index, case in enumerate(self.tasks.settle(task)))
        if results:
            self._observer.settled(self.name, results)

    def _record(self, task: Task, job: Change, at: float, outcome: Optional[str] = None) -> None:
        if self._dry_run:
            return
        cause = task.author.event if task.job is not None else task.lead.event
        event = {"event": cause.id, "event_rule": cause.reason}
        record = record_of(job, at, firewall=self.settings.address, door="responder", **event)
        self._observer.wrote(record if outcome is None else record._replace(outcome=outcome))

    def _refresh_guard(self) -> None:
        """Ask again for the addresses of firewall and machine, which may change; where nothing is found, the old ones stay."""
        if time.monotonic() - self._guard_at < GUARD_REFRESH or self._unverified or self.tasks.due < math.inf:
            return
        self._guard_at = time.monotonic()
        found = Guard.from_call(self.settings.call, self._client.endpoint)
        if found.firewall:
            self.guard = found
