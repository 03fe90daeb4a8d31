# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are followed by a running responder: events come, others are counted, positions are kept, and a full inbox loses nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._events.event import Found
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.follow import follower as module

from emulator.testing import Handle, running_emulator

from ..running import Running, entries, firewall, until


def record(source: str, number: int = 1, **more: Any) -> str:
    """Return a line of Suricata."""
    return json.dumps({
        "timestamp": "2026-11-26T11:30:00.000000+0000", "flow_id": number, "event_type": "alert", "src_ip": source, "src_port": 40000,
        "dest_ip": "10.0.0.80", "dest_port": 80, "proto": "TCP", "direction": "to_server",
        "alert": {"action": "allowed", "signature_id": 1, "signature": "Path traversal", "severity": 1}, **more,
    }) + "\n"  # fmt: skip


@pytest.fixture
def emulator() -> Iterator[Handle]:
    with running_emulator() as handle:
        yield handle


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    return tmp_path / "eve.json"


def append(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(lines)


def follow(eve: Path, **more: Any) -> list[dict[str, Any]]:
    return [{"path": str(eve), "format": "suricata_eve", **more}]


def counted(running: Running, name: str) -> float:
    lines = running.get("/metrics")[1].splitlines()
    return float(next(line for line in lines if line.startswith(f"intrusion_response_{name} ")).rpartition(" ")[2])


def test_new_lines_lead_to_blocks_and_others_are_counted(emulator: Handle, tmp_path: Path, eve: Path,
                                                         caplog: pytest.LogCaptureFixture) -> None:
    append(eve, record("203.0.113.1"))
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}, follow=follow(eve)) as running:
        flows = [record("203.0.113.9", number, event_type="flow") for number in range(30)]
        append(eve, *flows, "no JSON\n", record("203.0.113.2"), record("10.0.0.9"))
        until(lambda: len(running.verdicts()) == 2)
        by_attacker = {one["attacker"]: one for one in running.verdicts()}
        assert by_attacker["203.0.113.2"]["verdict"] == "blocked"
        assert by_attacker["203.0.113.2"]["intrusion"]["format"] == "suricata_eve"
        assert by_attacker[None]["reason"] == "direction outgoing"
        assert [entry["host"] for entry in entries(emulator)] == ["203.0.113.2"]
        until(lambda: counted(running, 'events_ignored_total{kind="other_type"}') == 30)
        assert counted(running, 'events_refused_total{reason="line"}') == 1
    assert caplog.text.count("203.0.113.9") == 0


def test_it_goes_on_where_it_stopped_and_nothing_has_effect_twice(emulator: Handle, tmp_path: Path, eve: Path) -> None:
    respond = {"firewalls": [firewall(emulator)]}
    with Running(tmp_path, respond, follow=follow(eve)) as running:
        append(eve, record("203.0.113.2"))
        until(running.verdicts)
    eve.rename(eve.with_name("eve.json.1"))
    append(eve.with_name("eve.json.1"), record("203.0.113.3"))
    append(eve, record("203.0.113.4"), record("203.0.113.2"))  # the last one is the same record as before
    with Running(tmp_path, respond, follow=follow(eve)) as running:
        until(lambda: len(running.verdicts()) == 2)
        assert {one["attacker"] for one in running.verdicts()} == {"203.0.113.3", "203.0.113.4"}
        until(lambda: counted(running, "events_repeated_total") == 1)
    for position in Path(running.args["state_dir"]).glob("follow/*.json"):
        position.write_text("{}", encoding="utf-8")
    with Running(tmp_path, respond, follow=follow(eve)) as running:
        append(eve, record("203.0.113.5"))
        until(running.verdicts)
        assert {one["attacker"] for one in running.verdicts()} == {"203.0.113.5"}


def test_a_full_inbox_slows_it_down_and_loses_nothing(
    tmp_path: Path, eve: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.02)
    with Running(tmp_path, None, follow=follow(eve, from_start=True)) as running, caplog.at_level(logging.WARNING):
        full = True
        monkeypatch.setattr(running.app, "_is_full", lambda _size: full)
        append(eve, *(record("203.0.113.2", number) for number in range(250)))
        until(lambda: json.loads(running.get("/status")[1])["follow"][str(eve)]["waits"])
        assert not running.events
        full = False
        until(lambda: len(running.events) == 250)
        until(lambda: not json.loads(running.get("/status")[1])["follow"][str(eve)]["waits"])
    assert caplog.text.count("too many events are waiting") == 1
    assert len({event["intrusion"]["id"] for event in running.events}) == 250


def test_behind_a_symbolic_link_rotation_loses_nothing_either(tmp_path: Path) -> None:
    file, link = tmp_path / "disk" / "eve.json", tmp_path / "eve.json"
    file.parent.mkdir()
    file.touch()
    link.symlink_to(file)
    with Running(tmp_path, None, follow=follow(link)) as running:
        append(file, record("203.0.113.2"))
        until(lambda: len(running.events) == 1)
    append(file, record("203.0.113.3"))
    file.rename(file.with_name("eve.json.1"))
    append(file, record("203.0.113.4"))
    with Running(tmp_path, None, follow=follow(link)) as running:
        until(lambda: {event["intrusion"]["attacker"] for event in running.events} >= {"203.0.113.3", "203.0.113.4"})
    with pytest.raises(InvalidInput, match="the same file"):
        Configuration.from_args({"follow": [*follow(link), *follow(file)]}, {})


def test_a_defect_of_a_format_costs_one_line(tmp_path: Path, eve: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(self: Reader, given: bytes, at: float) -> Found:
        if b"203.0.113.2" in given:
            raise RuntimeError
        return self.body(given, at)

    monkeypatch.setattr(Reader, "line", line)
    with Running(tmp_path, None, follow=follow(eve, from_start=True)) as running:
        append(eve, record("203.0.113.2"), record("203.0.113.3"))
        until(lambda: len(running.events) == 1)
        assert running.events[0]["intrusion"]["attacker"] == "203.0.113.3"
        assert counted(running, 'events_refused_total{reason="line"}') == 1


def test_the_same_attack_by_two_detectors_is_two_events_and_one_block(emulator: Handle, tmp_path: Path, eve: Path) -> None:
    respond = {"firewalls": [firewall(emulator)]}
    with Running(tmp_path, respond, follow=follow(eve), format="auto") as running:
        append(eve, record("203.0.113.2"))
        until(running.verdicts)
        data = {"srcip": "203.0.113.2"}
        status, answer = running.send({"rule": {"level": 12, "id": "31106", "description": "Web attack"}, "data": data, "id": "1.1"})
        assert (status, answer["new"]) == (200, 1)
        assert running.verdict(answer["ids"][0])["verdict"] == "already_blocked"
        assert len(entries(emulator)) == 1
    first, second = running.verdicts()
    assert (first["intrusion"]["format"], second["intrusion"]["format"]) == ("suricata_eve", "wazuh")


def test_the_detector_says_for_how_long(emulator: Handle, tmp_path: Path) -> None:
    respond = {"firewalls": [firewall(emulator)], "escalation": {"cap": 7200}}
    ban = {"scope": "Ip", "type": "ban", "origin": "crowdsec", "scenario": "x", "simulated": False}
    with Running(tmp_path, respond, format="crowdsec") as running:
        decisions = [{**ban, "value": f"203.0.113.{number}", "duration": duration} for number, duration in enumerate(("90s", "100h", "x"))]
        status, answer = running.send([{"scenario": "crowdsecurity/ssh-bf", "source": {}, "decisions": decisions}])
        assert (status, answer["new"], answer["ignored"]) == (200, 3, 0)
        ttls = [running.verdict(one)["entry"]["ttl"] for one in answer["ids"]]
        assert ttls == [90, 7200, 3600]


@pytest.mark.parametrize(("given", "complaint"), [
    ({"follow": [{"format": "wazuh"}]}, r"follow\[0\]\.path is required"), ({"follow": [{"path": "a"}, {"path": "./a"}]}, "the same file"),
    ({"follow": [{"path": "a", "format": "snort"}]}, r"follow\[0\]\.format may be clc_ips, auto"),
    ({"format": "custom"}, "requires custom, and vice versa"),
    ({"custom": {"attacker": "a"}}, "requires custom, and vice versa"),
    ({"format": "custom", "custom": {"attacker": 5}}, "custom attacker must be a path"),
    ({"format": "custom", "custom": "attacker"}, "custom must be a mapping"),
    ({"follow": [{"path": "a", "format": "custom", "custom": {"x": "a"}}]}, r"follow\[0\]\.custom has an unknown field 'x'"),
    ({"follow": "a"}, "follow must be a list"),
])  # fmt: skip
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        Configuration.from_args(given, {})
