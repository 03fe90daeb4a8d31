# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread through which a responder takes part in sharing a ledger, so that nobody else waits for the database."""

from __future__ import annotations

import logging
import math
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Callable, NamedTuple, Optional

from ....module_utils._ledger.memory import MOST, Memory
from ....module_utils._ledger.postgresql import PostgresqlStore
from ....module_utils._ledger.row import StoreTrouble
from ....module_utils._ledger.shared import Answer, Room, Session, Target, Turn

LOG = logging.getLogger("intrusion.response")

#: Seconds between two polls of the database without a notification, and the minimum between two.
POLL, BREATH = 0.4, 0.03
#: Seconds without an answer after which the database counts as unavailable, and until another attempt.
GONE, AGAIN = 1.5, 0.5
TIDY = 60.0


class Need(NamedTuple):
    """How many addresses to reserve, and the limits per minute and in total; room returns what is left."""

    wanted: int
    per_minute: int
    room: Room


class News(NamedTuple):
    """News for the event loop: what was found, and how many addresses may be admitted besides those that were reported.

    Attributes:
        number: increases, and is returned when the news was handled.
    """

    number: int
    turn: Turn
    granted: int
    in_use: int
    reported: tuple[str, ...]


class Member:
    """Talks to the database.

    Args:
        store: where to.
        firewalls: addresses of all firewalls.
        memory: receives the records.
        since: how many seconds back they are needed.
        need: returns what to reserve; called in this thread.
        idle: returns whether nothing is under way on a firewall; called in this thread.
        tell: called with news, or None if the database is lost; in this thread.

    Attributes:
        taken: number of the latest news that the event loop handled.
    """

    def __init__(
        self,
        store: PostgresqlStore,
        firewalls: Sequence[str],
        memory: Memory,
        since: Callable[[], float],
        need: Callable[[], Need],
        idle: Callable[[str], bool],
        tell: Callable[[Optional[News]], None],
    ) -> None:
        self.name = secrets.token_hex(8)
        self._store = store
        self._firewalls = firewalls
        self._memory = memory
        self._since = since
        self._need = need
        self._idle = idle
        self._tell = tell
        self._alive_at = -math.inf
        self.taken = self._told = 0
        self._trouble: Optional[str] = None
        self._closed = False
        self._targets: deque[Target] = deque()
        self._answers: deque[Answer] = deque()
        self._admitted: deque[str] = deque()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._ring, False)
        os.set_blocking(self._bell, False)
        self._thread = threading.Thread(target=self._run, name="shared ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Hand over what is waiting, release all firewalls and end, within a second."""
        self._closed = True
        self.nudge()
        if self._thread.is_alive():
            self._thread.join(1.0)

    @property
    def is_connected(self) -> bool:
        """Whether the database has answered recently."""
        return time.monotonic() - self._alive_at < GONE

    def want(self, target: Target) -> None:
        self._targets.append(target)
        self.nudge()

    def answer(self, answer: Answer) -> None:
        self._answers.append(answer)
        self.nudge()

    def admit(self, address: str) -> None:
        self._admitted.append(address)
        self.nudge()

    def nudge(self) -> None:
        """Make it poll again at once."""
        with suppress(BlockingIOError, OSError):
            os.write(self._ring, b".")

    def _run(self) -> None:
        while not self._closed:
            session = None
            try:
                session = Session(self._store, self.name, self._firewalls)
                self._live(session)
            except StoreTrouble as error:
                self._say(str(error))
            except Exception:  # whatever it is, the responder continues alone
                LOG.exception("The shared ledger: unexpected failure")
            self._alive_at = -math.inf
            if session is not None:
                session.close()
            for waiting in (self._targets, self._answers, self._admitted):
                waiting.clear()  # each is worked here now, or known by its entry
            self._tell(None)
            if not self._closed:
                time.sleep(AGAIN)

    def _live(self, session: Session) -> None:
        tidied_at = -math.inf
        left: dict[str, int] = {}
        while True:
            targets, answers = _taken(self._targets), _taken(self._answers)
            admitted = tuple(_taken(self._admitted))
            turn = session.turn(targets, answers)
            need = self._need()
            granted, in_use = session.admit(admitted, need.wanted, need.per_minute, need.room)
            self._memory.add(session.records(time.time() - self._since(), MOST))
            if self._closed:
                session.leave()
                return
            self._alive_at = time.monotonic()
            self._say(None)
            self._told += 1
            self._tell(News(self._told, turn, granted, in_use, admitted))
            for firewall, since in list(left.items()):
                if self.taken >= since and self._idle(firewall):  # the event loop knows, and nothing is under way any more
                    session.release(firewall)
                    del left[firewall]
            spare = len(turn.owned) - -(-len(self._firewalls) // max(1, turn.members))
            for firewall in [firewall for firewall in sorted(turn.owned) if self._idle(firewall)][: max(0, spare)]:
                session.leaving.add(firewall)
                left[firewall] = self._told + 1
            if time.monotonic() - tidied_at > TIDY:
                tidied_at = time.monotonic()
                session.tidy()
            time.sleep(BREATH)
            session.wait(self._bell, 0.0 if self._targets or self._answers or self._admitted else POLL)
            with suppress(BlockingIOError):
                os.read(self._bell, 65536)

    def _say(self, trouble: Optional[str]) -> None:
        if trouble is not None and self._trouble is None:
            LOG.error("The shared ledger does not answer (%s). Limits count locally, and all firewalls are worked here.", trouble)
        elif trouble is None and self._trouble is not None:
            LOG.warning("The shared ledger answers again.")
        self._trouble = trouble


def _taken(items: deque) -> list:  # type: ignore[type-arg]
    return [items.popleft() for _number in range(len(items))]
