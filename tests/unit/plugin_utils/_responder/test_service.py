# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder as a process of its own: starting, stopping, reloading, and the tools for those who run it."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from ansible_collections.intrusion.response.plugins.module_utils._core.clock import utc_text
from ansible_collections.intrusion.response.plugins.module_utils._core.http import VERSION
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

from emulator.testing import Handle, running_emulator
from tools.ports import free_port

from .running import SECRET, Running, entries, firewall, post_of, until

ROOT = Path(__file__).resolve().parents[4]
SOURCE = ROOT / "extensions" / "eda" / "plugins" / "event_source" / "webhook.py"
EXAMPLES = ROOT / "extensions" / "eda" / "examples"
HOST = "203.0.113.5"


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    with running_emulator() as handle:
        yield handle


@pytest.fixture
def emulator(shared: Handle) -> Handle:
    shared.reset()
    return shared


def service(*arguments: str, ignoring_hangups: bool = False, **environ: str) -> subprocess.Popen[str]:
    """Start the service; ignoring hangups as below nohup, where a terminal that closes must not end it."""
    return subprocess.Popen(
        [*(["nohup"] if ignoring_hangups else []), sys.executable, str(SOURCE), *arguments], env={**os.environ, **environ}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service(emulator: Handle, tmp_path: Path, number: signal.Signals) -> None:
    config = tmp_path / "responder.yml"
    args = {
        "port": 0, "path_secrets": [SECRET], "state_dir": str(tmp_path / "state"), "monitor": {"port": 0},
        "respond": {"firewalls": [firewall(emulator)], "ledger": "none"},
    }  # fmt: skip
    config.write_text(yaml.safe_dump(args))
    config.chmod(0o600)
    process = service("--config", str(config))
    try:
        assert process.stderr is not None and process.stdout is not None
        line = process.stderr.readline()
        assert line.startswith("INFO Listening on 127.0.0.1 port "), line
        assert json.loads(process.stdout.readline())["type"] == "started"
        running = Running(tmp_path, None)
        running.addresses["webhook"] = ("127.0.0.1", int(line.split()[5].rstrip(".")))
        event_id = running.post(sourceIP=HOST)
        verdict = json.loads(process.stdout.readline())
        assert (verdict["verdict"], verdict["intrusion"]["id"]) == ("blocked", event_id)
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0 and errors.endswith("INFO Stopped.\n") and "Traceback" not in errors and not output
        assert SECRET not in errors and "canary" not in errors
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("what", ["port", "monitor"])
def test_what_may_get_better_is_no_bad_setting(tmp_path: Path, what: str) -> None:
    config = tmp_path / "responder.yml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        args = {"port": 0, "state_dir": str(tmp_path / "state"), **({"port": port} if what == "port" else {"monitor": {"port": port}})}
        config.write_text(yaml.safe_dump(args))
        process = service("--config", str(config))
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert errors.endswith(f" cannot listen on 127.0.0.1 port {port}: Address already in use.\n") and "Traceback" not in errors


def test_the_service_checks_its_settings(tmp_path: Path) -> None:
    for name in ("path-secrets", "firewall-password"):
        (tmp_path / name).write_text("a-secret-of-some-length\n")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "firewalls.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "webhook.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "webhook.key"))
    (tmp_path / "other.pem").write_text("no certificate")
    text = (EXAMPLES / "responder.yml").read_text(encoding="utf-8").replace("/etc/intrusion-responder", str(tmp_path))
    config = tmp_path / "responder.yml"
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": str(tmp_path / "state")}
    for change, status, message in (
        (("firewalls.pem", "missing.pem"), 78, "respond.firewalls[0].ca_path"),
        (("", ""), 0, "are valid"),
        (("dry_run: true", "dry_rn: true"), 78, "'respond.dry_rn' is not a setting; did you mean dry_run?"),
        (("webhook.pem", "other.pem"), 78, "tls.cert_file: "),
        (("- 198.51.100.0/24", "- 198.51.100.0/33"), 78, "never_block"),
        (("host: 0.0.0.0", "host: [0.0.0.0"), 78, "is not YAML (line "),
    ):
        config.write_text(text.replace(*change))
        process = service("--config", str(config), "--check", **environ)
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output) == (status, ""), errors
        assert message in errors and "Traceback" not in errors and "a-secret" not in errors
    assert not (tmp_path / "state").exists(), "nothing was opened"


def test_a_configuration_that_everybody_reads_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = tmp_path / "responder.yml"
    config.write_text(yaml.safe_dump({"path_secrets": [SECRET]}))
    config.chmod(0o644)
    process = service("--config", str(config), "--check")
    _output, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and "can be read by everybody" in errors and SECRET not in errors
    assert logging.getLogger("intrusion.response").name  # the one name under which all of it logs


class Service:
    """The service with its configuration file."""

    def __init__(self, directory: Path, emulator: Handle, **args: Any) -> None:
        self.config = directory / "responder.yml"
        self.running = Running(directory, None)
        self.running.addresses = {"webhook": ("127.0.0.1", free_port()), "monitor": ("127.0.0.1", free_port())}
        self.args = {
            "port": self.running.addresses["webhook"][1], "path_secrets": [SECRET], "state_dir": str(directory / "state"),
            "monitor": {"port": self.running.addresses["monitor"][1]},
            "respond": {"firewalls": [firewall(emulator)], "ledger": str(directory / "ledger.sqlite3")}, **args,
        }  # fmt: skip
        self.write()

    def write(self, **args: Any) -> None:
        self.args.update(args)
        self.config.write_text(yaml.safe_dump(self.args))
        self.config.chmod(0o600)

    def tool(self, *arguments: str) -> tuple[int, str, str]:
        process = service("--config", str(self.config), *arguments)
        output, errors = process.communicate(timeout=30)
        assert "Traceback" not in errors and SECRET not in output + errors
        return process.returncode, output, errors

    @contextmanager
    def __call__(self) -> Iterator[subprocess.Popen[str]]:
        process = service("--config", str(self.config), ignoring_hangups=True)
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["type"] == "started"
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)

    def said(self, process: subprocess.Popen[str], text: str) -> str:
        """Return the line of its log that holds a text, once it comes."""
        assert process.stderr is not None
        patience = threading.Timer(30, process.kill)
        patience.start()
        try:
            while text not in (line := process.stderr.readline()):
                assert line, f"the service never said {text}"
            return line
        finally:
            patience.cancel()


def test_the_version() -> None:
    process = service("--version")
    assert process.communicate(timeout=30)[0] == f"{VERSION}\n" and process.returncode == 0


def test_the_schema_is_printed() -> None:
    process = service("--schema")
    output, _errors = process.communicate(timeout=30)
    assert json.loads(output) == json.loads((SOURCE.parent / "schemas" / "webhook.json").read_text(encoding="utf-8"))


def test_without_a_configuration_nothing_runs() -> None:
    process = service("--check")
    assert "--config" in process.communicate(timeout=30)[1] and process.returncode == 2


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("tls", [False, True])
def test_a_test_event_goes_the_whole_way_and_blocks_nothing(emulator: Handle, tmp_path: Path, signed: bool, tls: bool) -> None:
    more: dict[str, Any] = {"hmac_secrets": ["a-key-of-some-length-1"]} if signed else {}
    if tls:
        certificate = trustme.CA().issue_cert("127.0.0.1")
        more["tls"] = {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
        certificate.cert_chain_pems[0].write_to_path(more["tls"]["cert_file"])
        certificate.private_key_pem.write_to_path(more["tls"]["key_file"])
        os.chmod(more["tls"]["key_file"], 0o600)
    one = Service(tmp_path, emulator, **more)
    status, _output, errors = one.tool("--test-event")
    assert status == 1 and "Nothing answers" in errors
    with one() as process:
        status, output, _errors = one.tool("--test-event")
        assert status == 0 and output.startswith("The webhook takes events. Verdict: blocked\n")
        verdict = json.loads(output.partition("\n")[2])
        assert verdict["dry_run"] is True and verdict["attacker"] == "203.0.113.1"
        one.args["respond"]["never_block"] = ["203.0.113.0/24"]
        one.write()
        process.send_signal(signal.SIGHUP)
        one.said(process, "are in use")
        assert "Verdict: protected (it is in never_block (203.0.113.0/24))" in one.tool("--test-event")[1]
    assert not entries(emulator) and not emulator.journal("cos", writes=True)
    assert "203.0.113.1" not in (tmp_path / "state" / "inbox.sqlite3").read_bytes().decode(errors="replace")


def test_only_who_knows_the_secret_can_mark_a_test(emulator: Handle, tmp_path: Path) -> None:
    """Neither a field of an event nor a header that is not authenticated keeps an attacker from being blocked."""
    one = Service(tmp_path, emulator)
    with one():
        connection = http.client.HTTPConnection(*one.running.addresses["webhook"], timeout=20)
        for mark in ("1", "true", f"{int(__import__('time').time())}.{'0' * 64}", "0." + "0" * 64, "\xff"):
            connection.request("POST", f"/ips/{SECRET}", json.dumps(post_of(sourceIP=HOST)), {"X-Intrusion-Test": mark})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401
        connection.close()
        assert one.running.send(post_of(sourceIP=HOST, test=True, **{"X-Intrusion-Test": "1"}))[0] == 200
        until(lambda: entries(emulator, host=HOST))


def test_the_status_is_for_people(emulator: Handle, tmp_path: Path) -> None:
    one = Service(tmp_path, emulator)
    ledger = Ledger(str(tmp_path / "ledger.sqlite3"), pytest.fail)
    let_in = Record(time.time(), "unblock", "ok", "203.0.113.77", "all_services", "https://192.0.2.1", ttl=7200, user="alice")
    assert ledger.record([let_in, let_in._replace(address="203.0.113.78", user=None)])
    ledger.close()
    with one():
        event = one.running.post(sourceIP=HOST)
        one.running.post(sourceIP="10.1.2.3")
        until(lambda: '"verdict": "blocked"' in one.running.get("/status")[1])
        status, output, _errors = one.tool("status")
        lines = output.splitlines()
        assert status == 0 and lines[0].startswith(f"intrusion.response {VERSION}, well, since 20"), output
        assert "inbox: recording, 0 events without a verdict" in lines and "output: well, ledger: well" in lines
        assert any(line.startswith("firewall fw1: up, ") for line in lines) and "limit new_per_minute: 1 of 100" in lines
        assert any(f"blocked         {HOST}" in line and event in line for line in lines)
        assert f"exempt 203.0.113.77 until {utc_text(let_in.at + 7200)}, by alice" in lines
        assert f"exempt 203.0.113.78 until {utc_text(let_in.at + 7200)}, by somebody" in lines
        assert any("ignored" in line and "(private address)" in line for line in lines)
        emulator.fault(kind="status", status=401, service="cos", times=None)
        one.running.post(sourceIP="203.0.113.9")
        until(lambda: one.running.get("/healthz")[0] == 503)
        status, output, _errors = one.tool("status")
        assert status == 1 and "NOT WELL" in output and "firewall fw1: auth_failed" in output
    assert one.tool("status")[0] == 1


def test_reloading_loses_no_connection(emulator: Handle, tmp_path: Path) -> None:
    one = Service(tmp_path, emulator)
    with one() as process:
        connection = http.client.HTTPConnection(*one.running.addresses["webhook"], timeout=20)

        def post(secret: str, **fields: Any) -> int:
            connection.request("POST", f"/ips/{secret}", json.dumps(post_of(**fields)))
            answer = connection.getresponse()
            answer.read()
            return answer.status

        assert post(SECRET, sourceIP=HOST) == 200
        kept = connection.sock
        one.args["respond"].update(policy={"severities": ["critical"]}, never_block=["203.0.113.8"], dry_run=True)
        one.write(path_secrets=["another-secret-0123456789", SECRET], port=free_port(), monitor={"port": 1})
        process.send_signal(signal.SIGHUP)
        stuck = one.said(process, "require a restart")
        assert stuck.endswith("These changes require a restart: port, monitor.port, respond.dry_run.\n")
        assert post("another-secret-0123456789", sourceIP="203.0.113.7") == 200 and connection.sock is kept
        assert post(SECRET, sourceIP="203.0.113.8", severity="Critical") == 200
        one.write(path_secrets=["another-secret-0123456789"], host=5)
        process.send_signal(signal.SIGHUP)
        assert "The settings were not changed: host must be a string" in one.said(process, "were not changed")
        assert post(SECRET, sourceIP="203.0.113.6", severity="Critical") == 200, "as before"
        assert process.stdout is not None
        verdicts = [json.loads(process.stdout.readline()) for _turn in range(4)]
        assert [(one["attacker"], one["verdict"]) for one in verdicts] == [
            (HOST, "blocked"), ("203.0.113.7", "ignored"), ("203.0.113.8", "protected"), ("203.0.113.6", "blocked"),
        ]  # fmt: skip
        connection.close()


def test_a_full_pipe_costs_no_verdict_and_is_no_health(emulator: Handle, tmp_path: Path) -> None:
    """Whoever reads the verdicts goes away; when the output can be written again, it goes on where it broke off."""
    from ansible_collections.intrusion.response.plugins.plugin_utils._responder import output as module

    target = tmp_path / "verdicts"
    target.write_text("")
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND)
    import asyncio

    async def story() -> None:
        lines = module.Lines(descriptor)
        await lines.emit({"number": 0})
        until(lambda: target.read_text().count("\n") == 1)
        broken = os.open("/dev/full", os.O_WRONLY)
        lines._descriptor = broken
        for number in range(1, 5):
            await lines.emit({"number": number})
        until(lambda: not lines.healthy)
        lines._descriptor = descriptor
        await lines.emit({"number": 5})
        until(lambda: lines.healthy)
        lines.close(2)
        os.close(broken)

    asyncio.run(story())
    os.close(descriptor)
    assert [json.loads(line)["number"] for line in target.read_text().splitlines()] == list(range(6))
