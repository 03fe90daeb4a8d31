# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker on the bench: wishes go in, and what it tells is collected."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient
from ansible_collections.intrusion.response.plugins.module_utils._cos.dry_run import DryRun
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import Guard
from ansible_collections.intrusion.response.plugins.module_utils._events.dates import written
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Past, Record
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Firewall
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.escalation import EscalationSettings
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.policy import Policy, entry_description
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall.messages import Outcome, Report, Wish
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall.worker import Worker
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import read
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.verdict import Result

from emulator.testing import Handle

from ..running import firewall, post_of, until

POLICY = read(Policy, {})
HOST = "203.0.113.5"
INSTANCE = "1f3a"


class Ledger:
    """Says what somebody took back, which addresses are exempt for an hour, and how many offences there were."""

    def __init__(self) -> None:
        self.taken_back: dict[str, list[Record]] = {}
        self.exempt: set[str] = set()
        self.offences = 0

    def pasts(self, addresses: Collection[str]) -> dict[str, Past]:
        return {address: Past.of(records, 0.0) for address, records in self.taken_back.items() if address in addresses}

    def past(self, _number: int, address: str, _memory: float, _event: str) -> Past:
        return Past(self.offences, time.time() + 3600 if address in self.exempt else None)


class Bench:
    """A worker, and what it tells."""

    def __init__(self, worker: Worker, reports: list[Report], ledger: Ledger) -> None:
        self.worker = worker
        self.reports = reports
        self.ledger = ledger
        self.numbers = itertools.count(1)

    def wish(self, host: str = HOST, ttl: int | None = 3600, age: float = 0.0, **fields: Any) -> Wish:
        now = time.time() - age
        event = clc_ips.event(post_of(sourceIP=host, **fields), written(now))
        description = entry_description(event, INSTANCE)
        return Wish(next(self.numbers), host, event.id, event.reason, now, POLICY.entry_rule_name(event), description, ttl)

    def put(self, *args: Any, **kwargs: Any) -> Wish:
        wish = self.wish(*args, **kwargs)
        self.worker.want(wish)
        return wish

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for report in list(self.reports) for outcome in report.outcomes]

    def outcome(self, wish: Wish, final: bool = True) -> Outcome | None:
        found = (one for one in self.outcomes if one.address == wish.address and one.number >= wish.number and one.final == final)
        return next(found, None)

    def result(self, wish: Wish, final: bool = True) -> Result:
        return until(lambda: self.outcome(wish, final), "a result").result

    def ask(self, *args: Any, **kwargs: Any) -> Result:
        return self.result(self.put(*args, **kwargs))

    @property
    def records(self) -> list[Any]:
        told = [outcome.record for outcome in self.outcomes if outcome.record is not None]
        return told + [record for report in list(self.reports) if report.listed is not None for record in report.listed.standing]

    @property
    def hosts(self) -> set[str]:
        hosts: set[str] = set()
        for report in list(self.reports):
            if report.listed is not None:
                hosts = (hosts | report.listed.marked) - report.listed.unmarked
        return hosts


@contextmanager
def bench(emulator: Handle, dry_run: bool = False, policy: Policy = POLICY, guard: Guard | None = None, **settings: Any) -> Iterator[Bench]:
    found = read(Firewall, firewall(emulator, **settings), "respond.firewalls[0]", {})
    reports: list[Report] = []
    ledger = Ledger()
    client = (DryRun if dry_run else CosClient).from_call(found.call(dry_run))
    worker = Worker(
        found.name or "", found.address, client, policy=policy, escalation=EscalationSettings(), guard=guard or Guard(),
        ledger=ledger, instance=INSTANCE, known=frozenset(), tell=reports.append,
    )  # fmt: skip
    worker.start()
    try:
        yield Bench(worker, reports, ledger)
    finally:
        worker.close()
        worker.join(20)
    left = [thread for thread in threading.enumerate() if thread.name.endswith("er fw1")]
    for thread in left:
        thread.join(20)
    assert not [thread.name for thread in left if thread.is_alive()]
