# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet and two firewalls on an emulator of one's own, and the way a user plays on them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.testing import EmulatorProcess

BIN = Path(sys.executable).parent
SERVERS = tuple(f"VA1ACMEWEB0{number}" for number in range(1, 4))
RECAP = re.compile(r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)
FOREIGN_VARIABLES = ("ANSIBLE_", "CLC_", "COS_", "INTRUSION_RESPONSE_", "IPS_", "XDG_")


@dataclass
class Played:
    """One run of a command, its recap as host -> number of changes, and the hosts that failed."""

    status: int
    output: str

    @property
    def changes(self) -> dict[str, int]:
        return {host: int(changed) for host, changed, _unused, _unused in RECAP.findall(self.output)}

    @property
    def failed(self) -> set[str]:
        return {host for host, _unused, unreachable, failed in RECAP.findall(self.output) if int(unreachable) or int(failed)}


class Fleet:
    """A context manager; everything that is written lands below ``directory``."""

    def __init__(self, directory: Path, variables: Mapping[str, Any] | None = None) -> None:
        self.home = directory / "home"
        self.temporary = directory / "tmp"
        self.state_dir = directory / "state"
        self.secret = directory / "secret"  # what the user keeps: inventory and playbooks
        self.hosts = directory / "hosts"
        self.variables = dict(variables or {})
        for path in (self.home, self.temporary, self.secret, self.hosts):
            path.mkdir()

    def __enter__(self) -> Fleet:
        self.emulator = EmulatorProcess("--firewalls", "2", "--agent-root", str(self.hosts)).__enter__()
        self.ready = self.emulator.ready
        self.write_inventory()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.emulator.stop()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Use a control of the emulator."""
        return self.emulator.control(method, path, body)

    def writes(self) -> list[dict[str, Any]]:
        return self.emulator.writes()

    def write_inventory(self) -> None:
        """Servers that are directories on this machine, and two firewalls."""
        user, blocker = self.ready["users"][0], self.ready["firewall_users"][0]
        inventory = {
            "servers": {
                "hosts": {
                    name: {"protect_agent_path_linux": str(self.hosts / name / "opt/ds_agent/ds_agent")} for name in SERVERS
                },
                "vars": {
                    "ansible_connection": "local",
                    "protect_ips_url": self.ready["ips_url"],
                    "protect_clc_url": self.ready["clc_url"],
                    "protect_ca_path": self.ready["ca_path"],
                    "protect_username": user["username"],
                    "protect_password": user["password"],
                    "protect_state_dir": str(self.state_dir),
                    "protect_destinations": [{"type": "email", "email_address": "secops@example.com"}],
                    **self.variables,
                },
            },
            "firewalls": {
                "hosts": {firewall["name"]: {"cos_api_url": firewall["api_url"]} for firewall in self.ready["firewalls"]},
                "vars": {
                    "cos_ca_path": self.ready["ca_path"],
                    "cos_username": blocker["username"],
                    "cos_password": blocker["password"],
                },
            },
        }
        (self.secret / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")

    def command(self, playbook: str | Path, *arguments: str) -> list[str]:
        return [str(BIN / "ansible-playbook"), "-i", str(self.secret / "inventory.json"), str(playbook), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
        return {
            **kept, "HOME": str(self.home), "TMPDIR": str(self.temporary), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORKS": "4",
            "ANSIBLE_LOCALHOST_WARNING": "false", "PYTHONDONTWRITEBYTECODE": "1", **more,
        }

    def play(self, playbook: str | Path, *arguments: str, **environment: str) -> Played:
        """Run a playbook to its end, whatever comes of it."""
        done = subprocess.run(
            self.command(playbook, *arguments), env=self.environment(**environment), cwd=self.temporary, timeout=300,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )
        return Played(done.returncode, done.stdout)

    def write_playbook(self, name: str, plays: list[dict[str, Any]]) -> Path:
        path = self.secret / name
        path.write_text(json.dumps(plays), encoding="utf-8")
        return path
