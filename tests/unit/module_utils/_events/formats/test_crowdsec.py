# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CrowdSec's alerts: what its API and its HTTP plugin give."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from hypothesis import given

from ..anything import spoiled
from ..reading import RECEIVED, found, harmless, home, told

DECISION: dict[str, Any] = {
    "duration": "3h59m49.264032632s", "id": 1, "origin": "crowdsec", "scenario": "crowdsecurity/ssh-bf", "scope": "Ip", "simulated": False,
    "type": "ban", "value": "203.0.113.172",
}  # fmt: skip
ALERT: dict[str, Any] = {
    "capacity": 5, "created_at": "2020-11-28T10:20:47+01:00", "decisions": [DECISION],
    "events": [{"meta": [{"key": "target_user", "value": "netflix"}, {"key": "service", "value": "ssh"}],
                "timestamp": "2020-11-28 10:20:46 +0000 UTC"}],
    "events_count": 6, "id": 1, "labels": None, "leakspeed": "10s", "machine_id": "web01",
    "message": "Ip 203.0.113.172 performed 'crowdsecurity/ssh-bf' (6 events over 2.920062ms) at 2020-11-28 10:20:46.8 +0100 CET m=+5.9",
    "scenario": "crowdsecurity/ssh-bf", "scenario_hash": "4441dcff", "scenario_version": "0.1", "simulated": False,
    "source": {"as_name": "Example", "cn": "AU", "ip": "203.0.113.172", "latitude": -37.7, "longitude": 145.1833, "range": "203.0.113.0/24",
               "scope": "Ip", "value": "203.0.113.172"},
    "start_at": "2020-11-28 10:20:46.842701127 +0100 +0100", "stop_at": "2020-11-28T09:20:46.845621385Z",
}  # fmt: skip


def alert(*decisions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**ALERT, "decisions": [{**DECISION, **one} for one in decisions], **changes}


@pytest.mark.parametrize(("post", "who"), [
    (ALERT, "203.0.113.172"),
    (alert({"scope": "ip", "origin": "cscli", "duration": "24h"}), "203.0.113.172"),
    (alert({"value": "2001:db8::172"}), "the attacker's address is not a plain IPv4 address"),
    (alert({"value": "10.0.0.9"}), "the attacker's address is one of our own"),
    (alert({"value": "192.168.1.9"}, source={"scope": "Ip", "value": "192.168.1.9"}), "the attacker's address is one of our own"),
    # not for us to block: ranges, countries, captchas, other people's lists, what is over, and no decision at all
    (alert({"scope": "Range", "value": "203.0.113.0/24"}), "no_ban"), (alert({"scope": "Country", "value": "AU"}), "no_ban"),
    (alert({"type": "captcha"}), "no_ban"), (alert({"origin": "CAPI"}), "no_ban"), (alert({"origin": "lists", "scenario": "tor"}),
                                                                                    "no_ban"),
    (alert({"origin": "lists:tor"}), "no_ban"), (alert({"duration": "-12m3s"}), "no_ban"), (alert({"duration": "0s"}), "no_ban"),
    (alert({"duration": "999.264032ms"}), "no_ban"), (alert({"duration": "12\u00b5s"}), "no_ban"), (alert({"duration": "-1ns"}), "no_ban"),
    (alert(), "no_ban"), ({**ALERT, "decisions": None}, "no_ban"), ({name: ALERT[name] for name in ("scenario", "source", "start_at")},
                                                                    "no_ban"),
    (alert({"simulated": True}), "simulated"), (alert({}, simulated=True), "simulated"),
])
def test_the_attacker_is_who_a_person_would_name(post, who):
    assert told("crowdsec", post) == who
    assert told("auto", post) == who


def test_the_normal_form():
    [event] = found("crowdsec", ALERT)
    told_ = {name: value for name, value in event.as_dict().items() if value not in (None, [], {}) and name not in ("id", "other")}
    assert told_ == {
        "received_at": "2015-08-27T03:38:10.250Z", "format": "crowdsec", "detector": "web01", "attacker": "203.0.113.172",
        "host_name": "web01", "reason": "crowdsecurity/ssh-bf", "action": "ban", "severity": "high", "ttl": 14389, "detect_only": False,
        "source_ip": "203.0.113.172", "started_at": "2020-11-28T09:20:46.842Z", "ended_at": "2020-11-28T09:20:46.845Z",
    }  # fmt: skip
    assert event.other["source"]["as_name"] == "Example"
    assert told("crowdsec", alert({"value": "10.66.0.9"}), home(strangers=["10.66.0.0/16"])) == "10.66.0.9"


@pytest.mark.parametrize(("duration", "ttl"), [
    ("4h", 14400), ("3h59m12s", 14352), ("59m49.264032632s", 3589), ("30s", 30), ("87600h0m0s", 315360000), (None, None), ("", None),
    ("forever", None), ("4h ", None), ("1.5h", None), ("h", None), ("1" * 5000 + "h", None), ("292277026596h", None),
])
def test_the_detector_says_for_how_long(duration, ttl):
    assert found("crowdsec", alert({"duration": duration}))[0].ttl == ttl


def test_each_banned_address_is_an_event_of_its_own():
    several = found("crowdsec", alert({}, {}, {"value": "203.0.113.9", "duration": "1h"}, {"type": "captcha", "value": "203.0.113.10"}))
    assert [(one.attacker, one.ttl) for one in several] == [("203.0.113.172", 14389), ("203.0.113.9", 3600)]
    assert several[0].id != several[1].id
    for durations in (("1h", "24h"), ("24h", "1h"), ("-2h", "24h"), ("24h", "0s"), ("12ms", "24h")):
        [one] = found("crowdsec", alert(*({"value": value, "duration": duration} for value, duration in zip(
            ("203.0.113.9", " 203.0.113.9 "), durations))))  # fmt: skip
        assert (one.attacker, one.ttl) == ("203.0.113.9", 86400)
    read = Reader("crowdsec").body(b'[{"scenario":"a","source":{},"decisions":[]},{"scenario":"b","source":{},"machine_id":"x"}]', RECEIVED)
    assert [one.kind for one in read] == ["no_ban", "no_ban"]


@pytest.mark.parametrize("post", [
    {**ALERT, "decisions": {}}, {**ALERT, "decisions": [5]}, {**ALERT, "decisions": "x"}, alert({"value": 5}), alert({"duration": 4}),
    alert({}, source="x"), alert({}, machine_id=5), alert({"type": 1}), alert({"simulated": "true"}), alert({}, simulated=1),
])
def test_wrong_types_are_refused(post):
    if post["decisions"] in ({}, []):
        assert told("crowdsec", post) == "no_ban"
        return
    with pytest.raises(InvalidEvent):
        found("crowdsec", post)


@given(spoiled(ALERT))
def test_whatever_comes_does_no_harm(post):
    harmless(Reader("crowdsec"), post)
    harmless(Reader("auto"), post)
