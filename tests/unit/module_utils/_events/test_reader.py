# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for whatever format: what is no attack to act on, what is of another format, and how much a post may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import MOST_OBJECTS, InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import KNOWN, Reader

from emulator import events

from .formats import test_crowdsec, test_deep_security_cef, test_deep_security_json, test_suricata_eve
from .reading import RECEIVED, told

IPS = events.build("VA1ACMEWEB01", 1440646622, {})
ONE_OF_EACH: dict[str, Any] = {
    "clc_ips": IPS, "deep_security_cef": {"message": test_deep_security_cef.SPOOF}, "deep_security_json": test_deep_security_json.EVENT,
    "suricata_eve": test_suricata_eve.ALERT, "crowdsec": test_crowdsec.ALERT,
    "wazuh": {"rule": {"level": 10, "id": "5712", "description": "x"}, "data": {"srcip": "203.0.113.7"}, "id": "1"},
}


@pytest.mark.parametrize(("format", "given"), [
    ("clc_ips", {**IPS, "action": "Detect Only: Reset"}),
    ("deep_security_cef", test_deep_security_cef.DETECT),
    ("deep_security_json", {**test_deep_security_json.NUMBERS, "Action": 0x82}),
])
def test_what_an_agent_only_looked_on_at_is_no_event_unless_it_counts(format, given):
    for name in (format, "auto"):
        [ignored] = Reader(name).one(given, RECEIVED)
        assert ignored.kind == "detect_only"
        [event] = Reader(name, detect_only=True).one(given, RECEIVED)
        assert event.detect_only and (event.attacker or event.attacker_reason)


def test_a_sensor_that_only_allows_has_no_detect_mode():
    assert test_suricata_eve.ALERT["alert"]["action"] == "allowed"
    [event] = Reader("suricata_eve").one(test_suricata_eve.ALERT, RECEIVED)
    assert event.attacker == "203.0.113.5" and not event.detect_only


def test_what_is_of_another_format_is_refused_and_not_ignored():
    """Else a webhook with the wrong format would acknowledge, and lose, whatever comes."""
    assert ONE_OF_EACH.keys() == {known.NAME for known in KNOWN}
    for name, given in ONE_OF_EACH.items():
        assert told(name, given) == told("auto", given)
        for other in ONE_OF_EACH.keys() - {name}:
            with pytest.raises(InvalidEvent):
                Reader(other).one(given, RECEIVED)
    for name in (*ONE_OF_EACH, "auto"):
        for given in ({}, {"hello": 1}, {"event_type": None}, {"rule": {"description": "x"}}, {"rule": {"level": 99, "id": "1"}}):
            with pytest.raises(InvalidEvent):
                Reader(name).one(given, RECEIVED)


def test_what_an_attacker_writes_into_a_log_does_not_hide_the_alert_about_it():
    request = f'203.0.113.7 - - "GET / HTTP/1.1" 200 0 "{test_deep_security_cef.SPOOF}"'
    assert told("auto", {**ONE_OF_EACH["wazuh"], "full_log": request}) == "203.0.113.7"
    for given in ({"message": request}, {"event": {"original": request}}):
        with pytest.raises(InvalidEvent):
            told("auto", given)


def test_a_post_is_bounded_in_events_however_they_are_wrapped():
    wrapped = json.dumps(test_deep_security_json.envelope([test_deep_security_json.EVENT] * (MOST_OBJECTS // 2 + 1)))
    reader = Reader("deep_security_json")
    assert len(reader.body(wrapped.encode(), RECEIVED)) == MOST_OBJECTS // 2 + 1
    with pytest.raises(InvalidEvent, match="more than"):
        reader.body(f"[{wrapped}, {wrapped}]".encode(), RECEIVED)
    lines = f"{test_deep_security_cef.SPOOF}\n".encode()
    with pytest.raises(InvalidEvent, match="more than"):
        Reader("auto").body(lines * (MOST_OBJECTS + 1), RECEIVED)
