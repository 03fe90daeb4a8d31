# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One blacklist entry as a resource: read, compare what is listed with what is wanted, plan, apply, and report what is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

from .._core.errors import InvalidInput
from .._core.plan import Plan
from .apply import Firewall, Job, Note, Warn, Writer, read
from .blacklist import Entry, Key, Listing
from .wanted import Wanted


@dataclass(frozen=True)
class Write:
    """Operation: write the entry, over an existing one when there is one."""

    entry: Entry
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Remove:
    """Operation: remove the entry of this key."""

    key: Key


@dataclass(frozen=True)
class Outcome:
    """What was done or is predicted."""

    plan: Plan[Any]
    action: str
    entry: Optional[Entry]
    foreign: list[Entry]

    def result(self) -> dict[str, Any]:
        """Return the module's return values."""
        return {
            "changed": self.plan.changed,
            "action": self.action,
            "entry": self.entry and self.entry._asdict(),
            "foreign_entries": [entry._asdict() for entry in self.foreign],
            "protected": None,
            "diff": self.plan.diff,
        }


def plan_present(wanted: Wanted, listing: Listing) -> Plan[Write]:
    """Compare; the running ttl is part of the diff only where it is the reason for the change.

    Raises:
        InvalidInput: the entry must be written over, but how long it lives is known neither from the request nor from the listing.
    """
    owned = listing.owned(wanted.key)
    if not owned:
        entry = wanted.over(None)
        return Plan({}, shown(entry), (Write(entry, ("missing",)),))
    existing = owned[0]
    reasons = tuple(dict.fromkeys(name for entry in owned for name in wanted.differences(entry)))
    if reasons and existing.ttl is None and wanted.ttl is None:
        raise InvalidInput(
            f"The entry of {wanted.host} ({wanted.service}) is listed without a usable ttl; "
            "give ttl, so that changing the entry cannot shorten the block."
        )
    entry = wanted.over(existing)
    with_ttl = "ttl" in reasons or "renewal" in reasons
    before, after = shown(existing, with_ttl), shown(entry, with_ttl)
    return Plan(before, after, (Write(entry, reasons),)) if reasons else Plan(before, before)


def plan_absent(wanted: Wanted, listing: Listing) -> Plan[Remove]:
    """Compare; only the API's own entries count."""
    kept = {entry.service for entry in left_alone(wanted, listing)}
    services = [service for service in _services(wanted, listing) if service not in kept]
    if not services:
        return Plan({}, {})
    operations = tuple(Remove((wanted.host, service)) for service in services)
    entries = [shown(listing.owned(operation.key)[0], False) for operation in operations]
    before = entries[0] if len(entries) == 1 else {"entries": entries}
    return Plan(before, {}, operations)


def left_alone(wanted: Wanted, listing: Listing) -> list[Entry]:
    """Return the entries that are not removed because they bear another rule_name, one for each service."""
    if not wanted.match_rule_name:
        return []
    found = [entry for service in _services(wanted, listing) for entry in listing.owned((wanted.host, service))]
    return list({entry.key: entry for entry in found if entry.rule_name != wanted.rule_name}.values())


def why_left_alone(wanted: Wanted, entry: Entry) -> str:
    """Return what to tell the user of such an entry."""
    return f"{entry.host} ({entry.service}) is listed with rule_name {entry.rule_name!r}, not {wanted.rule_name!r}, and was left alone."


def _services(wanted: Wanted, listing: Listing) -> list[str]:
    if wanted.every_service:
        return listing.owned_services(wanted.host)
    return [wanted.service] if listing.owned(wanted.key) else []


def warn_of_ttl(entries: Iterable[Entry], warn: Warn) -> None:
    """Say which entries are listed with a ttl that cannot be compared."""
    for entry in entries:
        if entry.ttl is None:
            warn(f"The firewall lists a ttl for {entry.host} that is no positive number; it was not compared.")


def written_as(operation: Write) -> str:
    """Return what a write amounts to: added, renewed or updated."""
    if operation.reasons == ("missing",):
        return "added"
    return "renewed" if operation.reasons == ("renewal",) else "updated"


def no_note(_job: Job, _action: str) -> None:
    """Record nothing."""


def ensure_present(firewall: Firewall, wanted: Wanted, *, check_mode: bool, warn: Warn, note: Note = no_note) -> Outcome:
    """Bring the entry to the wanted state, note what was written, and report what is listed afterwards.

    Raises:
        NotListedAfterWrite, StoredDifferently, and whatever the client raises; changed is set where something was written.
    """
    listing = read(firewall)
    plan = plan_present(wanted, listing)
    owned = listing.owned(wanted.key)
    warn_of_ttl(owned, warn)
    if not plan.operations:
        return Outcome(plan, "unchanged", owned[0], listing.foreign(wanted.host))
    operation = plan.operations[0]
    action = written_as(operation)
    if check_mode:
        return Outcome(plan, action, operation.entry, listing.foreign(wanted.host))
    job = Job(wanted.key, wanted, operation.entry, owned[0] if owned else None)
    listing = Writer(firewall, warn).write([job], listing)
    note(job, action)
    if job.failure is not None:
        raise job.failure
    return Outcome(plan, action, job.result, listing.foreign(wanted.host))


def ensure_absent(firewall: Firewall, wanted: Wanted, *, check_mode: bool, warn: Warn, note: Note = no_note) -> Outcome:
    """Remove the entry, or those of every service, and warn when the host is still blocked by others."""
    listing = read(firewall)
    plan = plan_absent(wanted, listing)
    kept = left_alone(wanted, listing)
    for entry in kept:
        warn(why_left_alone(wanted, entry))
    if plan.operations and not check_mode:
        jobs = [Job(operation.key, existing=listing.owned(operation.key)[0]) for operation in plan.operations]
        listing = Writer(firewall, warn).remove(jobs, listing)
        for job in jobs:
            note(job, "removed")
        failed = [job.failure for job in jobs if job.failure is not None]
        if failed:
            failed[0].changed = failed[0].changed or len(failed) < len(jobs)
            raise failed[0]
    foreign = listing.foreign(wanted.host)
    if foreign:
        sources = ", ".join(sorted({entry.alert_type or "unknown" for entry in foreign}))
        warn(f"{wanted.host} is still blocked by entries of the firewall's own features ({sources}), which the API cannot remove.")
    return Outcome(plan, "removed" if plan.changed else "unchanged", kept[0] if kept else None, foreign)


def shown(entry: Entry, with_ttl: bool = True) -> dict[str, Any]:
    """Return an entry as diffs show it."""
    return {name: value for name, value in entry._asdict().items() if with_ttl or name != "ttl"}
