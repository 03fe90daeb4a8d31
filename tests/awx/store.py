# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the AWX of the tests holds, and what it refuses to hold."""

from __future__ import annotations

import copy
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .catalogue import BLOCKED_VARIABLES, JOBS, KINDS, UNIFIED, Kind
from .surveys import wrong_with_spec

API = "/api/v2"
HIDDEN = "$encrypted$"
PLAYBOOK = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):", re.MULTILINE)
UNIFIED_KINDS = ("projects", "job_templates", "workflow_job_templates", "workflow_approval_templates")
WORDS = {bool: "Must be a valid boolean.", int: "A valid integer is required.", str: "Not a valid string."}
#: Objects that go with the one that this field of theirs names; of others the field is emptied.
GO_WITH = {"organization", "workflow_job_template"}


class Refused(Exception):
    """A request that AWX answers with an error."""

    def __init__(self, body: Mapping[str, Any], status: int = 400) -> None:
        super().__init__(f"{status}: {body}")
        self.body, self.status = body, status


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


class Store:
    """Objects by collection and number, what they are linked to, and surveys.

    Args:
        sources: the directory of each project, by its scm_url or, of a manual project, its local_path.
        first: the first number of a collection, where it is not 1.
    """

    def __init__(self, sources: Mapping[str, Path], first: Mapping[str, int] | None = None) -> None:
        self.sources = sources
        self.task_env: dict[str, str] = {}  # the setting AWX_TASK_ENV
        self.objects: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in (*KINDS, *JOBS)}
        self.links: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        self.surveys: dict[int, dict[str, Any]] = {}
        self.roles: dict[int, tuple[str, int, str]] = {}
        self._numbers: dict[str, Iterator[int]] = {}
        self._first = first or {}
        self.objects["users"][1] = {**KINDS["users"].fields, "id": 1, "type": "user", "username": "admin", "password": "admin-password",
                                    "is_superuser": True, "created": now(), "modified": now()}
        next(self._counter("users"))
        self.create("organizations", {"name": "Default", "description": "The default organization"})

    def _counter(self, name: str) -> Iterator[int]:
        return self._numbers.setdefault(name, itertools.count(self._first.get(name, 1)))

    def number(self, collection: str) -> int:
        shared = "jobs" if collection in JOBS else KINDS[collection].numbers if collection in KINDS else ""
        return next(self._counter(shared or collection))

    # what is held

    def place(self, collection: str, number: int) -> str:
        """Return the collection in which an object is; that of a unified template is not known by its name."""
        if collection != UNIFIED:
            return collection
        return next((kind for kind in UNIFIED_KINDS if number in self.objects[kind]), UNIFIED)

    def get(self, collection: str, number: int) -> dict[str, Any]:
        found = self.objects.get(self.place(collection, number), {}).get(number)
        if found is None:
            raise Refused({"detail": "Not found."}, 404)
        return found

    def create(self, collection: str, given: Mapping[str, Any], user: int = 1, **more: Any) -> dict[str, Any]:
        kind = KINDS[collection]
        missing = {name: ["This field is required."] for name in kind.required if given.get(name) in (None, "")}
        if missing:
            raise Refused(missing)
        fields = self._checked(collection, {**copy.deepcopy(dict(kind.fields)), **self._known(kind, given)}, None)
        number = self.number(collection)
        made = {"id": number, "type": kind.type, "created": now(), "modified": now(), **fields, **more, "created_by": user}
        self.objects[collection][number] = made
        for role in kind.roles:
            self.roles[self.number("roles")] = (collection, number, role)
        if collection == "projects":
            self._update_project(made)
        return made

    def patch(self, collection: str, number: int, given: Mapping[str, Any]) -> dict[str, Any]:
        held = self.get(collection, number)
        kind = KINDS[collection]
        fields = self._checked(collection, {**{name: held[name] for name in kind.fields}, **self._known(kind, given)}, held)
        held.update(fields, modified=now())
        if collection == "projects" and {"scm_url", "scm_branch"} & given.keys():
            self._update_project(held)
        return held

    def delete(self, collection: str, number: int) -> None:
        held = self.get(collection, number)
        if collection == "workflow_job_template_nodes":  # its approval is part of it
            self.objects["workflow_approval_templates"].pop(held["unified_job_template"], None)
        if collection == "credential_types" and any(one["credential_type"] == number for one in self.objects["credentials"].values()):
            raise Refused({"detail": "Credential types that are in use cannot be deleted."}, 403)
        for other, kind in KINDS.items():
            fields = [name for name, referred in kind.refers.items() if self.place(referred, number) == collection]
            for one in [one for one in self.objects[other].values() for name in fields if one[name] == number]:
                for name in fields:
                    if name in GO_WITH or other in ("hosts", "groups"):
                        self.delete(other, one["id"])
                    elif one[name] == number:
                        one[name] = None
        del self.objects[collection][number]
        if collection in UNIFIED_KINDS:
            self.surveys.pop(number, None)
        for role in [role for role, (held, owner, _name) in self.roles.items() if (held, owner) == (collection, number)]:
            del self.roles[role]
        for (owner, _number, name), linked in self.links.items():
            if self._target(owner, name) == collection and number in linked:
                linked.remove(number)

    @staticmethod
    def _target(owner: str, name: str) -> str:
        return name if owner == "roles" else KINDS[owner].lists[name]

    @staticmethod
    def _known(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: "" if value is None and isinstance(kind.fields[name], str) else value
                for name, value in given.items() if name in kind.fields}

    # what is refused

    def _checked(self, collection: str, fields: dict[str, Any], held: Mapping[str, Any] | None) -> dict[str, Any]:
        kind, wrong = KINDS[collection], {}
        for name, default in kind.fields.items():
            value = fields[name]
            if name in kind.refers:
                if value is not None and not isinstance(value, int):
                    wrong[name] = [f"Incorrect type. Expected pk value, received {type(value).__name__}."]
                elif value is not None and value not in self.objects[self.place(kind.refers[name], value)]:
                    wrong[name] = [f'Invalid pk "{value}" - object does not exist.']
            elif isinstance(default, dict) and not isinstance(value, dict):
                wrong[name] = [f"{type(value).__name__} provided, expected dict"]
            elif type(default) in WORDS and type(value) is not type(default):
                wrong[name] = [WORDS[type(default)]]
        if not wrong:
            wrong = getattr(self, f"_wrong_{collection}", lambda _fields: {})(fields)
        if wrong:
            raise Refused(wrong)
        if kind.unique and any(one is not held and all(one[name] == fields[name] for name in kind.unique)
                               for one in self.objects[collection].values()):
            raise Refused({"__all__": [f"{kind.type} with this {', '.join(kind.unique)} already exists."]})
        return fields

    @staticmethod
    def _wrong_credential_types(fields: Mapping[str, Any]) -> dict[str, list[str]]:
        if fields["kind"] not in ("cloud", "net"):
            return {"kind": [f"Must be 'cloud' or 'net', not {fields['kind']}"]}
        known = {"id", "label", "type", "secret", "multiline", "help_text", "default", "format", "choices", "ask_at_runtime"}
        for field in fields["inputs"].get("fields", []):
            field.setdefault("type", "string")
            strange = set(field) - known | ({"secret", "multiline"} & set(field) if field["type"] != "string" else set())
            if strange or not {"id", "label"} <= set(field):
                return {"inputs": [f"{field.get('id')}: {sorted(strange)} not allowed, or id or label missing"]}
        return Store._wrong_injectors(fields)

    @staticmethod
    def _wrong_injectors(fields: Mapping[str, Any]) -> dict[str, list[str]]:
        files, variables = (fields["injectors"].get(what, {}) for what in ("file", "env"))
        names = {field["id"]: "EXAMPLE" for field in fields["inputs"].get("fields", [])}
        held = {name.partition(".")[2]: "EXAMPLE_FILENAME" for name in files}
        namespace = {**names, "tower": {"filename": held.get("") or held}}
        sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        for name, text in {**files, **variables}.items():
            try:
                sandbox.from_string(text).render(namespace)
            except TemplateError as error:
                return {"injectors": [f"{name} uses an undefined field ({error})"]}
        for name, text in variables.items():
            if name.startswith("ANSIBLE_") or name in BLOCKED_VARIABLES or not text.isascii():
                return {"injectors": [f"Environment variable {name} is not allowed to be used in credentials."]}
        return {}

    def _wrong_credentials(self, fields: Mapping[str, Any]) -> dict[str, list[str]]:
        inputs = {field["id"]: field for field in self.get("credential_types", fields["credential_type"])["inputs"].get("fields", [])}
        for name, value in fields["inputs"].items():
            if name not in inputs:
                return {"inputs": [f"Additional properties are not allowed ('{name}' was unexpected)"]}
            if not isinstance(value, bool if inputs[name]["type"] == "boolean" else str):
                return {"inputs": [f"{name}: {value!r} is not of type '{inputs[name]['type']}'"]}
        return {}

    def _wrong_job_templates(self, fields: dict[str, Any]) -> dict[str, list[str]]:
        project = self.get("projects", fields["project"])
        fields["organization"] = project["organization"]
        return {} if fields["playbook"] in self.playbooks(project) else {"playbook": ["Playbook not found for project."]}

    def set_survey(self, number: int, spec: Any) -> None:
        wrong = wrong_with_spec(spec)
        if wrong:
            raise Refused({"error": wrong})
        self.surveys[number] = spec

    # projects

    def directory(self, project: Mapping[str, Any]) -> Path | None:
        return self.sources.get(project["scm_url"] or project["local_path"])

    def playbooks(self, project: Mapping[str, Any]) -> list[str]:
        """Return what AWX takes for a playbook of the project (awx/main/utils/ansible.py)."""
        root = self.directory(project)
        found = []
        for path in sorted(root.rglob("*.y*ml")) if root else []:
            parts = path.relative_to(root).parts
            if {"roles", "tasks", "group_vars", "host_vars"} & set(parts[:-1]) or any(part.startswith(".") for part in parts):
                continue
            if PLAYBOOK.search(path.read_text(encoding="utf-8", errors="ignore")):
                found.append(path.relative_to(root).as_posix())
        return found

    def _update_project(self, project: dict[str, Any]) -> None:
        if not project["scm_type"]:
            project["status"] = "ok" if self.directory(project) else "missing"
            return
        number, there = self.number("project_updates"), self.directory(project) is not None
        project["local_path"] = project["local_path"] or f"_{project['id']}__{re.sub(r'[^a-z0-9]+', '_', project['name'].lower())}"
        project.update(status="pending", update=number)
        self.objects["project_updates"][number] = {
            "id": number, "type": "project_update", "project": project["id"], "created": now(), "modified": now(), "name": project["name"],
            "status": "successful" if there else "failed", "failed": not there, "started": now(), "finished": now(), "elapsed": 0.1,
            "event_processing_finished": True,
        }

    # lists

    def find(self, collection: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the objects that a query names, oldest first."""
        kinds = UNIFIED_KINDS if collection == UNIFIED else (collection,)
        either = {name[4:]: value for name, value in query.items() if name.startswith("or__")}
        every = {name: value for name, value in query.items() if not name.startswith("or__") and name not in ("page", "page_size")}
        found = [one for kind in kinds for one in self.objects[kind].values()]
        found = [one for one in found if all(self._has(one, name, value) for name, value in every.items())]
        if either:
            found = [one for one in found if any(self._has(one, name, value) for name, value in either.items())]
        return sorted(found, key=lambda one: one["id"])

    def _has(self, one: Mapping[str, Any], name: str, value: str) -> bool:
        name, _separator, rest = name.partition("__")
        if name not in one:
            return False
        if rest and rest != "in":
            kind = next(kind for kind in KINDS.values() if kind.type == one["type"])
            return one[name] is not None and self._has(self.get(kind.refers[name], one[name]), rest, value)
        wanted = value.split(",") if rest == "in" else [value]
        return str(one[name]) in wanted
