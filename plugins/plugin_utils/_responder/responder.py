# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide, guard, wish, report: from an event to its verdict.

Everything here runs in the event loop and is cheap; slow work is done by the workers of the firewalls and by the ledger's
thread. A firewall that is down delays neither the others nor the first verdict.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import time
from collections import OrderedDict
from ipaddress import IPv4Address
from typing import Any, Callable, Optional

from ...module_utils._core.errors import LedgerUnusable
from ...module_utils._events.event import Event
from ...module_utils._ledger.memory import Memory
from ...module_utils._ledger.record import LONGEST_EXEMPTION, WINDOW, Filter
from ...module_utils._ledger.store import Ledger
from .configuration import Respond
from .decide.limits import Limits
from .decide.policy import entry_description
from .firewall.fleet import Fleet
from .firewall.messages import Listed, Outcome, Wish
from .inbox import Inbox, Stored
from .ledger import LedgerWriter
from .monitor import Metrics
from .shared.share import Share
from .verdict import ALREADY_BLOCKED, BLOCKED, DONE, RENEWED, Pending, compose

LOG = logging.getLogger("intrusion.response")

#: Seconds for which starting waits for the first look at the firewalls' blacklists, which the limits go by.
FIRST_LOOK = 2.0
TICK = 0.2
#: Most addresses that wait until the limits allow more blocks, and how many of them are tried in one tick.
MOST_LIMITED, RETRIED = 10_000, 100
#: Exemptions that are shown.
SHOWN = 100
#: Seconds for which the thread that writes the ledger waits for a database.
LEDGER_PATIENCE = 2.0
Tell = Callable[[dict[str, Any]], None]


class Responder:
    """Acts on events.

    Args:
        respond: what to do.
        relays: addresses that may post, and so are never blocked.
        inbox: records the verdicts.
        metrics: counts.
        tell: called with events for the rule engine; must not block.

    Raises:
        InvalidInput: a firewall's connection settings are invalid.
    """

    def __init__(self, respond: Respond, relays: frozenset[IPv4Address], inbox: Inbox, metrics: Metrics, tell: Tell) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._hand_on = tell
        self._respond = respond
        self._limits = Limits(respond.limits)
        spool = os.path.join(os.path.dirname(inbox.path), "spool")
        place = "none" if respond.dry_run else respond.ledger
        self._ledger = Ledger.from_option(place, self._warn, respond.ledger_keep, LEDGER_PATIENCE, spool)
        memory = Memory() if self._ledger.database is not None else None
        self.records = LedgerWriter(self._ledger, metrics.ledger_errors.inc, memory)
        self._numbers = itertools.count(1)
        self._waiting: OrderedDict[Pending, float] = OrderedDict()  # without a verdict, and when one is due at the latest
        self._changed: dict[Pending, None] = {}  # with results that differ from their last verdict
        self._addresses: dict[str, list[Pending]] = {}
        self._limited: OrderedDict[str, Pending] = OrderedDict()
        known = self._remember()
        self.fleet = Fleet(respond, relays, self.records, inbox.instance, known, self._told, self._listed)
        self._names = self.fleet.names
        self._share: Optional[Share] = None
        if memory is not None and self._ledger.database is not None:
            more = memory, self._limits, lambda: max(LONGEST_EXEMPTION, self._respond.escalation.memory), self._numbers, self._settle
            self._share = self._limits.shared = Share(self._ledger.database, inbox.instance, self.fleet.workers, *more)

    def _warn(self, message: str) -> None:
        LOG.warning("%s", message)
        self._metrics.ledger_errors.inc()

    def _remember(self) -> dict[str, frozenset[str]]:
        """Base the limits on the ledger until the firewalls are listed, and count the last minute's blocks again."""
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

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def start(self) -> None:
        """Start, and wait a moment until every firewall was read."""
        self._loop = asyncio.get_running_loop()
        self._tick()
        self.fleet.start()
        if self._share is not None:
            self._share.start(self._loop.call_soon_threadsafe)
        end = time.monotonic() + FIRST_LOOK
        while time.monotonic() < end:
            if self.fleet.is_looked_at and not (self._share and self._share.is_alone):
                break
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End within a few seconds; unsettled events are acted on again after the next start."""
        self._ticker.cancel()
        await self.fleet.stop()
        if self._share is not None:
            await asyncio.to_thread(self._share.close)
        await asyncio.to_thread(self.records.close)
        await asyncio.to_thread(self._ledger.close)

    def use(self, respond: Respond, relays: frozenset[IPv4Address]) -> None:
        """Apply new settings: policy, limits, escalation, never_block, verdict_after."""
        self._respond = respond
        self._limits.settings = respond.limits
        self.fleet.use(respond, relays)

    def test(self, event: Event) -> dict[str, Any]:
        """Return the verdict that an event would get, without acting on it."""
        verdict, reason, code = self._respond.policy.decide(event, self.fleet.guard)
        if verdict == "block":
            verdict = "limited" if self._limits.reached else BLOCKED
        return compose(event.as_json(), event.attacker, verdict, code=code, reason=reason, dry_run=True)

    def act(self, event: Event, stored: Stored, replayed: bool = False) -> None:
        """Start acting on an event. Its verdict goes out when it is known."""
        verdict, reason, code = self._respond.policy.decide(event, self.fleet.guard)
        pending = Pending(stored.id, str(event.attacker), stored.event, stored.received, replayed)
        if stored.verdict is not None:
            pending.verdict = json.loads(stored.verdict)
        if verdict != "block":
            more = {"code": code, "reason": reason, "dry_run": self._respond.dry_run}
            self._tell(pending, compose(stored.event, event.attacker, verdict, **more))
            self._finish(pending)
            return
        if self._share is not None and self._share.defers(lambda: self.act(event, stored, replayed)):
            return
        limited = self._limits.admit(pending.address, time.monotonic())
        if limited:
            self._limit(pending, limited)
        else:
            self._wish(pending, event)

    def _wish(self, pending: Pending, event: Event) -> None:
        cases = self._addresses.setdefault(pending.address, [])
        cases.append(pending)
        for other in [other for other in cases[:-1] if other.verdict is not None]:  # the new one stands for the address, too
            self._close(other)
        if pending.verdict is None:
            self._waiting[pending] = time.monotonic() + self._respond.verdict_after
        pending.begin(next(self._numbers), self._names)
        wish = Wish(
            pending.number, pending.address, pending.id, event.reason, pending.received, self._respond.policy.entry_rule_name(event),
            entry_description(event, self._inbox.instance), event.ttl,
        )  # fmt: skip
        if self._share is not None:
            self._share.wish(wish)
        else:
            self.fleet.want(wish)

    def _limit(self, pending: Pending, reason: str) -> None:
        """Report that an address is not blocked because of the limits, and let it wait until they allow more."""
        if pending.verdict is None:
            self._tell(pending, compose(pending.event, pending.address, "limited", reason=reason, dry_run=self._respond.dry_run))
        older = self._limited.pop(pending.address, None)
        if older is not None:
            self._finish(older)  # the newest stands for the address
        self._limited[pending.address] = pending
        if len(self._limited) > MOST_LIMITED:
            self._inbox.forget(self._limited.popitem(last=False)[1].id)
        self._tell_limit()

    def _retry_limited(self) -> None:
        """Act on addresses that wait for the limits and have time left."""
        for pending in list(itertools.islice(self._limited.values(), RETRIED)):
            event = Event.from_json(pending.event)
            if time.time() >= pending.received + (event.ttl or self._respond.policy.ttl):
                self._finish(self._limited.pop(pending.address))
                continue
            if self._limits.reached or self._limits.admit(pending.address, time.monotonic()):
                return
            del self._limited[pending.address]
            self._wish(pending, event)

    def status(self) -> dict[str, Any]:
        """Return the state of every firewall, how much is waiting, and the limits with their use."""
        spooled = self.records.spooled
        return {
            **self.fleet.status(),
            "ledger": {"healthy": self.records.healthy and not spooled, "lost": self.records.lost, "waiting": spooled},
            "shared": self._share and self._share.status(),
            "waiting": len(self._waiting),
            "limits": self._limits.status(),
            "limited": self._limits.reached,
            "limited_events": len(self._limited),
            "dry_run": self._respond.dry_run,
        }

    def details(self) -> dict[str, Any]:
        """Return the exemptions in the ledger, or some of many; None if it cannot be read. Reads it, so it may block."""
        exempt = self.records.exemptions()
        return {"exempt": exempt and exempt[:SHOWN], "exempt_total": exempt and len(exempt)}

    def _listed(self, listed: Listed) -> None:
        self._limits.listed(listed.hosts, listed.marked, listed.gone, listed.unmarked)
        if listed.standing:
            self.records.note(listed.standing, completes=True)

    def _told(self, firewall: str, outcome: Outcome) -> None:
        """Handle the outcome for an address on a firewall that this responder works."""
        self._settle(firewall, outcome)
        if self._share is not None:
            self._share.outcome(firewall, outcome)

    def _settle(self, firewall: str, outcome: Outcome) -> None:
        if outcome.record is not None:
            self.records.note((outcome.record,), completes=outcome.completes)
        cases = [one for one in self._addresses.get(outcome.address, ()) if firewall in one.open and one.number <= outcome.number]
        for number, pending in enumerate(cases):
            result, before = outcome.result, pending.results.get(firewall)
            is_lead = number == 0 if outcome.lead is None else pending.id == outcome.lead
            if not is_lead and result.result in (BLOCKED, RENEWED):
                result = result._replace(result=ALREADY_BLOCKED)
            if before is not None and before.result in DONE and result.result in DONE:  # the listing confirms the answer
                result = before._replace(verified=result.verified, entry=result.entry)
            elif result.answered and result.result in (BLOCKED, RENEWED) and not pending.replayed and not self._respond.dry_run:
                self._metrics.latency.observe(max(0.0, result.answered - pending.received))
            pending.take(firewall, result)
            if outcome.final:
                pending.open.discard(firewall)
            if not pending.silent and pending in self._waiting:
                self._tell_of(pending)
            elif not pending.silent and pending.news:
                self._changed[pending] = None  # those of several firewalls are told together
            if not pending.open:
                self._close(pending)

    def _tell_of(self, pending: Pending) -> None:
        self._tell(pending, pending.compose(self._names, self._respond.dry_run))

    def _tell_change(self, pending: Pending) -> None:
        if pending in self._changed and pending.news:
            self._tell_of(pending)
        self._changed.pop(pending, None)

    def _tell(self, pending: Pending, verdict: dict[str, Any]) -> None:
        if pending.verdict is None:
            self._metrics.verdicts.labels(verdict["verdict"]).inc()
        pending.tell(verdict)
        self._waiting.pop(pending, None)
        self._hand_on(verdict)
        if pending.open or verdict["verdict"] == "limited":  # it is not settled by that
            self._inbox.note(pending.id, _kept(verdict))

    def _close(self, pending: Pending) -> None:
        """Drop an event that is settled, or represented by a newer one."""
        self._tell_change(pending)
        cases = self._addresses[pending.address]
        cases.remove(pending)
        if not cases:
            del self._addresses[pending.address]
            self._limits.settled(pending.address)
        self._waiting.pop(pending, None)
        self.records.note((), lambda: self._finish(pending))  # not before the ledger has it

    def _finish(self, pending: Pending) -> None:
        self._inbox.finish(pending.id, _kept(pending.verdict or {}))

    def _tell_limit(self) -> None:
        change = self._limits.change(time.monotonic())
        if change is not None:
            LOG.warning("The limit %s (%s) is %s.", change["limit"], change["value"], change["state"])
            self._hand_on(change)

    def _tick(self) -> None:
        now = time.monotonic()
        while self._waiting:
            pending, due = next(iter(self._waiting.items()))
            if due > now:
                break
            self._tell_of(pending)
            if self._addresses[pending.address][-1] is not pending:
                self._close(pending)  # a newer one stands for the address
        for pending in list(self._changed):
            self._tell_change(pending)
        self.fleet.tick()
        if self._share is not None:
            self._share.tick()
        self._tell_limit()
        self._retry_limited()
        self._ticker = self._loop.call_later(TICK, self._tick)


def _kept(verdict: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in verdict.items() if name != "intrusion"}
