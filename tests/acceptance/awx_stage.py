# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An AWX that awx_setup has set up: run once, however many processes and layers test it, until something of it changes."""

from __future__ import annotations

import fcntl
import json
import pickle
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from awx.jobs import DONE, Run
from awx.server import TOKEN, Controller

from tools.environment import ROOT, fingerprint
from tools.wheel import awx_collections
from tools.workspace import CACHE, clean_environment

BIN = Path(sys.executable).parent
GIT = "https://git.example.com/intrusion.response"
SOURCES = {GIT: ROOT, "intrusion-response": ROOT / "extensions" / "awx"}
PATIENCE = 300.0  # seconds, many times what anything here takes
SETUP, TEARDOWN = (f"intrusion.response.awx_{name}" for name in ("setup", "teardown"))


class Played:
    """What came of a playbook."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status, self.output = done.returncode, done.stdout + done.stderr
        recap = re.search(r"changed=(\d+)", self.output)
        self.changed = int(recap[1]) if recap else -1


def play(controller: Controller, playbook: str, variables: Mapping[str, Any], *arguments: str) -> Played:
    """Run a playbook on AWX, as from a shell."""
    collections = awx_collections()
    if collections is None:
        pytest.skip("awx.awx: the package ansible 12.3.0, which holds it, cannot be downloaded")
    environment = clean_environment(
        BIN, CONTROLLER_HOST=controller.url, CONTROLLER_OAUTH_TOKEN=TOKEN,
        ANSIBLE_COLLECTIONS_PATH=f"{collections}:{sysconfig.get_path('purelib')}",
    )
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(variables, file)
        file.flush()
        command = [BIN / "ansible-playbook", playbook, "-e", f"@{file.name}", *arguments]
        return Played(subprocess.run(command, env=environment, capture_output=True, text=True, check=False))


def variables(**more: Any) -> dict[str, Any]:
    """Return a file of variables with everything in it."""
    return {
        "awx_organization": "Security", "awx_project_url": GIT, "awx_image": "registry.example.com/intrusion-response:1.0.0",
        "awx_firewalls": {"fw1": {"cos_api_url": "https://192.0.2.1"}, "fw2": {"cos_api_url": "https://192.0.2.2"}},
        "awx_servers": {"VA1ACMEWEB01": None},
        "awx_firewalls_credential": {"username": "blocker", "password": "canary-firewall-7Kd2", "ledger": "canary-ledger-9Qw4"},
        "awx_ips_credential": {"username": "ips", "password": "canary-ips-3Zx8"},
        "awx_never_block": ["198.51.100.0/24"],
        "awx_notification": {"type": "webhook", "configuration": {
            "url": "https://hooks.example.com/x", "http_method": "POST", "headers": {}, "username": "u", "password": "canary-hook-5Tr6",
            "disable_ssl_verification": False,
        }, "events": ["success", "error", "approvals"]},
        **more,
    }


def made_from() -> str:
    """Return a digest of what the set-up depends on."""
    files = [Path(__file__), *(path for folder in ("roles/awx", "extensions/awx", "tests/awx", "playbooks")
                               for path in sorted((ROOT / folder).rglob("*.*")) if path.suffix in (".py", ".yml", ".jsonl"))]
    return fingerprint(*(path.read_bytes() for path in files))[:16]


def set_up(run: Run | None = None) -> Controller:
    """Return an AWX as awx_setup leaves it; the first who asks runs it."""
    kept = CACHE / "awx" / f"{made_from()}.pickle"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / "awx" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_file():
            with Controller(SOURCES) as controller:
                played = play(controller, SETUP, variables(), "-vvv")
            assert played.status == 0, played.output
            assert "canary" not in played.output
            for old in kept.parent.glob("*.pickle"):
                old.unlink()
            kept.write_bytes(pickle.dumps(controller.store))
    controller = Controller(SOURCES, run)
    controller.store = controller.jobs.store = pickle.loads(kept.read_bytes())
    return controller


def finished(controller: Controller, number: int, collection: str = "jobs") -> dict[str, Any]:
    """Wait for a job to end, and return it."""
    end = time.monotonic() + PATIENCE
    while controller.store.get(collection, number)["status"] not in (*DONE, "error"):
        assert time.monotonic() < end, controller.store.get(collection, number)
        time.sleep(0.05)
    return controller.store.get(collection, number)


def point_at(controller: Controller, ready: Mapping[str, Any], ledger: Path | str) -> None:
    """Give the AWX the services of an emulator, as an administrator would: in the inventory, the credentials and a setting."""
    store = controller.store
    for firewall in ready["firewalls"]:
        controller.named("hosts", firewall["name"])["variables"] = json.dumps({"cos_api_url": firewall["api_url"]})
    controller.named("hosts", "VA1ACMEWEB01")["variables"] = json.dumps({"protect_detection": "api"})
    certificate = Path(ready["ca_path"]).read_text(encoding="utf-8")
    blocker, user = ready["firewall_users"][0], ready["users"][0]
    for name, person, more in (("firewalls", blocker, {"ledger": str(ledger)}), ("IPS", user, {})):
        inputs = {"username": person["username"], "password": person["password"], "ca_certificate": certificate, **more}
        store.patch("credentials", controller.named("credentials", f"Intrusion response {name}")["id"], {"inputs": inputs})
    store.task_env = {"IPS_API_URL": ready["ips_url"], "CLC_V2_API_URL": ready["clc_url"]}


def launch(controller: Controller, name: str, job_type: str = "run", **answers: Any) -> dict[str, Any]:
    """Launch a template as admin does, with answers that its survey takes, and return the job when it has ended."""
    template = controller.named("job_templates", name)
    path, body = f"/api/v2/job_templates/{template['id']}/launch/", {"extra_vars": answers, "job_type": job_type}
    launched = controller.serve("POST", path, {}, body, f"Bearer {TOKEN}")[1]
    assert launched["ignored_fields"] == {}
    return finished(controller, launched["id"])


def relaunch(controller: Controller, job: Mapping[str, Any], hosts: str) -> dict[str, Any]:
    """Launch a job anew as admin does, and return what comes of it."""
    made = controller.serve("POST", f"/api/v2/jobs/{job['id']}/relaunch/", {}, {"hosts": hosts}, f"Bearer {TOKEN}")[1]
    return finished(controller, made["id"])
