# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One event on its way to its verdict, and the verdict's form."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from ...module_utils._cos.blacklist import Entry

BLOCKED, RENEWED, ALREADY_BLOCKED, PROTECTED, WITHDRAWN, FAILED = (
    "blocked", "renewed", "already_blocked", "protected", "withdrawn", "failed",
)  # fmt: skip
PENDING = "pending"
#: What a verdict says, the best of what firewalls say first.
VERDICTS = (BLOCKED, RENEWED, ALREADY_BLOCKED, PROTECTED, WITHDRAWN, "ignored", "limited", FAILED)
ORDER = (BLOCKED, RENEWED, ALREADY_BLOCKED, PROTECTED, WITHDRAWN)
DONE = frozenset((BLOCKED, RENEWED, ALREADY_BLOCKED))


class Result(NamedTuple):
    """What became of an address on one firewall.

    Attributes:
        result: blocked, renewed, already_blocked, protected, withdrawn, failed or pending.
        code: failure code.
        reason: the failure in words, without secrets.
        answered: epoch time of the firewall's answer.
        verified: whether the firewall's listing shows it; its answer alone is no proof.
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
    """An event without a final verdict: only what is needed of it.

    Attributes:
        event: its normal form as JSON.
        received: epoch time.
        replayed: whether the event comes from the inbox of an earlier run, which may have acted on it.
        open: the firewalls that have not settled it, each with the number of the wish that it got.
        results: by the name of the firewall.
        told: what the last verdict said of each firewall, None before the first one.
        verdict: the last one, and whether the inbox has it.
    """

    id: str
    address: str
    event: str
    received: float
    replayed: bool = False
    open: dict[str, int] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    told: Optional[dict[str, str]] = None
    verdict: Optional[dict[str, Any]] = None
    noted: bool = False

    def said(self) -> dict[str, str]:
        """Return what there is to tell of each firewall."""
        return {name: result.result for name, result in self.results.items() if result.result != PENDING}

    def recall(self, verdict: dict[str, Any]) -> None:
        """Take note of a verdict that went out."""
        self.verdict, self.noted = verdict, True
        self.told = {one["name"]: one["result"] for one in verdict["firewalls"] if one["result"] != PENDING}

    def compose(self, names: list[str], dry_run: bool) -> dict[str, Any]:
        """Return the verdict by what is known now, late after an earlier one; names are the firewalls' in the user's order."""
        results = {name: self.results.get(name) or Result(PENDING) for name in names}
        known = {result.result for result in results.values()}
        failed = next((result for result in results.values() if result.result == FAILED), None)
        code, reason = (failed.code, failed.reason) if failed else (None, None)
        verdict = next((name for name in ORDER if name in known), FAILED)
        if verdict in (PROTECTED, WITHDRAWN):
            code, reason = next((result.code, result.reason) for result in results.values() if result.result == verdict)
        elif verdict == FAILED and failed is None:
            code, reason = "unreachable", "no firewall has answered yet"
            if any(result.answered for result in results.values()):
                code, reason = "not_verified", "a firewall has accepted the block, but not listed it yet"
        answers = [result.answered for result in results.values() if result.answered is not None]
        done = [result for result in results.values() if result.result in DONE]
        entry = next((result.entry for result in done if result.entry is not None), None)
        return compose(
            self.event,
            self.address,
            verdict,
            code=code,
            reason=reason,
            dry_run=dry_run,
            late=self.told is not None,
            verified=bool(done) and all(result.verified for result in done),
            entry=entry,
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


def compose(
    event: str,
    attacker: Optional[str],
    verdict: str,
    *,
    code: Optional[str] = None,
    reason: Optional[str] = None,
    dry_run: bool = False,
    late: bool = False,
    verified: bool = False,
    entry: Optional[Entry] = None,
    firewalls: Optional[list[dict[str, Any]]] = None,
    latency_ms: Optional[float] = None,
) -> dict[str, Any]:
    """Return a verdict in the documented form; event is the event's normal form as JSON."""
    return {
        "type": "verdict",
        "verdict": verdict,
        "code": code,
        "reason": reason,
        "dry_run": dry_run,
        "late": late,
        "verified": verified,
        "attacker": attacker,
        "entry": None if entry is None else shown(entry),
        "firewalls": firewalls or [],
        "latency_ms": latency_ms,
        "intrusion": json.loads(event),
    }


def shown(entry: Entry) -> dict[str, Any]:
    """Return an entry as verdicts show it."""
    return {name: getattr(entry, name) for name in ("host", "service", "ttl", "rule_name", "description")}
