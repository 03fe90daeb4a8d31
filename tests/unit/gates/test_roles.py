# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, playbooks and filters: everything is documented, one role has one prefix, and a connection is set in one place."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
import yaml

from .conftest import FQCN, PACKAGE, ROOT, literal

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
FILTERS = sorted((ROOT / "plugins" / "filter").glob("*.py"))
#: What a role may know beside its own variables: the firewall as the inventory describes it.
INVENTORY = {"blacklist": "cos_"}
LONGEST_PLAYBOOK = 50
#: They ask neither a server nor a firewall.
ON_THE_CONTROLLER = ("awx_setup", "awx_teardown", "eda_setup")
options = importlib.import_module(f"{PACKAGE}.module_utils._core.options")
protect = importlib.import_module(f"{PACKAGE}.plugin_utils._protect")


def specs(role: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]


def text_of(role: str) -> str:
    files = [path for folder in ("tasks", "vars") for path in sorted((ROOT / "roles" / role / folder).glob("*.yml"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("role", ROLES)
def test_entry_points_are_documented_and_have_tasks(role):
    found = specs(role)
    for entry, spec in found.items():
        assert spec["short_description"] and spec["description"] and spec["author"] and spec["version_added"], entry
        assert (ROOT / "roles" / role / "tasks" / f"{entry}.yml").is_file(), entry
        for name, option in spec["options"].items():
            assert option["description"] and option["type"], f"{entry}: {name}"
            assert name.startswith((f"{role}_", INVENTORY.get(role, f"{role}_"))), f"{entry}: {name}"
    page = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(found)


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_documented_and_every_documented_one_is_read(role):
    documented = {name for spec in specs(role).values() for name in spec["options"]}
    text = text_of(role)
    results = set(re.findall(rf"(?:register: |^ +)({role}_result)\b", text, re.MULTILINE))
    files = {path.stem for path in (ROOT / "plugins" / "filter").glob(f"{role}_*.py")}
    read = set(re.findall(rf"(?<![\w.])({role}_\w+)\b(?!:)", text)) - results - files  # with a colon, it is an option of a module
    if role == "protect":  # whose variables its action plugin reads
        read = read - {tag for parts in protect.TAGGED.values() for tag in parts} | set(protect.VARIABLES)
    # Options that go to the modules by their names.
    for names in re.findall(r"\[([\w, '\n]+)\]", text):
        read |= {f"{role}_{name}" for name in re.findall(r"\w+", names)} & documented
    read |= {f"{role}_{name}" for name in re.findall(r"^  - (\w+)$", text, re.MULTILINE)} & documented
    own = {name for name in documented if name.startswith(f"{role}_")}
    assert own - read == set(), "documented, but not read"
    assert read - own - {f"{role}_target"} == set(), "read, but not documented"
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert set(defaults) <= own


def test_connections_are_taken_whole():
    for role, prefix, table, own in (
        ("blacklist", "cos", options.COS_CONNECTION, {"api_url"}), ("protect", "protect", options.IPS_CONNECTION, set()),
    ):
        names = {option.name for option in table}
        for entry, spec in specs(role).items():
            assert {f"{prefix}_{name}" for name in names} <= set(spec["options"]), f"{role}: {entry}"
            for option in table:
                assert bool(spec["options"][f"{prefix}_{option.name}"].get("no_log")) == option.secret
        if role == "protect":
            assert set(protect.CONNECTION) == names
            continue
        handed = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))[f"__{role}_connection"]
        assert set(re.findall(r"\w+", str(handed))) & names == names - own, role


@pytest.mark.parametrize("role", ["blacklist"])
def test_the_controller_s_connection_is_set_in_one_place(role):
    files = (ROOT / "roles" / role).glob("*/*.yml")
    assert [path.name for path in files if " ansible_connection: " in path.read_text(encoding="utf-8")] == ["controller.yml"]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_playbooks_are_short_and_documented(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_PLAYBOOK
    head, _dot, plays = text.partition("\n- name: ")
    local = path.stem in ON_THE_CONTROLLER
    assert f"ansible-playbook intrusion.response.{path.stem} {'-e' if local else '-i inventory'}" in head
    for target in re.findall(r"\w+_target", plays):
        assert re.search(rf"^# {target} +which ", head, re.MULTILINE), target
    for play in yaml.safe_load(text):
        hosts = rf"{{{{ \w+_target \| default\(''\) \| {FQCN}\.(firewalls|servers)(\(\w+=.+\))? }}}}"
        assert re.fullmatch("localhost" if local else hosts, play["hosts"])
        assert play["gather_facts"] is False
        for task in play["tasks"]:
            assert "ansible.builtin.import_role" in task or "ansible.builtin.fail" in task


@pytest.mark.parametrize("path", FILTERS, ids=lambda path: path.stem)
def test_filters_are_documented(path):
    documentation = yaml.safe_load(literal(path, "DOCUMENTATION"))
    assert documentation["name"] == path.stem
    assert all(documentation[name] for name in ("short_description", "description", "author", "version_added"))
    assert all(option["description"] and option["type"] for option in documentation["options"].values())
    assert documentation["options"]["_input"]["required"] is True
    assert f"intrusion.response.{path.stem}" in literal(path, "EXAMPLES")
    assert yaml.safe_load(literal(path, "EXAMPLES"))
    assert yaml.safe_load(literal(path, "RETURN"))["_value"]["description"]
    module = importlib.import_module(f"{PACKAGE}.filter.{path.stem}")
    assert set(module.FilterModule().filters()) == {path.stem}
