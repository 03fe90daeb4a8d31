# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Determines the attacker from the one or two addresses of an event: never one of our own addresses, and never a guess."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses
from socket import inet_aton
from typing import NamedTuple, Optional

from .._core.options import Network

#: Networks that are not used on the internet, with their names in reasons. The documentation networks (RFC 5737) are not among them.
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
#: The same as first and last number, which is much faster to check.
_RANGES = tuple((int(network.network_address), int(network.broadcast_address), name) for network, name in PRIVATE)
#: Kinds of addresses that no attacker has, whatever networks are ours.
NOBODY = ("loopback", "reserved", "multicast")
OURS = "the attacker's address is one of our own"

PLAIN = re.compile(r"(0|[1-9][0-9]{0,2})(?:\.(0|[1-9][0-9]{0,2})){3}")

Attacker = tuple[Optional[str], Optional[str]]


class Ranges:
    """IPv4 networks, looked up by number: much faster than checking one after the other."""

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
        networks: our networks, besides those of NOBODY; None for the private ones.
        more: other networks of ours, such as those that are never blocked.
        strangers: networks among these that are not ours, such as `policy.private`.
    """

    def __init__(
        self, networks: Optional[Iterable[Network]] = None, more: Iterable[Network] = (), strangers: Iterable[Network] = ()
    ) -> None:  # fmt: skip
        ours = [network for network, name in PRIVATE if networks is None or name in NOBODY]
        self._ours = Ranges((*ours, *(networks or ()), *more))
        self._strangers = Ranges(strangers)

    def has(self, address: str) -> bool:
        """Return whether a plain IPv4 address is one of ours."""
        value = int.from_bytes(inet_aton(address), "big")
        return value in self._ours and value not in self._strangers

    def is_ours(self, address: Optional[str]) -> bool:
        """Return whether a received address is plain and one of ours."""
        return address is not None and is_plain(address) and self.has(address)


class Ends(NamedTuple):
    """The two ends of a connection or packet, as received."""

    source: Optional[str]
    destination: Optional[str]


def private_name(address: str) -> Optional[str]:
    """Return the name of the network of a plain IPv4 address that is not used on the internet, or None."""
    number = int.from_bytes(inet_aton(address), "big")
    return next((name for first, last, name in _RANGES if first <= number <= last), None)


def is_plain(address: str) -> bool:
    """Return whether it is a dotted IPv4 address without leading zeros, which some programs read as octal."""
    return PLAIN.fullmatch(address) is not None and all(int(part) < 256 for part in address.split("."))


def named(address: Optional[str], home: Home, what: str = "attacker's") -> Attacker:
    """Return the address that a detector reports as the attacker's, or why there is none."""
    address = (address or "").strip(" \t")
    if not address:
        return None, f"the event has no {what} address"
    if not is_plain(address):
        return None, f"the {what} address is not a plain IPv4 address"
    return (None, OURS) if home.has(address) else (address, None)


def one_of(ends: Ends, which: str, home: Home) -> Attacker:
    """Return the address of the attacking end, "source" or "destination", or why it cannot be the attacker."""
    source, destination = ((address or "").strip(" \t") for address in ends)
    if source and source == destination:
        return None, "source and destination are the same address"
    return named(source if which == "source" else destination, home, which)


def the_strange_one(ends: Ends, home: Home) -> Attacker:
    """Return the end that is not ours, or why there is not exactly one: both ends are ours, or neither is."""
    source, destination = ((address or "").strip(" \t") for address in ends)
    for address, name in ((source, "source"), (destination, "destination")):
        if not is_plain(address):
            return named(address, home, name)
    for address, name in ((source, "source"), (destination, "destination")):
        if private_name(address) in NOBODY:  # it is neither a server of ours nor anybody's peer
            return None, f"the {name} address belongs to nobody"
    is_ours = home.has(source)
    if is_ours == home.has(destination):
        return None, "both ends are our own addresses" if is_ours else "neither end is one of our own addresses, and there is no direction"
    return (destination if is_ours else source), None
