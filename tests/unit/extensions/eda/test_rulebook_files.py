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
from ansible.parsing.yaml.loader import AnsibleLoader
from ansible_rulebook.json_generator import generate_dict_rulesets
from ansible_rulebook.rules_parser import parse_rule_sets
from ansible_rulebook.util import substitute_variables
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


def test_there_are_four():
    assert [path.stem for path in RULEBOOKS] == ["block_attackers", "block_by_job_template", "block_by_playbook", "block_by_workflow"]


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


def jobs_of(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for action in rule["actions"] if any("run_" in name for name in action)]


def test_no_free_text_of_an_event_is_passed_to_a_job(rulebook):
    """The name of a rule goes to a controller, which hands it on as a text that is no template; and as a text, whatever it looks like."""
    checked = {"intrusion.attacker", "intrusion.id"}
    for rule in rulebook[0]["rules"]:
        for action in jobs_of(rule):
            text = json.dumps(action)
            named = re.findall(r"event[.]([\w.]+)([^}]*)", text)
            free = {name: rest for name, rest in named if name not in checked}
            assert free.keys() <= (set() if "run_playbook" in action else {"intrusion.reason"})
            assert all("[:200] | replace('{', '(') | tojson" in rest for rest in free.values())


@pytest.mark.parametrize("reason", ["123", "True", "[1]", "'", "a \"b\"\\n{{ c }}", "\u00e9\U0001f600", "x" * 999, "", None])
def test_the_name_of_a_rule_arrives_as_a_text(reason):
    """A controller refuses what is none, and the event would lead to no block."""
    for name in ("job_template", "workflow"):
        rule = yaml.safe_load((EDA / "rulebooks" / f"block_by_{name}.yml").read_text(encoding="utf-8"))[0]["rules"][0]
        action, = (arguments for action in jobs_of(rule) for arguments in action.values())
        context = {"event": {"intrusion": {"id": "1" * 32, "attacker": "203.0.113.5", "reason": reason}}}
        sent = substitute_variables(action["job_args"]["extra_vars"], context)
        arrived = json.loads(json.dumps(sent))
        assert arrived["blacklist_event"] == "1" * 32
        assert arrived["blacklist_event_rule"] == (reason or "")[:200].replace("{", "(")


def test_plain_rules_are_the_same_behind_all_actions():
    first, *others = (yaml.safe_load((EDA / "rulebooks" / f"block_by_{name}.yml").read_text(encoding="utf-8"))[0]
                      for name in ("playbook", "job_template", "workflow"))
    for other in others:
        assert first["sources"] == other["sources"]
        assert {**first["rules"][0], "actions": []} == {**other["rules"][0], "actions": []}


def test_what_is_sent_to_a_controller_is_asked_for_by_the_surveys_of_the_setup():
    made = yaml.load((ROOT / "roles" / "awx" / "vars" / "main.yml").read_text(encoding="utf-8"), Loader=AnsibleLoader)
    asked = {question["variable"]: question["type"] for question in made["__awx_surveys"]["block"]}
    names = {template["name"] for template in made["__awx_templates"]} | {made["__awx_workflow"]}
    sent = []
    for name in ("job_template", "workflow"):
        rule = yaml.safe_load((EDA / "rulebooks" / f"block_by_{name}.yml").read_text(encoding="utf-8"))[0]["rules"][0]
        action, = (arguments for action in jobs_of(rule) for arguments in action.values())
        assert re.search(r"default\('(.+)'\)", action["name"])[1] in names
        sent.append(action["job_args"]["extra_vars"])
        assert {variable for variable, kind in asked.items() if kind == "integer"} <= sent[-1].keys() <= asked.keys()
    assert sent[0] == sent[1]


def test_extensions_are_where_the_metadata_says():
    listed = yaml.safe_load((ROOT / "meta" / "extensions.yml").read_text(encoding="utf-8"))["extensions"]
    folders = {entry["args"]["ext_dir"] for entry in listed}
    assert folders == {"eda/plugins/event_filter", "eda/plugins/event_source"}
