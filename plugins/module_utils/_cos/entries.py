# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many blacklist entries as one resource: one listing, the fewest writes, and a result for each entry."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .._core.errors import EntriesFailed, IntrusionResponseError, InvalidInput, NotAttempted, ProtectedAddress, PurgeLimitExceeded
from .._core.options import integer_between
from .apply import Firewall, Job, Warn, Writer, read
from .blacklist import OWNED, Entry, Key, Listing, expiry, parse_text
from .entry import left_alone, plan_absent, plan_present, shown, warn_of_ttl, why_left_alone, written_as
from .guard import Guard
from .record import firewall_name
from .wanted import Wanted

#: What a task may give once for all its entries.
SHARED = ("service", "state", "ttl", "renew_below", "rule_name", "description", "close_established", "event", "event_rule")
#: And only for all of them.
FIXED = ("every_service", "text_mismatch", "match_rule_name")
EXAMPLES_SHOWN = 3


@dataclass(frozen=True)
class Limit:
    """How many entries may be purged: a number, or a percentage (rounded up) of those that bear the mark."""

    amount: int
    percent: bool

    @classmethod
    def parse(cls, name: str, value: str) -> Limit:
        """Read "20" or "10%"; raises InvalidInput for anything else."""
        found = re.fullmatch(r"(\d+)\s*(%?)", value.strip())
        if not found or (found[2] and int(found[1]) > 100):
            raise InvalidInput(f"{name} must be a number such as 20 or a percentage such as 10%; got {value[:80]!r}.")
        return cls(int(found[1]), bool(found[2]))

    def allows(self, count: int, total: int) -> bool:
        """Whether count of total entries may go."""
        return count <= (math.ceil(total * self.amount / 100) if self.percent else self.amount)

    def __str__(self) -> str:
        return f"{self.amount}{'%' if self.percent else ''}"


@dataclass(frozen=True)
class Request:
    """A validated request for many entries."""

    wanted: tuple[Wanted, ...]
    purge: bool = False
    mark: str = ""
    limit: Limit = Limit(50, True)
    stop: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Validate module options; raises InvalidInput before anything is sent, naming the position of the entry at fault."""
        integer_between("concurrency", params["concurrency"], 1, 64)
        shared = {name: params[name] for name in SHARED}
        fixed = {name: params[name] for name in FIXED}
        mark = parse_text("purge_mark", params["purge_mark"]) or parse_text("rule_name", params["rule_name"]) or ""
        if params["purge"] and not mark:
            raise InvalidInput("purge needs purge_mark or rule_name: only entries whose rule_name begins with it are removed.")
        if params["hosts"] is None and params["entries"] is None:
            raise InvalidInput("One of hosts and entries is needed, if only as an empty list.")
        wanted: dict[str, Wanted] = {}
        plain = [(f"hosts[{index}]", {"host": host}) for index, host in enumerate(params["hosts"] or ())]
        detailed = [(f"entries[{index}]", given) for index, given in enumerate(params["entries"] or ())]
        for name, given in plain + detailed:
            if given.get("alert_type") not in (None, "", OWNED):
                raise InvalidInput(f"{name} has alert_type {given['alert_type']}; only {OWNED} entries can be written. Filter the listing.")
            if given.get("firewall") and firewall_name(given["firewall"]) != firewall_name(params["api_url"]):
                raise InvalidInput(f"{name} was recorded for another firewall ({firewall_name(given['firewall'])}).")
            try:
                one = Wanted.from_params({**shared, **fixed, **{key: value for key, value in given.items() if value is not None}})
            except InvalidInput as error:
                raise InvalidInput(f"{name}: {error.message}") from None
            if params["purge"] and one.state == "present" and not (one.rule_name or "").startswith(mark):
                raise InvalidInput(f"{name}: with purge, rule_name must begin with {mark!r}, or the next purge would not know the entry.")
            wanted[name] = one
        _refuse_duplicates(wanted)
        limit = Limit.parse("purge_limit", params["purge_limit"])
        return cls(tuple(wanted.values()), params["purge"], mark, limit, params["on_error"] == "stop")


@dataclass
class Row:
    """The course of one entry; action and entry are predictions until the writes are done."""

    key: Key
    action: str
    entry: Optional[Entry]
    before: dict[str, Any]
    after: dict[str, Any]
    job: Optional[Job] = None
    failure: Optional[IntrusionResponseError] = None
    protected: Optional[str] = None
    purged: bool = False
    wanted: Optional[Wanted] = None
    remark: Optional[str] = None

    def result(self) -> dict[str, Any]:
        """Return the entry's part of the return values."""
        failure = self.failure
        failed = "protected" if isinstance(failure, ProtectedAddress) else "failed"
        return {
            "host": self.key[0],
            "service": self.key[1],
            "action": failed if failure else self.action,
            "entry": self.entry and self.entry._asdict(),
            "expires_at": expiry(self.entry, time.time()),
            "protected": self.protected,
            "purged": self.purged,
            "code": failure and failure.code,
            "msg": failure.as_result()["msg"] if failure else self.remark,
        }


def ensure(
    firewall: Firewall, request: Request, guard: Guard, *, check_mode: bool, warn: Warn, note: Optional[Callable[..., None]] = None
) -> dict[str, Any]:
    """Bring all entries to the wanted state, note what was written, and return module return values, failed ones included.

    Raises:
        PurgeLimitExceeded: before anything was written; and whatever the client raises while the blacklist is first read.
    """
    listing = read(firewall)
    rows = [row for wanted in request.wanted for row in _plan(wanted, listing, guard)]
    rows.extend(_purge(request, listing, {row.key for row in rows}))
    for row in rows:
        if row.protected and not row.failure:
            warn(f"{row.key[0]} is protected ({row.protected}); allow_protected overrides that.")
    warn_of_ttl((entry for row in rows for entry in listing.owned(row.key)), warn)
    if request.stop and any(row.failure for row in rows):
        for row in rows:
            if row.job is not None:
                row.failure = NotAttempted("Not attempted, because another entry cannot be written.")
    elif not check_mode:
        _apply(firewall, rows, listing, request.stop, warn)
        for row in rows:
            if row.job is not None and note is not None:
                wanted = row.wanted
                note(row.job, row.action, overridden=row.protected, event=wanted and wanted.event, event_rule=wanted and wanted.event_rule)
    hosts = {wanted.host for wanted in request.wanted if wanted.state == "absent"}
    foreign = listing.foreign_among(hosts)
    if foreign:
        warn(f"{len(foreign)} entries of the firewall's own features still block addresses that were to be let in again.")
    return _result(rows, foreign)


def _plan(wanted: Wanted, listing: Listing, guard: Guard) -> list[Row]:
    if wanted.state == "absent":
        removals = plan_absent(wanted, listing).operations
        found = [(removal.key, listing.owned(removal.key)[0]) for removal in removals]
        rows = [_removal(key, entry, wanted) for key, entry in found]
        for entry in left_alone(wanted, listing):
            rows.append(Row(entry.key, "unchanged", entry, {}, {}, remark=why_left_alone(wanted, entry)))
        return rows or [Row(wanted.key, "unchanged", None, {}, {})]
    try:
        protected = guard.check(wanted.host)
    except ProtectedAddress as error:
        return [Row(wanted.key, "protected", None, {}, {}, failure=error, protected=guard.reason(wanted.host))]
    try:
        plan = plan_present(wanted, listing)
    except InvalidInput as error:
        return [Row(wanted.key, "failed", None, {}, {}, failure=error, protected=protected)]
    owned = listing.owned(wanted.key)
    if not plan.operations:
        return [Row(wanted.key, "unchanged", owned[0], plan.before, plan.after, protected=protected)]
    operation = plan.operations[0]
    job = Job(wanted.key, wanted, operation.entry, owned[0] if owned else None)
    return [Row(wanted.key, written_as(operation), operation.entry, plan.before, plan.after, job, protected=protected, wanted=wanted)]


def _removal(key: Key, entry: Entry, wanted: Optional[Wanted] = None) -> Row:
    job = Job(key, existing=entry)
    return Row(key, "removed", None, shown(entry, with_ttl=False), {}, job, purged=wanted is None, wanted=wanted)


def _purge(request: Request, listing: Listing, keep: set[Key]) -> list[Row]:
    if not request.purge:
        return []
    marked = [entry for entry in listing.owned_entries() if entry.rule_name.startswith(request.mark)]
    surplus = [entry for entry in marked if entry.key not in keep]
    if not request.limit.allows(len(surplus), len(marked)):
        raise PurgeLimitExceeded(
            f"{len(surplus)} of {len(marked)} entries marked {request.mark!r} would be removed, which is more than "
            f"purge_limit ({request.limit}) allows; nothing was written.",
            hint="Is the list of entries complete?",
        )
    return [_removal(entry.key, entry) for entry in surplus]


def _apply(firewall: Firewall, rows: list[Row], listing: Listing, stop: bool, warn: Warn) -> None:
    """Write first and remove afterwards, since a block that is missing weighs more than one that stays too long."""
    writer = Writer(firewall, warn, stop)
    jobs = [row.job for row in rows if row.job is not None]
    writes = [job for job in jobs if job.wanted is not None]
    removals = [job for job in jobs if job.wanted is None]
    if writes:
        listing = writer.write(writes, listing)
    if stop and any(job.failure for job in writes):
        for job in removals:
            job.failure = NotAttempted(f"{job.key[0]} ({job.key[1]}) was not removed, because an entry failed.")
    elif removals:
        writer.remove(removals, listing)
    for row in rows:
        if row.job is not None:
            row.failure = row.job.failure
            row.entry = row.job.result


def _result(rows: list[Row], foreign: list[Entry]) -> dict[str, Any]:
    changed = [row for row in rows if row.job is not None and (row.failure is None or row.failure.changed)]
    failed = [row for row in rows if row.failure is not None]
    entries = [row.result() for row in rows]
    result = {
        "changed": bool(changed),
        "entries": entries,
        "counts": dict(sorted(Counter(entry["action"] for entry in entries).items())),
        "foreign_entries": [entry._asdict() for entry in foreign],
        "diff": {"before": _listed(row.before for row in changed), "after": _listed(row.after for row in changed)},
    }
    if failed:
        messages = [(row.key[0], row.failure.message) for row in failed[:EXAMPLES_SHOWN] if row.failure]
        examples = "; ".join(message if host in message else f"{host}: {message}" for host, message in messages)
        more = f"; and {len(failed) - EXAMPLES_SHOWN} more" if len(failed) > EXAMPLES_SHOWN else ""
        error = EntriesFailed(f"{len(failed)} of {len(rows)} entries failed. {examples}{more}", changed=bool(changed))
        result.update(error.as_result(), failed=True, retryable=all(row.failure.retryable for row in failed if row.failure))
    return result


def _listed(entries: Any) -> dict[str, Any]:
    return {"entries": [entry for entry in entries if entry]}


def _refuse_duplicates(wanted: Mapping[str, Wanted]) -> None:
    seen: dict[Key, str] = {}
    for name, one in wanted.items():
        key = (one.host, "every service") if one.every_service else one.key
        first = seen.setdefault(key, name)
        if first != name:
            raise InvalidInput(f"{first} and {name} both name {one.host} with {key[1]}.")
