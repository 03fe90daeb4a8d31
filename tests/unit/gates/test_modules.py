# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module: documentation, argument specification, examples and action groups agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.basic import AnsibleModule

#: State modules without a module that only reads, and why.
NO_INFO_TWIN = {
    "ips_agent": "the API has no operation that reads the state of an agent",
    "cos_blacklist_entries": "cos_blacklist_entry_info lists all entries",
    "ips_servers": "ips_notification_info reads many servers, too",
}
#: Modules that find something out, and want no state.
PROBES = {"cos_blacklist_probe"}
#: What can be read, but is written on the way of something else only.
NO_STATE_TWIN = {"response_ledger"}
TASK_KEYWORDS = {"name", "register", "when", "loop", "vars", "delegate_to", "module_defaults", "environment", "no_log"}
COMPARED = {"type": "str", "default": None, "required": False, "choices": None, "elements": None, "aliases": []}


def shape(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """Reduce an argument specification, or documented options, to what both can say."""
    reduced = {}
    for name, option in options.items():
        reduced[name] = {key: option.get(key, default) for key, default in COMPARED.items()}
        reduced[name]["options"] = shape(option.get(nested) or {}, nested)
    return reduced


def groups(root: Path) -> dict[str, list[str]]:
    return yaml.safe_load((root / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]


def test_there_are_modules(modules):
    assert {"ips_agent", "cos_blacklist_entry"} <= set(modules)


def test_argument_specification_is_what_is_documented(module):
    assert shape(module.code.ARGUMENT_SPEC, "options") == shape(module.documentation["options"], "suboptions")


def test_what_looks_like_a_secret_is_one(module):
    def check(spec: dict[str, Any], place: str) -> None:
        for name, option in spec.items():
            if option.get("type", "str") == "str" and re.search(r"password|token|secret|^url$", name):
                assert option.get("no_log") is True, f"{place}{name} is shown in logs"
            check(option.get("options") or {}, f"{place}{name}.")

    check(module.code.ARGUMENT_SPEC, "")


def test_entry_points(module):
    assert callable(module.code.run), "the logic must be callable without AnsibleModule"
    assert callable(module.code.main)
    assert not any(isinstance(value, type) and issubclass(value, AnsibleModule) for value in vars(module.code).values())


def test_action_groups_hold_the_modules_of_their_name(root, modules):
    expected: dict[str, list[str]] = {}
    for name, module in modules.items():
        expected.setdefault(module.group, []).append(name)
    assert {group: sorted(members) for group, members in groups(root).items()} == {
        group: sorted(members) for group, members in expected.items()
    }


def test_documented_action_group(root, module):
    assert module.documentation["attributes"]["action_group"]["membership"] == [f"intrusion.response.{module.group}"]
    assert module.name in groups(root)[module.group]


def test_attributes(module):
    attributes = module.documentation["attributes"]
    assert {"check_mode", "diff_mode", "idempotent", "action_group"} <= set(attributes)
    assert attributes["check_mode"]["support"] == "full"
    assert attributes["diff_mode"]["support"] == ("N/A" if module.is_info or module.name in PROBES else "full")
    for name, attribute in attributes.items():
        assert attribute["description"], name
        assert attribute["support"] in ("full", "partial", "none", "N/A"), name
        assert attribute["support"] != "partial" or attribute["details"], f"{name}: what is missing?"


def test_every_state_module_has_a_module_that_reads(modules):
    states = {name for name, module in modules.items() if not module.is_info} - PROBES
    twins = {name.removesuffix("_info") for name, module in modules.items() if module.is_info}
    assert states - twins == set(NO_INFO_TWIN)
    assert twins - states == NO_STATE_TWIN
    for name in states:
        assert "state" in modules[name].documentation["options"], name
    for name in twins:
        assert "state" not in modules[f"{name}_info"].documentation["options"], name


def test_documentation_is_complete(module):
    text = module.documentation
    assert text["module"] == module.name
    assert re.fullmatch(r"\d+\.\d+\.\d+", text["version_added"])
    assert text["author"]
    assert text["description"]
    assert not text["short_description"].endswith(".")

    def check(options: dict[str, Any], place: str) -> None:
        for name, option in options.items():
            assert option.get("description"), f"{place}{name}"
            assert option.get("type"), f"{place}{name}"
            assert option["type"] != "list" or option.get("elements"), f"{place}{name}"
            check(option.get("suboptions") or {}, f"{place}{name}.")

    check(text["options"], "")


def test_return_values_are_described_down_to_their_fields(module):
    def check(values: dict[str, Any], place: str) -> None:
        for name, value in values.items():
            where = f"{place}{name}"
            assert value.get("description"), where
            assert place or value.get("returned"), where
            assert value["type"] != "list" or value.get("elements"), where
            if value.get("contains"):
                check(value["contains"], f"{where}.")
            else:
                assert "sample" in value, where

    check(module.returns, "")


def test_examples_use_what_is_documented(module):
    options = module.documentation["options"]
    known = {*options, *(alias for option in options.values() for alias in option.get("aliases", []))}
    from_environment = {name for name, option in options.items() if "E(" in str(option["description"])}
    required = {name for name, option in options.items() if option.get("required")} - from_environment
    own = f"intrusion.response.{module.name}"
    assert any(own in task for task in module.examples)
    for task in module.examples:
        assert task.get("name"), task
        actions = set(task) - TASK_KEYWORDS
        assert len(actions) == 1, f"{task['name']}: {actions}"
        action = actions.pop()
        assert action.startswith(("intrusion.response.", "ansible.builtin.")), action
        if action == own:
            check_arguments(task[own], options, known, required, task["name"])


def check_arguments(
    arguments: dict[str, Any], options: dict[str, Any], known: set[str], required: set[str], place: str
) -> None:
    assert set(arguments) <= known, place
    assert required <= set(arguments), place
    for name, value in arguments.items():
        option = options.get(name, {})
        if option.get("choices") and not isinstance(value, list) and "{{" not in str(value):
            assert value in option["choices"], f"{place}: {name}"
        nested = option.get("suboptions")
        if isinstance(value, str):
            assert "{{" in value or not nested, f"{place}: {name}"
            continue
        for item in (value if isinstance(value, list) else [value]) if nested else []:
            if isinstance(item, str) and name == "servers":  # a name is short for a mapping
                continue
            needed = {key for key, part in nested.items() if part.get("required")}
            check_arguments(item, nested, set(nested), needed, f"{place}: {name}")


def test_examples_show_all_ways_in(module):
    assert f"ansible localhost -m intrusion.response.{module.name}" in module.examples_text, "the ad hoc command"
    assert "AWX" in module.examples_text, "the job template"
