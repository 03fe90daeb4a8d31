# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exception tree: every failure that a user can encounter, each with a stable code."""

from __future__ import annotations

from typing import Any, ClassVar, Optional

from .text import clean


class IntrusionResponseError(Exception):
    """Base of all failures. The code is part of the interface and does not change between releases.

    Args:
        message: one line, without secrets; quoted texts from outside are cleaned here.
        http_status: status of the answer that caused the failure, if there was one.
        hint: what the reader can do about it.
        changed: whether something was, or may have been, written before the failure.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    #: Whether the failed request may have taken effect.
    outcome_unknown: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        http_status: Optional[int] = None,
        hint: Optional[str] = None,
        changed: bool = False,
    ) -> None:
        self.message = clean(message)
        super().__init__(self.message)
        self.http_status = http_status
        self.hint = None if hint is None else clean(hint)
        self.changed = changed

    def as_result(self) -> dict[str, Any]:
        """Return the failure as module return values: msg, code, http_status, retryable, hint, changed."""
        return {
            "msg": self.message if self.hint is None else f"{self.message} {self.hint}",
            "code": self.code,
            "http_status": self.http_status,
            "retryable": self.retryable,
            "hint": self.hint,
            "changed": self.changed,
        }


class InvalidInput(IntrusionResponseError):
    """An option has an invalid value; nothing was sent."""

    code = "invalid_input"


class ProtectedAddress(IntrusionResponseError):
    """The guard refused to block this address; nothing was sent."""

    code = "protected_address"


class Unreachable(IntrusionResponseError):
    """No connection could be made, so nothing was sent."""

    code = "unreachable"
    retryable = True


class CertificateRejected(IntrusionResponseError):
    """The TLS certificate of the service did not pass verification; nothing was sent."""

    code = "certificate_rejected"


class TimeoutUnknown(IntrusionResponseError):
    """The request was sent, but no complete answer came back: it may have taken effect."""

    code = "timeout_unknown"
    retryable = True
    outcome_unknown = True


class BadResponse(IntrusionResponseError):
    """The answer is not what the service is documented to send."""

    code = "bad_response"
    retryable = True
    outcome_unknown = True


class WrongService(IntrusionResponseError):
    """Something other than this API answered, such as a gateway; its answer proves nothing."""

    code = "wrong_service"


class RedirectRefused(IntrusionResponseError):
    """The service answered with a redirect, which is never followed."""

    code = "redirect_refused"


class AuthFailed(IntrusionResponseError):
    """The credentials were missing or not accepted."""

    code = "auth_failed"


class NotPermitted(IntrusionResponseError):
    """The credentials are valid, but lack the permission."""

    code = "not_permitted"


class Rejected(IntrusionResponseError):
    """The service refused the request (a 4xx answer)."""

    code = "rejected"


class NotFound(Rejected):
    """The service does not know the object."""

    code = "not_found"


class RateLimited(IntrusionResponseError):
    """The service asked for a pause longer than the time left."""

    code = "rate_limited"
    retryable = True


class ServerFault(IntrusionResponseError):
    """The service failed (a 5xx answer): the request may have taken effect."""

    code = "server_fault"
    retryable = True
    outcome_unknown = True


def failure_for(status: int) -> type[IntrusionResponseError]:
    """Return the class of failure for the HTTP status of an error."""
    named = {401: AuthFailed, 403: NotPermitted, 404: NotFound, 429: RateLimited}
    return named.get(status, ServerFault if status >= 500 else Rejected)


class ListingTruncated(IntrusionResponseError):
    """The firewall says that it holds more entries than it listed, so the listing proves nothing."""

    code = "listing_truncated"


class NotListedAfterWrite(IntrusionResponseError):
    """The firewall accepted an entry but did not list it afterwards."""

    code = "not_listed_after_write"


class StoredDifferently(IntrusionResponseError):
    """The service stored something other than what was sent."""

    code = "stored_differently"


class NotVerified(IntrusionResponseError):
    """A write was accepted, but its effect did not show in the given time."""

    code = "not_verified"
    retryable = True


class ReadOnlyViolation(IntrusionResponseError):
    """A write was attempted through a read-only transport: a bug, caught by the second lock of check mode."""

    code = "read_only"


class NotAttempted(IntrusionResponseError):
    """Nothing was sent, because an earlier failure stopped the task."""

    code = "not_attempted"


class PurgeLimitExceeded(IntrusionResponseError):
    """More entries would be removed than the task allows; nothing was sent."""

    code = "purge_limit_exceeded"


class EntriesFailed(IntrusionResponseError):
    """Some of many entries failed; each has its own failure."""

    code = "entries_failed"


class ServersFailed(IntrusionResponseError):
    """Some of many servers failed; each has its own failure."""

    code = "servers_failed"


class LedgerUnusable(IntrusionResponseError):
    """The ledger cannot be read, or is not the expected one."""

    code = "ledger_unusable"
