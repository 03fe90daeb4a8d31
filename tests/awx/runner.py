# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a job for real: ansible-runner with a private data directory as AWX lays it out, in a home that is thrown away after it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tools.workspace import clean_environment, make_home

from .jobs import Outcome
from .store import Store

BIN = Path(sys.executable).parent


class Unsafe(str):
    """A text that Ansible must not run as a template."""


yaml.SafeDumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


def run(store: Store, job: Mapping[str, Any]) -> Outcome:
    """Run it as RunJob does (awx/main/tasks/jobs.py); what an execution environment holds is what the tests have installed."""
    template = store.get("job_templates", job["template"])
    with tempfile.TemporaryDirectory(prefix="awx_") as folder:
        place, home = Path(folder, "private"), Path(folder, "home")
        for name in ("env", "inventory"):
            (place / name).mkdir(parents=True)
        project = store.get("projects", template["project"])
        (place / "project").symlink_to(store.directory(project) or place, target_is_directory=True)
        hosts = f"#!{sys.executable}\nprint({json.dumps(inventory(store, template['inventory']))!r})\n"
        (place / "inventory" / "hosts").write_text(hosts, encoding="utf-8")
        (place / "inventory" / "hosts").chmod(0o700)
        variables = {name: value if name in job["_safe"] else unsafe(value) for name, value in job["_variables"].items()}
        (place / "env" / "extravars").write_text(yaml.safe_dump({**variables, **about(store, job, template)}), encoding="utf-8")
        arguments = ["-u", "root", *(["--check"] if job["job_type"] == "check" else []), *(["-l", job["limit"]] if job["limit"] else [])]
        (place / "env" / "cmdline").write_text(shlex.join(arguments), encoding="utf-8")
        environment = clean_environment(
            BIN, make_home(home), JOB_ID=str(job["id"]), AWX_HOST="https://awx.example.com", INVENTORY_ID=str(template["inventory"]),
            PROJECT_REVISION="", ANSIBLE_UNSAFE_WRITES="1", ANSIBLE_FORCE_COLOR="false", ANSIBLE_RETRY_FILES_ENABLED="False",
            **store.task_env, **injected(store, template, place),
        )
        command = [BIN / "ansible-runner", "run", place, "-p", template["playbook"], "--ident", str(job["id"]), "--quiet"]
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
        done = place / "artifacts" / str(job["id"])
        status, output = ((done / name).read_text(encoding="utf-8") for name in ("status", "stdout"))
        told = stats(done)
        failed = None if told is None else tuple(sorted({*told.get("failures", ()), *told.get("dark", ())}))
        return Outcome(status, (told or {}).get("artifact_data") or {}, output, failed)


def unsafe(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unsafe(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unsafe(one) for one in value]
    return Unsafe(value) if isinstance(value, str) else value


def about(store: Store, job: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Return what AWX tells every job of itself (UnifiedJob.awx_meta_vars)."""
    told = {"job_id": job["id"], "job_launch_type": job["launch_type"], "job_template_id": template["id"],
            "job_template_name": template["name"], "inventory_id": template["inventory"]}
    if job["_user"] is not None:
        user = store.get("users", job["_user"])
        told |= {"user_id": user["id"], "user_name": user["username"], "user_email": user["email"]}
    elif job.get("schedule_name"):
        told |= {"schedule_id": 1, "schedule_name": job["schedule_name"]}
    if job.get("workflow_job"):
        workflow = store.get("workflow_jobs", job["workflow_job"])
        told |= {f"workflow_job_{name}": workflow[name] for name in ("id", "name", "launch_type")}
    return {f"{prefix}_{name}": value for prefix in ("awx", "tower") for name, value in told.items()}


def inventory(store: Store, number: int) -> dict[str, Any]:
    """Return what AWX's inventory script prints; variables are kept as text."""
    def variables(one: Mapping[str, Any]) -> Any:
        return yaml.safe_load(one["variables"]) or {}

    hosts = {one["id"]: one for one in store.find("hosts", {"inventory": str(number)})}
    told: dict[str, Any] = {"all": {"vars": variables(store.get("inventories", number))}}
    for group in store.find("groups", {"inventory": str(number)}):
        inside = store.links["groups", group["id"], "hosts"]
        told[group["name"]] = {"hosts": [hosts[one]["name"] for one in inside], "vars": variables(group)}
    told["all"]["hosts"] = [host["name"] for host in hosts.values()]
    told["_meta"] = {"hostvars": {host["name"]: {**variables(host), "remote_tower_enabled": "true", "remote_tower_id": number}
                                  for number, host in hosts.items()}}
    return told


def injected(store: Store, template: Mapping[str, Any], place: Path) -> dict[str, str]:
    """Return the variables of the credentials, whose files are written (CredentialType.inject_credential)."""
    environment: dict[str, str] = {}
    sandbox = ImmutableSandboxedEnvironment()
    for number in store.links["job_templates", template["id"], "credentials"]:
        credential = store.get("credentials", number)
        kind = store.get("credential_types", credential["credential_type"])
        names = {name: value for name, value in credential["inputs"].items() if isinstance(value, bool) or value}
        for field in kind["inputs"]["fields"]:
            if field.get("type") == "boolean":
                names.setdefault(field["id"], False)
        files = {}
        for label, text in kind["injectors"].get("file", {}).items():
            with tempfile.NamedTemporaryFile("w", dir=place / "env", delete=False, encoding="utf-8") as file:
                file.write(sandbox.from_string(text).render(names))
            files[label.partition(".")[2]] = file.name
        names["tower"] = {"filename": files.get("") or files}
        environment |= {name: sandbox.from_string(text).render(names) for name, text in kind["injectors"].get("env", {}).items()}
    return environment


def stats(done: Path) -> dict[str, Any] | None:
    """Return what the last event says: which hosts failed, and what set_stats left."""
    for path in sorted((done / "job_events").glob("*.json"), key=lambda path: int(path.name.partition("-")[0]), reverse=True):
        event = json.loads(path.read_text(encoding="utf-8"))
        if event["event"] == "playbook_on_stats":
            told: dict[str, Any] = event["event_data"]
            return told
    return None
