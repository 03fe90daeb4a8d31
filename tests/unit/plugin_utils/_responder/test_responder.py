# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From posts to verdicts, with the whole source running against the emulator's firewalls."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide import limits as limits_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import reconcile as reconcile_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import worker as worker_module

from emulator.testing import Handle, running_emulator

from .cable import Cable
from .running import SECRET, Running, entries, firewall, post_of, until

HOST = "203.0.113.5"


@pytest.fixture(scope="module")
def shared() -> Iterator[Handle]:
    with running_emulator(firewalls=("fw1", "fw2")) as handle:
        yield handle


@pytest.fixture
def emulator(shared: Handle, monkeypatch: pytest.MonkeyPatch) -> Handle:
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    for name in ("INTRUSION_RESPONSE_NEVER_BLOCK", "COS_API_URL"):
        monkeypatch.delenv(name, raising=False)
    shared.reset()
    return shared


def writes(emulator: Handle, name: str = "fw1") -> list[str]:
    return [record["method"] for record in emulator.journal("cos", firewall=name, writes=True)]


def test_an_event_becomes_a_block_and_a_verdict(emulator: Handle, tmp_path: Path) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator), firewall(emulator, 1)]}) as running:
        verdict = running.ask(sourceIP=HOST)
        firewalls = verdict.pop("firewalls")
        intrusion = verdict.pop("intrusion")
        description = verdict["entry"].pop("description")
        assert re.fullmatch(rf"IPS event {intrusion['id']}\.[0-9a-f]{{4}} on VA1SCDVMDC101: Invalid Traversal", description)
        assert verdict.pop("latency_ms") == max(one["latency_ms"] for one in firewalls) > 0
        assert verdict == {
            "type": "verdict", "verdict": "blocked", "code": None, "reason": None, "dry_run": False, "late": False,
            "verified": False, "attacker": HOST,
            "entry": {"host": HOST, "service": "all_services", "ttl": 3600, "rule_name": "IPS: Invalid Traversal"},
        }  # fmt: skip
        assert [(one["name"], one["result"], one["code"]) for one in firewalls] == [("fw1", "blocked", None), ("fw2", "blocked", None)]
        assert intrusion["attacker"] == HOST and intrusion["host_name"] == "VA1SCDVMDC101"
        status, text = running.get("/healthz")
        health = json.loads(text)
        assert status == 200 and health["firewalls"] == {"fw1": "up", "fw2": "up"} and health["waiting"] == 0
        assert health["writes"] == {"fw1": None, "fw2": None}
        metrics = running.get("/metrics")[1]
        assert 'intrusion_response_verdicts_total{verdict="blocked"} 1.0' in metrics
        assert "intrusion_response_latency_seconds_count 2.0" in metrics
        assert 'intrusion_response_firewall_up{firewall="fw2"} 1.0' in metrics
    records, total = Ledger(str(tmp_path / "ledger.sqlite3"), print).find(Filter(event=intrusion["id"]))
    assert total == 2 and {record.outcome for record in records} == {"ok"} and all(record.user for record in records)
    for name in ("fw1", "fw2"):
        assert entries(emulator, name)[0]["host"] == HOST and writes(emulator, name) == ["POST"]


def test_a_burst_is_few_writes(emulator: Handle, tmp_path: Path) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        for number in range(90):
            running.post(sourceIP=f"203.0.113.{number % 3}")
        until(lambda: len(running.verdicts()) == 90)
        assert Counter(verdict["verdict"] for verdict in running.verdicts()) == {"blocked": 3, "already_blocked": 87}
    assert writes(emulator) == ["POST"] * 3


def test_the_same_event_again_has_no_second_effect(emulator: Handle, tmp_path: Path) -> None:
    post = post_of(sourceIP=HOST)
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        assert [running.send(post)[1]["new"] for _unused in range(3)] == [1, 0, 0]
        until(running.verdicts)
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        assert running.send(post)[1]["new"] == 0
        assert not running.verdicts()
    assert writes(emulator) == ["POST"]


@pytest.mark.parametrize(
    "fields",
    [
        {"sourceIP": "127.0.0.1"}, {"sourceIP": "10.1.2.3"}, {"sourceIP": "203.0.113.0/24"}, {"sourceIP": "2001:db8::1"},
        {"sourceIP": "::ffff:203.0.113.5"}, {"sourceIP": "203.0.113.005"}, {"sourceIP": ""}, {"sourceIP": "224.0.0.1"},
        {"sourceIP": "0.0.0.0"}, {"sourceIP": "255.255.255.255"}, {"direction": "Outgoing"}, {"flow": "Reverse Flow"},
        {"sourceIP": None},
    ],
    ids=str,
)  # fmt: skip
def test_hostile_addresses_lead_to_nothing(emulator: Handle, tmp_path: Path, fields: dict[str, Any]) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        verdict = running.ask(**fields)
    assert verdict["verdict"] == "ignored" and verdict["reason"] and verdict["entry"] is None
    assert not writes(emulator)


def test_the_guard(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTRUSION_RESPONSE_NEVER_BLOCK", "203.0.113.9")
    policy = {"private": ["127.0.0.0/8", "224.0.0.0/4"]}
    respond = {"firewalls": [firewall(emulator)], "never_block": ["198.51.100.0/24"], "policy": policy}
    with Running(tmp_path, respond) as running:
        for address in ("198.51.100.77", "203.0.113.9", "127.0.0.1", "127.0.0.2", "224.0.0.1"):
            verdict = running.ask(sourceIP=address)
            assert (verdict["verdict"], verdict["code"], verdict["attacker"]) == ("protected", "protected_address", address)
            assert verdict["reason"].startswith("it is ")
    assert not writes(emulator)


def test_limits_stop_and_clear(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "WINDOW", 2.0)
    respond = {"firewalls": [firewall(emulator)], "limits": {"new_per_minute": 3}}
    with Running(tmp_path, respond) as running:
        verdicts = [running.ask(sourceIP=f"203.0.113.{number}")["verdict"] for number in (1, 1, 2, 3, 4, 1, 5)]
        assert verdicts == ["blocked", "already_blocked", "blocked", "blocked", "limited", "already_blocked", "limited"]
        assert len(writes(emulator)) == 3
        until(lambda: [event["state"] for event in running.events if event["type"] == "limit"] == ["reached", "cleared"])
        event = running.post(sourceIP="203.0.113.6")
        until(lambda: running.verdicts(event)[-1:] and running.verdicts(event)[-1]["verdict"] == "blocked")
        until(lambda: len(writes(emulator)) == 6)
        until(lambda: "intrusion_response_limited 0.0" in running.get("/metrics")[1])


def test_the_total_goes_by_what_the_firewalls_list(emulator: Handle, tmp_path: Path) -> None:
    marked = [{"host": f"203.0.113.{number}", "ttl": 3600, "alert_type": "REST", "rule_name": "IPS: x"} for number in range(100, 103)]
    emulator.seed({"firewalls": {"fw1": {"entries": marked}}})
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "limits": {"total": 4}}) as running:
        assert running.ask(sourceIP="203.0.113.1")["verdict"] == "blocked"
        assert running.ask(sourceIP="203.0.113.2")["verdict"] == "limited"
        limit = next(event for event in running.events if event["type"] == "limit")
        assert (limit["state"], limit["limit"], limit["value"]) == ("reached", "total", 4)


def test_repeat_offenders_are_blocked_for_longer(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_module.View, "is_fresh", lambda self, age: age > reconcile_module.BELIEVED)
    respond = {"firewalls": [firewall(emulator), firewall(emulator, 1)], "escalation": {"cap": 40000}}
    ledger = Ledger(str(tmp_path / "ledger.sqlite3"), print)
    with Running(tmp_path, respond) as running:
        seen = []
        for number in range(4):
            verdict = running.ask(sourceIP=HOST)
            seen.append((verdict["verdict"], verdict["entry"]["ttl"]))
            until(lambda number=number: ledger.find(Filter())[1] == 2 * (number + 1))
            until(lambda: json.loads(running.get("/healthz")[1])["addresses_waiting"] == {"fw1": 0, "fw2": 0})
            emulator.advance(100_000)
        assert seen == [("blocked", 3600), ("blocked", 14400), ("blocked", 40000), ("blocked", 40000)]


def test_a_firewall_that_is_down_delays_nobody(emulator: Handle, tmp_path: Path) -> None:
    with Cable(emulator.firewalls[1].http_url, plugged=False) as cable:
        respond = {"firewalls": [firewall(emulator), firewall(emulator, 1, api_url=cable.url)], "verdict_after": 2}
        with Running(tmp_path, respond) as running:
            first = running.post(sourceIP=HOST)
            verdict = running.verdict(first)
            assert (verdict["verdict"], verdict["late"]) == ("blocked", False)
            assert [one["result"] for one in verdict["firewalls"]] == ["blocked", "pending"]
            second = running.post(sourceIP=HOST)  # stands for the address from now on
            assert running.verdict(second)["verdict"] == "already_blocked"
            other = running.post(sourceIP="203.0.113.6")
            assert json.loads(running.get("/healthz")[1])["firewalls"] == {"fw1": "up", "fw2": "unreachable"}
            assert 'firewall_up{firewall="fw2"} 0.0' in running.get("/metrics")[1]
            running.verdict(other)
            cable.plug()
            for late in (running.verdict(second, 1), running.verdict(other, 1)):
                assert late["late"] is True
                assert [one["result"] for one in late["firewalls"]][1] == "blocked"
            assert len(running.verdicts(first)) == 1
            until(lambda: json.loads(running.get("/healthz")[1])["addresses_waiting"] == {"fw1": 0, "fw2": 0})
    assert {entry["host"] for entry in entries(emulator, "fw2")} == {HOST, "203.0.113.6"}
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        assert not running.events, "everything was finished"


def test_no_firewall_answers(emulator: Handle, tmp_path: Path) -> None:
    with Cable(emulator.firewalls[0].http_url, plugged=False) as cable:
        respond = {"firewalls": [firewall(emulator, api_url=cable.url)], "verdict_after": 0.3}
        with Running(tmp_path, respond, limits={"queue": 2}) as running:
            event_id = running.post(sourceIP=HOST)
            running.post(sourceIP=HOST)
            status, _answer = running.send(post_of(sourceIP=HOST))
            assert status == 429
            verdict = running.verdict(event_id)
            assert (verdict["verdict"], verdict["code"], verdict["entry"]) == ("failed", "unreachable", None)
            assert running.get("/healthz")[0] == 503
        cable.plug()
        with Running(tmp_path, {**respond, "verdict_after": 60}) as running:
            until(lambda: [verdict["verdict"] for verdict in running.verdicts()] == ["blocked"])
            assert running.verdicts()[0]["intrusion"]["id"] != event_id, "the newest stood for the address"
    assert len(writes(emulator)) == 1


def test_a_renewal_that_is_not_listed_yet_is_no_silence(emulator: Handle, tmp_path: Path) -> None:
    emulator.seed({"firewalls": {"fw1": {"entries": [{"host": HOST, "ttl": 600, "alert_type": "REST"}]}}})
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "verdict_after": 0.3}) as running:
        running.ask(sourceIP="203.0.113.1")
        until(lambda: json.loads(running.get("/healthz")[1])["addresses_waiting"] == {"fw1": 0})
        emulator.fault({"kind": "delay", "seconds": 1.5, "service": "cos", "method": "GET", "times": 1})
        event_id = running.post(sourceIP=HOST)
        first = running.verdict(event_id)
        assert (first["verdict"], first["code"], first["firewalls"][0]["result"]) == ("failed", "not_verified", "pending")
        assert first["firewalls"][0]["latency_ms"] is not None
        late = running.verdict(event_id, 1)
        assert (late["verdict"], late["late"], late["verified"]) == ("renewed", True, True)


def test_a_dry_run(emulator: Handle, tmp_path: Path) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "dry_run": "true"}) as running:
        verdicts = [running.ask(sourceIP=HOST), running.ask(sourceIP=HOST)]
        assert [(verdict["verdict"], verdict["dry_run"]) for verdict in verdicts] == [("blocked", True), ("already_blocked", True)]
        metrics = running.get("/metrics")[1]
        assert 'intrusion_response_verdicts_total{verdict="blocked"} 1.0' in metrics
        assert "intrusion_response_latency_seconds_count 0.0" in metrics
    assert not writes(emulator) and not (tmp_path / "ledger.sqlite3").exists()


@pytest.mark.parametrize("repost", ["renew_all", "ignore", "duplicate", "reject_400"])
def test_two_responders_share_a_firewall(emulator: Handle, tmp_path: Path, repost: str) -> None:
    emulator.switch("cos.repost", repost)
    old = [{"host": f"203.0.113.{number}", "ttl": 60, "alert_type": "REST"} for number in range(100, 110)]
    emulator.seed({"firewalls": {"fw1": {"entries": old}}})
    hosts = [f"203.0.113.{number}" for number in (*range(1, 11), *range(100, 110))]
    respond = {"firewalls": [firewall(emulator)]}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Running(tmp_path / "a", respond) as one, Running(tmp_path / "b", respond) as other:
        posts = [post_of(sourceIP=host) for host in hosts]

        def relay(running: Running) -> None:
            for post in posts:
                running.send(post)

        threads = [threading.Thread(target=relay, args=(running,)) for running in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for running in (one, other):
            until(lambda running=running: len(running.verdicts()) == len(hosts))
            assert {verdict["verdict"] for verdict in running.verdicts()} <= {"blocked", "renewed", "already_blocked"}
        settled = len(writes(emulator))
        time.sleep(1.5)
        assert len(writes(emulator)) == settled, "no fight"
    listed = {entry["host"]: max(entry["remaining"], 0) for entry in entries(emulator)}
    assert all(max(entry["remaining"] for entry in entries(emulator, host=host)) > 3500 for host in hosts), listed


def test_a_ledger_that_cannot_be_written_stops_no_block(emulator: Handle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no directory")
    with Running(tmp_path, {"firewalls": [firewall(emulator)], "ledger": str(tmp_path / "file" / "ledger.sqlite3")}) as running:
        assert running.ask(sourceIP=HOST)["verdict"] == "blocked"
        until(lambda: re.search(r"intrusion_response_ledger_errors_total [1-9]", running.get("/metrics")[1]))
    assert "ledger" in caplog.text


def test_a_rule_engine_that_sleeps_stops_no_block(emulator: Handle, tmp_path: Path) -> None:
    with Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        running.slow.set()
        for number in range(1, 21):
            running.post(sourceIP=f"203.0.113.{number}")
        until(lambda: len(entries(emulator)) == 20)
        assert not running.events
        running.slow.clear()
        until(lambda: len(running.verdicts()) == 20)


def test_secrets_stay_inside(emulator: Handle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    password = "canary-fw:pass word-Jm2"
    blocker = {"username": "blocker", "password": password, "access": "read_write"}
    emulator.seed({"firewalls": {"*": {"users": [blocker]}}})
    settings = {**firewall(emulator), "password": password}
    with Cable(emulator.firewalls[1].http_url, plugged=False) as cable:
        respond = {"firewalls": [settings, firewall(emulator, 1, api_url=cable.url)], "verdict_after": 2}
        with Running(tmp_path, respond, hmac_secrets=[]) as running:
            assert running.ask(sourceIP=HOST)["verdict"] == "blocked"
            emulator.fault(kind="status", status=403, service="cos", body=password, times=None)
            assert running.ask(sourceIP="203.0.113.6")["verdict"] == "failed"
            shown = [json.dumps(running.events), running.get("/metrics")[1], running.get("/healthz")[1], caplog.text]
    shown += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    for text in shown:
        for secret in (password, SECRET, "canary-blocker", "Jm2"):
            assert secret not in text
