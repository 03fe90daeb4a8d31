# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange between a worker and its firewall: listings, writes, and what they show about the firewall's health."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Callable, Optional, Union

from ....module_utils._core.errors import (
    BadResponse,
    IntrusionResponseError,
    NotAttempted,
    RateLimited,
    Rejected,
    TimeoutUnknown,
    Unreachable,
)
from ....module_utils._cos.blacklist import Listing
from ....module_utils._cos.client import CosClient
from ....module_utils._cos.guard import resolve
from ..decide.policy import Policy
from .reconcile import Target, View, change_for

LOG = logging.getLogger("intrusion.response")

#: Minimum seconds between listings; they take at most one SHARE-th of the time, since they cost the firewall and us. The duration of a
#: listing is the minimum of the last few, since a busy moment says nothing about the firewall.
SHORTEST_GAP, SHARE, COMPARED = 0.25, 20, 4
#: Seconds for which a resolved name is used.
RESOLVED = 60.0
#: Number of writes from which several connections are worth their threads, and for how many firewalls at a time: with more, threads
#: only slow each other down.
SIDE_BY_SIDE, SEVERAL = 16, 4
#: Seconds until a failure to write is logged again.
LOG_PAUSE = 3600.0
#: Hints for failures without one.
CHECKS = {
    "auth_failed": "Check username and password.",
    "bad_response": "Check api_url: it must lead to the firewall's REST API.",
    "not_found": "Check api_url: it must lead to the firewall's REST API.",
    "timeout_unknown": "Check the network, and how busy the firewall is.",
    "unreachable": "Check api_url, the network, and whether the firewall admits this machine to its REST API.",
}

_several = threading.BoundedSemaphore(SEVERAL)


class Health:
    """The condition of one firewall, logged when it changes.

    Attributes:
        code: why the firewall does not answer, None while it does, "unknown" before the first request.
        writes: why the latest write failed, None if it succeeded.
    """

    def __init__(self, name: str) -> None:
        self.code: Optional[str] = "unknown"
        self.writes: Optional[str] = None
        self._name = name
        self._said: dict[str, float] = {}

    def asked(self, error: Optional[IntrusionResponseError] = None) -> None:
        """Note that the firewall answered, or why it did not."""
        if error is None and self.code not in (None, "unknown"):
            LOG.warning("Firewall %s answers again.", self._name)
        elif error is not None and error.code != self.code:
            LOG.warning("Firewall %s: %s", self._name, _advice(error))
        self.code = None if error is None else error.code

    def wrote(self, error: Optional[IntrusionResponseError] = None) -> None:
        """Note that a write succeeded, or why it failed."""
        if isinstance(error, NotAttempted):
            return
        self.writes = None if error is None else error.code
        if error is None or isinstance(error, (RateLimited, Unreachable)):  # already logged for the firewall itself
            return
        now = time.monotonic()
        if now - self._said.get(error.code, -math.inf) >= LOG_PAUSE:
            self._said[error.code] = now
            LOG.warning("Firewall %s: an address could not be blocked (%s): %s", self._name, error.code, _advice(error))


def _advice(error: IntrusionResponseError) -> str:
    return " ".join(filter(None, (error.as_result()["msg"], CHECKS.get(error.code))))


class Link:
    """One firewall, reached through a client.

    Args:
        name: the firewall's.
        client: of the firewall.
        listed: called, in a separate thread, with a new view, or why there is none.
        accepted: called at once with each target whose write was accepted, possibly from several threads.

    Attributes:
        lost: whether the firewall did not answer a write.
        closed: whether to send nothing more.
        asking, sending: monotonic time since which a listing or a write is under way, or None.
    """

    def __init__(
        self,
        name: str,
        client: CosClient,
        listed: Callable[[Union[View, IntrusionResponseError]], None],
        accepted: Callable[[Target], None],
    ) -> None:
        self._name = name
        self._client = client
        self._listed = listed
        self._accepted = accepted
        self.lost = self.closed = False
        self.asking: Optional[float] = None
        self.sending: Optional[float] = None
        self._costs: deque[float] = deque(maxlen=COMPARED)
        self._resolved_at = -math.inf
        self._addresses: frozenset[IPv4Address] = frozenset()

    @property
    def busy(self) -> float:
        return time.monotonic() - min(self.asking or math.inf, self.sending or math.inf, time.monotonic())

    def ask(self, policy: Policy) -> None:
        """Request the blacklist in a separate thread, since writes must not wait for a long one."""
        self.asking = time.monotonic()
        self._lister = threading.Thread(target=self._ask, args=(policy,), name=f"lister {self._name}", daemon=True)
        self._lister.start()

    def join(self, timeout: float) -> None:
        if self.asking is not None:
            self._lister.join(timeout)

    def _ask(self, policy: Policy) -> None:
        try:
            found: Union[View, IntrusionResponseError] = self._view(policy)
        except IntrusionResponseError as error:
            found = error
        except Exception as error:  # a bug, which the next listing may not trigger
            found = BadResponse(f"The blacklist could not be parsed ({type(error).__name__}).")
        self.asking = None
        self._listed(found)

    def _view(self, policy: Policy) -> View:
        self._resolve()
        begun = time.monotonic()
        listing = Listing.from_wire(self._client.blacklist())
        self._costs.append(time.monotonic() - begun)
        entries = [entry for entry in listing.owned_entries() if entry.service == policy.service]
        hosts = frozenset(entry.host for entry in entries)
        marked = frozenset(entry.host for entry in entries if policy.marked(entry.rule_name))
        gap = max(SHORTEST_GAP, SHARE * min(self._costs))
        return View(policy, hosts, marked, self._addresses, listing, begun, time.monotonic(), gap)

    def _resolve(self) -> None:
        """Resolve the firewall's name: while its addresses are unknown, nothing may be blocked there."""
        if time.monotonic() - self._resolved_at < RESOLVED:
            return
        endpoint = self._client.endpoint
        addresses = resolve(endpoint.host, endpoint.port)
        if addresses:
            self._addresses, self._resolved_at = addresses, time.monotonic()
        elif not self._addresses:
            raise Unreachable(f"The name {endpoint.host} cannot be resolved to an IPv4 address.")

    def send(self, targets: Sequence[Target], view: View) -> None:
        """Write the targets, on several connections if there are many; the outcome is noted on each target.

        It ends at the first request that shows that the firewall does not answer.
        """
        self.lost = False
        for target in targets:
            target.change = change_for(target, view)
        if len(targets) >= SIDE_BY_SIDE and _several.acquire(blocking=False):
            try:
                # While one thread waits for the event loop, the others go on.
                self._client.each(lambda target: self._post(target, view), targets, fast=0.0)
            finally:
                _several.release()
        else:
            for target in targets:
                self._post(target, view)
        self.sending = None

    def _post(self, target: Target, view: View) -> None:
        change = target.change
        if change is None:
            return
        if self.lost or self.closed:
            target.failure = NotAttempted("The firewall did not answer an earlier request, or the responder was stopped.")
            return
        self.sending = target.sent = time.monotonic()
        target.answered, target.failure = None, None
        try:
            if target.replaces:
                for _entry in view.owned(target.address):
                    with suppress(Rejected):  # the listing will show whether it is gone
                        self._client.remove(change.address())
            answer = self._client.add(change.fields())
        except IntrusionResponseError as error:
            change.failure = target.failure = error
            self.lost = self.lost or isinstance(error, (Unreachable, TimeoutUnknown))
            if target.replaces and change.before is not None and not self.lost:
                with suppress(IntrusionResponseError):  # a failed change must not unblock an address
                    self._client.add({**change.fields(), "ttl": str(change.before.ttl or 1)})
            return
        finally:
            target.ended = time.monotonic()
        target.answered = time.time()
        target.accepted = change.before is None and change.is_echoed_by(answer)
        self._accepted(target)
