# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All firewalls, as the event loop sees them: their workers, the workers' reports, and what must not be blocked on any of them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Callable, Optional

from ....module_utils._cos.client import CosClient
from ....module_utils._cos.dry_run import DryRun
from ....module_utils._cos.guard import Guard, own_addresses
from ..configuration import Respond
from ..ledger import LedgerWriter
from .messages import Listed, Outcome, Report, Wish
from .worker import Worker

LOG = logging.getLogger("intrusion.response")

#: How many outcomes are handled in one turn of the loop, so that new events do not wait for old ones.
AT_ONCE = 32
#: A firewall whose answer takes this many seconds longer than its timeout counts as down.
PATIENCE = 5.0
#: Seconds that the workers have to end.
STOPPING = 5.0
#: Seconds until the addresses of this machine are read again.
OWN_PAUSE = 60.0
#: Ends the queue of reports from the workers.
END = Report("", None, None)


class Fleet:
    """Runs a worker for every firewall.

    Args:
        respond, relays: which firewalls, and what must not be blocked.
        ledger, instance: for the workers.
        known: addresses that are blocked according to the ledger, by the firewall's URL.
        settle: called with the outcome for an address on a firewall, by its name.
        listed: called with what changed in a listing.

    Attributes:
        guard: of all firewalls, shared with the workers.

    Raises:
        InvalidInput: a firewall's connection settings are invalid.
    """

    def __init__(
        self,
        respond: Respond,
        relays: frozenset[IPv4Address],
        ledger: LedgerWriter,
        instance: str,
        known: Mapping[str, frozenset[str]],
        settle: Callable[[str, Outcome], None],
        listed: Callable[[Listed], None],
    ) -> None:
        self._respond, self._relays = respond, relays
        self._settle = settle
        self._listed = listed
        self._health: dict[str, Report] = {}
        self._addresses: dict[str, frozenset[IPv4Address]] = {}
        self._own: frozenset[IPv4Address] = frozenset()
        self.names = [firewall.name or "" for firewall in respond.firewalls]
        self.workers: list[Worker] = []
        self._look_at_own()
        for firewall in respond.firewalls:
            client = (DryRun if respond.dry_run else CosClient).from_call(firewall.call(respond.dry_run))
            worker = Worker(
                firewall.name or "", firewall.address, client, policy=respond.policy, escalation=respond.escalation,
                guard=self.guard, ledger=ledger, instance=instance, known=known.get(firewall.address, frozenset()), tell=self._told,
            )  # fmt: skip
            self.workers.append(worker)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reports: deque[Report] = deque()
        self._wake, self._is_called = asyncio.Event(), False
        self._listening = asyncio.ensure_future(self._listen())
        for worker in self.workers:
            worker.start()

    async def stop(self) -> None:
        """End within a few seconds."""
        for worker in self.workers:
            worker.close()
        end = time.monotonic() + STOPPING
        for worker in self.workers:
            await asyncio.to_thread(worker.join, max(0.01, end - time.monotonic()))
        self._told(END)
        await self._listening

    def use(self, respond: Respond, relays: frozenset[IPv4Address]) -> None:
        """Apply new settings: policy, escalation and never_block."""
        self._respond, self._relays = respond, relays
        self._spread()

    def want(self, wish: Wish) -> None:
        for worker in self.workers:
            worker.want(wish)

    def tick(self) -> None:
        if time.monotonic() - self._looked_at >= OWN_PAUSE:
            self._look_at_own()

    @property
    def is_looked_at(self) -> bool:
        return len(self._health) == len(self.workers)

    @property
    def is_able(self) -> bool:
        return None in map(self._code, self.names)

    def status(self) -> dict[str, Any]:
        """Return the state of every firewall, and how much is under way there."""
        return {
            "firewalls": {name: self._code(name) or "up" for name in self.names},
            "writes": {name: report.writes for name, report in self._health.items()},
            "addresses_waiting": {worker.name: len(worker) for worker in self.workers},
        }

    def _code(self, name: str) -> Optional[str]:
        """Return why a firewall does not answer; one with a request that takes too long counts as down."""
        number = self.names.index(name)
        if self.workers[number].link.busy > self._respond.firewalls[number].timeout + PATIENCE:
            return "timeout_unknown"
        return self._health[name].code if name in self._health else "unknown"

    def _look_at_own(self) -> None:
        """Protect this machine's current addresses; if they cannot be determined, the previous ones stay protected."""
        self._looked_at = time.monotonic()
        try:
            self._own = own_addresses()
        except OSError as error:
            LOG.warning("The addresses of this machine cannot be determined (%s), and are therefore not protected.", error)
        self._spread()

    def _spread(self) -> None:
        firewalls = frozenset[IPv4Address]().union(*self._addresses.values())
        never = self._respond.networks | {IPv4Network(address) for address in self._relays}
        self.guard = Guard(never, firewalls, self._own)
        for worker in self.workers:
            worker.policy, worker.escalation, worker.guard = self._respond.policy, self._respond.escalation, self.guard

    def _told(self, report: Report) -> None:
        self._reports.append(report)
        if not self._is_called:  # once for all that come while the loop has other things to do
            self._is_called = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._wake.set)

    async def _listen(self) -> None:
        """Handle the workers' reports bit by bit, so that new events do not wait for old ones."""
        taken = itertools.count(1)
        while True:
            if not self._reports:
                self._wake.clear()
                self._is_called = False
                if not self._reports:  # what came before that has called nobody
                    await self._wake.wait()
                continue
            report = self._reports.popleft()
            if report is END:
                return
            self._take(report)
            for outcome in report.outcomes:
                try:
                    self._settle(report.firewall, outcome)
                except Exception:  # a bug may cost one event, but never all that follow
                    LOG.exception("Unexpected failure with the verdict for %s", outcome.address)
                if next(taken) % AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _take(self, report: Report) -> None:
        name, listed = report.firewall, report.listed
        if report.code != "unknown":
            self._health[name] = report
        if listed is None:
            return
        self._listed(listed)
        if listed.own != self._addresses.get(name):
            self._addresses[name] = listed.own
            self._spread()
