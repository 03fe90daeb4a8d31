# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One event on its way to its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional, Protocol

from ...module_utils._cos.blacklist import Entry
from ...module_utils._ips.event import Event
from ...module_utils._ledger.record import Record

BLOCKED, RENEWED, ALREADY_BLOCKED, FAILED, PENDING = "blocked", "renewed", "already_blocked", "failed", "pending"


class Result(NamedTuple):
    """What became of a case on one firewall.

    Attributes:
        result: blocked, renewed, already_blocked, failed or pending.
        code: failure code.
        reason: the failure in words, without secrets.
        answered: epoch time of the firewall's answer.
        entry: what is listed.
    """

    result: str
    code: Optional[str] = None
    reason: Optional[str] = None
    answered: Optional[float] = None
    entry: Optional[Entry] = None


@dataclass(eq=False)
class Case:
    """An event whose address is to be blocked.

    Attributes:
        received: epoch time.
        replayed: whether the event comes from the record of an earlier run, which may have acted on it.
        ttl: seconds for which the address is to be blocked.
        until: epoch time at which the block is to end.
        results: by the name of the firewall.
        accepted: epoch times at which firewalls accepted a write for it that is not verified, by their names.
        open: firewalls that have not settled it.
        told: the verdict that went out, if one did.
    """

    event: Event
    address: str
    received: float
    replayed: bool
    ttl: int
    until: float
    rule_name: str
    description: str
    open: set[str]
    results: dict[str, Result] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    told: Optional[dict[str, Any]] = None
    timer: Optional[asyncio.TimerHandle] = None

    def verdict(self, names: list[str], dry_run: bool) -> dict[str, Any]:
        """Return the verdict by what is known now, late after an earlier one; names are the firewalls' in the user's order."""
        results = {name: self.results.get(name) or Result(PENDING, answered=self.accepted.get(name)) for name in names}
        known = {result.result for result in results.values()}
        failed = next((result for result in results.values() if result.result == FAILED), None)
        code, reason = (failed.code, failed.reason) if failed else (None, None)
        verdict = next((name for name in (BLOCKED, RENEWED, ALREADY_BLOCKED) if name in known), FAILED)
        if verdict == FAILED and failed is None:
            code, reason = "unreachable", "no firewall has answered yet"
            if self.accepted:
                code, reason = "not_verified", "a firewall has accepted the block, but not listed it yet"
        answers = [result.answered for result in results.values() if result.answered is not None]
        entry = next((result.entry for result in results.values() if result.entry is not None), None)
        return compose(
            self.event,
            verdict,
            code=code,
            reason=reason,
            dry_run=dry_run,
            late=self.told is not None,
            entry=entry,
            firewalls=[
                {"name": name, "result": result.result, "code": result.code, "latency_ms": self._latency(result.answered)}
                for name, result in results.items()
            ],
            latency_ms=self._latency(max(answers, default=None)),
        )

    def _latency(self, answered: Optional[float]) -> Optional[float]:
        return None if answered is None else round(max(0.0, answered - self.received) * 1000, 3)


class Observer(Protocol):
    """Who is told what happens on a firewall, from the thread of its worker."""

    def settled(self, firewall: str, results: list[tuple[Case, Result]]) -> None:
        """Take what became of cases."""

    def listed(self, firewall: str, hosts: frozenset[str], marked: frozenset[str]) -> None:
        """Take the addresses that are blocked, and those among them that bear the responder's mark."""

    def available(self, firewall: str, code: Optional[str]) -> None:
        """Take whether the firewall answers: None, or the code of the failure."""

    def wrote(self, record: Record) -> None:
        """Take what is to be recorded."""

    def found(self, records: list[Record]) -> None:
        """Take the records of blocks of this responder that the firewall listed at the first look."""


def compose(
    event: Event,
    verdict: str,
    *,
    code: Optional[str] = None,
    reason: Optional[str] = None,
    dry_run: bool = False,
    late: bool = False,
    entry: Optional[Entry] = None,
    firewalls: Optional[list[dict[str, Any]]] = None,
    latency_ms: Optional[float] = None,
) -> dict[str, Any]:
    """Return a verdict in the documented form."""
    return {
        "type": "verdict",
        "verdict": verdict,
        "code": code,
        "reason": reason,
        "dry_run": dry_run,
        "late": late,
        "attacker": event.attacker,
        "entry": None if entry is None else shown(entry),
        "firewalls": firewalls or [],
        "latency_ms": latency_ms,
        "ips": event.as_dict(),
    }


def shown(entry: Entry) -> Mapping[str, Any]:
    """Return an entry as verdicts show it."""
    return {
        "host": entry.host,
        "service": entry.service,
        "ttl": entry.ttl,
        "rule_name": entry.rule_name,
        "description": entry.description,
    }
