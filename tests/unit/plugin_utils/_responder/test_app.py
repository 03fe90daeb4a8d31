# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts put together: settings, starting and stopping, handing on, and the two ways of running it."""

from __future__ import annotations

import asyncio
import json
import runpy
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.http import VERSION
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import app as app_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import output as output_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.ground import StateInUse
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.inbox import Inbox
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.monitor import MonitorSettings
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.output import Output

from emulator.testing import Handle, running_emulator

from .cable import Cable
from .running import Running, entries, firewall, post_of, until

ROOT = Path(__file__).resolve().parents[4]
SOURCE = ROOT / "extensions" / "eda" / "plugins" / "event_source" / "webhook.py"
EXAMPLES = ROOT / "extensions" / "eda" / "examples"
PASSWORD = "canary-fw-password-Kq3"
FIREWALL = {"name": "edge", "api_url": "https://192.0.2.1", "username": "blocker", "password": PASSWORD}
HOST = "203.0.113.5"


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    with running_emulator() as handle:
        yield handle


@pytest.fixture
def emulator(shared: Handle) -> Handle:
    shared.reset()
    return shared


def settings(environ: dict[str, str] | None = None, **args: Any) -> Configuration:
    return Configuration.from_args(args, environ or {})


@pytest.mark.parametrize(
    ("args", "name"),
    [
        ({"prot": 5005}, "did you mean port?"),
        ({"host": "0.0.0.0", "path_secret_file": "/nowhere"}, "'path_secret_file' is not a setting; did you mean path_secrets_file?"),
        ({"tls": {"cert_fil": "/nowhere"}}, "'tls.cert_fil' is not a setting; did you mean cert_file?"),
        ({"respond": {"firewall": [FIREWALL]}}, "'respond.firewall' is not a setting; did you mean firewalls?"),
        ({"respond": {"firewalls": [{"api_ulr": "https://192.0.2.1"}]}}, "api_ulr' is not a setting; did you mean api_url?"),
        ({"respond": {"firewalls": [{"api_url": "https://192.0.2.1", "username": "b", "pasword": PASSWORD}]}}, "did you mean password?"),
        ({"respond": {}}, "respond.firewalls"),
        ({"respond": {"firewalls": [{}]}}, "respond.firewalls[0].api_url"),
        ({"respond": {"firewalls": [{**FIREWALL, "api_url": "192.0.2.1"}]}}, "respond.firewalls[0].api_url"),
        ({"respond": {"firewalls": [{**FIREWALL, "api_url": "http://192.0.2.1"}]}}, "respond.firewalls[0]."),
        ({"respond": {"firewalls": [{**FIREWALL, "username": None}]}}, "respond.firewalls[0].password"),
        ({"respond": {"firewalls": [{**FIREWALL, "ca_path": "/nowhere/ca.pem"}]}}, "respond.firewalls[0].ca_path"),
        ({"respond": {"firewalls": [{**FIREWALL, "timeout": 0}]}}, "respond.firewalls[0].timeout"),
        ({"respond": {"firewalls": [{**FIREWALL, "concurrency": 0}]}}, "respond.firewalls[0].concurrency"),
        ({"respond": {"firewalls": [{**FIREWALL, "pasword": "x"}]}}, "respond.firewalls[0].pasword"),
        ({"respond": {"firewalls": [FIREWALL, FIREWALL]}}, "respond.firewalls[1].name"),
        ({"respond": {"firewalls": [FIREWALL], "never_block": ["fw.example.com"]}}, "respond.never_block"),
        ({"respond": {"firewalls": [FIREWALL], "policy": {"ttl": 0}}}, "respond.policy.ttl"),
        ({"respond": {"firewalls": [FIREWALL], "escalation": {"cap": 1}}}, "respond.escalation.cap"),
        ({"respond": {"firewalls": [FIREWALL], "limits": {"total": 0}}}, "respond.limits.total"),
        ({"respond": {"firewalls": [FIREWALL], "limits": {"totl": 5}}}, "respond.limits.totl"),
        ({"respond": {"firewalls": [FIREWALL], "dry_run": "perhaps"}}, "respond.dry_run"),
        ({"respond": [FIREWALL]}, "respond"),
        ({"monitor": {"prt": 1}}, "monitor.prt"),
        ({"state_dir": "none"}, "state_dir"),
        ({"host": "0.0.0.0"}, "Refusing to listen"),
    ],
)
def test_settings_that_cannot_work_are_named(args: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        settings(**args)
    assert name in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_what_is_not_given_comes_from_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    environ = {
        "COS_API_URL": "https://192.0.2.9", "COS_USERNAME": "env", "COS_PASSWORD": "from-env", "COS_TIMEOUT": "2.5", "COS_RETRIES": "7",
        "COS_VALIDATE_CERTS": "no", "INTRUSION_RESPONSE_STATE_DIR": str(tmp_path), "INTRUSION_RESPONSE_LEDGER": "none",
    }  # fmt: skip
    found = settings(environ, respond={"firewalls": [{}, {"api_url": "https://192.0.2.10", "password_file": str(secret)}]})
    assert found.respond is not None and found.respond.ledger == "none"
    assert found.state_dir == str(tmp_path / "responder")
    first, second = (one.call(False).params for one in found.respond.firewalls)
    assert first["username"] == "env" and first["password"] == "from-env" and first["timeout"] == 2.5
    assert first["validate_certs"] is False and first["retries"] == 0, "the responder sends again by itself"
    assert second["password"] == PASSWORD and second["api_url"] == "https://192.0.2.10"
    assert found.respond.firewalls[0].name == "https://192.0.2.9"
    assert PASSWORD not in repr(found) and "from-env" not in repr(found)


def test_nulls_of_a_rulebook_are_defaults() -> None:
    names = ("tls", "path_secrets_file", "hmac_secrets_file", "allow_from", "limits", "state_dir", "monitor", "respond")
    found = settings(**dict.fromkeys(names), eda_feedback_queue=object())
    assert found.respond is None and found.monitor is None and found.state_dir.endswith("intrusion.response/responder")


def test_the_state_needs_a_directory() -> None:
    with pytest.raises(InvalidInput, match="INTRUSION_RESPONSE_STATE_DIR must be a directory"):
        settings({"INTRUSION_RESPONSE_STATE_DIR": "none"})
    with pytest.raises(InvalidInput, match=r"^state_dir must be a directory"):
        settings({"INTRUSION_RESPONSE_STATE_DIR": "/srv"}, state_dir="none")
    assert settings({"INTRUSION_RESPONSE_STATE_DIR": "none"}, state_dir="/srv/none").state_dir == "/srv/none"


def test_the_first_event_says_how_it_runs(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTRUSION_RESPONSE_NEVER_BLOCK", "192.0.2.7, 192.0.2.8")
    respond = {"firewalls": [firewall(emulator)], "never_block": ["198.51.100.0/24"], "dry_run": True}
    with Running(tmp_path, respond) as running:
        assert running.started == {
            "type": "started", "version": VERSION, "address": list(running.addresses["webhook"]),
            "tls": False, "dry_run": True, "firewalls": ["fw1"],
            "never_block": ["198.51.100.0/24", "192.0.2.7", "192.0.2.8"],
        }  # fmt: skip
        assert "intrusion_response_dry_run 1.0" in running.get("/metrics")[1]
    with Running(tmp_path, None) as running:
        assert running.started["firewalls"] == running.started["never_block"] == [] and running.started["dry_run"] is False
        assert "intrusion_response_dry_run 0.0" in running.get("/metrics")[1]


def test_without_respond_events_are_handed_on_once(tmp_path: Path) -> None:
    with Running(tmp_path, None) as running:
        posts = [post_of() for _unused in range(3)]
        for post in [*posts, posts[0]]:
            running.send(post)
        until(lambda: len(running.events) == 3)
        assert {event["type"] for event in running.events} == {"event"}
        assert running.events[0]["intrusion"]["attacker"] == "203.0.113.7"
        status, text = running.get("/healthz")
        assert status == 200 and json.loads(text)["recording"] is True
    with Running(tmp_path, None) as running:
        assert not running.events


def test_what_the_rule_engine_did_not_take_is_handed_on_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "WAITING", 3)
    monkeypatch.setattr(app_module, "REPLAYED", 2)
    with Running(tmp_path, None) as running:
        running.slow.set()
        for _unused in range(3):
            running.post()
        assert running.send(post_of())[0] == 429
        running.stop()
        assert not running.events
    with Running(tmp_path, None) as running:
        until(lambda: len(running.events) == 3)


def test_pending_events_are_acted_on_after_a_restart(emulator: Handle, tmp_path: Path) -> None:
    with Cable(emulator.firewalls[0].http_url, plugged=False) as cable:
        respond = {"firewalls": [firewall(emulator, api_url=cable.url)], "verdict_after": 600}
        with Running(tmp_path, respond) as running:
            ids = {running.post(sourceIP=f"203.0.113.{number}") for number in range(1, 6)}
            assert not running.verdicts()
        cable.plug()
        with Running(tmp_path, respond) as running:
            until(lambda: {verdict["intrusion"]["id"] for verdict in running.verdicts()} == ids)
            assert {verdict["verdict"] for verdict in running.verdicts()} == {"blocked"}
    assert len(entries(emulator)) == 5


def test_an_event_that_is_not_recorded_is_acted_on_and_refused(
    emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        with monkeypatch.context() as patch:
            patch.setattr(Inbox, "_commit", lambda *_unused: 1 // 0)
            post = post_of(sourceIP=HOST)
            assert running.send(post)[0] == 503
            until(lambda: entries(emulator, host=HOST))
            assert running.get("/healthz")[0] == 503
        status, answer = running.send(post)
        assert (status, answer["new"]) == (200, 1)
        assert running.get("/healthz")[0] == 200
    assert len(emulator.journal("cos", writes=True)) == 1


def test_a_disk_that_hangs_holds_neither_connections_nor_blocks(
    emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, commit = threading.Event(), Inbox._commit

    def hang(inbox: Inbox, changes: Any) -> list[bool]:
        goes_on.wait(30)
        return commit(inbox, changes)

    with Running(tmp_path, {"firewalls": [firewall(emulator)]}, limits={"body_timeout": 0.5}) as running:
        monkeypatch.setattr(Inbox, "_commit", hang)
        post = post_of(sourceIP=HOST)
        assert running.send(post)[0] == 503
        assert entries(emulator, host=HOST)
        goes_on.set()
        status, answer = running.send(post)
        assert (status, answer["known"]) == (200, 1)


def test_the_monitor_is_there_unless_its_port_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing is said about it; who names a port must get it."""
    assert (MonitorSettings().enabled, MonitorSettings().host, MonitorSettings().port) == (True, "127.0.0.1", 9105)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(app_module, "MonitorSettings", lambda: MonitorSettings(port=port))
        with Running(tmp_path, None, monitor=None) as running:
            assert running.addresses.keys() == {"webhook"} and "The monitor is off; set monitor.port." in caplog.text
    with Running(tmp_path, None, monitor=None) as running:
        assert running.addresses["monitor"] == ("127.0.0.1", port) and running.get("/healthz")[0] == 200


def test_one_source_a_state(tmp_path: Path) -> None:
    with Running(tmp_path, None), pytest.raises(StateInUse):
        Running(tmp_path, None).__enter__()


def test_when_too_much_waits_the_oldest_is_given_up(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(output_module, "WAITING", 5)

    async def story() -> list[int]:
        taken: list[int] = []
        gate = asyncio.Event()

        async def emit(event: dict[str, Any]) -> None:
            await gate.wait()
            if event["number"] == 10:
                raise ValueError("a filter failed")
            taken.append(event["number"])

        async with Output(emit) as output:
            for number in range(12):
                output.put({"number": number})
                await asyncio.sleep(0)
            gate.set()
        assert output.lost == 7
        return taken

    assert asyncio.run(story()) == [0, 8, 9, 11]
    assert "too slow" in caplog.text and "could not be handed" in caplog.text


def test_the_event_source_as_ansible_rulebook_loads_it(emulator: Handle, tmp_path: Path) -> None:
    main = runpy.run_path(str(SOURCE))["main"]
    assert asyncio.iscoroutinefunction(main)

    async def story() -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        with pytest.raises(Exception, match=r"respond\.firewalls must contain at least one firewall"):
            await main(queue, {"respond": {}})
        args = {"port": 0, "state_dir": str(tmp_path / "state"), "eda_feedback_queue": queue}
        task = asyncio.ensure_future(main(queue, args))
        await asyncio.sleep(0.5)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
