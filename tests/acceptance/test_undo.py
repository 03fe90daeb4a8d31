# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook undo: exactly what the ledger holds, only what is still ours, on every firewall that can be reached."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from acceptance.fleet import Fleet, Played

UNDO = "intrusion.response.undo"
FIREWALLS = ("fw1", "fw2")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def fleet(shared: Fleet) -> Fleet:
    """A fleet on which nothing has happened yet."""
    shared.control("POST", "reset", {})
    for path in ledger(shared).parent.glob("ledger.sqlite3*"):
        path.unlink()
    return shared


def ledger(fleet: Fleet) -> Path:
    return fleet.home / ".local/state/intrusion.response/ledger.sqlite3"


def extra(**variables: str) -> list[str]:
    """Return variables of the role as arguments; those of AWX keep their names."""
    named = {name if name.startswith("awx_") else f"blacklist_{name}": value for name, value in variables.items()}
    return [part for name, value in named.items() for part in ("-e", f"{name}={value}")]


def block(fleet: Fleet, *arguments: str, **variables: str) -> None:
    played = fleet.play("intrusion.response.block", *extra(**{"ttl": "3600", **variables}), *arguments)
    assert played.status == 0, played.output


def undo(fleet: Fleet, *arguments: str, **variables: str) -> Played:
    return fleet.play(UNDO, *extra(**variables), *arguments)


def blocked(fleet: Fleet, firewall: str = "fw1") -> set[str]:
    entries = fleet.control("GET", "state")["firewalls"][firewall]["entries"]
    return {entry["host"] for entry in entries if entry["alert_type"] == "REST"}


def records(fleet: Fleet, columns: str = "action, outcome, address, event, user, job, code") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{ledger(fleet)}?mode=ro", uri=True)) as connection:
        latest = "SELECT max(id) FROM records GROUP BY coalesce(write, id)"
        return connection.execute(f"SELECT {columns} FROM records WHERE id IN ({latest}) ORDER BY id").fetchall()


def test_predicted_done_recorded_and_done_only_once(fleet: Fleet) -> None:
    at_first = blocked(fleet)
    addresses = "203.0.113.5,203.0.113.6"
    awx = {"JOB_ID": "77", "AWX_HOST": "https://awx.example.com"}
    why = extra(addresses=addresses, event="e1", event_rule="Scan", awx_user_name="alice")
    played = fleet.play("intrusion.response.block", *why, **awx)
    assert played.status == 0, played.output
    assert records(fleet) == [("block", "ok", address, "e1", "alice", "77", None) for address in addresses.split(",")] * 2
    fleet.control("DELETE", "journal")
    foretold = undo(fleet, "--check", last="10")
    assert foretold.status == 0, foretold.output
    assert "203.0.113.5: would be removed" in foretold.output
    assert fleet.writes() == [] and len(records(fleet)) == 4
    done = undo(fleet, last="10")
    assert done.status == 0, done.output
    assert "203.0.113.5: removed" in done.output
    assert done.changes == foretold.changes == dict.fromkeys(FIREWALLS, 1)
    assert blocked(fleet) == blocked(fleet, "fw2") == at_first
    assert sorted(records(fleet)[4:])[0][:4] == ("unblock", "ok", "203.0.113.5", "e1")
    assert len(records(fleet)) == 8
    again = undo(fleet, last="10")
    assert again.status == 0 and again.changes == dict.fromkeys(FIREWALLS, 0), again.output
    assert "nothing to undo: the recorded blocks were already undone, have expired" in again.output
    assert f"{ledger(fleet)} belongs to a single machine" in " ".join(again.output.split())
    assert "no record of that" not in again.output
    assert len(records(fleet)) == 8 and len(fleet.writes()) == 4


def test_from_a_throw_away_home_with_a_shared_ledger(fleet: Fleet, database: str, tmp_path: Path) -> None:
    at_first = blocked(fleet)
    homes = [tmp_path / "job1", tmp_path / "job2"]
    for home in homes:
        home.mkdir()
    played = fleet.play("intrusion.response.block", *extra(addresses="203.0.113.5", ttl="600"), HOME=str(homes[0]),
                        INTRUSION_RESPONSE_LEDGER=database)  # fmt: skip
    assert played.status == 0 and "will be lost" not in played.output, played.output
    assert blocked(fleet) == blocked(fleet, "fw2") == at_first | {"203.0.113.5"}
    for changes in (1, 0):
        done = fleet.play(UNDO, *extra(last="10"), HOME=str(homes[1]), INTRUSION_RESPONSE_LEDGER=database)
        assert done.status == 0 and done.changes == dict.fromkeys(FIREWALLS, changes), done.output
        assert "belongs to a single machine" not in done.output
    assert blocked(fleet) == blocked(fleet, "fw2") == at_first
    assert not ledger(fleet).exists()


def test_by_event_rule_and_address(fleet: Fleet) -> None:
    at_first = blocked(fleet)
    block(fleet, addresses="203.0.113.5", event="e1", event_rule="Scan", rule_name="IPS-a")
    block(fleet, addresses="203.0.113.6", event="e2", event_rule="Flood", rule_name="IPS-b")
    block(fleet, addresses="203.0.113.7", event="e3", event_rule="Flood", rule_name="IPS-c")
    block(fleet, addresses="203.0.113.8", rule_name="by-hand")
    mine = {f"203.0.113.{number}" for number in (5, 6, 7, 8)}
    for mistyped in ({"event": "nobody"}, {"rule_name": "IPS-d"}, {"event": "e3", "addresses": "203.0.113.5"}):
        played = undo(fleet, **mistyped)
        assert played.status != 0 and played.changes == dict.fromkeys(FIREWALLS, 0), played.output
        assert f"The ledger {ledger(fleet)} has no record of that; check the spelling." in " ".join(played.output.split())
    assert blocked(fleet) == at_first | mine
    for variables, gone in (({"event": "e1"}, {5}), ({"rule_name": "ips-*"}, {6, 7}), ({"addresses": "203.0.113.8,192.0.2.1"}, {8})):
        played = undo(fleet, **variables)
        assert played.status == 0, played.output
        mine -= {f"203.0.113.{number}" for number in gone}
        assert blocked(fleet) == blocked(fleet, "fw2") == at_first | mine


def test_by_what_the_firewall_lists(fleet: Fleet) -> None:
    first, second = "5d41402abc4b2a76b9719d911017c592", "5d41402abc4b2a00000000000000c592"
    block(fleet, addresses="203.0.113.5", event=first)
    block(fleet, addresses="203.0.113.6", event=second)
    unclear = undo(fleet, event=first[:14])
    assert unclear.status != 0 and "several begin with" in unclear.output, unclear.output
    assert {"203.0.113.5", "203.0.113.6"} <= blocked(fleet)
    assert undo(fleet, event=f"{first}.3f9a").changes == dict.fromkeys(FIREWALLS, 1)
    assert blocked(fleet) & {"203.0.113.5", "203.0.113.6"} == {"203.0.113.6"}
    assert undo(fleet, event=second[:15]).changes == dict.fromkeys(FIREWALLS, 1)
    assert "203.0.113.6" not in blocked(fleet, "fw2")


def test_by_who_did_it(fleet: Fleet) -> None:
    block(fleet, addresses="203.0.113.5,203.0.113.6", rule_name="IPS")
    by_hand = sqlite3.connect(ledger(fleet))
    with closing(by_hand), by_hand:
        by_hand.execute(
            "INSERT INTO records SELECT NULL, at, action, outcome, '203.0.113.7', service, firewall, ttl, rule_name, description, code,"
            " 'responder', user, job, event, event_rule, overridden, NULL, ends FROM records"
            " WHERE address = '203.0.113.5' AND outcome = 'ok'"
        )
    block(fleet, addresses="203.0.113.7", rule_name="IPS", ledger="none")
    played = undo(fleet, origin="responder", last="1h")
    assert played.status == 0 and played.changes == dict.fromkeys(FIREWALLS, 1), played.output
    assert blocked(fleet) & {f"203.0.113.{number}" for number in (5, 6, 7)} == {"203.0.113.5", "203.0.113.6"}
    assert undo(fleet, origin="cos_blacklist_entries").changes == dict.fromkeys(FIREWALLS, 1)
    mistyped = undo(fleet, origin="resbonder")
    assert mistyped.status != 0 and "value of origin must be one of" in mistyped.output, mistyped.output


def test_nothing_happened_in_that_time(fleet: Fleet) -> None:
    block(fleet, "--limit", "fw1", addresses="203.0.113.5")
    for variables in ({"until": "2020-01-01"}, {"addresses": "203.0.113.9", "last": "10"}):
        played = undo(fleet, **variables)
        assert played.status == 0 and played.changes == dict.fromkeys(FIREWALLS, 0), played.output
        said = " ".join(played.output.split())
        assert f"The ledger {ledger(fleet)} has no record of that. Another ledger can be set" in said
        assert "INTRUSION_RESPONSE_LEDGER" in said and "spelling" not in said
    played = undo(fleet, "--check", addresses="203.0.113.5")
    assert played.changes == {"fw1": 1, "fw2": 0}, played.output
    assert "nothing to undo: no matching block was recorded for this firewall" in played.output


def test_what_is_no_longer_ours_is_left_alone(fleet: Fleet) -> None:
    block(fleet, addresses="203.0.113.5,203.0.113.6", rule_name="IPS")
    somebody = fleet.play("intrusion.response.block", *extra(addresses="203.0.113.5", rule_name="theirs", ledger="none"))
    assert somebody.status == 0, somebody.output
    played = undo(fleet, last="1h")
    assert played.status == 0, played.output
    assert "left alone" in played.output
    assert {"203.0.113.5"} == blocked(fleet) & {"203.0.113.5", "203.0.113.6"}
    assert undo(fleet, last="1h").changes == dict.fromkeys(FIREWALLS, 0)


def test_firewalls_outside_the_play(fleet: Fleet) -> None:
    block(fleet, addresses="203.0.113.5")
    inventory = fleet.secret / "inventory.json"
    whole = inventory.read_text()
    try:
        limited = undo(fleet, "--limit", "fw1", last="10")
        assert limited.status == 0, limited.output
        assert "1 block still stands on firewalls that are not in this play" in limited.output
        block(fleet, "--limit", "fw1", addresses="203.0.113.5")
        smaller = json.loads(whole)
        del smaller["firewalls"]["hosts"]["fw2"]
        inventory.write_text(json.dumps(smaller))
        lost = fleet.play(UNDO, *extra(last="10"))
        assert lost.status != 0
        assert fleet.ready["firewalls"][1]["api_url"] in lost.output
        assert blocked(fleet) & {"203.0.113.5"} == set() and "203.0.113.5" in blocked(fleet, "fw2")
    finally:
        inventory.write_text(whole)


def test_a_firewall_that_fails_does_not_stop_the_others(fleet: Fleet) -> None:
    block(fleet, addresses="203.0.113.5")
    fleet.control("POST", "faults", [{"kind": "status", "status": 403, "times": None, "method": "DELETE", "firewall": "fw1"}])
    played = undo(fleet, last="10")
    assert played.failed == {"fw1"}, played.output
    assert "203.0.113.5" in blocked(fleet) - blocked(fleet, "fw2")
    assert ("unblock", "failed", "203.0.113.5", None, "not_permitted") in records(fleet, "action, outcome, address, event, code")
    fleet.control("DELETE", "faults")
    assert undo(fleet, last="10").changes == {"fw1": 1, "fw2": 0}


def test_a_firewall_that_cannot_be_asked(fleet: Fleet) -> None:
    block(fleet, addresses="203.0.113.5")
    fleet.control("POST", "faults", [{"kind": "status", "status": 403, "times": None, "method": "GET", "firewall": "fw1"}])
    played = undo(fleet, last="10")
    assert played.failed == {"fw1"}, played.output
    assert "fw1 FAILED (not_permitted): " in played.output and "nothing to undo" not in played.output
    assert "203.0.113.5" in blocked(fleet) - blocked(fleet, "fw2")


def test_on_localhost(fleet: Fleet, tmp_path: Path) -> None:
    user = fleet.ready["firewall_users"][0]
    environment = {
        "COS_API_URL": f"{fleet.ready['firewalls'][0]['api_url']}/", "COS_USERNAME": user["username"], "COS_PASSWORD": user["password"],
        "COS_CA_PATH": fleet.ready["ca_path"], "INTRUSION_RESPONSE_LEDGER": str(tmp_path / "elsewhere" / "ledger"),
    }
    there = extra(addresses="203.0.113.5", target="localhost")
    played = fleet.play("intrusion.response.block", *there, **environment)
    assert played.status == 0, played.output
    assert "There is no ledger" in fleet.play(UNDO, *there).output
    played = fleet.play(UNDO, *there, **environment)
    assert played.status == 0 and played.changes["localhost"] == 1, played.output
    assert "203.0.113.5" not in blocked(fleet)


def test_refused(fleet: Fleet) -> None:
    block(fleet, addresses="203.0.113.5")
    fleet.control("DELETE", "journal")
    for variables, says in (
        ({}, "Specify which blocks"),
        ({"last": "", "event": "", "addresses": ""}, "Specify which blocks"),
        ({"last": "soon"}, "last must be a number of minutes"),
        ({"since": "yesterday"}, "since must be a time"),
        ({"addresses": "203.0.113.0/24"}, "must be a single IPv4 address"),
        ({"last": "10", "ledger": "none"}, "ledger must be a file or a database"),
        ({"last": "10", "ledger": str(fleet.home / "nowhere")}, f"There is no ledger {fleet.home / 'nowhere'}, so it is unknown what was"),
        ({"last": "10", "ledger": str(fleet.home / "nowhere")}, "with blacklist_ledger or INTRUSION_RESPONSE_LEDGER"),
        ({"last": "10", "ledger": str(fleet.secret / "inventory.json")}, "cannot be read"),
    ):
        played = undo(fleet, **variables)
        assert played.status != 0 and says in " ".join(played.output.split()), played.output
    assert fleet.writes() == [] and "203.0.113.5" in blocked(fleet)


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "timeout"])
def test_a_run_that_ends_in_the_middle_is_taken_back(fleet: Fleet, end: str) -> None:
    at_first = blocked(fleet)
    hosts = [f"203.0.{number // 250}.{number % 250 + 1}" for number in range(1000)]
    connection = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    options = {"api_url": "{{ cos_api_url }}", **{name: f"{{{{ cos_{name} }}}}" for name in ("username", "password", "ca_path")}}
    task = {
        "intrusion.response.cos_blacklist_entries": {**options, "hosts": hosts, "ttl": 3600, "rule_name": "feed"},
        "delegate_to": "localhost", "vars": connection, **({"timeout": 3} if end == "timeout" else {}),
    }  # fmt: skip
    playbook = fleet.write_playbook("feed.json", [{"hosts": "fw1", "gather_facts": False, "tasks": [task]}])
    fleet.control("PATCH", "settings", {"latency_ms": 20})
    with subprocess.Popen(
        fleet.command(playbook), env=fleet.environment(), cwd=fleet.temporary, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as run:  # fmt: skip
        while len(blocked(fleet)) < len(at_first) + 100:
            assert run.poll() is None
            time.sleep(0.05)
        if end != "timeout":
            os.killpg(run.pid, signal.Signals[end])
        assert run.wait(60) != 0
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)  # what a terminal or a container that goes away leaves of it
    fleet.control("PATCH", "settings", {"latency_ms": 0})
    written = blocked(fleet) - at_first
    assert 0 < len(written) < len(hosts)
    undone = undo(fleet, "--limit", "fw1", last="10")
    assert undone.status == 0, undone.output
    assert blocked(fleet) == at_first


def test_an_address_that_is_let_in_can_be_left_alone(fleet: Fleet) -> None:
    block = ("intrusion.response.block", "-e", "blacklist_addresses=203.0.113.5", "-e", "blacklist_ttl=3600")
    assert fleet.play(*block).status == 0
    assert fleet.play(UNDO, "-e", "blacklist_last=10", "-e", "blacklist_exempt=2h").status == 0
    again = fleet.play(*block)
    assert again.status != 0 and "exempt from blocking until" in again.output, again.output
    history = fleet.play("intrusion.response.history", "-e", "blacklist_addresses=203.0.113.5")
    exempt, = re.findall(r'"(203\.0\.113\.5 .* exempt until .*)"', history.output)
    assert all(name in exempt for name in FIREWALLS), history.output
    assert f"{ledger(fleet)} belongs to a single machine" in " ".join(history.output.split())
    wrong = fleet.play("intrusion.response.unblock", "-e", "blacklist_addresses=203.0.113.5", "-e", "blacklist_exempt=31d")
    assert wrong.status != 0 and "exempt must be from 1 second to 30 days" in wrong.output, wrong.output
