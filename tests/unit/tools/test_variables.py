# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of all variables, and the schemas beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from tools.environment import ROOT
from tools.variables import specs, write_variables


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pages")
    write_variables(ROOT, place)
    return place


def test_every_variable_stands_on_the_page_once(pages: Path) -> None:
    text = (pages / "variables.md").read_text(encoding="utf-8")
    roles = dict(re.findall(r"^## Role (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    wanted = {role: sorted({name for spec in entries.values() for name in spec["options"]}) for role, entries in specs(ROOT).items()}
    assert {role: re.findall(r"^\| \{ref\}`(\w+) ", body, re.MULTILINE) for role, body in roles.items()} == wanted
    books = {path.stem for path in ROOT.glob("playbooks/*.yml")}
    rows = [[cell.strip() for cell in line.split(" | ")] for body in roles.values() for line in body.splitlines() if "{ref}" in line]
    assert {book for row in rows for book in row[2].split(", ") if book} == books, "each playbook calls a role"
    assert {row[2] for row in rows if "`protect_purge " in row[0]} == {"onboard"}
    assert "| `protect_target` | offboard | which servers: a host pattern; required |" in text


def test_schemas_take_what_is_documented_and_refuse_the_rest(pages: Path) -> None:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (pages / "static" / "schemas").iterdir()}
    assert set(found) == {"responder", "awx_setup"}
    guides = {"awx_setup": ("docs/awx.md", "awx_"), "responder": ("README.md", "host")}
    for name, (guide, begins) in guides.items():
        jsonschema.Draft7Validator.check_schema(found[name])
        blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / guide).read_text(encoding="utf-8"), re.DOTALL)
        example = next(data for data in map(yaml.safe_load, blocks) if isinstance(data, dict) and next(iter(data)).startswith(begins))
        jsonschema.validate(example, found[name])
    for bad in ({"awx_firewalls": []}, {"awx_organization": 5}, {"awx_firewalls_credential": {"username": "blocker"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, found["awx_setup"])
