# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event filter, loaded by its path as ansible-rulebook does it."""

from __future__ import annotations

import copy
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
from ansible_collections.intrusion.response.plugins.module_utils._events.event import Event

from emulator import events

ROOT = Path(__file__).resolve().parents[4]
FILTER = Path("extensions", "eda", "plugins", "event_filter", "normalize.py")
POST = events.build("VA1ACMEWEB01", 1440646622, {"tags": "a,b"})
MODULE = runpy.run_path(str(ROOT / FILTER))


def normalised(post: dict[str, Any]) -> dict[str, Any]:
    return {**Event.from_post(post, 0.0).as_dict(), "received_at": None}


def filtered(event: Any) -> Any:
    before = copy.deepcopy(event)
    after = MODULE["main"](event)
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
    {"payload": {"hello": 1}, "body": POST},
])
def test_a_post_is_found_and_everything_else_is_kept(event):
    after = filtered(event)
    assert after.pop("intrusion") == normalised(POST)
    assert after == event


@pytest.mark.parametrize("event", [
    {}, {"payload": {}}, {"payload": None, "body": None}, {"payload": [POST]}, {"body": "no JSON"}, {"body": "[]"}, {"body": "[" * 10_000},
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
    script = "import runpy, sys; print([runpy.run_path(path)['events'].COPY for path in sys.argv[1:] * 2])"
    done = subprocess.run([sys.executable, "-I", "-c", script, *copies], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['one', 'two', 'one', 'two']"


def test_documentation_can_be_read():
    documentation = yaml.safe_load(MODULE["DOCUMENTATION"])
    assert documentation["short_description"]
    assert documentation["options"] == {}
    for example in yaml.safe_load(MODULE["EXAMPLES"]):
        assert example["filters"] == [{"intrusion.response.normalize": None}]
