# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the rulebooks: valid, documented, and naming only what there is. That they work is shown in tests/rulebooks."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_rulebook.json_generator import generate_dict_rulesets
from ansible_rulebook.rules_parser import parse_rule_sets
from ansible_rulebook.validators import Validate

ROOT = Path(__file__).resolve().parents[4]
EDA = ROOT / "extensions" / "eda"
RULEBOOKS = sorted((EDA / "rulebooks").glob("*.yml"))
OWN = "intrusion.response."


@pytest.fixture(params=RULEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture
def rulebook(text: str) -> list[dict[str, Any]]:
    return yaml.safe_load(text)


def names(rulebook: Any) -> set[str]:
    """Return everything of this collection that is named anywhere."""
    return set(re.findall(r"\bintrusion\.response\.(\w+)", json.dumps(rulebook)))


def test_there_are_three():
    assert [path.stem for path in RULEBOOKS] == ["block_attackers", "block_by_job_template", "block_by_playbook"]


def test_a_rulebook_is_valid(rulebook, monkeypatch):
    # it would ask ansible-galaxy where the collection is
    monkeypatch.setattr("ansible_rulebook.rules_parser.apply_plugin_routing", lambda name, *_unused: name)
    Validate.rulebook(rulebook)
    rulesets = parse_rule_sets(copy.deepcopy(rulebook))
    assert len(generate_dict_rulesets(rulesets, {})) == len(rulebook) == 1


def test_a_rulebook_names_what_there_is(rulebook):
    there = {found.stem for folder in ("plugins/event_source", "plugins/event_filter") for found in (EDA / folder).glob("*.py")}
    there |= {found.stem for found in (ROOT / "playbooks").glob("*.yml")}
    assert names(rulebook) <= there


def test_variables_are_documented_and_optional(text, rulebook):
    used = re.findall(r"\{\{ ((?!event\.)\w+)( \| default\()?", json.dumps(rulebook))
    assert all(default for _name, default in used), used
    header = text[:text.index("- name:")]
    documented = set()
    for line in re.findall(r"^# ((?:\w+, )*\w+)  +\S", header, re.MULTILINE):
        documented |= set(line.split(", "))
    assert documented == {name for name, _default in used}


def test_the_command_of_the_header_names_the_rulebook(path, text):
    assert f"ansible-rulebook -r {OWN}{path.stem} " in text


def test_what_starts_a_job_is_throttled_for_each_attacker(rulebook):
    for rule in rulebook[0]["rules"]:
        if any("run_" in name for action in rule["actions"] for name in action):
            assert rule["throttle"]["once_within"]
            assert "event.intrusion.attacker" in rule["throttle"]["group_by_attributes"]


def test_no_free_text_of_an_event_is_passed_to_a_job(rulebook):
    checked = {"intrusion.attacker", "intrusion.id"}
    for rule in rulebook[0]["rules"]:
        jobs = [action for action in rule["actions"] if any("run_" in name for name in action)]
        assert set(re.findall(r"event\.([\w.]+)", json.dumps(jobs))) <= checked


def test_plain_rules_are_the_same_behind_both_actions():
    by_playbook, by_template = (yaml.safe_load((EDA / "rulebooks" / f"block_by_{name}.yml").read_text(encoding="utf-8"))[0]
                                for name in ("playbook", "job_template"))
    assert by_playbook["sources"] == by_template["sources"]
    for one, other in zip(by_playbook["rules"], by_template["rules"], strict=True):
        assert {**one, "actions": []} == {**other, "actions": []}


def test_extensions_are_where_the_metadata_says():
    listed = yaml.safe_load((ROOT / "meta" / "extensions.yml").read_text(encoding="utf-8"))["extensions"]
    folders = {entry["args"]["ext_dir"] for entry in listed}
    assert folders == {"eda/plugins/event_filter", "eda/plugins/event_source"}
