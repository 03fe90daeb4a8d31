# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to a blacklist whose firewall may do something else than expected, so that in the end the listing shows what is wanted.

The API has no update verb, and what a second POST for the same host and service does is not documented. Writing therefore goes
by what the listing shows afterwards, never by what a firewall is believed to do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, Optional, Protocol

from .._core.errors import (
    AuthFailed,
    IntrusionResponseError,
    NotListedAfterWrite,
    NotPermitted,
    Rejected,
    StoredDifferently,
    TimeoutUnknown,
    Unreachable,
)
from .blacklist import ALL_SERVICES, DEFAULT_TTL, Entry, Key, Listing
from .wanted import TEXTS, TTL_TOLERANCE, Wanted

Warn = Callable[[str], None]


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


def read(firewall: Firewall) -> Listing:
    """Return the whole blacklist, normalised."""
    return Listing.from_wire(firewall.blacklist())


def read_after_write(firewall: Firewall, failure: Optional[IntrusionResponseError]) -> Listing:
    """Return the blacklist after a write, whose own failure is given if it had one; not being able to is a failure of the write."""
    try:
        return read(firewall)
    except IntrusionResponseError as error:
        if isinstance(failure, Unreachable):
            raise failure from None
        reason = failure.message if failure is not None else "The write was accepted."
        raise TimeoutUnknown(
            f"{reason} The blacklist could not be read afterwards ({error.code}), so whether the write took effect is not known.",
            http_status=error.http_status,
            hint="Run the task again.",
            changed=True,
        ) from None


def remove(firewall: Firewall, key: Key, listing: Listing) -> Listing:
    """Delete until the listing shows no entry of this key any more, and return that listing.

    An error of a DELETE counts only if the entry is still there: it may have run off, or the answer may have been lost.
    """
    fields = {"host": key[0]} if key[1] == ALL_SERVICES else {"host": key[0], "service": key[1]}
    budget = len(listing.owned(key)) - 1 + firewall.attempts
    for attempt in range(budget):
        failure: Optional[IntrusionResponseError] = None
        before = len(listing.owned(key))
        try:
            firewall.remove(fields)
        except (AuthFailed, NotPermitted):
            raise
        except IntrusionResponseError as error:
            failure = error
        listing = read_after_write(firewall, failure)
        left = len(listing.owned(key))
        if not left:
            return listing
        if failure is not None and not failure.retryable:
            raise failure
        if left >= before:
            if attempt == budget - 1:
                break
            firewall.wait(attempt)
    raise failure or StoredDifferently(f"The firewall accepted the removal of {key[0]} ({key[1]}), but still lists it.", changed=True)


class Writer:
    """Writes one entry: POST; where that does not bring what is wanted, DELETE and POST; each time the listing decides."""

    def __init__(self, firewall: Firewall, wanted: Wanted, entry: Entry, existing: Optional[Entry], warn: Warn) -> None:
        self.firewall = firewall
        self.wanted = wanted
        self.entry = entry
        self.existing = existing
        self.warn = warn
        self.started = time.monotonic()

    def write(self) -> tuple[Entry, Listing]:
        """Return the entry as listed in the end, and that listing."""
        listing, failure = self._post(self.entry, self._arrived)
        if self._arrived(listing):
            return listing.owned(self.wanted.key)[0], listing
        if self.existing is None:
            return self._judge(listing, failure)
        if failure is not None and not isinstance(failure, Rejected):
            raise failure
        return self._replace(self.existing, listing)

    def _replace(self, existing: Entry, listing: Listing) -> tuple[Entry, Listing]:
        listing = remove(self.firewall, self.wanted.key, listing) if listing.owned(self.wanted.key) else listing
        try:
            listing, failure = self._post(self.entry, self._arrived)
            return self._judge(listing, failure)
        except IntrusionResponseError as error:
            error.changed = True
            if not isinstance(error, StoredDifferently):
                self._restore(existing, error)
            raise

    def _restore(self, existing: Entry, error: IntrusionResponseError) -> None:
        """Put back the entry that had to be removed, since the address must not become unblocked by a failed change."""
        try:
            listing, _failure = self._post(existing, lambda listing: bool(listing.owned(self.wanted.key)))
            restored = bool(listing.owned(self.wanted.key))
        except IntrusionResponseError:
            restored = False
        error.hint = (
            "The entry as it was before is in place again."
            if restored
            else f"The entry had to be removed for the change and could not be put back: {self.wanted.host} may be NOT BLOCKED now."
        )

    def _post(self, entry: Entry, arrived: Callable[[Listing], bool]) -> tuple[Listing, Optional[IntrusionResponseError]]:
        """Send the entry, again where the listing shows that it did not arrive; return the last listing and failure."""
        failure: Optional[IntrusionResponseError] = None
        for attempt in range(self.firewall.attempts):
            failure = None
            try:
                self.firewall.add(self._fields(entry))
            except (AuthFailed, NotPermitted):
                raise
            except IntrusionResponseError as error:
                failure = error
            listing = read_after_write(self.firewall, failure)
            if failure is None or not failure.retryable or arrived(listing) or attempt == self.firewall.attempts - 1:
                break
            self.firewall.wait(attempt)
        return listing, failure

    def _fields(self, entry: Entry) -> dict[str, str]:
        """Only what was given or is there already goes out, so that the device's own defaults apply to the rest."""
        fields = {"host": entry.host}
        if entry.service != ALL_SERVICES:
            fields["service"] = entry.service
        if entry.ttl is not None and (self.wanted.ttl is not None or self.existing is not None):
            fields["ttl"] = str(max(1, entry.ttl))
        if entry.rule_name:
            fields["rule_name"] = entry.rule_name
        if self.wanted.close_established is not None:
            fields["close_established"] = "yes" if self.wanted.close_established else "no"
        if entry.description:
            fields["description"] = entry.description
        return fields

    def _arrived(self, listing: Listing) -> bool:
        owned = listing.owned(self.wanted.key)
        return len(owned) == 1 and not self._missing(owned[0])

    def _missing(self, entry: Entry) -> tuple[str, ...]:
        """Return what is still different; a renewal counts as done when the listed time is what it can be by now."""
        names = self.wanted.differences(entry)
        if "renewal" in names and entry.ttl is not None:
            full = (self.entry.ttl or DEFAULT_TTL) - TTL_TOLERANCE - (time.monotonic() - self.started)
            if entry.ttl >= full:
                names = tuple(name for name in names if name != "renewal")
        return names

    def _judge(self, listing: Listing, failure: Optional[IntrusionResponseError]) -> tuple[Entry, Listing]:
        """Accept or refuse what a write onto an empty place has led to."""
        owned = listing.owned(self.wanted.key)
        if not owned:
            if failure is not None:
                raise failure
            ttl = self.entry.ttl or DEFAULT_TTL
            if time.monotonic() - self.started >= ttl - 1:
                return self.entry, listing
            raise NotListedAfterWrite(
                f"The firewall accepted {self.wanted.host} ({self.wanted.service}), but does not list it.",
                hint="The host may be on the firewall's whitelist, or the firewall has no room for more entries.",
                changed=True,
            )
        wrong = self._missing(owned[0])
        if not wrong:
            return owned[0], listing
        message = f"The firewall stored {' and '.join(wrong)} of {self.wanted.host} differently than was sent."
        if self.wanted.text_mismatch == "warn" and set(wrong) <= set(TEXTS):
            self.warn(message)
            return owned[0], listing
        raise StoredDifferently(
            message, hint="The address is blocked. For texts, try shorter or plainer ones, or text_mismatch: warn.", changed=True
        )
