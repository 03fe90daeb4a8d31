# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the responder promises: acknowledged is acted on, once, whatever happens to the process; and no secret is shown."""

from __future__ import annotations

import http.client
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator import events
from emulator.testing import EmulatorProcess

SOURCE = Path(__file__).resolve().parents[2] / "extensions" / "eda" / "plugins" / "event_source" / "webhook.py"
PATH_SECRET = "canary-path-secret-Vd93Lm"
PASSWORD = "canary-fw:pass w\u00f6rd-Jm2"
KILLS = 5


class Service:
    """The service as a process that can be killed and started again on the same state."""

    def __init__(
        self, directory: Path, emulator: EmulatorProcess, more: Mapping[str, Any] | None = None, **respond: Any
    ) -> None:
        self.directory = directory
        firewalls = [
            {"name": one["name"], "api_url": one["api_url"], "username": "blocker", "password": PASSWORD, "timeout": 5,
             "ca_path": emulator.ready["ca_path"]}
            for one in emulator.ready["firewalls"]
        ]  # fmt: skip
        limits = {"new_per_minute": 100000, "total": 100000}
        args = {
            "port": 0, "path_secrets": [PATH_SECRET], "state_dir": str(directory / "state"),
            "respond": {"firewalls": firewalls, "limits": limits, "ledger": str(directory / "ledger.sqlite3"), **respond},
            **(more or {}),
        }  # fmt: skip
        self.config = directory / "secret.yml"
        self.config.write_text(yaml.safe_dump(args), encoding="utf-8")
        self.config.chmod(0o600)
        self.errors = ""
        self.output = ""

    def start(self, stdout: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SOURCE), "--config", str(self.config), "--verbose"], text=True, stdout=stdout,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stderr is not None
        while True:
            line = self.process.stderr.readline()
            self.errors += line
            assert line, f"the service did not start: {self.errors}"
            if "Listening on" in line:
                self.port = int(line.split()[5].rstrip("."))
                break
        self.readers = [
            threading.Thread(target=self._read, args=(name, getattr(self.process, stream)), daemon=True)
            for name, stream in (("output", "stdout"), ("errors", "stderr"))
            if getattr(self.process, stream) is not None
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, name: str, stream: Any) -> None:
        for line in stream:
            setattr(self, name, getattr(self, name) + line)

    def post(self, event: dict[str, Any]) -> str | None:
        """Post an event; return its id when it was acknowledged."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", f"/ips/{PATH_SECRET}", json.dumps(event).encode())
            answer = connection.getresponse()
            return str(json.loads(answer.read())["ids"][0]) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        self.process.terminate()
        self._ended()
        assert self.process.returncode == 0, self.errors

    def _ended(self) -> None:
        self.process.wait(30)
        for reader in self.readers:
            reader.join(10)

    def rows(self) -> dict[str, str | None]:
        """Return the recorded events and their verdicts."""
        with closing(sqlite3.connect(self.directory / "state" / "inbox.sqlite3", timeout=10)) as database:
            found = database.execute("SELECT id, verdict FROM events").fetchall()
        return {id_: json.loads(verdict)["verdict"] if verdict else None for id_, verdict in found}


@pytest.fixture
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("--firewalls", "2") as process:
        blocker = {"username": "blocker", "password": PASSWORD, "access": "read_write"}
        process.control("POST", "seed", {"firewalls": {"*": {"users": [blocker]}}})
        yield process


def until(condition: Any, what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def posted_hosts(emulator: EmulatorProcess, firewall: str) -> Counter[str]:
    found = emulator.control("GET", f"journal?writes=true&firewall={firewall}")
    return Counter(one["body"].partition("host=")[2].partition("&")[0] for one in found)


def test_kill_under_load(emulator: EmulatorProcess, tmp_path: Path) -> None:
    service = Service(tmp_path, emulator)
    chance = random.Random(7)
    acknowledged: dict[str, str] = {}
    number = 0
    for _round in range(KILLS):
        service.start()
        kill_at = time.monotonic() + chance.uniform(0.05, 0.8)
        killer = threading.Timer(kill_at - time.monotonic(), service.process.kill)
        killer.start()
        while service.process.poll() is None:
            number += 1
            host = f"203.0.113.{number % 250 + 1}" if number % 3 else f"198.51.100.{chance.randrange(1, 20)}"
            found = service.post(events.build("VA1ACMEWEB01", time.time(), {"sourceIP": host, "rank": number}))
            if found is not None:
                acknowledged[found] = host
        service.kill()
    service.start()
    until(lambda: set(acknowledged) <= set(service.rows()) and all(service.rows().values()), "an acknowledged event has no verdict")
    service.stop()
    assert len(acknowledged) > 20
    verdicts = service.rows()
    assert set(verdicts.values()) <= {"blocked", "already_blocked"}
    for firewall in ("fw1", "fw2"):
        listed = {entry["host"] for entry in emulator.control("GET", "state")["firewalls"][firewall]["entries"]}
        assert set(acknowledged.values()) <= listed
        assert set(posted_hosts(emulator, firewall).values()) == {1}, "something was done twice"
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as database:
        recorded = database.execute("SELECT firewall, address, count(*) FROM records GROUP BY 1, 2").fetchall()
    assert all(count == 1 for _firewall, _address, count in recorded), "a block was recorded twice"
    blocked = {host for event, host in acknowledged.items() if verdicts[event] == "blocked"}
    assert blocked <= {address for _firewall, address, _count in recorded}


def test_no_secret_is_shown(emulator: EmulatorProcess, tmp_path: Path) -> None:
    service = Service(tmp_path, emulator, verdict_after=1)
    service.start()
    event = events.build("VA1ACMEWEB01", time.time(), {"sourceIP": "203.0.113.5"})
    assert service.post(event)
    until(lambda: '"verdict":"blocked"' in service.output, "no verdict")
    fault = {"kind": "status", "status": 403, "service": "cos", "body": f"{PASSWORD} {PATH_SECRET}", "times": None}
    emulator.control("POST", "faults", fault)
    assert service.post({**event, "sourceIP": "203.0.113.6"})
    until(lambda: '"verdict":"failed"' in service.output, "no verdict")
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("POST", f"/ips/{PATH_SECRET}x", b"{", {"Authorization": f"Bearer {PASSWORD}"})
    assert connection.getresponse().status == 404
    connection.close()
    emulator.stop()
    assert service.post({**event, "sourceIP": "203.0.113.7"})
    until(lambda: '"pending"' in service.output or '"unreachable"' in service.output, "no verdict")
    service.stop()
    assert "Traceback" not in service.errors
    shown = [service.output, service.errors]
    shown += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file() and path != service.config]
    for text in shown:
        for secret in (PATH_SECRET, PASSWORD, "Jm2", "Vd93Lm"):
            assert secret not in text


def test_it_blocks_when_nobody_reads_the_verdicts(emulator: EmulatorProcess, tmp_path: Path) -> None:
    service = Service(tmp_path, emulator)
    nobody, stdout = os.pipe()
    os.close(nobody)
    service.start(stdout)
    os.close(stdout)
    hosts = ["203.0.113.5", "203.0.113.6"]
    for number, host in enumerate(hosts, 1):
        assert service.post(events.build("VA1ACMEWEB01", time.time(), {"sourceIP": host}))
        until(lambda number=number: list(service.rows().values()) == ["blocked"] * number, "no verdict")
    service.stop()
    assert service.errors.count("Verdicts cannot be written") == 1


@pytest.mark.parametrize("repost", ["renew_all", "ignore", "duplicate", "reject_400"])
def test_two_services_side_by_side(emulator: EmulatorProcess, tmp_path: Path, repost: str) -> None:
    emulator.control("PATCH", "switches", {"cos.repost": repost})
    services = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        services.append(Service(tmp_path / name, emulator))
        services[-1].start()
    hosts = [f"203.0.113.{number}" for number in range(1, 31)]
    posts = [events.build("VA1ACMEWEB01", time.time(), {"sourceIP": host}) for host in hosts]
    threads = [threading.Thread(target=lambda service=service: [service.post(post) for post in posts]) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for service in services:
        until(lambda service=service: len(service.rows()) == len(hosts) and all(service.rows().values()), "no verdict")
        assert set(service.rows().values()) <= {"blocked", "already_blocked"}
        service.stop()
    for firewall in ("fw1", "fw2"):
        entries = emulator.control("GET", "state")["firewalls"][firewall]["entries"]
        listed = Counter(entry["host"] for entry in entries if entry["alert_type"] == "REST")
        assert set(listed) == set(hosts)
        assert set(listed.values()) <= ({1, 2} if repost == "duplicate" else {1})
        assert max(posted_hosts(emulator, firewall).values()) <= 2


ROTATIONS = 20


def test_rotation_under_load_and_kill_minus_nine_lose_no_alert(emulator: EmulatorProcess, tmp_path: Path) -> None:
    eve = tmp_path / "eve.json"
    service = Service(tmp_path, emulator, {"follow": [{"path": str(eve), "format": "suricata_eve"}]})
    written: list[str] = []
    stopping = threading.Event()

    def write() -> None:
        """Write as Suricata does, an alert in ten lines, with a name that leads to another file now and then."""
        number = 0
        for _file in range(ROTATIONS + 1):
            with eve.open("a", encoding="utf-8") as stream:
                for _line in range(200):
                    number += 1
                    is_alert = number % 10 == 0
                    source = f"30.0.{number // 2500}.{number // 10 % 250}"
                    if is_alert:
                        written.append(source)
                    stream.write(json.dumps({
                        "timestamp": "2026-11-26T11:30:00.000000+0000", "flow_id": number, "event_type": "alert" if is_alert else "flow",
                        "src_ip": source, "dest_ip": "10.0.0.80", "proto": "TCP", "direction": "to_server",
                        "alert": {"action": "allowed", "signature_id": 1, "signature": "x", "severity": 1},
                    }) + "\n")  # fmt: skip
                    if number % 20 == 0:
                        stream.flush()
                        stopping.wait(0.01)
            for old in range(ROTATIONS, 0, -1):
                if eve.with_name(f"eve.json.{old}").exists():
                    eve.with_name(f"eve.json.{old}").rename(eve.with_name(f"eve.json.{old + 1}"))
            eve.rename(eve.with_name("eve.json.1"))

    service.start(subprocess.DEVNULL)
    writer = threading.Thread(target=write)
    writer.start()
    for _kill in range(KILLS):
        stopping.wait(0.4)
        service.kill()
        service.start(subprocess.DEVNULL)
    writer.join(60)
    until(lambda: len(service.rows()) == len(written) and all(service.rows().values()), "an alert has no verdict")
    service.stop()
    assert len(written) == 20 * (ROTATIONS + 1)
    assert set(service.rows().values()) <= {"blocked", "already_blocked"}
    for firewall in ("fw1", "fw2"):
        posted = posted_hosts(emulator, firewall)
        assert posted.keys() == set(written)
        assert set(posted.values()) == {1}, "something was done twice"
