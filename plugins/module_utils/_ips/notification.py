# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notification destinations of a server as a resource.

The service keeps one list per server, which is replaced as a whole. Unset properties may come back as null, as empty or zero
values, or not at all, and in any order; all of that is the same here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Callable, Optional, Protocol
from urllib.parse import urlsplit

from .._core.errors import IntrusionResponseError, InvalidInput, NotVerified
from .._core.options import integer_between, path_name, refuse_control_characters
from .._core.plan import Plan
from .._core.redact import mask_url

URL_TYPES = ("webhook", "slack")
NEEDS = {"webhook": "url", "slack": "url", "email": "email_address", "syslog": "syslog"}
FACILITIES = {f"local{number - 16}": number for number in range(16, 24)}
#: The service was documented to take one of each (FAQ of the dedicated cloud).
SINGLE = ("syslog", "webhook")

Warn = Callable[[str], None]


class Service(Protocol):
    """What the resource needs of a client."""

    @property
    def account_alias(self) -> str:
        """The account acted on."""

    def destinations(self, server_name: str) -> list[dict[str, Any]]:
        """Return the destinations as they come."""

    def replace_destinations(self, server_name: str, destinations: list[dict[str, Any]]) -> None:
        """Replace the whole list."""

    def delete_destinations(self, server_name: str) -> None:
        """Remove all destinations."""

    def check_server(self, server_name: str) -> None:
        """Raise NotFound for a server that the account does not have."""

    def wait(self, attempt: int) -> None:
        """Pause before repetition number attempt (from 0)."""


@dataclass(frozen=True, order=True)
class Destination:
    """One destination in normal form.

    Attributes:
        type: syslog, email, webhook, slack, or what the service calls a type that is not known here.
        address: URL, e-mail address or IP address.
        port: UDP port of a syslog server, else 0.
        facility: facility of a syslog server (16-23), else 0.
        wire: a destination of an unknown type as it came, to be kept as it is.
    """

    type: str
    address: str
    port: int = 0
    facility: int = 0
    wire: Optional[Mapping[str, Any]] = field(default=None, compare=False)

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any]) -> Destination:
        """Normalise one element of the service's list; intervalCode is undocumented and never compared or sent."""
        kind = str(raw.get("typeCode") or "").strip()
        lower = kind.lower()
        if lower in URL_TYPES:
            return cls(lower, str(raw.get("url") or ""))
        if lower == "email":
            return cls(lower, str(raw.get("emailAddress") or ""))
        settings = raw.get("sysLogSettings")
        if lower == "syslog" and isinstance(settings, Mapping):
            address = str(settings.get("ipAddress") or "")
            return cls(lower, address, _number(settings.get("udpPort")), _number(settings.get("facility")))
        kept = {name: value for name, value in raw.items() if name != "intervalCode" and value is not None}
        return cls(kind, repr(sorted(kept.items(), key=repr)), wire=kept)

    @property
    def identity(self) -> tuple[str, str, int]:
        """What makes it the same destination, even where other properties differ."""
        return self.type, self.address.casefold() if self.type == "email" else self.address, self.port

    def to_wire(self) -> dict[str, Any]:
        """Return the element of the service's list, with only the properties that the type uses."""
        if self.wire is not None:
            return dict(self.wire)
        if self.type in URL_TYPES:
            return {"typeCode": self.type.upper(), "url": self.address}
        if self.type == "email":
            return {"typeCode": "EMAIL", "emailAddress": self.address}
        settings = {"ipAddress": self.address, "udpPort": self.port, "facility": self.facility}
        return {"typeCode": "SYSLOG", "sysLogSettings": settings}

    def shown(self) -> dict[str, Any]:
        """Return it as return values and diffs show it, without the secret of a URL."""
        if self.wire is not None:
            return {"type": self.type}
        if self.type in URL_TYPES:
            return {"type": self.type, "url": mask_url(self.address)}
        if self.type == "email":
            return {"type": self.type, "email_address": self.address}
        settings = {"ip_address": self.address, "udp_port": self.port, "facility": self.facility}
        return {"type": self.type, "syslog": settings}


Destinations = tuple[Destination, ...]


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
            raise InvalidInput("purge goes with state: present. To remove all destinations, use state: absent without naming any.")
        if params["state"] == "present":
            if not found and not params["purge"]:
                raise InvalidInput("destinations must name at least one destination. To remove all, use purge: true or state: absent.")
            for kind in SINGLE:
                if len({one.identity for one in found if one.type == kind}) > 1:
                    warn(f"More than one {kind} destination is named; the service was documented to take one for each server.")
        return cls(
            server_name=server_name,
            destinations=tuple(dict.fromkeys(found)),
            state=params["state"],
            purge=params["purge"],
            check_server=params["check_server"],
            verify_timeout=integer_between("verify_timeout", params["verify_timeout"], 0, 3600),
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
    if sorted(after) == sorted(current):
        return Plan(before, before)
    after = tuple(sorted(dict.fromkeys(after)))
    return Plan(before, {"destinations": _shown(after)}, (Replace(after),))


def ensure(service: Service, wanted: Wanted, *, check_mode: bool) -> Outcome:
    """Bring the destinations to the wanted state and report what the service shows afterwards.

    Raises:
        NotVerified: what was written did not show in time; and whatever the client raises.
    """
    if wanted.check_server:
        service.check_server(wanted.server_name)
    current = _read(service, wanted.server_name)
    plan = plan_destinations(wanted, current)
    if not plan.operations:
        return Outcome(wanted.server_name, service.account_alias, plan, current)
    target = plan.operations[0].destinations
    if not check_mode:
        try:
            if target:
                service.replace_destinations(wanted.server_name, [one.to_wire() for one in target])
            else:
                service.delete_destinations(wanted.server_name)
        except IntrusionResponseError as error:
            error.changed = error.changed or error.outcome_unknown
            raise
        if wanted.verify_timeout:
            target = _verify(service, wanted, target)
    return Outcome(wanted.server_name, service.account_alias, plan, target)


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


def parse_destination(name: str, value: Mapping[str, Any]) -> Destination:
    """Return a destination from module options; raises InvalidInput naming the option at fault."""
    kind = value["type"]
    needed = NEEDS[kind]
    extra = sorted(other for other in set(NEEDS.values()) - {needed} if value.get(other) is not None)
    if extra:
        raise InvalidInput(f"{name}: {extra[0]} does not go with type: {kind}, which needs {needed}.")
    given = value.get(needed)
    if not given:
        raise InvalidInput(f"{name}.{needed} must be given, and not be empty, for type: {kind}.")
    if kind in URL_TYPES:
        return Destination(kind, _parse_url(f"{name}.url", given))
    if kind == "email":
        return Destination(kind, _parse_email(f"{name}.email_address", given))
    return Destination(
        kind,
        _parse_ip(f"{name}.syslog.ip_address", given["ip_address"]),
        integer_between(f"{name}.syslog.udp_port", given["udp_port"], 1, 65535),
        _parse_facility(f"{name}.syslog.facility", given["facility"]),
    )


def _parse_url(name: str, value: str) -> str:
    """The message never repeats the value, which is a secret."""
    value = refuse_control_characters(name, value).strip()
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", value)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(f"{name} must be a complete URL that begins with https:// or http://.")
    return value


def _parse_email(name: str, value: str) -> str:
    value = refuse_control_characters(name, value).strip()
    if not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", value):
        raise InvalidInput(f"{name} must be one address such as secops@example.com; got {value[:80]!r}.")
    return value


def _parse_ip(name: str, value: str) -> str:
    try:
        return str(ip_address(value.strip()))
    except ValueError:
        raise InvalidInput(f"{name} must be an IP address such as 192.0.2.10, not a name; got {value[:80]!r}.") from None


def _parse_facility(name: str, value: Any) -> int:
    text = str(value).strip().lower()
    number = FACILITIES.get(text, int(text) if text.isdigit() else 0)
    if number not in FACILITIES.values():
        raise InvalidInput(f"{name} must be a number from 16 to 23 or a name from local0 to local7; got {str(value)[:80]!r}.")
    return number


def _refuse_contradictions(found: list[Destination]) -> None:
    seen: dict[tuple[str, str, int], int] = {}
    for index, one in enumerate(found):
        first = seen.setdefault(one.identity, index)
        if found[first] != one and one.type == "syslog":
            raise InvalidInput(f"destinations[{first}] and destinations[{index}] name the same syslog server with different facilities.")


def _merge(current: Optional[Destination], wanted: Destination) -> Destination:
    """Keep the spelling of what is there where it is the same destination."""
    return current if current is not None and current.type == "email" else wanted


def _read(service: Service, server_name: str) -> Destinations:
    return tuple(sorted(Destination.from_wire(raw) for raw in service.destinations(server_name)))


def _verify(service: Service, wanted: Wanted, target: Destinations) -> Destinations:
    """Read until the service shows the target, since it may queue writes."""
    end = time.monotonic() + wanted.verify_timeout
    attempt = 0
    while True:
        try:
            current = _read(service, wanted.server_name)
        except IntrusionResponseError as error:
            raise NotVerified(
                f"The service accepted the destinations of {wanted.server_name}, but could not be read afterwards ({error.code}).",
                http_status=error.http_status,
                changed=True,
            ) from None
        if set(current) == set(target):
            return current
        if time.monotonic() >= end:
            raise NotVerified(
                f"The service accepted the destinations of {wanted.server_name}, but does not show them after {wanted.verify_timeout} s.",
                hint="The server may be unknown to the service, or the service may take longer (verify_timeout).",
                changed=True,
            )
        service.wait(attempt)
        attempt += 1


def _shown(destinations: Destinations) -> list[dict[str, Any]]:
    return [one.shown() for one in sorted(destinations)]


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
