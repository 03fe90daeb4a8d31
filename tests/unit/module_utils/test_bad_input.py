# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no service would accept is refused before any request, naming the option and what it takes."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError

ENTRY = {"host": "203.0.113.5"}
SYSLOG = {"ip_address": "192.0.2.10", "udp_port": 514, "facility": 16}

BAD_ENTRIES = [
    ({"host": "2001:db8::1"}, "host", "IPv6"),
    ({"host": "203.0.113.0/24"}, "host", "networks and ranges"),
    ({"host": "203.0.113.1-203.0.113.9"}, "host", "networks and ranges"),
    ({"host": "attacker.example.com"}, "host", "single IPv4 address"),
    ({"host": "203.0.113.05"}, "host", "leading zeros"),
    ({"host": "203.0.113.256"}, "host", "0 to 255"),
    ({"host": "203.0.113"}, "host", "single IPv4 address"),
    ({"host": ""}, "host", "single IPv4 address"),
    ({"host": "٢٠٣.0.113.5"}, "host", "single IPv4 address"),
    ({"host": "203.0.113.5\n203.0.113.6"}, "host", "control characters"),
    ({"host": "203.0.113.5\n"}, "host", "control characters"),
    ({**ENTRY, "ttl": 0}, "ttl", "from 1 to 2147483647"),
    ({**ENTRY, "ttl": -1}, "ttl", "from 1 to 2147483647"),
    ({**ENTRY, "ttl": 2**31}, "ttl", "from 1 to 2147483647"),
    ({**ENTRY, "ttl": 60, "renew_below": 60}, "renew_below", "less than ttl"),
    ({**ENTRY, "renew_below": 300}, "renew_below", "the default"),
    ({**ENTRY, "renew_below": 0}, "renew_below", "from 1"),
    ({**ENTRY, "description": "two\nlines"}, "description", "control characters"),
    ({**ENTRY, "rule_name": "bell\x07"}, "rule_name", "control characters"),
    ({**ENTRY, "service": "http\x00"}, "service", "control characters"),
    ({**ENTRY, "every_service": True}, "every_service", "state: absent"),
    ({**ENTRY, "never_block": ["192.0.2.300"]}, "never_block", "addresses and networks"),
    ({**ENTRY, "never_block": ["office"]}, "never_block", "addresses and networks"),
    ({**ENTRY, "timeout": 0}, "timeout", "more than 0"),
    ({**ENTRY, "retries": -1}, "retries", "from 0 to 20"),
    ({**ENTRY, "api_url": "192.0.2.1"}, "api_url", "URL such as"),
    ({**ENTRY, "api_url": "http://192.0.2.1"}, "api_url", "allow_http"),
    ({**ENTRY, "api_url": "https://user:pass@192.0.2.1"}, "api_url", "credentials"),
    ({**ENTRY, "ca_path": "/nonexistent/ca.pem"}, "ca_path", "PEM"),
    ({**ENTRY, "username": None}, "password", "username"),
    ({**ENTRY, "username": "a:b"}, "username", "colon"),
    ({**ENTRY, "password": "secret\n"}, "password", "trailing newline"),
]

BAD_DESTINATIONS = [
    ([], "destinations", "must not be empty"),
    ([{"type": "webhook"}], "destinations[0].url", "type: webhook"),
    ([{"type": "webhook", "url": ""}], "destinations[0].url", "empty"),
    ([{"type": "slack", "url": "hooks.example.com/x"}], "destinations[0].url", "https://"),
    ([{"type": "slack", "url": "ftp://hooks.example.com/x"}], "destinations[0].url", "https://"),
    ([{"type": "webhook", "url": "https://hooks.example.com/a b"}], "destinations[0].url", "complete URL"),
    ([{"type": "email"}], "destinations[0].email_address", "type: email"),
    ([{"type": "email", "email_address": "secops"}], "destinations[0].email_address", "secops@example.com"),
    ([{"type": "email", "email_address": "a@b.example,c@d.example"}], "destinations[0].email_address", "single address"),
    ([{"type": "syslog"}], "destinations[0].syslog", "type: syslog"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "facility": 15}}], "facility", "16 to 23"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "facility": 24}}], "facility", "16 to 23"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "facility": "daemon"}}], "facility", "local0 to local7"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "udp_port": 0}}], "udp_port", "from 1 to 65535"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "udp_port": 65536}}], "udp_port", "from 1 to 65535"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "ip_address": "log.example.com"}}], "ip_address", "not a name"),
    ([{"type": "syslog", "syslog": {**SYSLOG, "ip_address": "12345"}}], "ip_address", "IP address"),
    ([{"type": "email", "email_address": "a@b.example", "url": "https://x.example/"}], "url", "is not supported with"),
    ([{"type": "syslog", "syslog": SYSLOG}, {"type": "syslog", "syslog": {**SYSLOG, "facility": 17}}], "destinations[1]", "different"),
]


def refused(door, run, options) -> str:
    with pytest.raises(IntrusionResponseError) as caught:
        run(**options)
    assert caught.value.code == "invalid_input" and not caught.value.changed
    assert not door.emulator.journal(), "nothing may be sent"
    return caught.value.message


@pytest.mark.parametrize(("options", "option", "accepted"), BAD_ENTRIES)
def test_blacklist_entry(door, options, option: str, accepted: str) -> None:
    message = refused(door, door.entry, options)
    assert option in message and accepted in message
    assert "pass@" not in message


@pytest.mark.parametrize(("destinations", "option", "accepted"), BAD_DESTINATIONS)
def test_destinations(door, destinations, option: str, accepted: str) -> None:
    message = refused(door, door.notification, {"destinations": destinations})
    assert option in message and accepted in message


@pytest.mark.parametrize("name", ["", "  ", "two words", "a/b", "..", "new\nline", "x" * 256, "a?b"])
def test_server_names(door, name: str) -> None:
    for run in (door.agent, door.notification):
        options = {"destinations": [{"type": "email", "email_address": "a@b.example"}]} if run == door.notification else {}
        assert "server_name" in refused(door, run, {"server_name": name, **options})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"username": None, "password": None}, "CLC_V2_API_USERNAME"),
        ({"password": None}, "Credentials are missing"),
        ({"token": "some-token"}, "account_alias"),
        ({"account_alias": "A/B"}, "account_alias"),
        ({"ips_url": "ips.example.com"}, "ips_url"),
        ({"ips_url": "http://ips.example.com"}, "allow_http"),
        ({"clc_url": "http://clc.example.com"}, "allow_http"),
        ({"wait": True}, "agent_path"),
    ],
)
def test_service_connection(door, options, expected: str) -> None:
    assert expected in refused(door, door.agent, options)


def test_secret_urls_are_not_repeated(door) -> None:
    secret = "hooks.example.com/canary-path"
    assert "canary" not in refused(door, door.notification, {"destinations": [{"type": "slack", "url": secret}]})


def test_purge_with_absent(door) -> None:
    assert "purge" in refused(door, door.notification, {"state": "absent", "purge": True})


PROTECTED = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "192.0.2.7",
    "198.51.100.200",
]


@pytest.mark.parametrize("host", PROTECTED)
@pytest.mark.parametrize("check", [False, True])
def test_guard(door, host: str, check: bool) -> None:
    door.environ = {"INTRUSION_RESPONSE_NEVER_BLOCK": "198.51.100.128/25, 2001:db8::/32"}
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(check=check, host=host, never_block=["192.0.2.7"])
    assert caught.value.code == "protected_address" and not door.emulator.journal()


def test_guard_override_is_reported(door) -> None:
    result = door.entry(host="192.0.2.7", never_block=["192.0.2.0/24"], allow_protected=True)
    assert result["changed"] and result["protected"] == "it is in never_block (192.0.2.0/24)"
    assert any("never_block" in warning for warning in door.warnings)


def test_guard_lets_go_of_what_should_be_unblocked(door) -> None:
    door.entry(host="192.0.2.7")
    assert door.entry(host="192.0.2.7", never_block=["192.0.2.7"], state="absent")["changed"]
