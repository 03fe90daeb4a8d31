# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes to a blacklist until its listing shows the desired state, even if the firewall behaves unexpectedly.

The API has no update verb, and the effect of a second POST for the same host and service is not documented. Writing therefore relies on
what the listing shows afterwards, never on assumptions about the firewall. It proceeds in rounds, each of which sends one
request for every affected entry and then reads the blacklist once, so that one entry and ten thousand take the same path.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

from .._core.errors import (
    AuthFailed,
    IntrusionResponseError,
    NotAttempted,
    NotPermitted,
    RateLimited,
    Rejected,
    StoredDifferently,
    TimeoutUnknown,
    Unreachable,
)
from .blacklist import Entry, Listing
from .change import Change, changes, is_cut, judge, still_blocking, unmet
from .client import CosClient
from .guard import Guard
from .wanted import Purge, Wanted

Warn = Callable[[str], None]
#: Called with changes that are about to be sent.
Intend = Callable[[Sequence[Change]], None]
#: How many changes are recorded and then sent at a time.
BATCH = 500


def read(firewall: CosClient) -> Listing:
    """Return the whole blacklist, normalised."""
    return Listing.from_wire(firewall.blacklist())


def ensure(
    firewall: CosClient,
    wanted: Sequence[Wanted],
    guard: Optional[Guard] = None,
    *,
    purge: Optional[Purge] = None,
    stop: bool = False,
    check_mode: bool,
    warn: Warn,
    intend: Optional[Intend] = None,
) -> tuple[list[Change], list[Entry]]:
    """Bring all entries to the desired state.

    Args:
        firewall: the client.
        wanted, guard, purge: as for changes().
        stop: whether to send nothing more after the first failure that a retry would not fix, and nothing at all if an entry
            cannot be written to begin with.
        check_mode: only predict.
        warn: called with warnings.
        intend: called with changes before they are sent.

    Returns:
        The changes, each with what is listed now or a failure; and the entries that still block addresses to be unblocked.

    Raises:
        PurgeLimitExceeded: before anything was written; and whatever the client raises when the blacklist is first read. It is not
            read if the guard refuses everything.
    """
    refused = guard is not None and purge is None and all(one.state == "present" and _refuses(guard, one.host) for one in wanted)
    listing = Listing([]) if refused else read(firewall)
    found = changes(wanted, listing, guard, purge)
    for change in found:
        if change.protected and not change.failure:
            warn(f"{change.wanted.host} is protected ({change.protected}); allow_protected overrides that.")
        if change.wanted.state == "present" and change.before is not None and change.before.ttl is None:
            warn(f"The firewall lists a ttl for {change.wanted.host} that is not a positive number; it was not compared.")
    writes = [change for change in found if change.writes]
    if stop and any(change.failure for change in found):
        for change in writes:
            change.failure, change.now = NotAttempted("Not attempted, because another entry cannot be written."), change.before
    elif writes and not check_mode:
        listing = Writer(firewall, warn, stop, intend).carry_out(writes, listing)
    return found, still_blocking(found, listing)


def _refuses(guard: Guard, host: str) -> bool:
    return not guard.allow_protected and guard.reason(host) is not None


class Writer:
    """Carries out changes on one firewall; each ends with what is listed, and a failure if that is not the desired state.

    Args:
        firewall: the client.
        warn: called with warnings.
        stop: whether to send nothing more after the first failure that a retry would not fix.
        intend: called with changes before they are first sent.
    """

    def __init__(self, firewall: CosClient, warn: Warn, stop: bool = False, intend: Optional[Intend] = None) -> None:
        self.firewall = firewall
        self.warn = warn
        self.stop = stop
        self.stopped = False
        self.started = time.monotonic()
        self._intend = intend

    def carry_out(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Write first and remove afterwards, since a missing block is worse than one that stays too long."""
        writes = [change for change in found if change.goal is not None]
        removals = [change for change in found if change.goal is None]
        if writes:
            listing = self.write(writes, listing)
        if self.stop and any(change.failure for change in writes):
            for change in removals:
                change.failure = NotAttempted(f"{change.name} was not removed, because an entry failed.")
                change.now = change.before
        elif removals:
            listing = self.remove(removals, listing)
        return listing

    def write(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Send every entry until it is listed, and return the last listing."""
        self._send_first(found, self._add)
        return self.settle(found, self._read_after(found, listing))

    def settle(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Continue with entries that were sent, from a listing that was read afterwards, and return the last listing."""
        listing = self._again(found, listing, self._arrived)
        replace = []
        for change in found:
            if self._arrived(change, listing) or change.before is None or is_cut(change, listing, self._elapsed):
                self._judge(change, listing)
            elif change.failure is None or isinstance(change.failure, Rejected):
                replace.append(change)
        if replace:
            listing = self._replace(replace, listing)
        self._conclude(found, listing)
        return listing

    def remove(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Delete until none of the keys is listed any more.

        A failed DELETE counts only if the entry is still there: it may have expired, or the answer may have been lost.
        """
        left = {change.key: len(listing.owned(change.key)) for change in found}
        pending = [change for change in found if left[change.key]]
        progress = True
        for attempt in range(max(left.values(), default=0) - 1 + self.firewall.attempts):
            if not progress:
                self.firewall.wait(attempt - 1)
            (self._send if attempt else self._send_first)(pending, self._delete)
            listing = self._read_after(pending, listing)
            progress = False
            unfinished = []
            for change in pending:
                before, left[change.key] = left[change.key], len(listing.owned(change.key))
                progress = progress or left[change.key] < before
                if not left[change.key]:
                    change.failure = None
                elif change.failure is None or change.failure.retryable:
                    unfinished.append(change)
            pending = unfinished
            if not pending or listing.stale:
                break
        for change in pending:
            change.failure = change.failure or judge(change, listing, self._elapsed)
        self._conclude(found, listing)
        return listing

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self.started

    def _conclude(self, found: Sequence[Change], listing: Listing) -> None:
        for change in found:
            change.settled = True
            if change.failure is not None or change.goal is None:
                change.now = None if listing.stale else next(iter(listing.owned(change.key)), None)

    def _replace(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Remove and add again entries that cannot be overwritten, one right after the other, so that no address stays unblocked."""
        pending = list(found)
        for attempt in range(self.firewall.attempts):
            if attempt:
                self.firewall.wait(attempt - 1)
            self._send(pending, functools.partial(self._swap, listing))
            listing = self._read_after(pending, listing)
            if listing.stale:
                break
            pending = [change for change in pending if self._unsettled(change, listing)]
            if not pending:
                break
        lost = []
        for change in found:
            self._judge(change, listing)
            if change.failure is not None and (listing.stale or not listing.owned(change.key)):
                change.failure.changed = True
                lost.append(change)
        return self._restore(lost, listing) if lost else listing

    def _unsettled(self, change: Change, listing: Listing) -> bool:
        retryable = change.failure is not None and change.failure.retryable
        return not self._arrived(change, listing) and (retryable or len(listing.owned(change.key)) > 1)

    def _swap(self, listing: Listing, change: Change) -> None:
        for _entry in listing.owned(change.key):
            try:
                self.firewall.remove(change.address())
            except (Unreachable, AuthFailed, NotPermitted, RateLimited):
                raise
            except IntrusionResponseError:
                continue  # the listing will show whether it is gone
        self._add(change)

    def _restore(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Restore entries that had to be removed, since a failed change must not unblock an address."""
        old = [change.undoing() for change in found]
        self.stopped = False
        self._send(old, self._add)
        listing = self._again(old, self._read_after(old, listing), lambda change, listing: bool(listing.owned(change.key)))
        for change in found:
            if change.failure is not None:
                change.failure.hint = (
                    "The previous entry was restored."
                    if listing.owned(change.key) and not listing.stale
                    else f"The entry had to be removed for the change and could not be restored: {change.key[0]} may be NOT BLOCKED now."
                )
        return listing

    def _again(self, found: Sequence[Change], listing: Listing, arrived: Callable[[Change, Listing], bool]) -> Listing:
        """Send entries again if the listing shows that they did not arrive."""
        for attempt in range(self.firewall.attempts - 1):
            pending = [one for one in found if one.failure is not None and one.failure.retryable and not arrived(one, listing)]
            if not pending or listing.stale:
                break
            self.firewall.wait(attempt)
            self._send(pending, self._add)
            listing = self._read_after(pending, listing)
        return listing

    def _send_first(self, found: Sequence[Change], function: Callable[[Change], Any]) -> None:
        for start in range(0, len(found), BATCH):
            batch = found[start : start + BATCH]
            if self._intend is not None and not self.stopped:
                self._intend(batch)
            self._send(batch, function)

    def _send(self, found: Sequence[Change], function: Callable[[Change], Any]) -> None:
        def send(change: Change) -> None:
            if self.stopped:
                change.failure = NotAttempted(f"{change.name} was not attempted after an earlier failure.")
                return
            change.failure, change.sent = None, True
            try:
                function(change)
            except IntrusionResponseError as error:
                change.failure = error
                if self.stop and not error.retryable and change.before is None:
                    self.stopped = True

        self.firewall.each(send, found)

    def _add(self, change: Change) -> None:
        self.firewall.add(change.fields())

    def _delete(self, change: Change) -> None:
        self.firewall.remove(change.address())

    def _read_after(self, found: Sequence[Change], listing: Listing) -> Listing:
        """Read the blacklist after a round; if that fails, so does every write that may have arrived."""
        if all(isinstance(change.failure, NotAttempted) for change in found):
            return listing
        try:
            return read(self.firewall)
        except IntrusionResponseError as error:
            for change in found:
                if isinstance(change.failure, (Unreachable, NotAttempted)):
                    continue
                reason = change.failure.message if change.failure is not None else "The write was accepted."
                change.failure = TimeoutUnknown(
                    f"{reason} The blacklist could not be read afterwards ({error.code}), so it is unknown whether the write took effect.",
                    http_status=error.http_status,
                    hint="Run the task again.",
                    changed=True,
                )
            return Listing(listing.entries, listing.raw, stale=True)

    def _arrived(self, change: Change, listing: Listing) -> bool:
        return not listing.stale and not unmet(change, listing, self._elapsed)

    def _judge(self, change: Change, listing: Listing) -> None:
        """Decide whether the result of a write is acceptable."""
        owned = listing.owned(change.key)
        if listing.stale or (not owned and change.failure is not None):
            return
        change.now = owned[0] if owned else change.goal
        change.failure = judge(change, listing, self._elapsed)
        if isinstance(change.failure, StoredDifferently) and change.wanted.stored_mismatch == "warn":
            self.warn(change.failure.message)
            change.failure = None
