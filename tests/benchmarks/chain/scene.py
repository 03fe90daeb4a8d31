# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where events are sent and blocks are looked for: certificates, the sides' settings, the sender, the record, the journal."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import trustme

from emulator import events
from tools.environment import COLLECTION
from tools.ports import free_port
from tools.shell import stop_group

from ..stage import BIN, FIREWALL, Misbehaviour, Run, Stage
from .server import Server

HERE = Path(__file__).parent
SECRET = "canary-path-secret-6Kw2"
PATIENCE = 120.0  # seconds until everything that was sent must be settled
UNLIMITED = 1_000_000

#: When the firewalls answered POSTs that had an effect, by (firewall, address).
Answers = dict[tuple[str, str], list[float]]


class Sending:
    """The process of the sender; see sender.py for what it does and returns."""

    def __init__(self, job: Mapping[str, Any], place: Path) -> None:
        self._results = place / "sent.json"
        given = place / "job.json"
        self._results.unlink(missing_ok=True)
        given.write_text(json.dumps({**job, "results": str(self._results)}), encoding="utf-8")
        self._limit = job["patience"] + (len(job["sources"]) / job["rate"] if job["rate"] else 0.0) + 60
        self._process = subprocess.Popen([sys.executable, HERE / "sender.py", given], stdin=subprocess.DEVNULL, start_new_session=True)

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_unused: object) -> None:
        stop_group(self._process)

    def end(self) -> None:
        """Let it see through what was begun, and begin nothing more."""
        self._process.terminate()

    def results(self) -> list[dict[str, Any]]:
        """Wait for its end; return what became of each event."""
        try:
            status = self._process.wait(self._limit)
        except subprocess.TimeoutExpired:
            raise Misbehaviour("the sender did not come to an end") from None
        if status:
            raise Misbehaviour(f"the sender ended with {status}")
        sent: list[dict[str, Any]] = json.loads(self._results.read_text(encoding="utf-8"))
        return sent


class Scene:
    """What the turns of a case have in common; `fresh` begins a turn."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._turns = 0
        self._secrets = {"path": SECRET, "firewall": stage.ready["firewall_users"][0]["password"]}
        for name, secret in self._secrets.items():
            path = stage.place / f"{name}-secret"
            path.write_text(f"{secret}\n", encoding="utf-8")
            path.chmod(0o600)
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self._ca_path = stage.place / "webhook-ca.pem"
        authority.cert_pem.write_to_path(str(self._ca_path))
        self._tls = {"cert_file": str(stage.place / "webhook.pem"), "key_file": str(stage.place / "webhook-key.pem")}
        certificate.cert_chain_pems[0].write_to_path(self._tls["cert_file"])
        certificate.private_key_pem.write_to_path(self._tls["key_file"])
        self.fresh()

    def fresh(self) -> None:
        """Begin a turn: an empty firewall, an empty record, another port."""
        self.stage.forget()
        self._turns += 1
        self.place = self.stage.place / f"turn-{self._turns}"
        self.place.mkdir()
        (self.place / "tmp").mkdir()
        self.port = free_port()
        self.ledger: str | Path = self.place / "ledger.sqlite3"

    def firewalls(self, *names: str) -> list[dict[str, Any]]:
        """Return the connection options of these firewalls, of all by default."""
        user = self.stage.ready["firewall_users"][0]["username"]
        common = {"username": user, "password_file": str(self.stage.place / "firewall-secret"), "ca_path": self.stage.ready["ca_path"]}
        found = [{"name": one["name"], "api_url": one["api_url"], **common} for one in self.stage.ready["firewalls"]]
        return [one for one in found if not names or one["name"] in names]

    # The sides

    def service(self, *names: str, watch: bool = False, **more: Any) -> Server:
        """The responder on its own, as in real use but for the limits of the blast radius, which would end every case here."""
        return self._server(self.command(self._write("responder.yml", {**self.settings(self.place, self.port, *names), **more})), watch)

    def settings(self, place: Path, port: int, *names: str) -> dict[str, Any]:
        """Return the settings of a responder that keeps its state in a place."""
        return {
            "port": port, "tls": self._tls, "path_secrets_file": str(self.stage.place / "path-secret"),
            "state_dir": str(place / "state"), "monitor": {"port": free_port()},
            "respond": {**self._respond(), "firewalls": self.firewalls(*names)},
        }  # fmt: skip

    def command(self, settings: Path) -> list[str | Path]:
        """Return how a responder is started."""
        source = self.stage.place / "collections" / COLLECTION / "extensions" / "eda" / "plugins" / "event_source" / "webhook.py"
        return [sys.executable, source, "--config", settings]

    def _respond(self) -> dict[str, Any]:
        return {"firewalls": self.firewalls(), "limits": {"new_per_minute": UNLIMITED, "total": UNLIMITED}, "ledger": str(self.ledger)}

    def bare(self) -> Server:
        """The handler that only makes the same POST."""
        firewall = {**self.firewalls()[0], "password": self._secrets["firewall"]}
        settings = {"firewall": firewall, "path": f"/ips/{SECRET}", "tls": self._tls, "port": self.port}
        return self._server([sys.executable, HERE / "bare.py", self._write("bare.json", settings)])

    def rulebook(self, name: str) -> Server:
        """ansible-rulebook with one of the collection's rulebooks."""
        variables = {
            "port": self.port, "tls": self._tls, "path_secrets_file": str(self.stage.place / "path-secret"),
            "state_dir": str(self.place / "state"), "respond": self._respond(),
        }  # fmt: skip
        command = (
            BIN / "ansible-rulebook", "--rulebook", f"intrusion.response.{name}", "--vars", self._write("variables.json", variables),
            "--inventory", self.inventory(FIREWALL),
        )  # fmt: skip
        return self._server(command)

    def inventory(self, *names: str) -> Path:
        """Return the path of an inventory of these firewalls, of all by default."""
        hosts = {}
        for one in self.firewalls(*names):
            options = {f"cos_{name}": value for name, value in one.items() if name in ("api_url", "username", "ca_path")}
            hosts[one["name"]] = {**options, "cos_password": self._secrets["firewall"]}
        return self._write("inventory.json", {"firewalls": {"hosts": hosts}})

    def _write(self, name: str, content: Any) -> Path:
        path = self.place / name
        path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
        path.chmod(0o600)
        return path

    def _server(self, command: Sequence[str | Path], watch: bool = False) -> Server:
        environment = {**self.stage.environment, "TMPDIR": str(self.place / "tmp")}
        return Server(command, environment, self.place, self.port, watch)

    # What is sent, and what came of it

    def sending(self, sources: Iterable[str], rate: float | None, connections: int = 16) -> Sending:
        """Start to send an event from each of the sources, in this order."""
        return Sending(self.job(sources, rate, self.port, connections), self.place)

    def job(self, sources: Iterable[str], rate: float | None, port: int, connections: int = 16) -> dict[str, Any]:
        """Return what the sender is to do."""
        return {
            "url": f"https://127.0.0.1:{port}/ips/{SECRET}", "ca_path": str(self._ca_path), "rate": rate, "connections": connections,
            "event": events.build("VA1BENCH0001", time.time(), {}), "sources": list(sources), "patience": PATIENCE,
        }  # fmt: skip

    def send(self, sources: Iterable[str], rate: float | None, connections: int = 16) -> list[dict[str, Any]]:
        """Send them, and wait until all are acknowledged."""
        with self.sending(sources, rate, connections) as sending:
            return sending.results()

    def settle(self, place: Path | None = None) -> float:
        """Wait until every event recorded in a place has its verdict; return for how many seconds."""
        begun = time.monotonic()
        while self._recorded("SELECT count(*) FROM events WHERE finished IS NULL", place)[0][0]:
            if time.monotonic() - begun > PATIENCE:
                break
            time.sleep(0.05)
        return time.monotonic() - begun

    def _recorded(self, query: str, place: Path | None = None) -> list[tuple[Any, ...]]:
        path = (place or self.place) / "state" / "inbox.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()

    def answers(self) -> Answers:
        """Return when the firewalls answered the POSTs that had an effect, since the last call of this or the turn's beginning."""
        found: Answers = {}
        for record in self.stage.requests():
            if record["method"] == "POST" and record["applied"] and record["status"] == 200:
                found.setdefault((record["firewall"], parse_qs(record["body"])["host"][0]), []).append(record["answered"])
        return found

    def wait_for_a_block(self) -> Answers:
        """Wait until a firewall has answered a POST; return what it answered."""
        begun = time.monotonic()
        while not any(record["answered"] for record in self.stage.control("GET", "journal?writes=true")):
            if time.monotonic() - begun > PATIENCE:
                raise Misbehaviour("an event led to no block")
            time.sleep(0.05)
        return self.answers()

    def listed(self) -> dict[str, list[str]]:
        """Return the addresses on the blacklists, by firewall, as often as they are there."""
        firewalls = self.stage.control("GET", "state")["firewalls"]
        return {name: [entry["host"] for entry in firewall["entries"]] for name, firewall in firewalls.items()}

    def counts(self, sent: Sequence[Mapping[str, Any]], answers: Answers) -> Counter[str]:
        """Return what must be 0 once all is settled.

        An effect is double when a POST was applied to an address although one had been applied before, and when an address is
        listed more than once.
        """
        settled = {row[0] for row in self._recorded("SELECT id FROM events WHERE finished IS NOT NULL AND verdict IS NOT NULL")}
        sources = {event["source"] for event in sent}
        listed = self.listed()
        return Counter({
            "events never acknowledged": sum(event["acknowledged"] is None for event in sent),
            "acknowledged events without a verdict": sum(
                event["acknowledged"] is not None and event["id"] not in settled for event in sent
            ),
            "addresses not blocked on a firewall": sum(len(sources - set(hosts)) for hosts in listed.values()),
            "POSTs beyond one for each address and firewall": sum(len(times) - 1 for times in answers.values()),
            "entries beyond one for each address and firewall": sum(len(hosts) - len(set(hosts)) for hosts in listed.values()),
        })  # fmt: skip

    def ledger_counts(self, answers: Answers) -> tuple[int, int]:
        """Return how many blocks the ledger does not have, and how many records it has beyond one for each."""
        names = {one["api_url"]: one["name"] for one in self.stage.ready["firewalls"]}
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True, timeout=10)) as database:
            rows = database.execute("SELECT firewall, address FROM records WHERE action = 'block' AND outcome = 'ok'").fetchall()
        recorded = Counter((names.get(firewall, firewall), address) for firewall, address in rows)
        return len(answers.keys() - recorded.keys()), sum(number - 1 for number in recorded.values())


def latencies(sent: Iterable[Mapping[str, Any]], answers: Answers, *firewalls: str) -> list[float]:
    """Return the seconds from the last byte of each address's first event to the answer, on each of the firewalls."""
    first: dict[str, float] = {}
    for event in sent:
        if event["sent"] is not None:
            first.setdefault(event["source"], event["sent"])
    keys = [(firewall, source) for firewall in firewalls for source in first if (firewall, source) in answers]
    return [answers[key][0] - first[key[1]] for key in keys]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so many percent of all do not exceed."""
    if not values:
        raise Misbehaviour("no event led to a block")
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 10) // 1000) - 1)]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return milliseconds."""
    shares = {"median": 50, "p90": 90, "p95": 95, "p99": 99, "p99.9": 99.9, "most": 100}
    return {"count": len(values), **{name: round(percentile(values, share) * 1000, 3) for name, share in shares.items()}}


def runs(server: Server, **seconds: float) -> dict[str, Run]:
    """Return what was measured of a side, with what its processes have used so far."""
    processor, memory = server.processor(), server.peak()
    return {name: Run(value, processor, memory, "") for name, value in seconds.items()}
