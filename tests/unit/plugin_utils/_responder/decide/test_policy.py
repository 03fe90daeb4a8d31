# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an event to a decision, and to the texts of an entry."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.options import CONTROL_CHARACTERS
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import Guard
from ansible_collections.intrusion.response.plugins.module_utils._events.event import Event
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide import policy as module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.policy import Policy
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import read
from hypothesis import given
from hypothesis import strategies as st

from ..conftest import POST


def event(**fields: Any) -> Event:
    return clc_ips.event({**POST, **fields}, "2023-11-14T22:13:20.000Z")


def policy(**given: Any) -> Policy:
    return read(Policy, given, "respond.policy")


@pytest.mark.parametrize(
    ("settings", "fields", "blocked"),
    [
        ({}, {}, True),
        ({}, {"direction": "Outgoing"}, False),
        ({"directions": ["incoming", "Outgoing"]}, {"direction": "Outgoing"}, True),
        ({"directions": []}, {"direction": None}, True),
        ({}, {"direction": None}, False),
        ({}, {"flow": "Reverse Flow"}, False),
        ({"flows": ["connection", "reverse"]}, {"flow": "Reverse Flow"}, True),
        ({"severities": ["high", "critical"]}, {}, True),
        ({"severities": ["critical"]}, {}, False),
        ({"severities": ["critical"]}, {"severity": ""}, False),
        ({"actions": ["reset"]}, {}, True),
        ({"actions": ["block"]}, {}, False),
        ({}, {"action": "Detect Only: Reset"}, True),
        ({"rules": ["*travers*"]}, {}, True),
        ({"rules": ["sql*", "xss"]}, {}, False),
        ({"rules": ["sql*"]}, {"reason": None}, False),
        ({"exclude_rules": ["Invalid ?raversal"]}, {}, False),
        ({"exclude_rules": ["Invalid"]}, {}, True),
        ({"private": ["10.126.0.0/16"]}, {"sourceIP": "10.126.155.231"}, True),
        ({"private": ["10.127.0.0/16"]}, {"sourceIP": "10.126.155.231"}, False),
    ],
)
def test_what_leads_to_a_block(settings: dict[str, Any], fields: dict[str, Any], blocked: bool) -> None:
    assert (policy(**settings).objection(event(**fields)) is None) == blocked


@pytest.mark.parametrize("address", ["203.0.113.5", "198.51.100.1", "192.0.2.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "11.0.0.0"])
def test_public_addresses(address: str) -> None:
    assert policy().objection(event(sourceIP=address)) is None
    assert policy().objection(event(sourceIP=f" {address}\t")) is None, "blanks around it"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.1.1", "127.0.0.1", "0.0.0.0", "0.1.2.3",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
def test_private_and_reserved_addresses(address: str) -> None:
    reason = policy().objection(event(sourceIP=address))
    assert reason is not None and reason.endswith(" address")


@given(st.integers(0, 2**32 - 1))
def test_what_is_private_is_not_global(number: int) -> None:
    """The documentation networks apart, all that Python calls private or reserved is, and nothing that it calls global."""
    address = IPv4Address(number)
    reason = Policy().private_reason(str(address))
    if reason is not None:
        assert not address.is_global or address.is_multicast


@pytest.mark.parametrize(
    "address",
    [" ", "203.0.113.0/24", "203.0.113.5/32", "2001:db8::1", "::ffff:203.0.113.5", "203.0.113.05", "0xcb.0.113.5", "3405803781",
     "203.0.113. 5", "203.0.113", "203.0.113.256", "203.0.113.5,203.0.113.6", "localhost", "203.0.113.5\n"],
)  # fmt: skip
def test_spoofed_addresses_lead_to_nothing(address: str) -> None:
    one = event(sourceIP=address)
    assert one.attacker is None and policy(private=["0.0.0.0/0"]).decide(one, Guard())[:2] == ("ignored", one.attacker_reason)


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()))
def test_texts_are_what_any_firewall_takes(host: Any, reason: Any) -> None:
    one = event(hostName=host, reason=reason)
    for text in (Policy().entry_rule_name(one), module.entry_description(one, "1f3a")):
        assert text.isascii() and len(text) <= module.LONGEST_TEXT and text == text.strip()
        assert not CONTROL_CHARACTERS.search(text)
    assert Policy().marked(Policy().entry_rule_name(one))
    assert module.event_in(module.entry_description(one, "1f3a"), "1f3a") == one.id
    assert module.event_in(module.entry_description(one, "1f3a"), "1f3b") is None


def test_the_mark() -> None:
    marked = policy(rule_name="IPS edge").marked
    assert marked("IPS edge") and marked("IPS edge: Invalid Traversal")
    assert not marked("IPS") and not marked("IPS edges") and not marked("")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"ttl": 600, "renew_below": 600}, "respond.policy.renew_below"),
        ({"ttl": "soon"}, "respond.policy.ttl"),
        ({"ttl": 0}, "respond.policy.ttl"),
        ({"rule_name": "-"}, "respond.policy.rule_name"),
        ({"rule_name": "Stra\u00dfe"}, "respond.policy.rule_name"),
        ({"private": ["10.0.0.300"]}, "respond.policy.private"),
        ({"direction": ["incoming"]}, "respond.policy.direction"),
        ({"directions": ["inbound"]}, "respond.policy.directions[0] may be incoming, outgoing; got 'inbound'"),
        ({"flows": ["Connection Flow"]}, "respond.policy.flows[0] may be connection, reverse; got 'connection flow'"),
        ({"severities": ["Hihg"]}, "respond.policy.severities[0] may be low, medium, high, critical; got 'hihg' (did you mean high?)"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        policy(**given)
    assert name in caught.value.message


def test_words_are_read_in_any_case() -> None:
    found = policy(directions="Incoming, OUTGOING", flows=["Reverse"], severities=["High"], actions=["Log Only"])
    assert (found.directions, found.flows) == (("incoming", "outgoing"), ("reverse",))
    assert (found.severities, found.actions) == (("high",), ("log only",))


def test_actions_that_nobody_knows_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert policy(actions=["Reset", "quarantine"]).actions == ("reset", "quarantine")
    assert "respond.policy.actions contains 'quarantine'" in caplog.text and "'reset'" not in caplog.text


def test_renewal_follows_the_ttl() -> None:
    assert policy(ttl="7200").renew_below == 3600
    assert policy(ttl=2).renew_below == 1


SURICATA = Event("0" * 32, "2023-11-14T22:13:20.000Z", "suricata_eve", attacker="203.0.113.5", reason="ET SCAN", rule_id="2001219",
                 severity="high")


@pytest.mark.parametrize(("settings", "changes", "blocked"), [
    # what a detector does not tell is no reason, what it tells is
    ({}, {}, True), ({"directions": ["outgoing"], "flows": ["reverse"]}, {}, True), ({}, {"direction": "outgoing"}, False),
    ({}, {"direction": "incoming"}, True), ({"directions": ["incoming", "outgoing"]}, {"direction": "outgoing"}, True),
    ({}, {"format": "deep_security_json"}, False), ({}, {"format": "deep_security_json", "direction": "incoming", "flow": "connection"},
                                                    True),
    # severities are one scale, and what has none is not on it
    ({"severities": ["high"]}, {}, True), ({"severities": ["critical"]}, {}, False), ({"severities": ["high"]}, {"severity": None}, False),
    # rules match names and ids
    ({"rules": ["2001219"]}, {}, True), ({"rules": ["200121?"]}, {"reason": None}, True), ({"rules": ["et scan*"]}, {}, True),
    ({"rules": ["2002*"]}, {}, False), ({"exclude_rules": ["2001219"]}, {}, False), ({"exclude_rules": ["2001219"]}, {"rule_id": "1"},
                                                                                     True),
    ({"rules": ["*"]}, {"reason": None, "rule_id": None}, True),
    # our own networks, from which private ones are excepted
    ({"home_networks": ["203.0.113.0/24"]}, {}, False), ({"home_networks": ["203.0.113.0/24"], "private": ["203.0.113.5"]}, {}, True),
    ({"home_networks": ["10.0.0.0/8"]}, {}, True), ({"home_networks": ["10.0.0.0/8"], "private": ["10.66.0.0/16"]},
                                                    {"attacker": "10.66.0.9"}, True),
])
def test_events_of_all_detectors_are_judged_alike(settings, changes, blocked):
    assert (policy(**settings).objection(replace(SURICATA, **changes)) is None) is blocked


def test_our_own_addresses_for_the_formats():
    ours = policy(private=["10.66.0.0/16"]).home([IPv4Network("198.51.100.0/24")])
    assert [ours.has(one) for one in ("10.0.0.1", "10.66.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1")] == [True, False, True, False,
                                                                                                                True]
    ours = policy(home_networks=["203.0.113.0/24", "2001:db8::/32"]).home([])
    assert [ours.has(one) for one in ("10.0.0.1", "203.0.113.1")] == [False, True]
    # what belongs to nobody is no stranger's, whatever is said
    assert all(ours.has(one) for one in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"))
