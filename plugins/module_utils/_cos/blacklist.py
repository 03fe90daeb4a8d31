# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blacklist of a cOS Core firewall in normal form.

The same value has several spellings on the wire: all services are "", "-", all_services or missing; an empty text is "" or "-";
ttl is a decimal string or a number (REST guide 15.00, ch. 5). An address may be listed as a /32 network, and the alert type of the
API's own entries in any case. The spelling of a service is significant.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple, Optional

from .._core.clock import utc_text
from .._core.errors import BadResponse, ListingTruncated
from .._core.options import refuse_control_characters

ALL_SERVICES = "all_services"
OWNED = "REST"
DEFAULT_TTL = 300
#: A listed ttl may be longer than what the API accepts, but it must be possible to add it to the current time.
LONGEST_LISTED = 2**53

Key = tuple[str, str]


class Entry(NamedTuple):
    """A blacklist entry; ttl is in seconds, or None if the listed one is not a number."""

    host: str
    service: str
    ttl: Optional[int]
    alert_type: str
    rule_name: str
    description: str

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any]) -> Entry:
        """Normalise one element of blacklist_hosts."""
        return cls(
            host=normal_host(raw.get("host")),
            service=normal_service(raw.get("service")),
            ttl=normal_ttl(raw.get("ttl")),
            alert_type=normal_alert_type(raw.get("alert_type")),
            rule_name=normal_text(raw.get("rule_name")),
            description=normal_text(raw.get("description")),
        )

    @property
    def key(self) -> Key:
        """What identifies an entry among those of the API."""
        return self.host, self.service

    @property
    def owned(self) -> bool:
        """Whether it was added through the API, which can only change such entries."""
        return self.alert_type == OWNED

    def covers(self, host: str) -> bool:
        """Whether it blocks this address, as a host or as part of a network."""
        return self.host == host or _holds(self.host, [int(IPv4Address(host))])


class Listing:
    """A complete listing: the entries in the firewall's order, both normalised and raw.

    A stale listing predates writes after which the blacklist could not be read.
    """

    def __init__(self, entries: Sequence[Entry], raw: Sequence[Mapping[str, Any]] = (), stale: bool = False) -> None:
        self.entries = tuple(entries)
        self.raw = tuple(raw)
        self.stale = stale
        self._owned: dict[Key, list[Entry]] = {}
        for entry in self.entries:
            if entry.owned:
                self._owned.setdefault(entry.key, []).append(entry)

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any]) -> Listing:
        """Normalise the answer to an unfiltered GET.

        Raises:
            BadResponse: it contains no list of entries.
            ListingTruncated: it counts more entries than it lists. Since the count is meaningless with a filter, none is used.
        """
        raw = answer.get("blacklist_hosts")
        if not isinstance(raw, list) or not all(isinstance(element, dict) for element in raw):
            raise BadResponse("The firewall's answer contains no list of blacklist entries.")
        count = answer.get("blacklist_count")
        if isinstance(count, int) and count > len(raw):
            raise ListingTruncated(
                f"The firewall says that its blacklist has {count} entries, but it listed only {len(raw)}. "
                "Since it is unknown what is on it, nothing was done."
            )
        return cls([Entry.from_wire(element) for element in raw], raw)

    def owned(self, key: Key) -> list[Entry]:
        """Return the API's entries for this host and service; more than one on firewalls that keep duplicates."""
        return self._owned.get(key, [])

    def owned_entries(self) -> list[Entry]:
        """Return one entry for each host and service with entries added through the API."""
        return [entries[0] for entries in self._owned.values()]

    def owned_services(self, host: str) -> list[str]:
        """Return the services for which the API's entries block this host."""
        return self._services.get(host, [])

    @cached_property
    def _services(self) -> dict[str, list[str]]:
        services: dict[str, list[str]] = {}
        for host, service in self._owned:
            services.setdefault(host, []).append(service)
        return services

    def blocking(self, hosts: Collection[str]) -> list[Entry]:
        """Return the entries from all sources that block one of these hosts, as a host or as part of a network."""
        numbers = [int(IPv4Address(host)) for host in hosts]
        return [entry for entry in self.entries if entry.host in hosts or _holds(entry.host, numbers)]


def _holds(network: str, numbers: Sequence[int]) -> bool:
    if "/" not in network:
        return False
    try:
        parsed = IPv4Network(network, strict=False)
    except ValueError:
        return False
    first, last = int(parsed.network_address), int(parsed.broadcast_address)
    return any(first <= number <= last for number in numbers)


def expiry(entry: Optional[Entry], now: float) -> Optional[str]:
    """Return when an entry expires, given its listed ttl and the epoch time of the listing; None if that is unknown or without an entry."""
    return None if entry is None or entry.ttl is None else utc_text(now + entry.ttl)


def parse_service(name: str, value: str) -> str:
    """Return the normal form of a service name; only the firewall knows which names exist."""
    return normal_service(refuse_control_characters(name, value).strip())


def parse_text(name: str, value: Optional[str]) -> Optional[str]:
    """Return a free text, with "-" meaning empty as on the wire; None if not given."""
    return None if value is None else normal_text(refuse_control_characters(name, value))


def normal_host(value: Any) -> str:
    """Return a listed host, even if listed as a /32 network; other networks and invalid addresses are kept as text."""
    text = "" if value is None else str(value).strip()
    text = text[: -len("/32")] if text.endswith("/32") else text
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError):
        return text


def normal_service(value: Any) -> str:
    """Return the service name, all_services for each of its spellings."""
    return ALL_SERVICES if value in (None, "", "-", ALL_SERVICES) else str(value)


def normal_alert_type(value: Any) -> str:
    """Return the source of an entry, with REST always in capitals; other names are undocumented and returned unchanged."""
    text = "" if value is None else str(value)
    return OWNED if text.upper() == OWNED else text


def normal_text(value: Any) -> str:
    """Return the text, "" for each spelling of an empty one."""
    return "" if value in (None, "", "-") else str(value)


def normal_ttl(value: Any) -> Optional[int]:
    """Return seconds, or None for an unusable value: not a number, 0 (which may mean "forever"), or out of range."""
    if isinstance(value, bool):
        return None
    try:
        seconds = int(value)
        return seconds if 0 < seconds <= LONGEST_LISTED else None
    except (TypeError, ValueError, OverflowError):
        return None
