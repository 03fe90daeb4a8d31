# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo stands on: the emulated services, an inventory, credentials, and a way to run commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.testing import EmulatorProcess
from tools.shell import starting, stop_group
from tools.workspace import FOREIGN_VARIABLES, utf8_locale

from .responder import Responder

BIN = Path(sys.executable).parent
PATIENCE = 90  # seconds for one command, many times what it takes
SERVERS = [f"VA1ACMEWEB{number:02}" for number in range(1, 9)]
FIREWALLS = ["fw1", "fw2"]
OWN_NETWORK = "198.51.100.0/24"
SEED = {"servers": [{"name": name, "alias": "ACME", "os": "redHat6_64Bit"} for name in SERVERS]}
ANSIBLE_CFG = """\
[defaults]
forks = 8
localhost_warning = false
nocows = true
retry_files_enabled = false
[inventory]
inventory_unparsed_warning = false
"""


class Misbehaviour(Exception):
    """A step did not do what it should; the text says what, output is what the command printed."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: int
    output: str

    def recap(self) -> dict[str, dict[str, int]]:
        """Return the play recap of ansible-playbook: counters of each host."""
        lines = re.findall(r"^(\S+)\s+: (ok=\d+ .*)$", self.output, re.MULTILINE)
        return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)} for host, text in lines}

    def result(self) -> dict[str, Any]:
        """Return the module's result that an ad hoc command printed."""
        match = re.search(r"^\S+ \| \w+!? => (\{.*^\})", self.output, re.MULTILINE | re.DOTALL)
        if match is None:
            raise Misbehaviour("the command printed no result", self.output)
        return json.loads(match[1])


class Stage:
    """Everything that the demo starts; as a context manager it stops all of it again.

    Args:
        place: an empty directory of its own.
        arguments: more arguments for the emulator.
        follow: files that the responder follows.
    """

    def __init__(self, place: Path, arguments: list[str], follow: Sequence[Mapping[str, Any]] = ()) -> None:
        self.place = place
        self._follow = follow
        seed = place / "seed.json"
        seed.write_text(json.dumps(SEED), encoding="utf-8")
        self.emulator = EmulatorProcess(
            "--firewalls", ",".join(FIREWALLS), "--agent-root", str(place / "servers"), "--seed", str(seed), *arguments
        )
        self._running: subprocess.Popen[str] | None = None

    def __enter__(self) -> Stage:
        self.emulator.__enter__()
        try:
            self.ready = self.emulator.ready
            self.urls = {firewall["name"]: firewall["api_url"] for firewall in self.ready["firewalls"]}
            self.responder = Responder(self.place, self.urls, [OWN_NETWORK], self.ready["ca_path"], follow=self._follow)
            self._write_files(self.urls)
        except BaseException:
            self.emulator.stop()
            raise
        return self

    def __exit__(self, *_unused: object) -> None:
        if self._running is not None:
            stop_group(self._running)  # type: ignore[arg-type]
        self.responder.stop()
        self.emulator.stop()

    def _write_files(self, urls: dict[str, str]) -> None:
        user, blocker = self.ready["users"][0], self.ready["firewall_users"][0]
        agent = self.place / "servers" / "{{ inventory_hostname }}" / "opt" / "ds_agent" / "ds_agent"
        fleet = {
            # The servers are directories of this machine: looking for the agent is real, reaching a server is not.
            "ansible_connection": "local",
            "protect_agent_path_linux": str(agent),
            "protect_destinations": [
                {"type": "webhook", "url": "{{ lookup('ansible.builtin.env', 'IPS_WEBHOOK_URL') }}"},
                {"type": "email", "email_address": "secops@example.com"},
                {"type": "syslog", "syslog": {"ip_address": "127.0.0.1", "udp_port": 5514, "facility": "local0"}},
            ],
        }
        inventory = {
            "fleet": {"hosts": {name: {} for name in SERVERS}, "vars": fleet},
            "firewalls": {"hosts": {name: {"cos_api_url": url} for name, url in urls.items()}},
        }
        (self.place / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")  # JSON is YAML
        (self.place / "ansible.cfg").write_text(ANSIBLE_CFG, encoding="utf-8")
        self.secrets = [user["password"], blocker["password"], self.responder.secret]
        path = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if "shims" not in Path(part).parts]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
        home = self.place / "home"
        home.mkdir()
        self.environment = kept | utf8_locale() | {
            "HOME": str(home),
            "INTRUSION_RESPONSE_LEDGER": str(self.place / "state" / "ledger.sqlite3"),
            "PATH": os.pathsep.join([str(BIN), *path]),
            "ANSIBLE_CONFIG": str(self.place / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "INTRUSION_RESPONSE_STATE_DIR": str(self.place / "state"),
            "CLC_V2_API_URL": self.ready["clc_url"],
            "IPS_API_URL": self.ready["ips_url"],
            "CLC_V2_API_USERNAME": user["username"],
            "CLC_V2_API_PASSWD": user["password"],
            "IPS_CA_PATH": self.ready["ca_path"],
            "IPS_WEBHOOK_URL": self.responder.url,
            "COS_API_URL": urls[FIREWALLS[0]],
            "COS_USERNAME": blocker["username"],
            "COS_PASSWORD": blocker["password"],
            "COS_CA_PATH": self.ready["ca_path"],
        }

    def write_environment(self) -> Path:
        """Write a file for a shell to read: what the commands need, and the way to this directory. Return its path."""
        names = sorted(name for name in self.environment if name != "HOME" and self.environment[name] != os.environ.get(name))
        lines = [f"export {name}={shlex.quote(self.environment[name])}" for name in names]
        path = self.place / "environment"
        path.write_text("\n".join([*lines, f"cd {shlex.quote(str(self.place))}", ""]), encoding="utf-8")
        path.chmod(0o600)
        return path

    def run(self, command: str) -> Outcome:
        """Run a command line as a user would type it, settings of the environment in front included."""
        words = shlex.split(command)
        environment = dict(self.environment)
        while re.match(r"[A-Z_]+=", words[0]):
            name, _equals, value = words.pop(0).partition("=")
            environment[name] = value
        try:
            with starting():
                self._running = process = subprocess.Popen(
                    words, cwd=self.place, env=environment, text=True, errors="replace",
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                )
            output, _none = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise Misbehaviour(f"no end after {PATIENCE} s: {command}") from None
        finally:
            if self._running is not None:
                stop_group(self._running)  # type: ignore[arg-type]
            self._running = None
        for secret in self.secrets:
            if secret in output:
                raise Misbehaviour("a secret was shown", output.replace(secret, "(the secret)"))
        return Outcome(process.returncode, output)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the emulator's controls; nothing of this goes over the emulated APIs."""
        return self.emulator.control(method, path, body)

    def servers(self) -> dict[str, dict[str, Any]]:
        """Return what the IPS holds: agent state and destinations of each server."""
        return {server["name"]: server for server in self.control("GET", "state")["servers"]}

    def blocked(self, firewall: str) -> list[dict[str, Any]]:
        """Return the entries of a firewall's blacklist that came in through the API."""
        entries = self.control("GET", "state")["firewalls"][firewall]["entries"]
        return [entry for entry in entries if entry["alert_type"] == "REST"]

    def writes(self) -> int:
        """Return how many requests have changed something so far, or tried to."""
        return len(self.emulator.writes())
