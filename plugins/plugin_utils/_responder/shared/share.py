# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event loop's side of sharing: who owns a firewall, the outcomes of others, and what may be admitted."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from ....module_utils._cos.blacklist import Entry
from ....module_utils._ledger.memory import Memory
from ....module_utils._ledger.postgresql import PostgresqlStore
from ....module_utils._ledger.shared import Answer, Target
from ..decide.limits import Limits
from ..firewall.messages import Outcome, Wish
from ..firewall.worker import Worker
from ..verdict import Result
from .member import Member, Need, News

#: How many addresses are reserved in advance: a part of the limit, and at most so many.
PART, AHEAD = 10, 64
#: Maximum number of settled targets that are remembered, so that they are not mistaken for new ones.
SETTLED = 20_000


@dataclass(eq=False)
class _Case:
    """An unsettled target: its wish, and whether this responder works it."""

    wish: Wish
    here: bool


class Share:
    """Everything public except close is for the event loop; the member calls `_need` and `_is_idle` in its own thread.

    Args:
        store: of the shared ledger.
        instance: of this responder, as in the descriptions of its entries.
        workers: of all firewalls.
        memory: of the shared records.
        limits: the limits across all responders.
        horizon: returns the seconds of the past that count.
        numbers: of wishes.
        settle: called with the outcome for an address on a firewall, by its name, that another owns.
    """

    def __init__(
        self,
        store: PostgresqlStore,
        instance: str,
        workers: Sequence[Worker],
        memory: Memory,
        limits: Limits,
        horizon: Callable[[], float],
        numbers: Iterator[int],
        settle: Callable[[str, Outcome], None],
    ) -> None:
        self._instance = instance
        self._workers = {worker.address: worker for worker in workers}
        self._limits = limits
        self._numbers = numbers
        self._settle = settle
        self._owned: frozenset[str] = frozenset()
        self._cases: dict[tuple[str, str], dict[str, _Case]] = {}  # by firewall and address, then by event
        self._addresses: dict[tuple[str, str], str] = {}  # of our own events, by firewall and event
        self._settled: OrderedDict[tuple[str, str], str] = OrderedDict()  # the last answers about what is worked here
        self._deferred: deque[Callable[[], None]] = deque()
        self._granted = 0
        self._unreported: set[str] = set()
        self._is_short, self._was_alone = False, True
        self._asked = False
        self.in_use = 0
        self.members = 0
        self._member = Member(
            store, list(self._workers), memory, horizon, self._need, self._is_idle,
            self._told,
        )  # fmt: skip

    def start(self, call: Callable[[Callable[[], None]], Any]) -> None:
        """Start sharing; call runs a function in the event loop, from any thread."""
        self._call = call
        self._member.start()

    def close(self) -> None:
        """End; may take a second."""
        self._member.close()

    @property
    def is_alone(self) -> bool:
        """Whether the database does not answer, so that nothing is shared."""
        return not self._member.is_connected

    @property
    def works(self) -> list[str]:
        """The names of the firewalls that this responder owns."""
        alone = self.is_alone
        return [worker.name for address, worker in self._workers.items() if alone or address in self._owned]

    def status(self) -> dict[str, Any]:
        """Return whether the database answers, how many responders share it, and which firewalls this one owns."""
        return {"connected": not self.is_alone, "responders": self.members, "works": self.works}

    # What may be admitted

    def defers(self, then: Callable[[], None]) -> bool:
        """Whether it will only be known in a moment if another address may be admitted; then is called when it is."""
        if self.is_alone or self._granted > 0 or self._is_short:
            return False
        self._deferred.append(then)
        self._member.nudge()
        return True

    @property
    def is_full(self) -> bool:
        """Whether no more addresses may be admitted now."""
        return self._granted <= 0

    def admit(self, address: str) -> None:
        """Note that an address was admitted."""
        self._granted -= 1
        self._asked = True
        if not self.is_alone:
            self._unreported.add(address)
            self._member.admit(address)

    def _need(self) -> Need:
        per_minute = self._limits.settings.new_per_minute
        ahead = max(1, min(AHEAD, per_minute // PART)) if self._asked or self._deferred else 1
        self._asked = False
        return Need(max(ahead, self._granted), per_minute, self._limits.room)

    # Who works what

    def wish(self, wish: Wish) -> None:
        """Have an address blocked on every firewall, by its owner."""
        is_alone = self.is_alone
        for address, worker in self._workers.items():
            here = is_alone or address in self._owned
            self._cases.setdefault((address, wish.address), {})[wish.event] = _Case(wish, here)
            self._addresses[(address, wish.event)] = wish.address
            if here:
                worker.want(wish)
            if not is_alone:
                texts = (wish.event_rule, wish.received, wish.rule_name, wish.description, self._instance, wish.ttl)
                self._member.want(Target(wish.event, address, self._member.name, wish.address, *texts))

    def outcome(self, name: str, outcome: Outcome) -> None:
        """Tell others the outcome for an address here, on a firewall by its name."""
        firewall = next(worker.address for worker in self._workers.values() if worker.name == name)
        cases = self._cases.get((firewall, outcome.address), {})
        found = [event for event, case in cases.items() if case.here and case.wish.number <= outcome.number]
        for number, event in enumerate(found):
            text = _written(outcome.result, number == 0 if outcome.lead is None else event == outcome.lead)
            if not self.is_alone:
                self._member.answer(Answer(event, firewall, text, outcome.final))
            if outcome.final:
                self._forget(firewall, outcome.address, event)
                self._settled[(firewall, event)] = text
                if len(self._settled) > SETTLED:
                    self._settled.popitem(last=False)

    def tick(self) -> None:
        """Work targets of another responder while it cannot be reached."""
        if self.is_alone and not self._was_alone:
            self._was_alone, self._is_short, self._granted = True, False, 0
            self._owned, self.members = frozenset(), 0
            for (firewall, _address), cases in self._cases.items():
                for case in cases.values():
                    self._take(firewall, case)
        if self.is_alone:
            self._go_on()

    def _take(self, firewall: str, case: _Case) -> None:
        if not case.here:
            case.here = True
            self._workers[firewall].want(case.wish)

    def _told(self, news: Optional[News]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._call(self.tick if news is None else lambda: self._adopt(news))

    def _adopt(self, news: News) -> None:
        """Handle news from the member, in the event loop."""
        self._member.taken = news.number
        if self.is_alone:
            return
        self._was_alone = False
        for firewall in news.turn.owned - self._owned:  # what its previous owner wrote may not be settled in the database yet
            self._workers[firewall].look()
        self._owned, self.members = news.turn.owned, news.turn.members
        self._unreported.difference_update(news.reported)
        self._granted = news.granted - len(self._unreported)
        self._is_short = news.granted <= 0
        self.in_use = news.in_use
        for target in news.turn.targets:
            self._work(target)
        for answer in news.turn.answers:
            self._hear(answer)
        self._go_on()

    def _go_on(self) -> None:
        while self._deferred and (self.is_alone or self._is_short or self._granted > 0):
            self._deferred.popleft()()

    def _work(self, target: Target) -> None:
        """Work a target from the database, unless it is already under way."""
        said = self._settled.get((target.firewall, target.event))
        if said is not None:  # another responder received the same event, or missed the answer
            self._member.answer(Answer(target.event, target.firewall, said, True))
            return
        cases = self._cases.setdefault((target.firewall, target.address), {})
        case = cases.get(target.event)
        if case is None:
            description = target.description.replace(f"{target.event}.{target.instance} ", f"{target.event}.{self._instance} ", 1)
            texts = (target.event_rule, target.received, target.rule_name, description)
            case = cases[target.event] = _Case(Wish(next(self._numbers), target.address, target.event, *texts, target.ttl), False)
        case.wish = case.wish._replace(taken_over=True)
        self._take(target.firewall, case)

    def _hear(self, answer: Answer) -> None:
        """Handle the outcome of a target that another owns."""
        address = self._addresses.get((answer.firewall, answer.event), "")
        case = self._cases.get((answer.firewall, address), {}).get(answer.event)
        if case is None or case.here:
            return
        result, lead = _read(answer.result)
        outcome = Outcome(address, case.wish.number, result, answer.event if lead else "", answer.settled)
        self._settle(self._workers[answer.firewall].name, outcome)
        if answer.settled:
            self._forget(answer.firewall, address, answer.event)

    def _forget(self, firewall: str, address: str, event: str) -> None:
        cases = self._cases.get((firewall, address), {})
        cases.pop(event, None)
        self._addresses.pop((firewall, event), None)
        if not cases:
            self._cases.pop((firewall, address), None)

    def _is_idle(self, firewall: str) -> bool:
        return not len(self._workers[firewall])


def _written(result: Result, lead: bool) -> str:
    return json.dumps({**result._asdict(), "entry": result.entry and result.entry._asdict(), "lead": lead})


def _read(text: str) -> tuple[Result, bool]:
    found = json.loads(text)
    lead: bool = found.pop("lead")
    entry: Optional[dict[str, Any]] = found.pop("entry")
    return Result(**found, entry=None if entry is None else Entry(**entry)), lead
