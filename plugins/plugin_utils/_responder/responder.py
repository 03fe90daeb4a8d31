# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide, guard, wish, report: from an event to its verdict.

Everything here runs in the event loop and is cheap; what takes time is done by the workers of the firewalls and by the ledger's
thread. A firewall that is down delays neither the others nor the first verdict.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import math
import time
from collections import OrderedDict, deque
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Callable, Optional

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._cos.client import CosClient
from ...module_utils._cos.guard import Guard, own_addresses
from ...module_utils._events.event import Event
from ...module_utils._ledger.record import Filter
from ...module_utils._ledger.store import Ledger
from .configuration import Respond
from .decide.escalation import Escalation
from .decide.limits import WINDOW, Limits
from .decide.policy import entry_description
from .firewall.dry_run import DryRun
from .firewall.reconcile import Wish
from .firewall.worker import Outcome, Report, Worker
from .inbox import Inbox, Stored
from .ledger import LedgerWriter
from .monitor import Metrics
from .verdict import ALREADY_BLOCKED, BLOCKED, DONE, RENEWED, Pending, compose

LOG = logging.getLogger("intrusion.response")

#: Seconds for which starting waits for the first look at the firewalls' blacklists, which the limits go by.
FIRST_LOOK = 2.0
TICK = 0.2
#: Outcomes that are taken in one turn of the loop: new events must not wait for old ones.
AT_ONCE = 32
#: Most addresses that wait until the limits allow more blocks, and how many of them are tried in one tick.
MOST_LIMITED, RETRIED = 10_000, 100
#: A firewall whose answer takes longer than its timeout and so many seconds more counts as down.
PATIENCE = 5.0
#: Seconds for the workers to end.
STOPPING = 5.0
#: Seconds until the addresses of this machine are looked at again.
OWN_PAUSE = 60.0

Emit = Callable[[dict[str, Any]], None]


class Responder:
    """Acts on events.

    Args:
        respond: what to do.
        relays: addresses that may post, and so are never blocked.
        inbox: is told the verdicts.
        metrics: is told everything that is counted.
        emit: takes events for the rule engine; must not block.

    Raises:
        InvalidInput: a firewall's connection settings cannot work.
    """

    def __init__(self, respond: Respond, relays: frozenset[IPv4Address], inbox: Inbox, metrics: Metrics, emit: Emit) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._emit = emit
        self._respond = respond
        self._relays = relays
        self._limits = Limits(respond.limits)
        self._ledger = Ledger.from_option("none" if respond.dry_run else respond.ledger, self._warn, respond.ledger_keep)
        self._escalation = Escalation(respond.escalation, self._ledger)
        self.records = LedgerWriter(self._ledger, metrics.ledger_errors.inc)
        self._names = [firewall.name or "" for firewall in respond.firewalls]
        self._numbers = itertools.count(1)
        self._waiting: OrderedDict[Pending, float] = OrderedDict()  # without a verdict, and when one is due at the latest
        self._addresses: dict[str, list[Pending]] = {}
        self._limited: OrderedDict[str, Pending] = OrderedDict()
        self._reports: deque[Report] = deque()
        self._outcomes: deque[tuple[str, Outcome]] = deque()
        self._is_draining = False
        self._health: dict[str, Report] = {}
        self._addresses_of: dict[str, frozenset[IPv4Address]] = {}
        self._own: frozenset[IPv4Address] = frozenset()
        self._looked_at = -math.inf
        self._workers: list[Worker] = []
        self._look_at_own()
        self._ticker: Optional[asyncio.TimerHandle] = None
        self._workers.extend(self._make_workers(self._remember()))

    def _warn(self, message: str) -> None:
        """Say and count what is wrong with the ledger."""
        LOG.warning("%s", message)
        self._metrics.ledger_errors.inc()

    def _remember(self) -> dict[str, frozenset[str]]:
        """Let the limits go by the ledger until the firewalls list what they have, and count the last minute's blocks again."""
        now = time.time()
        try:
            standing = self._ledger.standing(Filter(origin="responder"), now)
            recent, _count = self._ledger.find(Filter(origin="responder", actions=("block",), since=now - WINDOW))
        except LedgerUnusable as error:
            self._warn(error.message)
            return {}
        self._limits.remember(len({record.address for record in recent if record.outcome != "failed"}), time.monotonic())
        known: dict[str, frozenset[str]] = {}
        for firewall in self._respond.firewalls:
            hosts = known[firewall.address] = frozenset(one.last.address for one in standing if one.last.firewall == firewall.address)
            self._limits.listed(hosts, hosts)
        return known

    def _make_workers(self, known: dict[str, frozenset[str]]) -> list[Worker]:
        workers = []
        for firewall in self._respond.firewalls:
            kind = DryRun if self._respond.dry_run else CosClient
            worker = Worker(
                firewall.name or "", firewall.address, kind.from_call(firewall.call(self._respond.dry_run)), policy=self._respond.policy,
                guard=self.guard, escalation=self._escalation, ledger=self.records, instance=self._inbox.instance,
                known=known.get(firewall.address, frozenset()), tell=self._told,
            )  # fmt: skip
            workers.append(worker)
        return workers

    def _look_at_own(self) -> None:
        """Protect the addresses that this machine has now; those of before stay protected where that cannot be told."""
        self._looked_at = time.monotonic()
        try:
            self._own = own_addresses()
        except OSError as error:
            LOG.warning("The addresses of this machine cannot be told (%s), and so are not protected.", error)
        self._spread()

    @property
    def waiting(self) -> int:
        """How many events have no verdict."""
        return len(self._waiting)

    async def start(self) -> None:
        """Begin, and wait for a moment until every firewall was looked at."""
        self._loop = asyncio.get_running_loop()
        self._all_seen = asyncio.Event()
        for worker in self._workers:
            worker.start()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_seen.wait(), FIRST_LOOK)
        self._tick()

    async def stop(self) -> None:
        """End; what is not settled is acted on again after the next start. Takes a few seconds at most."""
        if self._ticker is not None:
            self._ticker.cancel()
        for worker in self._workers:
            worker.close()
        end = time.monotonic() + STOPPING
        for worker in self._workers:
            await asyncio.to_thread(worker.join, max(0.01, end - time.monotonic()))
        self._drain(everything=True)
        await asyncio.to_thread(self.records.close)
        self._ledger.close()

    def use(self, respond: Respond, relays: frozenset[IPv4Address]) -> None:
        """Take other settings: policy, limits, escalation, never_block, verdict_after."""
        self._respond, self._relays = respond, relays
        self._limits.settings = respond.limits
        self._escalation.settings = respond.escalation
        self._spread()

    def _spread(self) -> None:
        firewalls = frozenset[IPv4Address]().union(*self._addresses_of.values())
        never = self._respond.networks | {IPv4Network(address) for address in self._relays}
        self.guard = Guard(never, firewalls, self._own)
        for worker in self._workers:
            worker.policy, worker.guard = self._respond.policy, self.guard

    def decide(self, event: Event) -> tuple[str, Optional[str], Optional[str]]:
        """Return what an event leads to: block, ignored or protected, the reason and the code; limits are not looked at."""
        decision = self._respond.policy.decide(event)
        if decision.address is None:
            return "ignored", decision.reason, None
        protected = self.guard.reason(decision.address)
        return ("protected", protected, "protected_address") if protected else ("block", None, None)

    def test(self, event: Event) -> dict[str, Any]:
        """Return the verdict that an event would have, and do nothing."""
        verdict, reason, code = self.decide(event)
        if verdict == "block":
            verdict = "limited" if self._limits.reached else BLOCKED
        return compose(event.as_json(), event.attacker, verdict, code=code, reason=reason, dry_run=True)

    def act(self, event: Event, stored: Stored, replayed: bool = False) -> None:
        """Begin to act on an event. Its verdict goes out when it is known."""
        verdict, reason, code = self.decide(event)
        if verdict != "block":
            self._conclude(stored, event.attacker, verdict, reason, code)
            return
        pending = Pending(stored.id, str(event.attacker), stored.event, stored.received, replayed)
        if stored.verdict is not None:
            pending.recall(json.loads(stored.verdict))
        limited = self._limits.admit(pending.address, time.monotonic())
        if limited:
            self._limit(pending, limited)
            return
        self._wish(pending, event)

    def _wish(self, pending: Pending, event: Event) -> None:
        cases = self._addresses.setdefault(pending.address, [])
        cases.append(pending)
        for other in [other for other in cases[:-1] if other.told is not None]:  # the new one stands for the address, too
            self._close(other)
        if pending.told is None:
            self._waiting[pending] = time.monotonic() + self._respond.verdict_after
        wish = Wish(
            next(self._numbers), pending.address, pending.id, event.reason, pending.received, self._respond.policy.entry_rule_name(event),
            entry_description(event, self._inbox.instance),
        )  # fmt: skip
        pending.open = dict.fromkeys(self._names, wish.number)
        for worker in self._workers:
            worker.want(wish)

    def _limit(self, pending: Pending, reason: str) -> None:
        """Tell that an address is not blocked because of the limits, and let it wait until they allow more."""
        if pending.told is None:
            told = compose(pending.event, pending.address, "limited", reason=reason, dry_run=self._respond.dry_run)
            self._metrics.verdicts.labels("limited").inc()
            self._emit(told)
            self._inbox.note(pending.id, _kept(told))
            pending.recall(told)
        older = self._limited.pop(pending.address, None)
        if older is not None:
            self._finish(older)  # the newest stands for the address
        self._limited[pending.address] = pending
        if len(self._limited) > MOST_LIMITED:
            self._inbox.forget(self._limited.popitem(last=False)[1].id)
        self._tell_limit()

    def _retry_limited(self) -> None:
        """Act on what waits for the limits and has time left."""
        for pending in list(itertools.islice(self._limited.values(), RETRIED)):
            if time.time() >= pending.received + self._respond.policy.ttl:
                self._finish(self._limited.pop(pending.address))
                continue
            if self._limits.reached or self._limits.admit(pending.address, time.monotonic()):
                return
            del self._limited[pending.address]
            self._wish(pending, Event.from_json(pending.event))

    def status(self) -> dict[str, Any]:
        """Return the state of every firewall, how much waits, and the limits with how much of them is used."""
        limits = self._respond.limits
        return {
            "firewalls": {name: self._code(name) or "up" for name in self._names},
            "writes": {name: report.writes for name, report in self._health.items()},
            "ledger": {"healthy": self.records.healthy, "lost": self.records.lost},
            "waiting": len(self._waiting),
            "addresses_waiting": {worker.name: len(worker) for worker in self._workers},
            "limits": {name: {"in_use": used, "of": getattr(limits, name)} for name, used in self._limits.in_use.items()},
            "limited": self._limits.reached,
            "limited_events": len(self._limited),
            "dry_run": self._respond.dry_run,
        }

    @property
    def is_able(self) -> bool:
        """Whether any firewall answers."""
        return any(self._code(name) is None for name in self._names)

    def _code(self, name: str) -> Optional[str]:
        """Return why a firewall does not answer; one that is busy with a request for too long counts as down."""
        number = self._names.index(name)
        if self._workers[number].link.busy > self._respond.firewalls[number].timeout + PATIENCE:
            return "timeout_unknown"
        return self._health[name].code if name in self._health else "unknown"

    def _told(self, report: Report) -> None:
        """Take a report, from the thread of a worker."""
        self._reports.append(report)
        if not self._is_draining:
            self._is_draining = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self, everything: bool = False) -> None:
        self._is_draining = False
        while self._reports:
            self._take(self._reports.popleft())
        for _number in range(len(self._outcomes) if everything else min(AT_ONCE, len(self._outcomes))):
            self._settle(*self._outcomes.popleft())
        if self._outcomes and not self._is_draining:
            self._is_draining = True
            self._loop.call_soon(self._drain)

    def _take(self, report: Report) -> None:
        name = report.firewall
        self._outcomes.extend((name, outcome) for outcome in report.outcomes)
        if report.code != "unknown":
            self._health[name] = report
            if len(self._health) == len(self._workers):
                self._all_seen.set()
        listed = report.listed
        if listed is None:
            return
        self._limits.listed(listed.hosts, listed.marked, listed.gone, listed.unmarked)
        if listed.standing:
            self.records.note(listed.standing, completes=True)
        if listed.own != self._addresses_of.get(name):
            self._addresses_of[name] = listed.own
            self._spread()

    def _settle(self, firewall: str, outcome: Outcome) -> None:
        """Take what became of an address on a firewall."""
        if outcome.record is not None:
            self.records.note((outcome.record,))
        cases = [one for one in self._addresses.get(outcome.address, ()) if 0 < one.open.get(firewall, 0) <= outcome.number]
        for number, pending in enumerate(cases):
            result = outcome.result
            is_lead = number == 0 if outcome.lead is None else pending.id == outcome.lead
            if not is_lead and result.result in (BLOCKED, RENEWED):
                result = result._replace(result=ALREADY_BLOCKED)
            before = pending.results.get(firewall)
            if before is not None and before.result in DONE and result.result in DONE:  # the listing confirms the answer
                result = before._replace(verified=result.verified, entry=result.entry)
            elif result.answered and result.result in (BLOCKED, RENEWED) and not pending.replayed and not self._respond.dry_run:
                self._metrics.latency.observe(max(0.0, result.answered - pending.received))
            pending.results[firewall] = result
            if outcome.final:
                del pending.open[firewall]
            if len(pending.said()) == len(self._names) and pending.told != pending.said():
                self._tell(pending)
            if not pending.open:
                self._close(pending)

    def _tell(self, pending: Pending) -> None:
        verdict = pending.verdict = pending.compose(self._names, self._respond.dry_run)
        if pending.told is None:
            self._metrics.verdicts.labels(verdict["verdict"]).inc()
        pending.told = pending.said()
        self._waiting.pop(pending, None)
        self._emit(verdict)
        pending.noted = bool(pending.open)
        if pending.noted:
            self._inbox.note(pending.id, _kept(verdict))

    def _close(self, pending: Pending) -> None:
        """Let go of an event that is settled, or for which a newer one stands."""
        cases = self._addresses[pending.address]
        cases.remove(pending)
        if not cases:
            del self._addresses[pending.address]
            self._limits.settled(pending.address)
        self._waiting.pop(pending, None)
        self.records.note((), lambda: self._finish(pending))  # not before the ledger has it

    def _conclude(self, stored: Stored, attacker: Optional[str], verdict: str, reason: Optional[str], code: Optional[str]) -> None:
        """Give the verdict of an event that leads to nothing."""
        told = compose(stored.event, attacker, verdict, code=code, reason=reason, dry_run=self._respond.dry_run)
        self._metrics.verdicts.labels(verdict).inc()
        self._emit(told)
        self._inbox.finish(stored.id, _kept(told))

    def _finish(self, pending: Pending) -> None:
        self._inbox.finish(pending.id, None if pending.noted else _kept(pending.verdict or {}))

    def _tell_limit(self) -> None:
        change = self._limits.change(time.monotonic())
        if change is not None:
            LOG.warning("The limit %s (%s) is %s.", change["limit"], change["value"], change["state"])
            self._emit(change)

    def _tick(self) -> None:
        now = time.monotonic()
        while self._waiting:
            pending, due = next(iter(self._waiting.items()))
            if due > now:
                break
            self._tell(pending)
            if self._addresses[pending.address][-1] is not pending:
                self._close(pending)  # a newer one stands for the address
        if now - self._looked_at >= OWN_PAUSE:
            self._look_at_own()
        self._tell_limit()
        self._retry_limited()
        self._ticker = self._loop.call_later(TICK, self._tick)


def _kept(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return what the inbox remembers of a verdict."""
    return {name: value for name, value in verdict.items() if name != "intrusion"}
