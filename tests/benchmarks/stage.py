# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a benchmark runs: an emulator of its own, plays as files, and commands whose time and memory are taken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from emulator.testing import EmulatorProcess
from tools.database import Server as Database
from tools.environment import COLLECTION, ROOT
from tools.shell import stop_group
from tools.workspace import clean_environment

BIN = Path(sys.executable).parent
PLAYS = Path(__file__).parent / "plays"
PATIENCE = 1800  # seconds for one command
FIREWALL = "fw1"


class Misbehaviour(Exception):
    """A run did not do what it was to do, so its time means nothing."""


def addresses(count: int, first: str = "20.0.0.1") -> list[str]:
    start = int(IPv4Address(first))
    return [str(IPv4Address(start + number)) for number in range(count)]


def expect(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Misbehaviour(f"{what}: {found} instead of {wanted}")


@dataclass(frozen=True)
class Run:
    """One command: wall and processor time in seconds, the peak memory of its biggest process in MiB, and what it printed.

    Of a process that listens for events, the first is what was measured of the events and the others are the process's own.

    The memory is never less than that of the process that measures (some 60 to 80 MiB), whose child the command is.
    """

    seconds: float
    processor: float
    memory: float
    output: str

    def recap(self) -> dict[str, dict[str, int]]:
        """Return the play recap of ansible-playbook: counters of each host."""
        lines = re.findall(r"^(\S+)\s+: (ok=\d+ .*)$", self.output, re.MULTILINE)
        return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)} for host, text in lines}


class Stage:
    """An emulator with a fleet and firewalls, and the environment that leads a user's commands to it.

    Args:
        place: an empty directory of its own.
        latency: milliseconds that the emulator adds to each answer.
        servers: names of the fleet.
        blacklists: names of more firewalls, with the addresses on their blacklists.
    """

    def __init__(
        self, place: Path, latency: float, servers: Iterable[str] = (), blacklists: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        self.place = place
        self.latency = latency
        blacklists = blacklists or {}
        entries = {
            name: {"entries": [{"host": host, "ttl": 86400, "rule_name": "seed"} for host in hosts]} for name, hosts in blacklists.items()
        }
        seed = {"servers": [{"name": name, "alias": "ACME"} for name in servers]}
        if entries:
            star = {"users": [{"username": "blocker", "password": "canary-blocker-5Tz8"}], "services": []}
            seed["firewalls"] = {"*": star, FIREWALL: {"entries": []}, **entries}  # type: ignore[assignment]
        (place / "seed.json").write_text(json.dumps(seed), encoding="utf-8")
        firewalls = ",".join([FIREWALL, *blacklists])
        self.emulator = EmulatorProcess("--firewalls", firewalls, "--seed", str(place / "seed.json"), "--latency", str(latency))
        self._runs = 0
        self._database: Database | None = None

    def __enter__(self) -> Stage:
        self.emulator.__enter__()
        try:
            self.ready = self.emulator.ready
            self.api_urls = {firewall["name"]: firewall["api_url"] for firewall in self.ready["firewalls"]}
            self._lay_out()
        except BaseException:
            self.emulator.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.emulator.stop()
        if self._database is not None:
            self._database.__exit__()

    @property
    def database(self) -> Database:
        """A database server of the stage's own, started when it is first needed."""
        if self._database is None:
            self._database = Database().__enter__()
        return self._database

    def _lay_out(self) -> None:
        home = self.place / "home"
        home.mkdir()
        (home / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
        link = self.place / "collections" / COLLECTION
        link.parent.mkdir(parents=True)
        link.symlink_to(ROOT)
        user, blocker = self.ready["users"][0], self.ready["firewall_users"][0]
        self.environment = clean_environment(
            BIN,
            home,
            ANSIBLE_COLLECTIONS_PATH=str(self.place / "collections"),
            IPS_API_URL=self.ready["ips_url"],
            CLC_V2_API_URL=self.ready["clc_url"],
            CLC_V2_API_USERNAME=user["username"],
            CLC_V2_API_PASSWD=user["password"],
            IPS_CA_PATH=self.ready["ca_path"],
            COS_API_URL=self.api_urls[FIREWALL],
            COS_USERNAME=blocker["username"],
            COS_PASSWORD=blocker["password"],
            COS_CA_PATH=self.ready["ca_path"],
        )
        # A user's Python keeps its compiled files.
        for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH"):
            self.environment.pop(name, None)
        self.forget()

    def forget(self) -> None:
        """Put the emulator back to its start, and start with an empty state directory and no ledger."""
        self.control("POST", "reset", {})
        self._runs += 1
        self.environment["INTRUSION_RESPONSE_STATE_DIR"] = str(self.place / f"state-{self._runs}")
        self.environment["INTRUSION_RESPONSE_LEDGER"] = str(self.place / f"state-{self._runs}" / "ledger.sqlite3")

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Use one of the emulator's controls."""
        return self.emulator.control(method, path, body, timeout=60)

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests since the last call of this."""
        journal = self.control("GET", "journal")
        self.control("DELETE", "journal")
        return journal

    def play(self, name: str, *, ordinary: bool = False, floor: tuple[int, int, int] = (1, 0, 0)) -> Path:
        """Return the path of a play.

        Args:
            name: of the file in plays/.
            ordinary: set an environment, which keeps our tasks from running in the controller's process.
            floor: for the play of that name, how many tasks for every host, for one host only, and skipped ones.
        """
        play = yaml.safe_load((PLAYS / f"{name}.yml").read_text(encoding="utf-8"))
        if ordinary:
            play[0]["environment"] = {"BENCHMARK": "ordinary modules"}
        if name == "floor":
            task = play[0]["tasks"][0]
            every, one, skipped = floor
            play[0]["tasks"] = [task] * every + [{**task, "when": False}] * skipped + [{**task, "run_once": True}] * one
        path = self.place / f"{name}.yml"
        path.write_text(json.dumps(play), encoding="utf-8")  # JSON is YAML
        return path

    def inventory(self, names: Iterable[str]) -> Path:
        """Return the path of an inventory whose hosts are all this machine, with the controller's own Python."""
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        path = self.place / "inventory.yml"
        path.write_text(json.dumps({"fleet": {"hosts": {name: {} for name in names}, "vars": variables}}), encoding="utf-8")
        return path

    def run(self, *command: str | Path, **environment: str) -> Run:
        """Run one of Ansible's commands to its end; raises Misbehaviour when it fails."""
        words = [str(BIN / command[0]), *map(str, command[1:])]
        with (self.place / "output.txt").open("w+", encoding="utf-8") as output:
            begun = time.monotonic()
            process = subprocess.Popen(
                words, cwd=self.place, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )
            timer = threading.Timer(PATIENCE, stop_group, [process])
            timer.start()
            try:
                # Includes all processes that it has waited for, and so Ansible's workers and their modules.
                _pid, status, used = os.wait4(process.pid, 0)
                seconds = time.monotonic() - begun
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                timer.cancel()
                stop_group(process)
            output.seek(0)
            printed = output.read()
        if process.returncode:
            raise Misbehaviour(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{printed[-3000:]}")
        return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, printed)
