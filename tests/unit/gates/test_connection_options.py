# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of connection options: documentation, argument specification and environment follow it."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from .conftest import MODULES, PACKAGE, load_fragment

options = importlib.import_module(f"{PACKAGE}.module_utils._core.options")
spec_of = importlib.import_module(f"{PACKAGE}.module_utils._core.module").connection_spec
TABLES = {
    "ips": options.IPS_CONNECTION,
    "cos": options.COS_CONNECTION,
    "ledger": options.LEDGER,
    "ledger.writing": options.LEDGER_WRITING,
}
#: Variables that are not ours and mean more than one option.
FOREIGN = {"HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "XDG_STATE_HOME"}

PAIRS = [pytest.param(group, option, id=f"{group}.{option.name}") for group, table in TABLES.items() for option in table]


def documented(group: str) -> dict[str, Any]:
    return load_fragment(f"intrusion.response.{group}")["options"]


def variables(option: dict[str, Any]) -> list[str]:
    return re.findall(r"E\((\w+)\)", " ".join(option["description"]))


@pytest.mark.parametrize("group", TABLES)
def test_names_and_their_order(group):
    assert list(documented(group)) == [option.name for option in TABLES[group]]


@pytest.mark.parametrize(("group", "option"), PAIRS)
def test_type_default_and_environment(group, option):
    text = documented(group)[option.name]
    assert text["type"] == option.type
    assert text.get("default") == option.default
    assert text.get("required", False) == option.required
    assert [name for name in variables(text) if name not in FOREIGN] == list(option.env)


@pytest.mark.parametrize(("group", "option"), PAIRS)
def test_argument_specification(group, option):
    argument = spec_of(TABLES[group])[option.name]
    assert argument["type"] == option.type
    assert argument.get("default") == option.default
    assert argument.get("required", False) == option.required
    assert argument["no_log"] is option.secret
    assert list(argument["fallback"][1] if option.env else ()) == list(option.env)


def test_secrets_are_marked():
    for table in TABLES.values():
        assert {option.name for option in table if option.secret} == {option.name for option in table} & {"password", "token"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_modules_take_the_whole_table_of_their_service(module):
    spec = module.code.ARGUMENT_SPEC
    table = {"response": "ledger"}.get(module.group, module.group)
    assert {name: spec[name] for name in documented(table)} == spec_of(TABLES[table])
    assert f"intrusion.response.{table}" in module.documentation["extends_documentation_fragment"]


def test_every_module_that_blocks_writes_to_the_ledger():
    for module in MODULES:
        blocks = module.group == "cos" and not module.is_info
        assert blocks == ("intrusion.response.ledger.writing" in module.documentation["extends_documentation_fragment"]), module.name
        if blocks:
            expected = spec_of(options.LEDGER_WRITING)
            assert {name: module.code.ARGUMENT_SPEC[name] for name in expected} == expected, module.name


def test_every_module_that_blocks_has_the_guard():
    fragment = load_fragment("intrusion.response.guard")["options"]
    assert set(fragment) == {"never_block", "allow_protected"}
    assert variables(fragment["never_block"]) == [options.NEVER_BLOCK_ENV]
    for module in MODULES:
        blocks = module.group == "cos" and not module.is_info
        assert blocks == (set(fragment) <= set(module.code.ARGUMENT_SPEC)), module.name
        assert blocks == ("intrusion.response.guard" in module.documentation["extends_documentation_fragment"]), module.name
        returned = {**module.returns, **module.returns.get("entries", {}).get("contains", {})}
        assert blocks == ("protected" in returned), module.name
