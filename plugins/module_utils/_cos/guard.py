# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: addresses that must not be blocked, because that would lock out the operator or protect nobody.

Guard itself only compares. Separate functions determine what it compares with: never_block and own_addresses do no I/O over the network;
resolve may ask a name server, and so may block.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Callable, Optional

from .._core.call import Call
from .._core.errors import InvalidInput, ProtectedAddress
from .._core.http import Endpoint
from .._core.options import NEVER_BLOCK_ENV
from .._core.text import clean

ALWAYS = (
    (IPv4Network("0.0.0.0/8"), "it is an unspecified address"),
    (IPv4Network("127.0.0.0/8"), "it is a loopback address"),
    (IPv4Network("224.0.0.0/4"), "it is a multicast address"),
    (IPv4Network("255.255.255.255/32"), "it is the broadcast address"),
)
#: ::ffff:0:0/96 are the IPv4-mapped addresses (RFC 4291, 2.5.5.2).
MAPPED_BITS = 96


@dataclass(frozen=True)
class Guard:
    """Decides whether an address may be blocked.

    Attributes:
        never_block: the user's own networks.
        firewall: addresses of the firewall's management interface.
        own: addresses of this machine.
        inventory: the addresses of an inventory's hosts, in dotted decimal, each with the name of a host.
        exempt: returns why an address is exempt according to the ledger, or None; may block.
        allow_protected: allow protected addresses, but say why they are protected.
    """

    never_block: frozenset[IPv4Network] = frozenset()
    firewall: frozenset[IPv4Address] = frozenset()
    own: frozenset[IPv4Address] = frozenset()
    inventory: Mapping[str, str] = field(default_factory=dict)
    allow_protected: bool = False
    exempt: Callable[[str], Optional[str]] = field(default=lambda _host: None, compare=False)

    @classmethod
    def from_call(cls, call: Call, endpoint: Endpoint, exempt: Callable[[str], Optional[str]] = lambda _host: None) -> Guard:
        """Create one from the guard's options, the environment, the caller's inventory and this machine's addresses; may block.

        Raises:
            InvalidInput: never_block or its variable contains something other than addresses and networks.
        """
        try:
            own = own_addresses()
        except OSError as error:
            own = frozenset()
            call.warn(f"The addresses of this machine cannot be determined ({error}), and are therefore not protected.")
        firewall = resolve(endpoint.host, endpoint.port)
        return cls(never_block(call), firewall, own, call.inventory, call.params["allow_protected"], exempt)

    @cached_property
    def addresses(self) -> frozenset[IPv4Address]:
        """The single addresses in never_block."""
        return frozenset(network.network_address for network in self.never_block if network.prefixlen == 32)

    @cached_property
    def networks(self) -> list[IPv4Network]:
        """The networks in never_block that have more than one address."""
        return [network for network in self.never_block if network.prefixlen < 32]

    def reason(self, host: str) -> Optional[str]:
        """Return why the address is protected, or None."""
        address = IPv4Address(host)
        for network, reason in ALWAYS:
            if address in network:
                return reason
        if address in self.own:
            return "it is an address of this machine"
        if address in self.firewall:
            return "it is the firewall's own address"
        if address in self.addresses:
            return f"it is in never_block ({address})"
        for network in self.networks:
            if address in network:
                return f"it is in never_block ({network})"
        if str(address) in self.inventory:
            return f"it is the address of {clean(self.inventory[str(address)])} in the inventory"
        return self.exempt(str(address))

    def check(self, host: str) -> Optional[str]:
        """Return None for an unprotected address, or the reason for a protected one if allow_protected is set.

        Raises:
            ProtectedAddress: the address is protected, and allow_protected is not set.
        """
        reason = self.reason(host)
        if reason is not None and not self.allow_protected:
            raise ProtectedAddress(f"{host} was not blocked: {reason}.", hint="allow_protected: true overrides this for one task.")
        return reason


def never_block(call: Call) -> frozenset[IPv4Network]:
    """Return the networks of both the option and the environment; warn about those that protect nothing. Raises InvalidInput."""
    return parse_networks("never_block", call.params["never_block"], call.warn) | parse_networks(
        NEVER_BLOCK_ENV, [call.environ.get(NEVER_BLOCK_ENV, "")], call.warn
    )


def parse_networks(name: str, values: Iterable[str], warn: Callable[[str], None] = lambda _message: None) -> frozenset[IPv4Network]:
    """Return IPv4 addresses and networks, including IPv4-mapped IPv6 ones (::ffff:192.0.2.1).

    Args:
        name: of the option or variable that contains them.
        values: strings of addresses separated by commas or white space.
        warn: called about genuine IPv6 networks, which are ignored, since the blacklist has no such entries.

    Raises:
        InvalidInput: something is neither an address nor a network.
    """
    found, without_effect = set(), []
    for text in re.findall(r"[^\s,]+", " ".join(values)):
        try:
            network = ip_network(text.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            raise InvalidInput(
                f"{name} must contain addresses and networks such as 192.0.2.1 and 198.51.100.0/24; got {text[:80]!r}."
            ) from None
        if isinstance(network, IPv6Network):
            mapped = network.network_address.ipv4_mapped
            if mapped is None or network.prefixlen < MAPPED_BITS:
                without_effect.append(str(network))
                continue
            network = IPv4Network((mapped, network.prefixlen - MAPPED_BITS))
        found.add(network)
    if without_effect:
        warn(f"{name} contains IPv6 networks ({', '.join(without_effect)}), which have no effect: only IPv4 addresses can be blocked.")
    return frozenset(found)


def parse_address(text: str) -> Optional[IPv4Address]:
    """Return a text as an IPv4 address, as a resolver would read it (10.1 is 10.0.0.1), bare or IPv4-mapped; None if it is not one."""
    text = text.strip().strip("[]")
    try:
        return IPv6Address(text).ipv4_mapped if ":" in text else IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None


def resolve(host: str, port: int) -> frozenset[IPv4Address]:
    """Return the IPv4 addresses of a host, none if the name is unknown. Blocks while a name server is asked."""
    address = parse_address(host)
    if address is not None:
        return frozenset({address})
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(IPv4Address(address[0]) for *_unused, address in found)


class _Interface(ctypes.Structure):
    """The beginning of a struct ifaddrs of getifaddrs(3), which is the same on Linux, macOS and the BSDs."""


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(ctypes.c_ubyte * 8)),
]


def own_addresses() -> frozenset[IPv4Address]:
    """Return the IPv4 addresses of all interfaces, from the kernel, without name resolution; raises OSError if that fails."""
    library = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_Interface)()
    if not hasattr(library, "getifaddrs") or library.getifaddrs(ctypes.byref(first)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    found, one = set(), first
    try:
        while one:
            if one.contents.address:
                # struct sockaddr_in: the family in two bytes (on the BSDs a length and the family in one each), port, address
                data = bytes(one.contents.address.contents)
                family = int.from_bytes(data[:2], sys.byteorder) if sys.platform == "linux" else data[1]
                if family == socket.AF_INET:
                    found.add(IPv4Address(data[4:8]))
            one = one.contents.next
    finally:
        library.freeifaddrs(first)
    return frozenset(found)
