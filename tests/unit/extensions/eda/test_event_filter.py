# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event filter, loaded by its path as ansible-rulebook does it."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips

from emulator import events

ROOT = Path(__file__).resolve().parents[4]
FILTER = Path("extensions", "eda", "plugins", "event_filter", "normalize.py")
POST = events.build("VA1ACMEWEB01", 1440646622, {"tags": "a,b"})
MODULE = runpy.run_path(str(ROOT / FILTER))


def normalised(post: dict[str, Any]) -> dict[str, Any]:
    return {**clc_ips.event(post, "").as_dict(), "received_at": None}


def filtered(event: Any, **arguments: Any) -> Any:
    before = copy.deepcopy(event)
    after = MODULE["main"](event, **arguments)
    assert event == before, "the filter changed what it was given"
    if after is not event and "intrusion" in after:
        assert after["intrusion"]["received_at"] > "2026"
        after["intrusion"]["received_at"] = None
    return after


@pytest.mark.parametrize("event", [
    POST,
    {**POST, "meta": {"uuid": "x"}},
    {"payload": POST, "meta": {"endpoint": "ips", "headers": {}}},
    {"payload": json.dumps(POST)},
    {"body": POST, "meta": {"headers": {}}},
    {"body": json.dumps(POST), "other": [1]},
    {"body": json.dumps(POST).encode()},
    {"payload": {"hello": 1}, "body": POST}, {"payload": [POST]}, {"journald": {"message": json.dumps(POST), "priority": "6"}},
])
def test_a_post_is_found_and_everything_else_is_kept(event):
    after = filtered(event)
    assert after.pop("intrusion") == normalised(POST)
    assert after == event


@pytest.mark.parametrize("event", [
    {}, {"payload": {}}, {"payload": None, "body": None}, {"payload": []}, {"payload": [POST, 5]},
    {"body": "no JSON"}, {"body": "[]"}, {"body": "[" * 10_000},
    {"payload": "\ud800"}, {"body": b"\xff"}, {"body": 5}, {"reason": "x"}, {"hostName": "a", "reason": "x", "direction": "Incoming"},
    {"payload": {"alerts": [{"labels": {"severity": "high"}}]}}, {"type": "verdict", "verdict": "blocked", "intrusion": normalised(POST)},
    "text", None, [POST],
])
def test_everything_else_passes_unchanged(event):
    assert filtered(event) is event


@pytest.mark.parametrize("forged", [
    None, "text", {"attacker": "203.0.113.5"}, {**normalised(POST), "id": "{{ lookup('pipe', 'id') }}"}, {**normalised(POST), "id": None},
    {**normalised(POST), "attacker": "203.0.113.5{{ 1 }}"}, {**normalised(POST), "attacker": "203.0.113.05"},
    {**normalised(POST), "attacker": ["203.0.113.5"]}, {**normalised(POST), "id": f"{'a' * 32}\n"},
])
def test_what_a_sender_calls_intrusion_is_not_passed_on(forged):
    assert filtered({"intrusion": forged, "hello": 1}) == {"hello": 1}
    after = filtered({"intrusion": forged, **POST})
    assert after.pop("intrusion") == normalised(POST)
    assert after == POST


@pytest.mark.parametrize("field", ["hostName", "sourceIP", "reason"])
def test_a_post_with_a_wrong_type_passes_unchanged_with_a_warning(field, caplog):
    event = {"payload": {**POST, field: ["do-not-repeat-me"]}}
    with caplog.at_level(logging.WARNING):
        assert filtered(event) is event
    assert field in caplog.text
    assert "do-not-repeat-me" not in caplog.text


def test_the_event_can_go_to_the_rule_engine():
    event = {"payload": {**POST, "reason": "\ud800", "new": {"a": [1, None]}}}
    assert json.loads(json.dumps(filtered(event)["intrusion"]).encode())["other"] == {"new": {"a": [1, None]}}


def test_two_copies_of_the_collection_do_not_share_code(tmp_path):
    copies = []
    for name in ("one", "two"):
        root = tmp_path / name
        for part in (FILTER.parent, Path("plugins", "module_utils")):
            shutil.copytree(ROOT / part, root / part)
        utils = root / "plugins" / "module_utils" / "_events" / "event.py"
        utils.write_text(utils.read_text(encoding="utf-8") + f"\nCOPY = {name!r}\n", encoding="utf-8")
        copies.append(str(root / FILTER))
    script = "import runpy, sys; print([runpy.run_path(path)['normal'].COPY for path in sys.argv[1:] * 2])"
    done = subprocess.run([sys.executable, "-I", "-c", script, *copies], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['one', 'two', 'one', 'two']"


EVE = {
    "timestamp": "2026-11-26T11:30:00.000000+0000", "flow_id": 1, "event_type": "alert", "src_ip": "203.0.113.5", "src_port": 40000,
    "dest_ip": "10.0.0.80", "dest_port": 80, "proto": "TCP", "direction": "to_server", "alert": {"signature": "x", "severity": 1},
}  # fmt: skip
SSH = {"scenario": "crowdsecurity/ssh-bf", "source": {"scope": "Ip", "value": "203.0.113.8"}, "start_at": "2026-11-26T11:30:00Z"}
BAN = {"scope": "Ip", "type": "ban", "origin": "crowdsec", "duration": "4h", "simulated": False}
CEF = "<134>Nov 26 11:30:00 dsm CEF:0|Trend Micro|Deep Security Agent|20|1000128|x|8|dvchost=web src=203.0.113.9 dst=10.0.0.80 in=1 act=Reset"  # noqa: E501


@pytest.mark.parametrize(("event", "format", "attacker"), [
    ({"body": EVE}, "suricata_eve", "203.0.113.5"),
    ({"body": json.dumps(EVE)}, "suricata_eve", "203.0.113.5"),
    ({"payload": [{**SSH, "decisions": [{**BAN, "value": "203.0.113.8"}]}]}, "crowdsec", "203.0.113.8"),
    ({"journald": {"message": CEF}}, "deep_security_cef", "203.0.113.9"),
    ({"message": CEF, "meta": {}}, "deep_security_cef", "203.0.113.9"),
    ({"rule": {"level": 10, "id": "5712", "description": "x"}, "data": {"srcip": "203.0.113.7"}}, "wazuh", "203.0.113.7"),
    ({"body": {"EventType": "PayloadLog", "SourceIP": "203.0.113.6", "Direction": 0, "Flow": 0}}, "deep_security_json", "203.0.113.6"),
])
def test_every_format_is_recognised(event, format, attacker):
    for arguments in ({}, {"format": format}):
        intrusion = filtered(event, **arguments)["intrusion"]
        assert (intrusion["format"], intrusion["attacker"]) == (format, attacker)
    if format != "suricata_eve":
        assert filtered(event, format="suricata_eve") is event


def test_what_is_no_attack_passes_unchanged():
    for event in (
        {"body": {**EVE, "event_type": "flow"}}, {"payload": {**POST, "action": "Detect Only: Reset"}},
        {"payload": [{**SSH, "decisions": []}]}, {"body": json.dumps(EVE) + "x"},
    ):  # fmt: skip
        assert filtered(event) is event
    after = filtered({"payload": {**POST, "action": "Detect Only: Reset"}}, detect_only=True)
    assert after["intrusion"]["detect_only"] and after["intrusion"]["attacker"]
    for name in ("suricata_eve", "wazuh", "crowdsec", "clc_ips", "deep_security_json", "deep_security_cef"):
        event = {"payload": ["text", CEF], "body": ["text"]}
        assert filtered(event, format=name) is event


def test_several_events_in_one_message():
    after = filtered({"payload": [{**EVE, "src_ip": "10.0.0.9"}, EVE, {**EVE, "event_type": "http"}]})
    assert after["intrusion"]["attacker"] == "203.0.113.5"
    assert [one["attacker"] for one in after["intrusions"]] == [None, "203.0.113.5"]


def test_our_own_networks_and_a_format_of_the_users_own():
    own = {"payload": {**POST, "sourceIP": "198.51.100.7"}}
    assert filtered(own)["intrusion"]["attacker"] == "198.51.100.7"
    intrusion = filtered(own, home_networks=["198.51.100.0/24"])["intrusion"]
    assert (intrusion["attacker"], intrusion["attacker_reason"]) == (None, "the attacker's address is one of our own")
    assert filtered({"body": {**EVE, "src_ip": "198.51.100.7"}}, home_networks=["198.51.100.0/24"])["intrusion"]["attacker"] is None
    assert filtered({"body": {**EVE, "src_ip": "10.0.0.9"}}, home_networks=[])["intrusion"]["attacker"] is None
    assert filtered({"body": {**EVE, "src_ip": "127.0.0.1"}}, home_networks=["198.51.100.0/24"])["intrusion"]["attacker"] is None
    assert filtered({"body": {**EVE, "src_ip": "10.66.0.9"}}, private=["10.66.0.0/16"])["intrusion"]["attacker"] == "10.66.0.9"
    custom = {"attacker": "src_ip", "reason": "eventid", "only": {"eventid": "attack"}}
    after = filtered({"body": {"src_ip": "203.0.113.5", "eventid": "attack"}}, format="custom", custom=custom)
    assert after["intrusion"]["reason"] == "attack"
    for event in ({"body": {"src_ip": "203.0.113.5", "eventid": "x"}}, {"body": {"eventid": "attack"}}, {"eventid": "attack"}):
        assert filtered(event, format="custom", custom=custom) is event


@pytest.mark.parametrize("arguments", [
    {"format": "snort"}, {"format": "custom"}, {"custom": {"attacker": "a"}}, {"format": "custom", "custom": {"colour": "a"}},
    {"home_networks": ["10.0.0.0/33"]}, {"private": ["x"]},
])
def test_arguments_that_cannot_work_are_refused(arguments):
    with pytest.raises(ValueError, match=r"format|custom|colour|network"):
        filtered({"body": EVE}, **arguments)


def test_documentation_can_be_read():
    documentation = yaml.safe_load(MODULE["DOCUMENTATION"])
    assert documentation["short_description"]
    assert list(documentation["options"]) == list(inspect.signature(MODULE["main"]).parameters)[1:]
    assert documentation["options"]["format"]["choices"] == list(MODULE["reading"].NAMES)
    for example in yaml.safe_load(MODULE["EXAMPLES"]):
        [(name, arguments)] = example["filters"][0].items()
        assert name == "intrusion.response.normalize"
        filtered({}, **(arguments or {}))
