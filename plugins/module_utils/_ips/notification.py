# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notification destinations of a server as a resource.

The service keeps one list per server, which is replaced as a whole. Unset properties may come back as null, as empty or zero
values, or not at all, and in any order, e-mail addresses in another case and URLs with a trailing slash; none of this counts as a
difference, neither for deciding nor for verifying.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Protocol

from .._core.errors import IntrusionResponseError, InvalidInput, NotVerified, StoredDifferently
from .._core.options import integer_between, path_name
from .._core.plan import Plan
from .destination import Destination, Destinations, parse_destination

#: The service is documented to accept one of each (FAQ of the dedicated cloud).
SINGLE = ("syslog", "webhook")
#: Lowest and highest value in seconds.
VERIFY_TIMEOUTS = (0, 3600)

Warn = Callable[[str], None]
#: Calls a function, which must not raise, for each item.
Each = Callable[[Callable[[Any], None], Iterable[Any]], None]


def one_by_one(function: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Call function for every item."""
    for item in items:
        function(item)


class Service(Protocol):
    """What the resource needs of a client."""

    @property
    def account_alias(self) -> str:
        """The account acted on."""

    def destinations(self, server_name: str) -> list[dict[str, Any]]:
        """Return the raw destinations."""

    def replace_destinations(self, server_name: str, destinations: list[dict[str, Any]]) -> None:
        """Replace the whole list."""

    def delete_destinations(self, server_name: str) -> None:
        """Remove all destinations."""

    def check_server(self, server_name: str) -> None:
        """Raise NotFound for a server that the account does not have."""

    def wait(self, attempt: int) -> None:
        """Pause before retry number attempt (from 0)."""


@dataclass(frozen=True)
class Wanted:
    """A validated request for one server's destinations; times in seconds."""

    server_name: str
    destinations: Destinations = ()
    state: str = "present"
    purge: bool = False
    check_server: bool = False
    verify_timeout: int = 30

    @classmethod
    def from_params(cls, params: Mapping[str, Any], warn: Warn) -> Wanted:
        """Validate module options; raises InvalidInput before anything is sent."""
        server_name = path_name("server_name", params["server_name"])
        found = [parse_destination(f"destinations[{index}]", value) for index, value in enumerate(params["destinations"])]
        _refuse_contradictions(found)
        if params["state"] == "absent" and params["purge"]:
            raise InvalidInput("purge requires state: present. To remove all destinations, use state: absent without destinations.")
        if params["state"] == "present":
            if not found and not params["purge"]:
                raise InvalidInput("destinations must not be empty. To remove all destinations, use purge: true or state: absent.")
            for kind in SINGLE:
                if len({one.identity for one in found if one.type == kind}) > 1:
                    warn(f"More than one {kind} destination is given; according to its documentation, the service accepts one per server.")
        return cls(
            server_name=server_name,
            destinations=tuple({one.identity: one for one in found}.values()),
            state=params["state"],
            purge=params["purge"],
            check_server=params["check_server"],
            verify_timeout=integer_between("verify_timeout", params["verify_timeout"], *VERIFY_TIMEOUTS),
        )


@dataclass(frozen=True)
class Replace:
    """Operation: make this the whole list; an empty one removes all."""

    destinations: Destinations


@dataclass(frozen=True)
class Outcome:
    """What was done or is predicted."""

    server_name: str
    account_alias: str
    plan: Plan[Replace]
    destinations: Destinations

    def result(self) -> dict[str, Any]:
        """Return the module's return values."""
        return {
            "changed": self.plan.changed,
            "server_name": self.server_name,
            "account_alias": self.account_alias,
            "destinations": _shown(self.destinations),
            "diff": self.plan.diff,
        }


def plan_destinations(wanted: Wanted, current: Destinations) -> Plan[Replace]:
    """Compare, regardless of order; a destination listed twice is kept as it is unless something else changes."""
    named = {one.identity: one for one in wanted.destinations}
    present = {one.identity: one for one in current}
    if wanted.state == "absent":
        after = tuple(one for one in current if named and one.identity not in named)
    elif wanted.purge:
        after = tuple(_merge(present.get(one.identity), one) for one in wanted.destinations)
    else:
        kept = tuple(_merge(one, named[one.identity]) if one.identity in named else one for one in current)
        after = kept + tuple(one for one in wanted.destinations if one.identity not in present)
    before = {"destinations": _shown(current)}
    if _normal(after) == _normal(current):
        return Plan(before, before)
    after = tuple(sorted({one.normal: one for one in after}.values()))
    return Plan(before, {"destinations": _shown(after)}, (Replace(after),))


@dataclass(eq=False)
class Written:
    """A list that the service accepted, and that remains to be verified.

    Attributes:
        service: the client's view of the server's account.
        outcome: what to report in the end; its destinations are those that were sent, until they are read back.
        before: the destinations before the write.
        settled: whether the service shows the list.
        failure: why the list cannot be verified.
    """

    service: Service
    wanted: Wanted
    outcome: Outcome
    before: Destinations
    settled: bool = False
    failure: Optional[IntrusionResponseError] = None


def ensure(service: Service, wanted: Wanted, *, check_mode: bool) -> Outcome:
    """Bring the destinations to the desired state and report what the service shows afterwards.

    Raises:
        NotVerified: the service did not show what was written in time.
        StoredDifferently: it showed something else; and whatever the client raises.
    """
    outcome, written = write(service, wanted, check_mode=check_mode)
    if written is None:
        return outcome
    settle([written])
    if written.failure is not None:
        raise written.failure
    return written.outcome


def write(service: Service, wanted: Wanted, *, check_mode: bool) -> tuple[Outcome, Optional[Written]]:
    """Send the differences; return the predicted outcome, and what has to be settled, if anything; raises like ensure."""
    if wanted.check_server:
        service.check_server(wanted.server_name)
    current = _read(service, wanted.server_name)
    plan = plan_destinations(wanted, current)
    if not plan.operations:
        return Outcome(wanted.server_name, service.account_alias, plan, current), None
    target = plan.operations[0].destinations
    outcome = Outcome(wanted.server_name, service.account_alias, plan, target)
    if check_mode:
        return outcome, None
    try:
        if target:
            service.replace_destinations(wanted.server_name, [one.to_wire() for one in target])
        else:
            service.delete_destinations(wanted.server_name)
    except IntrusionResponseError as error:
        error.changed = error.changed or error.outcome_unknown
        raise
    return outcome, Written(service, wanted, outcome, current) if wanted.verify_timeout else None


def settle(written: Sequence[Written], each: Each = one_by_one) -> None:
    """Read in rounds until the service shows what was sent, since it may queue writes; there is one pause for all between two rounds.

    Args:
        written: each gets an outcome as read back, or a failure (NotVerified, StoredDifferently).
        each: calls a function for each item.
    """
    begun = time.monotonic()
    pending = list(written)
    for attempt in itertools.count():
        each(functools.partial(_look, time.monotonic() - begun), pending)
        pending = [one for one in pending if not one.settled and one.failure is None]
        if not pending:
            return
        pending[0].service.wait(attempt)


def read(service: Service, server_name: str) -> dict[str, Any]:
    """Return the destinations of a server as module return values."""
    server_name = path_name("server_name", server_name)
    found = _read(service, server_name)
    return {
        "changed": False,
        "server_name": server_name,
        "account_alias": service.account_alias,
        "destinations": _shown(found),
    }


def _refuse_contradictions(found: list[Destination]) -> None:
    seen: dict[tuple[str, str, int], int] = {}
    for index, one in enumerate(found):
        first = seen.setdefault(one.identity, index)
        if found[first] != one and one.type == "syslog":
            raise InvalidInput(f"destinations[{first}] and destinations[{index}] are the same syslog server with different facilities.")


def judge(before: Destinations, target: Destinations, shown: Destinations) -> bool:
    """Return whether what the service shows after a write is what was sent; False while it shows what was there before.

    Raises:
        StoredDifferently: it is neither, so waiting would not help.
    """
    found = set(_normal(shown))
    if found == set(_normal(target)):
        return True
    if found == set(_normal(before)):
        return False
    raise StoredDifferently(
        f"The service accepted the destinations, but shows different ones. {_differences(target, shown)}",
        hint="It may accept fewer destinations of a type, or somebody else may have changed them at the same time.",
        changed=True,
    )


def _differences(target: Destinations, shown: Destinations) -> str:
    """Return what is missing and what was not sent, for people."""
    sent, found = set(_normal(target)), set(_normal(shown))
    missing = [str(one) for one in target if one.normal not in found]
    surplus = [str(one) for one in shown if one.normal not in sent]
    return " ".join(f"{text}: {', '.join(some)}." for text, some in (("Missing", missing), ("Not sent", surplus)) if some)


def _normal(destinations: Iterable[Destination]) -> list[tuple[str, str, int, int]]:
    return sorted(one.normal for one in destinations)


def _merge(current: Optional[Destination], wanted: Destination) -> Destination:
    """Keep an existing destination in its spelling; only its facility may change."""
    return wanted if current is None else replace(current, facility=wanted.facility)


def _read(service: Service, server_name: str) -> Destinations:
    return tuple(sorted(Destination.from_wire(raw) for raw in service.destinations(server_name)))


def _look(waited: float, one: Written) -> None:
    """Read one list back, and decide whether it is settled, has failed, or must be read again."""
    wanted = one.wanted
    try:
        current = _read(one.service, wanted.server_name)
    except IntrusionResponseError as error:
        one.failure = NotVerified(
            f"The service accepted the destinations of {wanted.server_name}, but could not be read afterwards ({error.code}).",
            http_status=error.http_status,
            changed=True,
        )
        return
    try:
        if judge(one.before, one.outcome.destinations, current):
            one.outcome, one.settled = replace(one.outcome, destinations=current), True
        elif waited >= wanted.verify_timeout:
            one.failure = NotVerified(
                f"The service accepted the destinations of {wanted.server_name}, but still shows the previous ones after "
                f"{wanted.verify_timeout} s. {_differences(one.outcome.destinations, current)}",
                hint="The service may not know the server, may accept no more destinations of a type, or may need more time "
                "(verify_timeout).",
                changed=True,
            )
    except StoredDifferently as error:
        one.failure = error


def _shown(destinations: Destinations) -> list[dict[str, Any]]:
    return [one.shown() for one in sorted(destinations)]
