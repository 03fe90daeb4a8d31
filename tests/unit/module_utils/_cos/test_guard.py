# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: what it protects, however it is spelled, and where it takes it from."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NoReturn

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput, ProtectedAddress
from ansible_collections.intrusion.response.plugins.module_utils._cos import guard as guard_module
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import (
    Guard,
    own_addresses,
    parse_address,
    parse_networks,
    resolve,
)
from hypothesis import given, strategies

FIB = Path("/proc/net/fib_trie")


def networks(*texts: str) -> frozenset[IPv4Network]:
    return frozenset(map(IPv4Network, texts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", networks("192.0.2.1")),
        ("  192.0.2.1\t", networks("192.0.2.1")),
        ("192.0.2.1\n198.51.100.0/24", networks("192.0.2.1", "198.51.100.0/24")),
        ("192.0.2.1, 192.0.2.2,192.0.2.3", networks("192.0.2.1", "192.0.2.2", "192.0.2.3")),
        ("198.51.100.7/24", networks("198.51.100.0/24")),
        ("198.51.100.0/255.255.255.0", networks("198.51.100.0/24")),
        ("::ffff:192.0.2.1", networks("192.0.2.1")),
        ("[::FFFF:c000:201]", networks("192.0.2.1")),
        ("::ffff:192.0.2.0/120", networks("192.0.2.0/24")),
        ("::ffff:0:0/96", networks("0.0.0.0/0")),
        ("", networks()),
    ],
)
def test_spellings_of_never_block(text: str, expected: frozenset[IPv4Network]) -> None:
    warnings: list[str] = []
    assert parse_networks("never_block", [text], warnings.append) == expected and not warnings


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.300", "192.0.2.0/33", "192.0.2.1-192.0.2.9", "192.0.2.1 /24", "office", "10.1", "2001:db8::/999", "2001:db8::/-1",
        "2001:db8::/x", "::ffff:192.0.2.1/129", "::ffff:192.0.2.300", "/24", "192.0.2.1/",
    ],
)  # fmt: skip
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="never_block must contain addresses and networks"):
        parse_networks("never_block", ["192.0.2.1", text])


@pytest.mark.parametrize("text", ["2001:db8::/32", "2001:db8::1", "::/0", "::1", "::ffff:0:0/95", "64:ff9b::c000:201"])
def test_what_has_no_effect_is_warned_of(door, text: str) -> None:
    door.environ = {"INTRUSION_RESPONSE_NEVER_BLOCK": f"192.0.2.1,{text}"}
    assert door.entry(host="203.0.113.9", never_block=[text])["changed"]
    said = [warning for warning in door.warnings if "have no effect" in warning]
    assert ["never_block contains" in said[0], "INTRUSION_RESPONSE_NEVER_BLOCK contains" in said[1]] == [True, True]


@given(strategies.integers(0, 2**32 - 1), strategies.integers(0, 32))
def test_an_ipv4_network_and_its_mapped_form_are_the_same(number: int, length: int) -> None:
    network = IPv4Network((number, length), strict=False)
    mapped = f"::ffff:{network.network_address}/{96 + length}"
    assert parse_networks("never_block", [mapped]) == parse_networks("never_block", [str(network)]) == {network}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"), (" 192.0.2.1 \n", "192.0.2.1"), ("[::ffff:192.0.2.1]", "192.0.2.1"), ("::FFFF:c000:201", "192.0.2.1"),
        ("10.1", "10.0.0.1"), ("0x0a000001", "10.0.0.1"), ("167772161", "10.0.0.1"),
        ("web01", None), ("192.0.2.300", None), ("::1", None), ("2001:db8::192.0.2.1", None), ("192.0.2.1:22", None),
        ("", None), ("\x00", None),
    ],
)  # fmt: skip
def test_spellings_of_an_address(text: str, expected: str) -> None:
    assert parse_address(text) == (expected and IPv4Address(expected))


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", "it is a loopback address"),
        ("192.0.2.1", "it is an address of this machine"),
        ("192.0.2.2", "it is the firewall's own address"),
        ("192.0.2.3", "it is in never_block (192.0.2.3)"),
        ("198.51.100.9", "it is in never_block (198.51.100.0/24)"),
        ("192.0.2.4", "it is the address of web? 01 in the inventory"),
        ("203.0.113.5", None),
    ],
)
def test_reasons(host: str, reason: str | None) -> None:
    guard = Guard(
        networks("192.0.2.3", "198.51.100.0/24"),
        frozenset({IPv4Address("192.0.2.2")}),
        frozenset({IPv4Address("192.0.2.1"), IPv4Address("127.0.0.1")}),
        {"192.0.2.4": "web\x1b\n01"},
    )
    assert guard.reason(host) == reason
    if reason is None:
        assert guard.check(host) is None
    else:
        with pytest.raises(ProtectedAddress, match=re.escape(reason)):
            guard.check(host)
        assert Guard(*(getattr(guard, name) for name in ("never_block", "firewall", "own", "inventory")), True).check(host) == reason


def no_names(*_arguments: object, **_options: object) -> NoReturn:
    raise AssertionError("a name was asked for")


def test_every_address_of_this_machine_is_told_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("getaddrinfo", "gethostname", "getfqdn", "gethostbyname"):
        monkeypatch.setattr(socket, name, no_names)
    own = own_addresses()
    assert IPv4Address("127.0.0.1") in own
    if FIB.is_file():  # what Linux itself lists as local
        local = re.findall(r"\|-- (\S+)\n +/32 host LOCAL", FIB.read_text(encoding="ascii"))
        assert own == set(map(IPv4Address, local))


def test_this_machine_is_not_blocked(door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "own_addresses", lambda: frozenset({IPv4Address("203.0.113.77")}))
    with pytest.raises(ProtectedAddress, match="an address of this machine"):
        door.entry(host="203.0.113.77")
    rows = door.run("cos_blacklist_entries", entries=[{"host": "203.0.113.77"}, {"host": "203.0.113.78"}])["entries"]
    assert [row["action"] for row in rows] == ["protected", "added"] and not door.owned("203.0.113.77")


def test_a_kernel_that_does_not_tell_is_said(door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> NoReturn:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(guard_module, "own_addresses", fail)
    assert door.entry(host="203.0.113.77")["changed"]
    assert any("this machine cannot be determined" in warning for warning in door.warnings)


def test_the_firewall_is_not_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert IPv4Address("127.0.0.1") in resolve("localhost", 443)
    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    assert resolve("::ffff:192.0.2.1", 443) == resolve("192.0.2.1", 443) == {IPv4Address("192.0.2.1")}


def test_a_name_that_is_unknown_protects_nothing() -> None:
    assert resolve("nowhere.invalid", 443) == resolve("x" * 300, 443) == frozenset()
