# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rulebooks run on: a protected server and a firewall on an emulator, and real ansible-rulebook."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from emulator import events
from emulator.testing import EmulatorProcess
from tools.ports import free_port
from tools.shell import stop_group
from tools.workspace import clean_environment

T = TypeVar("T")
BIN = Path(sys.executable).parent
SERVER = "VA1ACMEWEB01"
SECRET = "canary-path-secret-4Rt7"
PATIENCE = 90.0  # seconds, many times what anything here takes


def until(what: str, look: Callable[[], T]) -> T:
    """Look until there is something to see, and return it."""
    end = time.monotonic() + PATIENCE
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.05)


class Stage:
    """A context manager; everything that is written lands below the directory."""

    def __init__(self, directory: Path) -> None:
        self.place = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/ips/{SECRET}"
        self.emulator = EmulatorProcess("--firewalls", "fw1")

    def __enter__(self) -> Stage:
        self.emulator.__enter__()
        ready = self.emulator.ready
        firewall, user = ready["firewalls"][0], ready["firewall_users"][0]
        self.firewall = {
            "name": firewall["name"], "api_url": firewall["api_url"], "username": user["username"], "password": user["password"],
            "ca_path": ready["ca_path"],
        }
        variables = {f"cos_{name}": value for name, value in self.firewall.items() if name != "name"}
        inventory = {"firewalls": {"hosts": {firewall["name"]: variables}}}
        (self.place / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        (self.place / "path-secrets").write_text(f"{SECRET}\n", encoding="utf-8")
        (self.place / "path-secrets").chmod(0o600)
        (self.place / "tmp").mkdir()
        self.emulator.control("POST", "seed", {
            "agents": [{"server": SERVER}],
            "destinations": [{"server": SERVER, "destinations": [{"typeCode": "WEBHOOK", "url": self.url}]}],
        })
        return self

    def __exit__(self, *_unused: object) -> None:
        self.emulator.stop()

    def variables(self, **more: Any) -> dict[str, Any]:
        """Return what every rulebook is told: where to listen, with which secret, where to keep events."""
        return {
            "port": self.port, "path_secrets_file": str(self.place / "path-secrets"),
            "state_dir": str(self.place / "state"), **more,
        }

    def raise_event(self, **fields: Any) -> None:
        """Let the IPS see something on the server, and post it to the server's WEBHOOK destination."""
        raised = self.emulator.control("POST", "events", {"server": SERVER, "event": fields})
        assert raised["event"], "the IPS saw nothing"

    def post(self, **fields: Any) -> None:
        """Post an event without the help of the IPS."""
        body = json.dumps(events.build(SERVER, time.time(), fields)).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.status == 200

    def blocked(self) -> dict[str, dict[str, Any]]:
        """Return the firewall's entries that came in through the API, by host."""
        entries = self.emulator.control("GET", "state")["firewalls"]["fw1"]["entries"]
        return {entry["host"]: entry for entry in entries if entry["alert_type"] == "REST"}

    def wait_for_block(self, host: str) -> dict[str, Any]:
        return until(f"a block of {host}", lambda: self.blocked().get(host) or {})


class Rulebook:
    """ansible-rulebook with one rulebook, running until the end of the context."""

    def __init__(self, stage: Stage, rulebook: str | Path, variables: Mapping[str, Any], *arguments: str, **environment: str) -> None:
        self.stage = stage
        self.environment = environment
        self.log = stage.place / "rulebook.log"
        given = stage.place / "variables.json"
        given.write_text(json.dumps(variables), encoding="utf-8")
        given.chmod(0o600)
        self.command = [str(BIN / "ansible-rulebook"), "--rulebook", str(rulebook), "--vars", str(given), *arguments]

    def __enter__(self) -> Rulebook:
        place = self.stage.place
        environment = clean_environment(
            BIN, place, TMPDIR=str(place / "tmp"), INTRUSION_RESPONSE_STATE_DIR=str(place / "state"),
            EDA_JOB_TEMPLATE_REFRESH_DELAY="0.2", **self.environment,
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until("a listening source", self._listens)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_unused: object) -> None:
        stop_group(self.process)
        print(self.output())  # pytest shows it when a test fails

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"ansible-rulebook ended\n{self.output()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.stage.port)) == 0

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the output has a line that matches, and return the match."""
        found = until(pattern, lambda: re.search(pattern, self.output(), re.MULTILINE))
        assert found
        return found

    def plays(self) -> int:
        """Return how many playbooks have started so far."""
        return len(re.findall(r"^PLAY \[", self.output(), re.MULTILINE))
