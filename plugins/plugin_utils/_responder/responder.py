# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide, guard, block, report: from an event to its verdict.

Everything here runs in the event loop and is cheap; what takes time is done by the workers of the firewalls and by the ledger's
thread. A firewall that is down delays neither the others nor the first verdict.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._core.options import LEDGER, NEVER_BLOCK_ENV
from ...module_utils._ips.event import Event
from ...module_utils._ledger.record import Filter, Record
from ...module_utils._ledger.store import KEEP_DAYS, Ledger
from .case import BLOCKED, RENEWED, Case, Result, compose
from .firewall import FirewallWorker
from .firewall_settings import FirewallSettings, read_firewalls
from .intake import Intake
from .limits import WINDOW, Escalation, Limits, LimitSettings
from .monitor import Metrics
from .policy import Policy, entry_description
from .recorder import LedgerThread
from .section import Section

LOG = logging.getLogger("intrusion.response")

#: Seconds for which starting waits for the first look at the firewalls' blacklists, which the limits go by.
FIRST_LOOK = 2.0
TICK = 1.0
#: How many results are taken in one turn of the loop.
AT_ONCE = 8
#: Seconds for which the number of earlier offences is not asked for again, and of how many addresses it is kept.
OFFENCES_KEPT, OFFENCES_MOST = 5.0, 20_000

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class RespondSettings:
    """The section `respond`.

    Attributes:
        ledger: the ledger's file, or none.
        ledger_keep: days for which records are kept, 0 for ever.
        verdict_after: seconds after which a verdict goes out although not all firewalls have settled.
        never_block: addresses and networks, also those of the environment, as they were given.
    """

    firewalls: tuple[FirewallSettings, ...]
    policy: Policy
    escalation: Escalation
    limits: LimitSettings
    ledger: str
    ledger_keep: int
    verdict_after: float
    dry_run: bool
    never_block: tuple[str, ...]

    @classmethod
    def from_section(cls, section: Section, environ: Optional[Mapping[str, str]] = None) -> RespondSettings:
        """Read it; raises InvalidInput."""
        environ = os.environ if environ is None else environ
        dry_run = section.boolean("dry_run", False)
        policy = Policy.from_section(section.section("policy"))
        never_block = section.texts("never_block")
        firewalls = read_firewalls(section.sections("firewalls"), never_block, dry_run, environ)
        option = LEDGER[0]
        default = next((environ[name] for name in option.env if environ.get(name)), "")
        settings = cls(
            firewalls=tuple(firewalls),
            policy=policy,
            escalation=Escalation.from_section(section.section("escalation"), policy.ttl),
            limits=LimitSettings.from_section(section.section("limits")),
            ledger=section.text("ledger", default),
            ledger_keep=section.integer("ledger_keep", KEEP_DAYS, 0, 36500),
            verdict_after=section.number("verdict_after", 10.0, 0.01, 3600),
            dry_run=dry_run,
            never_block=(*never_block, *environ.get(NEVER_BLOCK_ENV, "").replace(",", " ").split()),
        )
        section.done()
        if not firewalls:
            raise section.error("firewalls", "must name at least one firewall.")
        return settings


class Responder:
    """Acts on events.

    Args:
        settings: the section `respond`.
        intake: is told the verdicts.
        metrics: is told everything that is counted.
        emit: takes events for the rule engine; must not block.

    Raises:
        InvalidInput: a firewall's connection settings cannot work.
    """

    def __init__(self, settings: RespondSettings, intake: Intake, metrics: Metrics, emit: Emit) -> None:
        self._settings = settings
        self._policy = settings.policy
        self._intake = intake
        self._metrics = metrics
        self._emit = emit
        self._limits = Limits(settings.limits)
        self._ledger = Ledger.from_option("none" if settings.dry_run else settings.ledger, LOG.warning, settings.ledger_keep)
        self._escalates = self._ledger.enabled and settings.escalation.needed
        self._offences: dict[str, tuple[int, float]] = {}
        self._names = [firewall.name for firewall in settings.firewalls]
        self._waiting: set[Case] = set()
        self._addresses: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._is_stopping = False
        self._ticker: Optional[asyncio.TimerHandle] = None
        # Asks for the addresses of the firewalls' names, which may take a while.
        self._workers = [FirewallWorker(firewall, self._policy, self, intake.instance, settings.dry_run) for firewall in settings.firewalls]
        self._by_name = {worker.name: worker for worker in self._workers}
        self._records = LedgerThread(self._ledger, metrics.ledger_error)

    @property
    def waiting(self) -> int:
        """How many events have no verdict."""
        return len(self._waiting)

    async def start(self) -> None:
        """Begin, and wait for a moment until every firewall was looked at."""
        self._loop = asyncio.get_running_loop()
        self._all_seen = asyncio.Event()
        await asyncio.to_thread(self._remember)
        for worker in self._workers:
            self._metrics.firewall(worker.name, False)
            worker.start()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_seen.wait(), FIRST_LOOK)
        self._tick()

    def _remember(self) -> None:
        """Let the limits go by the ledger until the firewalls list what they have, and count the last minute's blocks again."""
        now = time.time()
        try:
            standing = self._ledger.standing(Filter(door="responder"), now)
            recent, _count = self._ledger.find(Filter(door="responder", actions=("block",), since=now - WINDOW))
        except LedgerUnusable as error:
            LOG.warning("%s", error.message)
            return
        for worker in self._workers:
            hosts = frozenset(one.last.address for one in standing if one.last.firewall == worker.settings.address)
            self._limits.listed(worker.name, hosts, hosts)
        self._limits.remember({record.address for record in recent if record.outcome != "failed"}, time.monotonic())

    async def stop(self) -> None:
        """End; what is not settled is acted on again after the next start."""
        if self._ticker is not None:
            self._ticker.cancel()
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in self._workers))
        self._is_stopping = True
        await asyncio.sleep(0)  # what the workers reported last is in the loop's queue
        for case in self._waiting:
            if case.timer is not None:
                case.timer.cancel()
        await asyncio.to_thread(self._records.close)
        self._ledger.close()

    def act(self, event: Event, received: float, replayed: bool = False) -> None:
        """Begin to act on an event; received is an epoch time. Its verdict goes out when it is known."""
        decision = self._policy.decide(event)
        if decision.address is None:
            self._conclude(event, "ignored", decision.reason)
            return
        address = decision.address
        protected = next((reason for reason in (worker.guard.reason(address) for worker in self._workers) if reason), None)
        if protected:
            self._conclude(event, "protected", protected, code="protected_address")
            return
        limited = self._limits.admit(address, time.monotonic())
        if limited:
            self._conclude(event, "limited", limited)
            self._tell_limit()
            return
        ttl = self._ttl(address, event.id)
        case = Case(
            event=event,
            address=address,
            received=received,
            replayed=replayed,
            ttl=ttl,
            until=min(received, time.time()) + ttl,  # the clock may have been ahead
            rule_name=self._policy.entry_rule_name(event),
            description=entry_description(event, self._intake.instance),
            open=set(self._names),
        )
        self._waiting.add(case)
        self._addresses[address] += 1
        case.timer = self._loop.call_later(self._settings.verdict_after, self._overdue, case)
        for worker in self._workers:
            older = worker.tasks.put(case)
            if older is not None:
                self._let_go(older, worker.name)

    def health(self) -> dict[str, Any]:
        """Return the state of every firewall, and how much waits."""
        return {
            "firewalls": {worker.name: worker.condition.code or "up" for worker in self._workers if worker.name in self._seen},
            "writes": {worker.name: worker.condition.writes for worker in self._workers},
            "waiting": len(self._waiting),
            "addresses_waiting": {worker.name: len(worker.tasks) for worker in self._workers},
            "limited": self._limits.reached,
            "dry_run": self._settings.dry_run,
        }

    @property
    def is_able(self) -> bool:
        """Whether any firewall answers."""
        return any(worker.condition.code is None and worker.name in self._seen for worker in self._workers)

    # The workers' threads call these.

    def settled(self, firewall: str, results: list[tuple[Case, Result]]) -> None:
        """Take what became of cases."""
        self._call(self._settled, firewall, iter(results))

    def listed(self, firewall: str, hosts: frozenset[str], marked: frozenset[str]) -> None:
        """Take what a firewall lists."""
        self._call(self._limits.listed, firewall, hosts, marked)

    def available(self, firewall: str, code: Optional[str]) -> None:
        """Take whether a firewall answers."""
        self._call(self._available, firewall, code)

    def wrote(self, record: Record) -> None:
        """Take a record for the ledger."""
        self._records.put(record)

    def found(self, records: list[Record]) -> None:
        """Take records of blocks that stand; a crash may have kept them out of the ledger."""
        if records:
            self._records.complete(records)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *args)

    def _ttl(self, address: str, event_id: str) -> int:
        escalation = self._settings.escalation
        if not self._escalates:
            return escalation.ttl(self._policy.ttl, 0)
        now = time.monotonic()
        offences, asked = self._offences.get(address, (0, -math.inf))
        if now - asked >= OFFENCES_KEPT:
            if len(self._offences) >= OFFENCES_MOST:
                self._offences.clear()
            offences = self._ledger.offences(address, time.time() - escalation.memory, event_id)
            self._offences[address] = (offences, now)
        return escalation.ttl(self._policy.ttl, offences)

    def _available(self, firewall: str, code: Optional[str]) -> None:
        self._metrics.firewall(firewall, code is None)
        self._seen.add(firewall)
        if len(self._seen) == len(self._workers):
            self._all_seen.set()

    def _settled(self, firewall: str, results: Iterator[tuple[Case, Result]]) -> None:
        """Take some results, and the rest when those had their turn who wait for the loop: new events must not wait for old ones."""
        some = list(itertools.islice(results, None if self._is_stopping else AT_ONCE))
        for case, result in some:
            case.results[firewall] = result
            case.open.discard(firewall)
            if result.answered is not None and result.result in (BLOCKED, RENEWED) and not case.replayed and not self._settings.dry_run:
                self._metrics.latency(max(0.0, result.answered - case.received))
            if not case.open:
                self._tell(case)
                self._close(case)
        if len(some) == AT_ONCE:
            self._loop.call_soon(self._settled, firewall, results)

    def _overdue(self, case: Case) -> None:
        """Say what is known; the case goes on being open unless a newer one of the same address stands for it."""
        case.timer = None
        self._tell(case)
        for name in list(case.open):
            if self._by_name[name].tasks.release(case):
                self._let_go(case, name)

    def _let_go(self, case: Case, firewall: str) -> None:
        case.open.discard(firewall)
        if not case.open:
            self._close(case)

    def _tell(self, case: Case) -> None:
        verdict = case.verdict(self._names, self._settings.dry_run)
        if case.told is None:
            self._metrics.verdict(verdict["verdict"])
        case.told = verdict
        self._waiting.discard(case)
        self._emit(verdict)

    def _close(self, case: Case) -> None:
        if case.timer is not None:
            case.timer.cancel()
        self._addresses[case.address] -= 1
        if not self._addresses[case.address]:
            del self._addresses[case.address]
            self._limits.settled(case.address)
        told = case.told
        if told is not None:  # not before the ledger has it, or a crash in between would leave the block without a record
            self._records.then(lambda: self._finish(told))

    def _conclude(self, event: Event, verdict: str, reason: Optional[str], code: Optional[str] = None) -> None:
        """Give the verdict of an event that leads to nothing."""
        told = compose(event, verdict, code=code, reason=reason, dry_run=self._settings.dry_run)
        self._metrics.verdict(verdict)
        self._emit(told)
        self._finish(told)

    def _finish(self, verdict: dict[str, Any]) -> None:
        kept = {name: value for name, value in verdict.items() if name != "ips"}
        self._intake.finish(verdict["ips"]["id"], kept)

    def _tell_limit(self) -> None:
        change = self._limits.change(time.monotonic())
        if change is not None:
            LOG.warning("The limit %s (%s) is %s.", change["limit"], change["value"], change["state"])
            self._metrics.limited(self._limits.reached)
            self._emit(change)

    def _tick(self) -> None:
        self._tell_limit()
        self._metrics.queue(len(self._waiting))
        self._ticker = self._loop.call_later(TICK, self._tick)
