# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a configuration would have done with past events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._events.dates import written
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.tools import replay

from .running import post_of

NOW = 1_790_000_000.0


def settings(**respond: Any) -> Configuration:
    firewall = {"name": "edge", "api_url": "https://192.0.2.1", "username": "blocker", "password": "secret"}
    return Configuration.from_args({"respond": {"firewalls": [firewall], **respond}}, {})


def line(verdict: str, seconds: float = 0.0, late: bool = False, **fields: Any) -> str:
    event = clc_ips.event(post_of(**fields), written(NOW + seconds))
    return json.dumps({"type": "verdict", "verdict": verdict, "late": late, "intrusion": event.as_dict()})


def played(tmp_path: Path, lines: list[str], **respond: Any) -> list[str]:
    path = tmp_path / "past"
    path.write_text("\n".join(lines))
    shown: list[str] = []
    replay(settings(**respond), str(path), shown.append)
    return shown


def test_the_same_settings_change_nothing(tmp_path: Path) -> None:
    lines = [json.dumps({"type": "started"}), line("blocked"), line("already_blocked", 1), line("ignored", sourceIP="10.1.2.3"), "",
             line("blocked", 5, late=True)]  # fmt: skip
    assert played(tmp_path, lines) == ["3 events: 2 block, 1 ignored; 0 differences"]


def test_differences_are_shown(tmp_path: Path) -> None:
    lines = [line("blocked", severity="Low"), line("ignored", sourceIP="10.1.2.3"), line("blocked", sourceIP="198.51.100.7")]
    shown = played(tmp_path, lines, policy={"severities": ["high"], "private": ["10.0.0.0/8"]}, never_block=["198.51.100.0/24"])
    assert [text.split(" ", 1)[1].split() for text in shown[:3]] == [
        ["203.0.113.7", "block", "->", "ignored", "(severity", "low)"],
        ["10.1.2.3", "ignored", "->", "block", "for", "3600", "s"],
        ["198.51.100.7", "block", "->", "protected", "(it", "is", "in", "never_block", "(198.51.100.0/24))"],
    ]
    assert shown[3] == "3 events: 1 block, 1 ignored, 1 protected; 3 differences"


def test_limits_and_escalation_go_by_the_events_own_time(tmp_path: Path) -> None:
    lines = [line("blocked", second, sourceIP=f"203.0.113.{second + 1}") for second in range(3)]
    lines += [line("blocked", 120 + second, sourceIP=f"203.0.113.{second + 10}") for second in range(2)]
    shown = played(tmp_path, lines, limits={"new_per_minute": 2})
    assert shown[-1] == "5 events: 4 block, 1 limited; 1 differences"
    posts = [json.dumps(post_of(sourceIP="203.0.113.9"))]
    assert played(tmp_path, posts)[0].endswith("203.0.113.9     block for 3600 s"), "raw posts have no verdict to compare"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "line 1: it is not an event"),
     ('{"a": 1}', "line 1: It has none of the fields"), ('{"type": "verdict"}', "line 1: it is not an event"), ("[]", "line 1")],
)
def test_what_is_no_event_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        played(tmp_path, [text])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        replay(settings(), str(tmp_path / "none"), print)
    with pytest.raises(InvalidInput, match="no section respond"):
        replay(Configuration.from_args({}, {}), str(tmp_path / "none"), print)
