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
from collections.abc import Iterable
from typing import Callable, Optional

from ...module_utils._core.errors import IntrusionResponseError
from ...module_utils._cos.apply import Job
from ...module_utils._cos.blacklist import LONGEST_TTL
from .case import Case


class Task:
    """An address that is to be blocked, for the sake of one case or more.

    Attributes:
        cases: in the order in which they came.
        lead: the first of them, which the entry's texts are about.
        until: epoch time until which it is to be blocked.
        job: the write, once it is known what to write.
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
        self.job: Optional[Job] = None
        self.posted = 0.0
        self.answered: Optional[float] = None
        self.tries = 0
        self.failure: Optional[IntrusionResponseError] = None
        self.bare = False

    @property
    def newest(self) -> Case:
        """The case that a task is kept for when it takes long."""
        return next(reversed(self.cases))

    def drop(self, case: Case) -> None:
        """Forget a case that is not the only one."""
        del self.cases[case]
        self.lead = next(iter(self.cases))

    @property
    def left(self) -> int:
        """Seconds for which the address is still to be blocked, at least 1."""
        return min(LONGEST_TTL, max(1, math.ceil(self.until - time.time())))


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
            if newest.told is None:
                return None
            task.drop(newest)
            return newest

    def release(self, case: Case) -> bool:
        """Let go of a case whose address a newer one stands for; return whether that is so."""
        with self._wake:
            task = self._all.get(case.address)
            if task is None or case not in task.cases or task.newest is case:
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
