# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to a blacklist whose firewall may do something else than expected, so that in the end the listing shows what is wanted.

The API has no update verb, and what a second POST for the same host and service does is not documented. Writing therefore goes
by what the listing shows afterwards, never by what a firewall is believed to do. It goes in rounds, each of which sends one
request for every entry concerned and then reads the blacklist once, so that one entry and ten thousand take the same path.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

from .._core.errors import (
    AuthFailed,
    IntrusionResponseError,
    NotAttempted,
    NotListedAfterWrite,
    NotPermitted,
    RateLimited,
    Rejected,
    StoredDifferently,
    TimeoutUnknown,
    Unreachable,
)
from .blacklist import ALL_SERVICES, DEFAULT_TTL, Entry, Key, Listing
from .wanted import TEXTS, TTL_TOLERANCE, Wanted

Warn = Callable[[str], None]
#: Takes a finished job and what was to be done: added, renewed, updated or removed.
Note = Callable[["Job", str], None]


class Firewall(Protocol):
    """What the resource needs of a client."""

    @property
    def attempts(self) -> int:
        """How often a write may be sent."""

    def wait(self, attempt: int) -> None:
        """Pause before repetition number attempt (from 0)."""

    def blacklist(self) -> dict[str, Any]:
        """Return the answer that lists the whole blacklist."""

    def add(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Add an entry."""

    def remove(self, fields: Mapping[str, str]) -> None:
        """Remove an entry."""

    def each(self, function: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Call function, which must not raise, for every item."""


@dataclass
class Job:
    """One entry to write or, without a wanted one, to remove.

    Attributes:
        key: what identifies the entry.
        wanted: what must be listed in the end; None to remove.
        entry: what to write.
        existing: what was listed before; to remove, only for the record.
        result: what is listed in the end.
        failure: why that could not be reached; until the end, why the last request failed.
    """

    key: Key
    wanted: Optional[Wanted] = None
    entry: Optional[Entry] = None
    existing: Optional[Entry] = None
    result: Optional[Entry] = None
    failure: Optional[IntrusionResponseError] = None

    def fields(self, entry: Entry) -> dict[str, str]:
        """Return what to send: only what was given or is there already, so that the device's own defaults apply to the rest."""
        wanted = self.wanted
        fields = self.name()
        if entry.ttl is not None and (self.existing is not None or (wanted is not None and wanted.ttl is not None)):
            fields["ttl"] = str(max(1, entry.ttl))
        if entry.rule_name:
            fields["rule_name"] = entry.rule_name
        if wanted is not None and wanted.close_established is not None:
            fields["close_established"] = "yes" if wanted.close_established else "no"
        if entry.description:
            fields["description"] = entry.description
        return fields

    def name(self) -> dict[str, str]:
        """Return the parameters that identify the entry; all services are meant when none is named."""
        host, service = self.key
        return {"host": host} if service == ALL_SERVICES else {"host": host, "service": service}


def read(firewall: Firewall) -> Listing:
    """Return the whole blacklist, normalised."""
    return Listing.from_wire(firewall.blacklist())


class Writer:
    """Carries out jobs on one firewall; each ends with a result (None when removed) or a failure.

    Args:
        firewall: the client.
        warn: takes warnings.
        stop: whether to send nothing more after the first failure that sending again would not mend.
    """

    def __init__(self, firewall: Firewall, warn: Warn, stop: bool = False) -> None:
        self.firewall = firewall
        self.warn = warn
        self.stop = stop
        self.stopped = False
        self.started = time.monotonic()

    def write(self, jobs: Sequence[Job], listing: Listing) -> Listing:
        """Bring every wanted entry into the listing, and return the last one."""
        self._send(jobs, self._add)
        return self.settle(jobs, self._read_after(jobs, listing))

    def settle(self, jobs: Sequence[Job], listing: Listing) -> Listing:
        """Go on with entries that were sent, from a listing that was read afterwards, and return the last one."""
        listing = self._again(jobs, listing, self._arrived)
        replace = []
        for job in jobs:
            if self._arrived(job, listing):
                job.result, job.failure = listing.owned(job.key)[0], None
            elif job.existing is None:
                self._judge(job, listing)
            elif job.failure is None or isinstance(job.failure, Rejected):
                replace.append(job)
        return self._replace(replace, listing) if replace else listing

    def remove(self, jobs: Sequence[Job], listing: Listing) -> Listing:
        """Delete until the listing shows none of the keys any more.

        An error of a DELETE counts only if the entry is still there: it may have run off, or the answer may have been lost.
        """
        left = {job.key: len(listing.owned(job.key)) for job in jobs}
        pending = [job for job in jobs if left[job.key]]
        progress = True
        for attempt in range(max(left.values(), default=0) - 1 + self.firewall.attempts):
            if not progress:
                self.firewall.wait(attempt - 1)
            self._send(pending, self._delete, stops=False)
            listing = self._read_after(pending, listing)
            progress = False
            unfinished = []
            for job in pending:
                before, left[job.key] = left[job.key], len(listing.owned(job.key))
                progress = progress or left[job.key] < before
                if not left[job.key]:
                    job.failure = None
                elif job.failure is None or job.failure.retryable:
                    unfinished.append(job)
            pending = unfinished
            if not pending or listing.stale:
                break
        for job in pending:
            host, service = job.key
            job.failure = job.failure or StoredDifferently(
                f"The firewall accepted the removal of {host} ({service}), but still lists it.", changed=True
            )
        return listing

    def _replace(self, jobs: Sequence[Job], listing: Listing) -> Listing:
        """Remove and write anew what cannot be written over, one right after the other, so that no address stays unblocked."""
        pending = list(jobs)
        for attempt in range(self.firewall.attempts):
            if attempt:
                self.firewall.wait(attempt - 1)
            self._send(pending, functools.partial(self._swap, listing))
            listing = self._read_after(pending, listing)
            if listing.stale:
                break
            pending = [job for job in pending if self._unsettled(job, listing)]
            if not pending:
                break
        lost = []
        for job in jobs:
            self._judge(job, listing)
            if job.failure is not None and (listing.stale or not listing.owned(job.key)):
                job.failure.changed = True
                lost.append(job)
        return self._restore(lost, listing) if lost else listing

    def _unsettled(self, job: Job, listing: Listing) -> bool:
        retryable = job.failure is not None and job.failure.retryable
        return not self._arrived(job, listing) and (retryable or len(listing.owned(job.key)) > 1)

    def _swap(self, listing: Listing, job: Job) -> None:
        for _entry in listing.owned(job.key):
            try:
                self.firewall.remove(job.name())
            except (Unreachable, AuthFailed, NotPermitted, RateLimited):
                raise
            except IntrusionResponseError:
                continue  # whether it is gone, the listing will tell
        self._add(job)

    def _restore(self, jobs: Sequence[Job], listing: Listing) -> Listing:
        """Put back entries that had to be removed, since no address must become unblocked by a failed change."""
        failures = [job.failure for job in jobs]
        for job in jobs:
            job.entry, job.failure = job.existing, None
        self.stopped = False
        self._send(jobs, self._add)
        listing = self._again(jobs, self._read_after(jobs, listing), lambda job, listing: bool(listing.owned(job.key)))
        for job, failure in zip(jobs, failures):
            job.failure = failure
            if failure is not None:
                failure.hint = (
                    "The entry as it was before is in place again."
                    if listing.owned(job.key) and not listing.stale
                    else f"The entry had to be removed for the change and could not be put back: {job.key[0]} may be NOT BLOCKED now."
                )
        return listing

    def _again(self, jobs: Sequence[Job], listing: Listing, arrived: Callable[[Job, Listing], bool]) -> Listing:
        """Send entries again where the listing shows that they did not arrive."""
        for attempt in range(self.firewall.attempts - 1):
            pending = [job for job in jobs if job.failure is not None and job.failure.retryable and not arrived(job, listing)]
            if not pending or listing.stale:
                break
            self.firewall.wait(attempt)
            self._send(pending, self._add)
            listing = self._read_after(pending, listing)
        return listing

    def _send(self, jobs: Sequence[Job], function: Callable[[Job], Any], stops: bool = True) -> None:
        def send(job: Job) -> None:
            if self.stopped:
                job.failure = NotAttempted(f"{job.key[0]} ({job.key[1]}) was not attempted after an earlier failure.")
                return
            job.failure = None
            try:
                function(job)
            except IntrusionResponseError as error:
                job.failure = error
                if self.stop and stops and not error.retryable and job.existing is None:
                    self.stopped = True

        self.firewall.each(send, jobs)

    def _add(self, job: Job) -> None:
        if job.entry is not None:
            self.firewall.add(job.fields(job.entry))

    def _delete(self, job: Job) -> None:
        self.firewall.remove(job.name())

    def _read_after(self, jobs: Sequence[Job], listing: Listing) -> Listing:
        """Read the blacklist after a round; not being able to is a failure of every write that may have arrived."""
        if all(isinstance(job.failure, NotAttempted) for job in jobs):
            return listing
        try:
            return read(self.firewall)
        except IntrusionResponseError as error:
            for job in jobs:
                if isinstance(job.failure, (Unreachable, NotAttempted)):
                    continue
                reason = job.failure.message if job.failure is not None else "The write was accepted."
                job.failure = TimeoutUnknown(
                    f"{reason} The blacklist could not be read afterwards ({error.code}), so whether the write took effect is not known.",
                    http_status=error.http_status,
                    hint="Run the task again.",
                    changed=True,
                )
            return Listing(listing.entries, listing.raw, stale=True)

    def _arrived(self, job: Job, listing: Listing) -> bool:
        if listing.stale:
            return False
        owned = listing.owned(job.key)
        return len(owned) == 1 and not self._missing(job, owned[0])

    def _missing(self, job: Job, entry: Entry) -> tuple[str, ...]:
        """Return what is still different; a renewal counts as done when the listed time is what it can be by now."""
        if job.wanted is None or job.entry is None:
            return ()
        names = job.wanted.differences(entry)
        if "renewal" in names and entry.ttl is not None:
            full = (job.entry.ttl or DEFAULT_TTL) - TTL_TOLERANCE - (time.monotonic() - self.started)
            if entry.ttl >= full:
                names = tuple(name for name in names if name != "renewal")
        return names

    def _judge(self, job: Job, listing: Listing) -> None:
        """Accept or refuse what a write onto an empty place has led to."""
        if listing.stale:
            return
        owned = listing.owned(job.key)
        if not owned:
            if job.failure is None and job.entry is not None:
                if time.monotonic() - self.started >= (job.entry.ttl or DEFAULT_TTL) - 1:
                    job.result = job.entry
                    return
                job.failure = NotListedAfterWrite(
                    f"The firewall accepted {job.key[0]} ({job.key[1]}), but does not list it.",
                    hint="The host may be on the firewall's whitelist, or the firewall has no room for more entries.",
                    changed=True,
                )
            return
        job.failure = None
        job.result = owned[0]
        wrong = self._missing(job, owned[0])
        if not wrong or job.wanted is None:
            return
        message = f"The firewall stored {' and '.join(wrong)} of {job.key[0]} differently than was sent."
        if job.wanted.text_mismatch == "warn" and set(wrong) <= set(TEXTS):
            self.warn(message)
            return
        job.failure = StoredDifferently(
            message, hint="The address is blocked. For texts, try shorter or plainer ones, or text_mismatch: warn.", changed=True
        )
