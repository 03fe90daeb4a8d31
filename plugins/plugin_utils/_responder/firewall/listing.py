# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one firewall listed when it was last asked, how far that can be relied on, and who asks."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Callable, NamedTuple, Optional, Union

from ....module_utils._core.errors import BadResponse, IntrusionResponseError, Unreachable
from ....module_utils._cos.blacklist import Entry, Listing
from ....module_utils._cos.guard import own_addresses, resolve
from ..decide.policy import Policy
from .dry_run import Client
from .messages import Blocked

#: Listings come at most every so many seconds, and take one part in SHARE of the time, since they cost the firewall and us.
SHORTEST_GAP, SHARE = 0.25, 20
#: What a listing takes is the least of so many, since a busy moment says nothing about the firewall.
COMPARED = 4
#: Oldest listing, in seconds, by which an address is believed to be blocked, and after which a write may go out.
BELIEVED, BEFORE_WRITING = 1.0, 2.0
#: Seconds for which a resolved name is good.
RESOLVED = 60.0


class View:
    """The latest listing; times are those of the monotonic clock.

    Args:
        known: addresses that are believed to be listed with our mark, until there is a listing.
    """

    def __init__(self, policy: Policy, known: frozenset[str]) -> None:
        self.policy = policy
        self.listing = Listing([])
        self.begun = self.at = -math.inf
        self.gap = SHORTEST_GAP
        self._costs: deque[float] = deque(maxlen=COMPARED)
        self._hosts = self._marked = known

    def adopt(self, answer: Answer) -> Blocked:
        """Take a new listing; return what changed."""
        self._costs.append(answer.cost)
        self.gap = max(SHORTEST_GAP, SHARE * min(self._costs))
        self.listing, self.begun, self.at = answer.listing, answer.begun, time.monotonic()
        hosts, marked = answer.hosts, answer.marked
        changes = Blocked(hosts - self._hosts, marked - self._marked, self._hosts - hosts, self._marked - marked)
        self._hosts, self._marked = hosts, marked
        return changes

    def forget(self) -> None:
        """Rely on the listing no longer."""
        self.begun = self.at = -math.inf

    def is_fresh(self, age: float) -> bool:
        """Whether the listing is not older than so many seconds, or than listings can be that take long."""
        return time.monotonic() - self.at <= max(age, 2 * self.gap)

    def owned(self, address: str) -> list[Entry]:
        """Return the entries of the API for the policy's service."""
        return self.listing.owned((address, self.policy.service))

    def enough(self, address: str, seconds: float) -> Optional[Entry]:
        """Return an entry, whoever wrote it through the API, that blocks the address for at least so long."""
        age = time.monotonic() - self.at
        return next((entry for entry in self.owned(address) if entry.ttl is None or entry.ttl - age >= seconds), None)


class Answer(NamedTuple):
    """A listing, the monotonic time at which it was asked for, the seconds that it took, and what it says for our service."""

    listing: Listing
    begun: float
    cost: float
    hosts: frozenset[str]
    marked: frozenset[str]
    addresses: frozenset[IPv4Address]
    own: frozenset[IPv4Address]


class Lister:
    """Asks for the blacklist in a thread of its own, since what is to be written must not wait for a long one.

    It also looks up the firewall's name: without knowing its addresses, nothing may be blocked there.

    Args:
        client: of the firewall.
        policy: returns the policy, whose service and mark count.
        done: told, in the lister's thread, the answer or the failure.
    """

    def __init__(
        self, name: str, client: Client, policy: Callable[[], Policy], done: Callable[[Union[Answer, IntrusionResponseError]], None]
    ) -> None:
        self._client = client
        self._policy = policy
        self._done = done
        self._wake = threading.Event()
        self._closed = False
        self.busy_since: Optional[float] = None
        self._resolved_at = -math.inf
        self._addresses: frozenset[IPv4Address] = frozenset()
        self._own: frozenset[IPv4Address] = frozenset()
        self._thread = threading.Thread(target=self._run, name=f"lister {name}", daemon=True)

    def start(self) -> None:
        """Begin to wait for work."""
        self._thread.start()

    def ask(self) -> None:
        """Begin to ask, unless that is under way."""
        if self.busy_since is None:
            self.busy_since = time.monotonic()
            self._wake.set()

    def close(self) -> None:
        """End after the request under way."""
        self._closed = True
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closed:
                return
            try:
                found: Union[Answer, IntrusionResponseError] = self._ask()
            except IntrusionResponseError as error:
                found = error
            except Exception as error:  # a defect, which the next listing may not have
                found = BadResponse(f"The blacklist could not be understood ({type(error).__name__}).")
            self.busy_since = None
            self._done(found)

    def _ask(self) -> Answer:
        self._resolve()
        begun, policy = time.monotonic(), self._policy()
        listing = Listing.from_wire(self._client.blacklist())
        cost = time.monotonic() - begun
        entries = [entry for entry in listing.owned_entries() if entry.service == policy.service]
        hosts = frozenset(entry.host for entry in entries)
        marked = frozenset(entry.host for entry in entries if policy.marked(entry.rule_name))
        return Answer(listing, begun, cost, hosts, marked, self._addresses, self._own)

    def _resolve(self) -> None:
        if self._addresses and time.monotonic() - self._resolved_at < RESOLVED:
            return
        with suppress(OSError):  # those of before go on being protected
            self._own = own_addresses()
        addresses = resolve(self._client.endpoint.host, self._client.endpoint.port)
        if addresses:
            self._addresses, self._resolved_at = addresses, time.monotonic()
        elif not self._addresses:
            raise Unreachable(f"The name {self._client.endpoint.host} cannot be resolved to an IPv4 address.")
