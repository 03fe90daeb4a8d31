# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page of the site: all variables of roles and playbooks, from the argument specs and the heads of the playbooks; and JSON schemas."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

#: What a type of an argument spec accepts, in words of JSON schema; "raw" accepts everything.
TYPES = {"str": "string", "bool": "boolean", "int": "integer", "list": "array", "dict": "object"}
RESPONDER = Path("extensions/eda/plugins/event_source/schemas/webhook.json")
SCHEMAS = (
    '<a href="_static/schemas/responder.json">the file of the responder</a>, '
    '<a href="_static/schemas/awx_setup.json">the variables of awx_setup</a>'
)
OWN = re.compile(r"^# (\w+) {3,}(.*)$", re.MULTILINE)


def write_variables(tree: Path, pages: Path) -> None:
    """Write the page, and the schemas where the site serves files as they are."""
    schemas = pages / "static" / "schemas"
    schemas.mkdir(parents=True)
    (schemas / "responder.json").write_bytes((tree / RESPONDER).read_bytes())
    setup = specs(tree)["awx"]["setup"]
    document = {"$schema": "http://json-schema.org/draft-07/schema#", "title": setup["short_description"], **schema(setup)}
    (schemas / "awx_setup.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (pages / "variables.md").write_text(page(tree), encoding="utf-8")


def specs(tree: Path) -> dict[str, dict[str, Any]]:
    """Return the entry points of each role, by name, as the argument specs describe them."""
    files = sorted(tree.glob("roles/*/meta/argument_specs.yml"))
    return {file.parts[-3]: yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"] for file in files}


def schema(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a mapping of options, or of one option."""
    found: dict[str, Any] = {"description": " ".join(texts(spec.get("description", ())))}
    kind = spec.get("type", "dict")
    if kind in TYPES:
        found["type"] = TYPES[kind]
    if "options" in spec:
        found["properties"] = {name: schema(option) for name, option in spec["options"].items()}
        found["required"] = [name for name, option in spec["options"].items() if option.get("required")]
    if "elements" in spec:
        found["items"] = {"type": TYPES[spec["elements"]]} if spec["elements"] in TYPES else {}
    if "choices" in spec:
        found["enum"] = spec["choices"]
    if "default" in spec and "{{" not in str(spec["default"]):
        found["default"] = spec["default"]
    return found


def texts(description: Any) -> list[str]:
    """Return the sentences of a description without Ansible's markup."""
    whole = [description] if isinstance(description, str) else description
    return [re.sub(r"\b[A-Z]\(([^()]*)\)", r"\1", text) for text in whole]


def page(tree: Path) -> str:
    """Return the page; what a variable means stands on the page of its role, to which its name leads."""
    used: dict[tuple[str, str], list[str]] = defaultdict(list)
    own: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sorted(tree.glob("playbooks/*.yml")):
        text = file.read_text(encoding="utf-8")
        for name, meaning in OWN.findall(text):
            own[name, meaning].append(file.stem)
        for play in yaml.safe_load(text):
            for task in play["tasks"]:
                role = task.get("ansible.builtin.import_role")
                if role:
                    used[role["name"].rpartition(".")[2], role.get("tasks_from", "main")].append(file.stem)
    lines = [
        "# Variables", "",
        "The variables of the playbooks are those of the roles they call, and some of their own. A name leads to its description.", "",
        f"JSON schemas: {SCHEMAS}.", "",
        "## Playbooks", "", "| Variable | Playbooks | Meaning |", "| --- | --- | --- |",
        *(f"| `{name}` | {', '.join(books)} | {meaning} |" for (name, meaning), books in sorted(own.items())), "",
    ]  # fmt: skip
    for role, entries in specs(tree).items():
        lines += [f"## Role {role}", "", "| Variable | Entry points | Playbooks | Type | Default |", "| --- | --- | --- | --- | --- |"]
        where: dict[str, list[str]] = defaultdict(list)
        for entry, spec in entries.items():
            for name in spec["options"]:
                where[name].append(entry)
        for name, found in sorted(where.items()):
            option = entries[found[0]]["options"][name]
            label = f"ansible_collections.intrusion.response.{role}_role__parameter-{found[0]}__{name}"
            books = sorted({book for entry in found for book in used[role, entry]})
            default = "required" if option.get("required") else ""
            if "default" in option:
                default = f"`{option['default'] if option['type'] == 'str' else json.dumps(option['default'])}`"
            lines.append(f"| {{ref}}`{name} <{label}>` | {', '.join(found)} | {', '.join(books)} | {option['type']} | {default} |")
        lines.append("")
    return "\n".join(lines)
