# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A notification destination, in a form for options, the wire and comparisons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .._core.errors import InvalidInput
from .._core.options import integer_between, refuse_control_characters
from .._core.redact import mask_url

URL_TYPES = ("webhook", "slack")
NEEDS = {"webhook": "url", "slack": "url", "email": "email_address", "syslog": "syslog"}
FACILITIES = {f"local{number - 16}": number for number in range(16, 24)}
#: The documented properties of a destination (ips-api.md 3.1); all others are kept as they were listed.
DOCUMENTED = ("typeCode", "url", "emailAddress", "sysLogSettings")
DOCUMENTED_SYSLOG = ("ipAddress", "udpPort", "facility")
#: A destination as options of a module.
DESTINATION_OPTIONS: dict[str, dict[str, Any]] = {
    "type": {"type": "str", "required": True, "choices": ["syslog", "email", "webhook", "slack"]},
    "url": {"type": "str", "no_log": True},
    "email_address": {"type": "str"},
    "syslog": {
        "type": "dict",
        "options": {
            "ip_address": {"type": "str", "required": True},
            "udp_port": {"type": "int", "required": True},
            "facility": {"type": "str", "required": True},
        },
    },
}
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, order=True)
class Destination:
    """One destination in normal form.

    Attributes:
        type: syslog, email, webhook, slack, or the service's name of an unknown type.
        address: URL, e-mail address or IP address.
        port: UDP port of a syslog server, else 0.
        facility: facility of a syslog server (16-23), else 0.
        undocumented: listed properties that the API does not document, to be sent back unchanged; for a
            destination of an unknown type, all properties.
        undocumented_syslog: the same for a syslog server's settings.
    """

    type: str
    address: str
    port: int = 0
    facility: int = 0
    undocumented: Mapping[str, Any] = field(default_factory=dict, compare=False)
    undocumented_syslog: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any]) -> Destination:
        """Normalise one element of the service's list."""
        kind = str(raw.get("typeCode") or "").strip()
        lower = kind.lower()
        more = _besides(raw, DOCUMENTED)
        if lower in URL_TYPES:
            return cls(lower, str(raw.get("url") or ""), undocumented=more)
        if lower == "email":
            return cls(lower, str(raw.get("emailAddress") or ""), undocumented=more)
        settings = raw.get("sysLogSettings")
        if lower == "syslog" and isinstance(settings, Mapping):
            address, port, facility = (settings.get(name) for name in DOCUMENTED_SYSLOG)
            return cls(lower, str(address or ""), _number(port), _number(facility), more, _besides(settings, DOCUMENTED_SYSLOG))
        kept = {name: value for name, value in raw.items() if value is not None}
        return cls(kind, repr(sorted(kept.items(), key=repr)), undocumented=kept)

    @property
    def known(self) -> bool:
        """Whether its type is one that options can request."""
        return self.type in NEEDS

    @cached_property
    def identity(self) -> tuple[str, str, int]:
        """What identifies the destination, regardless of its facility."""
        return self.type, NORMAL.get(self.type, str)(self.address), self.port

    @property
    def normal(self) -> tuple[str, str, int, int]:
        """The form in which destinations are compared, however they were spelled."""
        return (*self.identity, self.facility)

    def to_wire(self) -> dict[str, Any]:
        """Return the element of the service's list, with the properties that the type uses, and the undocumented ones."""
        if not self.known:
            return dict(self.undocumented)
        if self.type in URL_TYPES:
            return {"typeCode": self.type.upper(), "url": self.address, **self.undocumented}
        if self.type == "email":
            return {"typeCode": "EMAIL", "emailAddress": self.address, **self.undocumented}
        settings = {"ipAddress": self.address, "udpPort": self.port, "facility": self.facility, **self.undocumented_syslog}
        return {"typeCode": "SYSLOG", "sysLogSettings": settings, **self.undocumented}

    def shown(self) -> dict[str, Any]:
        """Return it for return values and diffs, without the secret in a URL."""
        if not self.known:
            return {"type": self.type}
        if self.type in URL_TYPES:
            return {"type": self.type, "url": mask_url(self.address)}
        if self.type == "email":
            return {"type": self.type, "email_address": self.address}
        settings = {"ip_address": self.address, "udp_port": self.port, "facility": self.facility}
        return {"type": self.type, "syslog": settings}

    def __str__(self) -> str:
        """Return it for people, without the secret in a URL."""
        shown = self.shown()
        shown.update(shown.pop("syslog", {}))
        return " ".join(str(value) for value in shown.values())


Destinations = tuple[Destination, ...]


def parse_destination(name: str, value: Mapping[str, Any]) -> Destination:
    """Return a destination from module options; raises InvalidInput naming the option at fault."""
    kind = value["type"]
    needed = NEEDS[kind]
    extra = sorted(other for other in set(NEEDS.values()) - {needed} if value.get(other) is not None)
    if extra:
        raise InvalidInput(f"{name}: {extra[0]} is not supported with type: {kind}, which requires {needed}.")
    given = value.get(needed)
    if not given:
        raise InvalidInput(f"{name}.{needed} is required for type: {kind}, and must not be empty.")
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
        raise InvalidInput(f"{name} must be a single address such as secops@example.com; got {value[:80]!r}.")
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


def normal_url(url: str) -> str:
    """Return a URL in the form in which URLs are compared: scheme and host in lower case, no default port, no trailing slash."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:  # a listed one can be anything
        return url
    if not parts.scheme or not parts.hostname:
        return url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    shown = "" if port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    return urlunsplit((parts.scheme, f"{user}{host}{shown}", parts.path.rstrip("/"), parts.query, parts.fragment))


def normal_ip(address: str) -> str:
    """Return an IP address in the spelling of ipaddress; a listed one can be anything."""
    try:
        return str(ip_address(address.strip()))
    except ValueError:
        return address


#: How addresses are compared, by type.
NORMAL = {"email": lambda address: address.strip().casefold(), "syslog": normal_ip, "webhook": normal_url, "slack": normal_url}


def _besides(raw: Mapping[str, Any], documented: tuple[str, ...]) -> dict[str, Any]:
    """Return the undocumented properties; empty ones count as unset."""
    return {name: value for name, value in raw.items() if name not in documented and value not in (None, "")}


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
