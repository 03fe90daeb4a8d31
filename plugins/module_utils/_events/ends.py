# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is the attacker where a detector tells two ends, or one: never one of our own addresses, and never a guess."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses
from socket import inet_aton
from typing import NamedTuple, Optional

from .._core.options import Network

#: Networks that belong to nobody on the internet, with what a reason calls them. The documentation networks (RFC 5737) are not among them.
PRIVATE = (
    (IPv4Network("10.0.0.0/8"), "private"),
    (IPv4Network("172.16.0.0/12"), "private"),
    (IPv4Network("192.168.0.0/16"), "private"),
    (IPv4Network("100.64.0.0/10"), "shared (carrier-grade NAT)"),
    (IPv4Network("169.254.0.0/16"), "link-local"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("0.0.0.0/8"), "reserved"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
)
#: The same as first and last number, which is much cheaper to ask.
_RANGES = tuple((int(network.network_address), int(network.broadcast_address), name) for network, name in PRIVATE)
#: What no stranger has, whatever networks are ours.
NOBODY = ("loopback", "reserved", "multicast")
OURS = "the attacker's address is one of our own"

PLAIN = re.compile(r"(0|[1-9][0-9]{0,2})(?:\.(0|[1-9][0-9]{0,2})){3}")

Attacker = tuple[Optional[str], Optional[str]]


class Ranges:
    """IPv4 networks, asked by number: much cheaper than one after the other."""

    def __init__(self, networks: Iterable[Network]) -> None:
        merged = list(collapse_addresses(network for network in networks if isinstance(network, IPv4Network)))
        self._first = [int(network.network_address) for network in merged]
        self._last = [int(network.broadcast_address) for network in merged]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._first, number) - 1
        return place >= 0 and number <= self._last[place]


class Home:
    """Our own addresses.

    Args:
        networks: ours, beside what belongs to nobody; None for the private ones.
        more: ours, too, such as what is never blocked.
        strangers: networks that are not ours although they are among those, such as `policy.private`.
    """

    def __init__(
        self, networks: Optional[Iterable[Network]] = None, more: Iterable[Network] = (), strangers: Iterable[Network] = ()
    ) -> None:  # fmt: skip
        ours = [network for network, name in PRIVATE if networks is None or name in NOBODY]
        self._ours = Ranges((*ours, *(networks or ()), *more))
        self._strangers = Ranges(strangers)

    def has(self, address: str) -> bool:
        """Tell whether a plain IPv4 address is one of ours."""
        value = int.from_bytes(inet_aton(address), "big")
        return value in self._ours and value not in self._strangers

    def is_ours(self, address: Optional[str]) -> bool:
        """Tell whether what came as an address is a plain one of ours."""
        return address is not None and is_plain(address) and self.has(address)


class Ends(NamedTuple):
    """The two ends of a connection or packet, as they came."""

    source: Optional[str]
    destination: Optional[str]


def private_name(address: str) -> Optional[str]:
    """Return what a plain IPv4 address that belongs to nobody on the internet is called, None for all others."""
    number = int.from_bytes(inet_aton(address), "big")
    return next((name for first, last, name in _RANGES if first <= number <= last), None)


def is_plain(address: str) -> bool:
    """Return whether it is a dotted IPv4 address without leading zeros, which some read as octal."""
    return PLAIN.fullmatch(address) is not None and all(int(part) < 256 for part in address.split("."))


def named(address: Optional[str], home: Home, what: str = "attacker's") -> Attacker:
    """Return the address that a detector names as the attacker's, or why there is none."""
    address = (address or "").strip(" \t")
    if not address:
        return None, f"the event has no {what} address"
    if not is_plain(address):
        return None, f"the {what} address is not one plain IPv4 address"
    return (None, OURS) if home.has(address) else (address, None)


def one_of(ends: Ends, which: str, home: Home) -> Attacker:
    """Return the end that a detector's rules make the attacker, "source" or "destination", or why it is none."""
    source, destination = ((address or "").strip(" \t") for address in ends)
    if source and source == destination:
        return None, "source and destination are the same address"
    return named(source if which == "source" else destination, home, which)


def the_strange_one(ends: Ends, home: Home) -> Attacker:
    """Return the end that is not ours, or why that does not tell: both are, or neither is."""
    source, destination = ((address or "").strip(" \t") for address in ends)
    for address, name in ((source, "source"), (destination, "destination")):
        if not is_plain(address):
            return named(address, home, name)
    is_ours = home.has(source)
    if is_ours == home.has(destination):
        return None, "both ends are our own addresses" if is_ours else "neither end is one of our own addresses, and no direction tells"
    return (destination if is_ours else source), None
