# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: addresses that are not to be blocked, because doing so would lock out the operator or protect nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Optional

from .._core.call import Call
from .._core.errors import InvalidInput, ProtectedAddress
from .._core.http import Endpoint
from .._core.options import NEVER_BLOCK_ENV

ALWAYS = (
    (IPv4Network("0.0.0.0/8"), "it is an unspecified address"),
    (IPv4Network("127.0.0.0/8"), "it is a loopback address"),
    (IPv4Network("224.0.0.0/4"), "it is a multicast address"),
    (IPv4Network("255.255.255.255/32"), "it is the broadcast address"),
)


@dataclass(frozen=True)
class Guard:
    """Decides whether an address may be blocked.

    Attributes:
        never_block: the user's own networks.
        firewall: addresses of the firewall's management interface.
        own: addresses from which this machine reaches the firewall.
        allow_protected: let protected addresses pass, but say why they are protected.
    """

    never_block: frozenset[IPv4Network] = frozenset()
    firewall: frozenset[IPv4Address] = frozenset()
    own: frozenset[IPv4Address] = frozenset()
    allow_protected: bool = False

    @classmethod
    def from_call(cls, call: Call, endpoint: Endpoint) -> Guard:
        """Make one from the guard's options and the environment; raises InvalidInput for what is no address or network."""
        given = parse_networks("never_block", call.params["never_block"])
        added = parse_networks(NEVER_BLOCK_ENV, call.environ.get(NEVER_BLOCK_ENV, "").replace(",", " ").split())
        firewall, own = route_to(endpoint.host, endpoint.port)
        return cls(frozenset(given + added), firewall, own, call.params["allow_protected"])

    @cached_property
    def addresses(self) -> frozenset[IPv4Address]:
        """Those of never_block that are single addresses."""
        return frozenset(network.network_address for network in self.never_block if network.prefixlen == 32)

    @cached_property
    def networks(self) -> list[IPv4Network]:
        """Those of never_block that are more than one address."""
        return [network for network in self.never_block if network.prefixlen < 32]

    def reason(self, host: str) -> Optional[str]:
        """Return why the address is protected, or None."""
        address = IPv4Address(host)
        if address in self.own:
            return "it is the address from which this machine reaches the firewall"
        if address in self.firewall:
            return "it is the firewall's own address"
        if address in self.addresses:
            return f"it is in never_block ({address})"
        for network in self.networks:
            if address in network:
                return f"it is in never_block ({network})"
        for network, reason in ALWAYS:
            if address in network:
                return reason
        return None

    def check(self, host: str) -> Optional[str]:
        """Return None for an unprotected address, and the reason for a protected one that may pass.

        Raises:
            ProtectedAddress: it may not.
        """
        reason = self.reason(host)
        if reason is not None and not self.allow_protected:
            raise ProtectedAddress(f"{host} was not blocked: {reason}.", hint="allow_protected: true overrides this for one task.")
        return reason


def parse_networks(name: str, values: Iterable[str]) -> tuple[IPv4Network, ...]:
    """Return IPv4 addresses and networks; IPv6 ones are left out, since they can never be blocked here."""
    networks = []
    for value in values:
        try:
            networks.append(IPv4Network(value.strip(), strict=False))
        except ValueError:
            try:
                socket.inet_pton(socket.AF_INET6, value.strip().partition("/")[0])
            except OSError:
                raise InvalidInput(
                    f"{name} must hold addresses and networks such as 192.0.2.1 and 198.51.100.0/24; got {value[:80]!r}."
                ) from None
    return tuple(networks)


def route_to(host: str, port: int) -> tuple[frozenset[IPv4Address], frozenset[IPv4Address]]:
    """Return the IPv4 addresses of a host and those this machine would use towards it; empty where the name is unknown.

    Connecting a UDP socket sends nothing; it only asks the routing table.
    """
    theirs, own = set(), set()
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        found = []
    for *_unused, address in found:
        theirs.add(IPv4Address(address[0]))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(address)
                own.add(IPv4Address(probe.getsockname()[0]))
            except OSError:
                pass
    return frozenset(theirs), frozenset(own)
