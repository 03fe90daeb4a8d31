# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Computes from the desired state and a listing what to do, and later whether it took effect; nothing here sends or waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Optional

from .._core.errors import (
    EntriesFailed,
    IntrusionResponseError,
    InvalidInput,
    NotListedAfterWrite,
    ProtectedAddress,
    PurgeLimitExceeded,
    StoredDifferently,
)
from .._core.text import clean
from .blacklist import ALL_SERVICES, DEFAULT_TTL, Entry, Key, Listing, expiry
from .guard import Guard
from .wanted import TEXTS, TTL_TOLERANCE, Purge, Wanted

#: Actions that write to the firewall, as opposed to unchanged.
WRITES = ("added", "renewed", "updated", "removed")
EXAMPLES_SHOWN = 3
LONGEST_SHOWN = 80


@dataclass(eq=False)
class Change:
    """A change of one entry: what was wanted, what was there before, and what is there now, or why not.

    Attributes:
        wanted: the request for this entry.
        action: added, renewed, updated, removed or unchanged; what is to be done, whether or not it then succeeds.
        before: the entry as listed before.
        now: the entry as listed now, or as expected until that is known.
        reasons: why it is written: missing, renewal, or the names of the fields that differ.
        failure: why it failed; while requests are being sent, why the last one failed.
        protected: why the guard protects the address.
        remark: anything else that the user should know.
        purged: whether the entry was purged.
        sent: whether a request may have reached the firewall.
        settled: whether no more will become known about the outcome.
    """

    wanted: Wanted
    action: str = "unchanged"
    before: Optional[Entry] = None
    now: Optional[Entry] = None
    reasons: tuple[str, ...] = ()
    failure: Optional[IntrusionResponseError] = None
    protected: Optional[str] = None
    remark: Optional[str] = None
    purged: bool = False
    sent: bool = False
    settled: bool = False

    @property
    def key(self) -> Key:
        """What identifies the entry."""
        return self.wanted.key

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.wanted.host} ({self.wanted.service})"

    @cached_property
    def goal(self) -> Optional[Entry]:
        """The entry that should be listed in the end; None if it should be gone."""
        return self.wanted.over(self.before) if self.wanted.state == "present" else None

    @property
    def writes(self) -> bool:
        """Whether there is something to send."""
        return self.action in WRITES

    @property
    def changed(self) -> bool:
        """Whether the firewall was changed, or would be in check mode."""
        return self.writes and (self.failure is None or self.failure.changed)

    @property
    def asked_ttl(self) -> Optional[int]:
        """The ttl that is sent, in seconds; None if it is left to the firewall."""
        goal = self.goal
        if goal is None or goal.ttl is None or (self.before is None and self.wanted.ttl is None):
            return None
        return max(1, goal.ttl)

    def fields(self) -> dict[str, str]:
        """Return the parameters to send: only what was given or exists already, so that the firewall's defaults apply to the rest."""
        goal, fields = self.goal, self.address()
        if goal is not None:
            close = {None: None, True: "yes", False: "no"}[self.wanted.close_established]
            given = (self.asked_ttl, goal.rule_name, close, goal.description)
            names = ("ttl", "rule_name", "close_established", "description")
            fields.update({name: str(value) for name, value in zip(names, given) if value})
        return fields

    def address(self) -> dict[str, str]:
        """Return the parameters that identify the entry; without a service, it is for all services."""
        host, service = self.key
        return {"host": host} if service == ALL_SERVICES else {"host": host, "service": service}

    def is_echoed_by(self, answer: Mapping[str, Any]) -> bool:
        """Return whether the answer to a POST confirms the host, service and ttl that were sent."""
        told = Entry.from_wire(answer["blacklist_entry"])
        return self.goal is not None and told.key == self.key and told.ttl == self.goal.ttl

    def undoing(self) -> Change:
        """Return the change that restores the previous entry after it had to be removed."""
        before = self.before
        texts = {} if before is None else {"ttl": before.ttl, **{name: getattr(before, name) for name in TEXTS}}
        return Change(Wanted(*self.key, **texts), "added")

    def shown(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a diff shows before and after; the ttl, which counts down, only if it is why the entry changes."""
        with_ttl = not {"missing", "ttl", "renewal"}.isdisjoint(self.reasons)
        goal = self.goal if self.writes else self.before
        before, after = (
            {} if entry is None else {name: value for name, value in entry._asdict().items() if with_ttl or name != "ttl"}
            for entry in (self.before, goal)
        )
        return before, after

    def result(self) -> dict[str, Any]:
        """Return the change as part of the return values."""
        failure = self.failure
        failed = "protected" if isinstance(failure, ProtectedAddress) else "failed"
        return {
            "host": self.wanted.host,
            "service": self.wanted.service,
            "action": failed if failure else self.action,
            "entry": self.now and self.now._asdict(),
            "expires_at": expiry(self.now, time.time()),
            "protected": self.protected,
            "purged": self.purged,
            "code": failure and failure.code,
            "msg": failure.as_result()["msg"] if failure else self.remark,
        }


def changes(wanted: Iterable[Wanted], listing: Listing, guard: Optional[Guard] = None, purge: Optional[Purge] = None) -> list[Change]:
    """Compare what is wanted with what is listed.

    Args:
        wanted: requests for any number of entries.
        listing: the whole blacklist.
        guard: decides which addresses must not be blocked; may be None if none is to be blocked.
        purge: which other entries to remove.

    Returns:
        A change for each request, in order (several if every_service finds several entries), then for each entry to be purged.

    Raises:
        PurgeLimitExceeded: more entries would be purged than the limit allows.
    """
    found = [change for one in wanted for change in _changes(one, listing, guard)]
    return found if purge is None else found + _purge(purge, listing, {change.key for change in found})


def _changes(wanted: Wanted, listing: Listing, guard: Optional[Guard]) -> list[Change]:
    if wanted.state == "present":
        return [_presence(wanted, listing, guard)]
    if not wanted.every_service:
        return [_absence(wanted, listing)]
    services = listing.owned_services(wanted.host)
    return [_absence(replace(wanted, service=service), listing) for service in services] or [Change(wanted)]


def _presence(wanted: Wanted, listing: Listing, guard: Optional[Guard]) -> Change:
    protected = None
    if guard is not None:
        try:
            protected = guard.check(wanted.host)
        except ProtectedAddress as error:
            return Change(wanted, failure=error, protected=guard.reason(wanted.host))
    owned = listing.owned(wanted.key)
    if not owned:
        return Change(wanted, "added", now=wanted.over(None), reasons=("missing",), protected=protected)
    before = owned[0]
    reasons = tuple(dict.fromkeys(name for entry in owned for name in wanted.differences(entry)))
    if not reasons:
        return Change(wanted, before=before, now=before, protected=protected)
    if before.ttl is None and wanted.ttl is None:
        unknown = f"The entry of {wanted.host} ({wanted.service}) is listed without a usable ttl; "
        failure = InvalidInput(unknown + "set ttl, so that changing the entry cannot shorten the block.")
        return Change(wanted, before=before, now=before, failure=failure, protected=protected)
    action = "renewed" if reasons == ("renewal",) else "updated"
    return Change(wanted, action, before, wanted.over(before), reasons, protected=protected)


def _absence(wanted: Wanted, listing: Listing) -> Change:
    """Compare; only the API's own entries count."""
    owned = listing.owned(wanted.key)
    kept = next((entry for entry in owned if wanted.leaves(entry)), None)
    if kept is not None:
        listed, given = (repr(clean(name, LONGEST_SHOWN)) for name in (kept.rule_name, wanted.rule_name))
        remark = f"{wanted.host} ({wanted.service}) is listed with rule_name {listed}, not {given}, and was left alone."
        return Change(wanted, before=kept, now=kept, remark=remark)
    return Change(wanted, "removed", before=owned[0]) if owned else Change(wanted)


def _purge(purge: Purge, listing: Listing, keep: set[Key]) -> list[Change]:
    marked = [entry for entry in listing.owned_entries() if entry.rule_name.startswith(purge.mark)]
    surplus = [entry for entry in marked if entry.key not in keep]
    if not purge.limit.allows(len(surplus), len(marked)):
        raise PurgeLimitExceeded(
            f"{len(surplus)} of {len(marked)} entries marked {purge.mark!r} would be removed, which is more than "
            f"purge_limit ({purge.limit}) allows; nothing was written.",
            hint="Is the list of entries complete?",
        )
    return [Change(Wanted(*entry.key, state="absent"), "removed", before=entry, purged=True) for entry in surplus]


def unmet(change: Change, listing: Listing, elapsed: float) -> tuple[str, ...]:
    """Return how a listing that was read after a change was sent differs from the goal of the change.

    Args:
        change: the change that was sent.
        listing: complete, and not stale.
        elapsed: seconds since it was first sent, at most, by which the entry's time may have counted down.

    Returns:
        Nothing if the change took effect; otherwise "missing" (not listed), "removal" (still listed), or what is wrong with the first
        listed entry: "ttl" (more than requested, or less than can be left, whether the firewall lists remaining or configured time),
        "rule_name", "description", and "duplicates" if there are several.
    """
    owned = listing.owned(change.key)
    if change.wanted.state == "absent":
        return ("removal",) if owned else ()
    if not owned:
        return ("missing",)
    names = [name for name in change.wanted.differences(owned[0]) if name != "renewal"]
    asked, listed = change.asked_ttl, owned[0].ttl
    if asked is not None and listed is not None and listed < asked - TTL_TOLERANCE - elapsed:
        names.insert(0, "ttl")
    if len(owned) > 1:
        names.append("duplicates")
    return tuple(names)


def is_cut(change: Change, listing: Listing, elapsed: float) -> bool:
    """Whether the only difference is that an existing entry got more time, but less than requested; trying again would not help."""
    before, now = change.before, next(iter(listing.owned(change.key)), None)
    if before is None or now is None or before.ttl is None or now.ttl is None or unmet(change, listing, elapsed) != ("ttl",):
        return False
    return before.ttl < now.ttl < (change.asked_ttl or 0)


def judge(change: Change, listing: Listing, elapsed: float) -> Optional[IntrusionResponseError]:
    """Return the failure that a listing, read after a change was sent, proves; None if there is none. See unmet.

    An entry that has expired by then is not a failure, and neither are duplicates, which block as well.
    """
    owned, wrong = listing.owned(change.key), unmet(change, listing, elapsed)
    if wrong == ("removal",):
        return StoredDifferently(f"The firewall accepted the removal of {change.name}, but still lists it.", changed=True)
    goal = change.goal
    if goal is None:
        return None
    if wrong == ("missing",):
        if elapsed >= (goal.ttl or DEFAULT_TTL) - 1:
            return None
        others = listing.blocking({change.wanted.host})
        seen = f"; for that address it lists only {_named(others)}" if others else ""
        spelling = "It may be one of these in a different spelling. " if others else ""
        hint = f"{spelling}The host may be on the firewall's whitelist, or the blacklist may be full."
        return NotListedAfterWrite(f"The firewall accepted {change.name}, but does not list it{seen}.", hint=hint, changed=True)
    told, hints = [], ["The address is blocked."]
    if "ttl" in wrong:
        told.append(f"{owned[0].ttl} seconds are listed, {change.asked_ttl} were requested")
        if (owned[0].ttl or 0) < (change.asked_ttl or 0):
            hints.append("The firewall may limit how long an entry lasts.")
    for name in TEXTS:
        if name in wrong:
            listed, sent = (repr(clean(getattr(entry, name), LONGEST_SHOWN)) for entry in (owned[0], goal))
            told.append(f"{name} is listed as {listed}, but {sent} was sent")
    if not told:
        return None
    if set(wrong) & set(TEXTS):
        hints.append("Try shorter or plainer texts.")
    hints.append("With stored_mismatch: warn, this is only a warning.")
    return StoredDifferently(f"The firewall stored {change.name} differently: {'; '.join(told)}.", hint=" ".join(hints), changed=True)


def still_blocking(done: Iterable[Change], listing: Listing) -> list[Entry]:
    """Return the entries that still block an address to be unblocked, and add a remark to the changes of that address.

    Args:
        done: changes, carried out or predicted.
        listing: the latest one, from before or after.
    """
    released: dict[str, list[Change]] = {}
    gone = set()
    for change in done:
        if change.action == "removed" and change.failure is None:
            gone.add(change.key)
        if change.wanted.state == "absent" and not change.purged:
            released.setdefault(change.wanted.host, []).append(change)
    found = [entry for entry in listing.blocking(released) if not (entry.owned and entry.key in gone)] if released else []
    blocked: dict[str, list[Entry]] = {}
    for entry in found:
        for host in [entry.host] if entry.host in released else [host for host in released if entry.covers(host)]:
            blocked.setdefault(host, []).append(entry)
    for host, entries in blocked.items():
        for change in released[host]:
            others = [entry for entry in entries if not (entry.owned and entry.key == change.key)]
            if others:
                change.remark = change.remark or f"{host} is still blocked by {blockers(others)}."
    return found


def blockers(entries: Sequence[Entry]) -> str:
    """Return how messages call entries that still block, and why they do."""
    ours, theirs = ([entry for entry in entries if entry.owned is owned] for owned in (True, False))
    return " and ".join(filter(None, (_named(ours), f"{_named(theirs)}, which the API cannot remove" if theirs else "")))


def _named(entries: Iterable[Entry]) -> str:
    """Return a few entries as text."""
    texts = [clean(f"{entry.host} ({entry.service}, {entry.alert_type or 'no alert_type'})", LONGEST_SHOWN) for entry in entries]
    more = f" and {len(texts) - EXAMPLES_SHOWN} more" if len(texts) > EXAMPLES_SHOWN else ""
    return ", ".join(texts[:EXAMPLES_SHOWN]) + more


def diff(done: Sequence[Change]) -> dict[str, Any]:
    """Return the before and after of changes for Ansible's diff mode."""
    shown = [change.shown() for change in done]
    if len(shown) == 1:
        return dict(zip(("before", "after"), shown[0]))
    return {name: {"entries": [one for one in side if one]} for name, side in zip(("before", "after"), zip(*shown) if shown else ((), ()))}


def many_results(done: Sequence[Change], blocking: Sequence[Entry]) -> dict[str, Any]:
    """Return module return values for many entries, including failed ones."""
    changed = [change for change in done if change.changed]
    failed = [(change, change.failure) for change in done if change.failure is not None]
    rows = [change.result() for change in done]
    result = {
        "changed": bool(changed),
        "entries": rows,
        "counts": dict(sorted(Counter(row["action"] for row in rows).items())),
        "still_blocked": [entry._asdict() for entry in blocking],
        "diff": diff(changed),
    }
    if failed:
        messages = [(change.wanted.host, failure.message) for change, failure in failed[:EXAMPLES_SHOWN]]
        examples = "; ".join(message if host in message else f"{host}: {message}" for host, message in messages)
        more = f"; and {len(failed) - EXAMPLES_SHOWN} more" if len(failed) > EXAMPLES_SHOWN else ""
        error = EntriesFailed(f"{len(failed)} of {len(rows)} entries failed. {examples}{more}", changed=bool(changed))
        result.update(error.as_result(), failed=True, retryable=all(failure.retryable for _change, failure in failed))
    return result


def one_result(done: Sequence[Change], blocking: Sequence[Entry]) -> dict[str, Any]:
    """Return module return values for one entry, or for all services of one address; raises the first failure."""
    failures = [change.failure for change in done if change.failure is not None]
    changed = [change for change in done if change.changed]
    if failures:
        failures[0].changed = bool(changed)
        raise failures[0]
    lead = next(iter(changed or done))
    row = next((change for change in done if change.now is not None), lead).result()
    return {
        "changed": bool(changed),
        "action": lead.action,
        **{name: row[name] for name in ("entry", "expires_at", "protected")},
        "still_blocked": [entry._asdict() for entry in blocking],
        "diff": diff(changed or done),
    }
