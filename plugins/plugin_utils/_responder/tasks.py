# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for one firewall: addresses rather than events, since a burst of events is about few addresses."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple, Optional

from ...module_utils._core.errors import IntrusionResponseError
from ...module_utils._core.options import LONGEST_TTL
from ...module_utils._cos.apply import Writer
from ...module_utils._cos.blacklist import Entry
from ...module_utils._cos.change import Change
from ...module_utils._cos.wanted import Wanted
from .case import Case
from .policy import Policy


class Task:
    """An address that is to be blocked, for the sake of one case or more.

    Attributes:
        cases: in the order in which they came.
        lead: the first of them.
        until: epoch time until which it is to be blocked.
        longest: seconds for which a block is made at most, however the clock jumps.
        job: the write, once it is known what to write.
        author: the case that the write, and so the entry's texts, are about.
        posted: monotonic time at which it was sent.
        answered: epoch time of the firewall's answer.
        tries: how often it was sent in vain.
        failure: why the last attempt failed.
        bare: whether to write it without the texts of the event, which the firewall may have rejected.
    """

    def __init__(self, case: Case) -> None:
        self.cases: dict[Case, None] = {case: None}
        self.lead = case
        self.address = case.address
        self.until = case.until
        self.longest = case.ttl
        self.job: Optional[Change] = None
        self.author = case
        self.posted = 0.0
        self.answered: Optional[float] = None
        self.tries = 0
        self.failure: Optional[IntrusionResponseError] = None
        self.bare = False

    @property
    def newest(self) -> Case:
        """The case that a task is kept for when it takes long."""
        return next(reversed(self.cases))

    def writes_for(self, case: Case) -> bool:
        """Return whether a write that is under way is about this case."""
        return self.job is not None and case is self.author

    def drop(self, case: Case) -> None:
        """Forget a case that is not the only one."""
        del self.cases[case]
        self.lead = next(iter(self.cases))

    @property
    def left(self) -> int:
        """Seconds for which the address is still to be blocked, at least 1."""
        return min(LONGEST_TTL, self.longest, max(1, math.ceil(self.until - time.time())))


def job_for(task: Task, owned: Sequence[Entry], policy: Policy) -> Change:
    """Return what to write: an existing entry keeps its texts, and is not shortened, since it has less time than is wanted."""
    ttl, lead = task.left, task.lead
    wanted = Wanted(
        task.address,
        policy.service,
        ttl=ttl,
        renew_below=min(policy.renew_below, ttl),
        rule_name=None if owned else policy.rule_name if task.bare else lead.rule_name,
        description=None if owned or task.bare else lead.description,
        close_established=policy.close_established,
        stored_mismatch="warn",
    )
    existing = owned[0] if owned else None
    return Change(wanted, "renewed" if existing else "added", existing)


class Tasks:
    """The tasks of one firewall: ready, due later, or under way in the worker's hands.

    Cases come from another thread; everything else is the worker's.
    """

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._closed = False
        self._all: dict[str, Task] = {}
        self._ready: deque[Task] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._all)

    def put(self, case: Case) -> Optional[Case]:
        """Take a case; return an older one that needs not wait any more, since the new one stands for its address, too."""
        with self._wake:
            task = self._all.get(case.address)
            if task is None:
                self._all[case.address] = task = Task(case)
                self._ready.append(task)
                self._wake.notify()
                return None
            newest = task.newest
            task.cases[case] = None
            task.until = max(task.until, case.until)
            task.longest = max(task.longest, case.ttl)
            if newest.told is None or task.writes_for(newest):
                return None
            task.drop(newest)
            return newest

    def release(self, case: Case) -> bool:
        """Let go of a case whose address a newer one stands for; return whether that is so."""
        with self._wake:
            task = self._all.get(case.address)
            if task is None or case not in task.cases or task.newest is case or task.writes_for(case):
                return False
            task.drop(case)
            return True

    def close(self) -> None:
        """Wake the worker for the last time."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def wait(self, pause: Callable[[], float]) -> bool:
        """Wait for as long as pause, called anew whenever something comes, says; return whether to go on at all."""
        with self._wake:
            while not self._closed:
                seconds = pause()
                if seconds <= 0:
                    return True
                self._wake.wait(seconds)
            return False

    @property
    def is_closed(self) -> bool:
        """Whether the worker is to end."""
        return self._closed

    @property
    def due(self) -> float:
        """Monotonic time at which there is something to do."""
        if self._ready:
            return -math.inf
        return self._later[0][0] if self._later else math.inf

    def take(self, most: int) -> list[Task]:
        """Return tasks that are due, oldest first."""
        with self._wake:
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                self._ready.append(heapq.heappop(self._later)[2])
            return [self._ready.popleft() for _unused in range(min(most, len(self._ready)))]

    def back(self, tasks: Iterable[Task]) -> None:
        """Put tasks back to where they were taken from."""
        with self._wake:
            self._ready.extendleft(reversed(list(tasks)))

    def later(self, task: Task, seconds: float) -> None:
        """Put a task off."""
        with self._wake:
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), task))

    def drain(self, over: float = math.inf) -> list[Task]:
        """Take the tasks out that nobody works on and whose time is over at an epoch time; all of them by default."""
        with self._wake:
            waiting = [*self._ready, *(task for _at, _number, task in self._later)]
            found = [task for task in waiting if task.until <= over]
            if found:
                self._ready = deque(task for task in self._ready if task.until > over)
                self._later = [item for item in self._later if item[2].until > over]
                heapq.heapify(self._later)
            return found

    def settle(self, task: Task) -> list[Case]:
        """Forget a task, and return its cases; none when it was settled before."""
        with self._wake:
            if self._all.get(task.address) is not task:
                return []
            del self._all[task.address]
            return list(task.cases)


#: What is listed is verified in at most so many parts, each of at least so many tasks.
PARTS, FEW = 64, 4


class Round(NamedTuple):
    """Tasks that were written together, and what goes on with them."""

    writer: Writer
    tasks: list[Task]


class Unverified:
    """Rounds whose writes are not verified: sent since the latest listing, or listed, so that it tells what became of them."""

    def __init__(self) -> None:
        self._sent: deque[Round] = deque()
        self._listed: deque[Round] = deque()
        self._few = FEW

    def __bool__(self) -> bool:
        return bool(self._sent or self._listed)

    @property
    def is_listed(self) -> bool:
        """Whether there is a listing by which some can be verified."""
        return bool(self._listed)

    @property
    def oldest(self) -> float:
        """Monotonic time of the oldest write that no listing tells of."""
        return self._sent[0].tasks[0].posted if self._sent else math.inf

    def add(self, writer: Writer, tasks: list[Task]) -> None:
        """Take tasks that were just sent."""
        if tasks:
            self._sent.append(Round(writer, tasks))

    def adopt(self) -> None:
        """Note that there is a listing that was begun after all of them were sent."""
        self._listed.extend(self._sent)
        self._sent.clear()
        self._few = max(FEW, sum(len(one.tasks) for one in self._listed) // PARTS)

    def forget(self) -> None:
        """Note that the latest listing is not relied on any longer."""
        self._sent.extendleft(reversed(self._listed))
        self._listed.clear()

    def take(self) -> list[Round]:
        """Return some of those that are listed: so few that what follows from them does not hold up new events."""
        found: list[Round] = []
        most = self._few
        while self._listed and most > 0:
            writer, tasks = self._listed.popleft()
            if len(tasks) > most:
                self._listed.appendleft(Round(writer, tasks[most:]))
            found.append(Round(writer, tasks[:most]))
            most -= len(tasks)
        return found

    def drain(self) -> list[Task]:
        """Take all tasks out."""
        self.forget()
        found = [task for one in self._sent for task in one.tasks]
        self._sent.clear()
        return found
