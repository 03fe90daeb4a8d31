# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event on its way to its verdict, and the form of the verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from ...module_utils._cos.blacklist import Entry

BLOCKED, RENEWED, ALREADY_BLOCKED, PROTECTED, WITHDRAWN, FAILED = (
    "blocked", "renewed", "already_blocked", "protected", "withdrawn", "failed",
)  # fmt: skip
PENDING = "pending"
#: Results of firewalls, best first.
ORDER = (BLOCKED, RENEWED, ALREADY_BLOCKED, PROTECTED, WITHDRAWN, FAILED, PENDING)
#: All verdicts.
VERDICTS = (*ORDER[:-1], "ignored", "limited")
DONE = frozenset((BLOCKED, RENEWED, ALREADY_BLOCKED))


class Result(NamedTuple):
    """The result for an address on one firewall.

    Attributes:
        result: blocked, renewed, already_blocked, protected, withdrawn, failed or pending.
        code: failure code.
        reason: the failure in words, without secrets.
        answered: epoch time of the firewall's answer.
        verified: whether the firewall's listing shows it; its answer alone is not proof.
        entry: what is listed, or was sent.
    """

    result: str
    code: Optional[str] = None
    reason: Optional[str] = None
    answered: Optional[float] = None
    verified: bool = False
    entry: Optional[Entry] = None


@dataclass(eq=False)
class Pending:
    """The necessary parts of an event without a final verdict.

    Attributes:
        event: its normal form as JSON.
        received: epoch time.
        replayed: whether the event comes from the inbox of an earlier run, which may have acted on it.
        number: of the wish that it got.
        open: the firewalls that have not settled it.
        silent: those without anything to report.
        news: those with something new since the last verdict.
        told: what that verdict said, by the name of the firewall.
        results: by the name of the firewall.
        verdict: the last one that went out.
    """

    id: str
    address: str
    event: str
    received: float
    replayed: bool = False
    verdict: Optional[dict[str, Any]] = None
    number: int = 0
    open: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    news: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)

    def begin(self, number: int, names: list[str]) -> None:
        """Wait for the results of a wish on these firewalls."""
        self.number, self.open, self.silent = number, set(names), set(names)
        self._told()

    def take(self, name: str, result: Result) -> None:
        """Handle the result on a firewall."""
        self.results[name] = result
        for names, belongs in ((self.silent, result.result == PENDING), (self.news, result.result != self.told.get(name, PENDING))):
            (names.add if belongs else names.discard)(name)

    def tell(self, verdict: dict[str, Any]) -> None:
        """Note a verdict that goes out."""
        self.verdict = verdict
        self._told()

    def _told(self) -> None:
        self.told = {one["name"]: one["result"] for one in (self.verdict or {}).get("firewalls", ())}
        self.news.clear()

    def compose(self, names: list[str], dry_run: bool) -> dict[str, Any]:
        """Return the current verdict, which is late if there was an earlier one; names are those of the firewalls in the user's order."""
        results = {name: self.results.get(name, Result(PENDING)) for name in names}
        best = min(results.values(), key=lambda result: ORDER.index(result.result))
        failed = next((result for result in results.values() if result.result == FAILED), None)
        blamed = best if best.result in (PROTECTED, WITHDRAWN) else failed
        answers = [result.answered for result in results.values() if result.answered is not None]
        done = [result for result in results.values() if result.result in DONE]
        code, reason = (blamed.code, blamed.reason) if blamed else (None, None)
        if best.result == PENDING:
            code, reason = "unreachable", "no firewall has answered yet"
            if answers:
                code, reason = "not_verified", "a firewall has accepted the block, but not listed it yet"
        entry = next((result.entry for result in done if result.entry is not None), None)
        return compose(
            self.event,
            self.address,
            FAILED if best.result == PENDING else best.result,
            code=code,
            reason=reason,
            dry_run=dry_run,
            late=self.verdict is not None,
            verified=bool(done) and all(result.verified for result in done),
            entry=entry and {name: getattr(entry, name) for name in ("host", "service", "ttl", "rule_name", "description")},
            firewalls=[
                {
                    "name": name, "result": result.result, "code": result.code, "verified": result.verified,
                    "latency_ms": self._latency(result.answered),
                }
                for name, result in results.items()
            ],
            latency_ms=self._latency(max(answers, default=None)),
        )  # fmt: skip

    def _latency(self, answered: Optional[float]) -> Optional[float]:
        return None if answered is None else round(max(0.0, answered - self.received) * 1000, 3)


def compose(event: str, attacker: Optional[str], verdict: str, **more: Any) -> dict[str, Any]:
    """Return a verdict in the documented form; event is the event's normal form as JSON, more are fields with a value."""
    return {
        "type": "verdict",
        "verdict": verdict,
        "code": None,
        "reason": None,
        "dry_run": False,
        "late": False,
        "verified": False,
        "attacker": attacker,
        "entry": None,
        "firewalls": [],
        "latency_ms": None,
        **more,
        "intrusion": json.loads(event),
    }
