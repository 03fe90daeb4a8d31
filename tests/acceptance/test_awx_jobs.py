# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of what awx_setup made, run by ansible-runner as AWX lays them out: each in a home of its own, with the ledger in common."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from acceptance.awx_stage import finished, launch, point_at, relaunch, set_up
from awx.runner import run
from awx.server import TOKEN, Controller
from awx.store import Refused

from emulator.testing import EmulatorProcess

EVENT = "5d41402abc4b2a76b9719d911017c592"
SERVER = "VA1ACMEWEB01"
#: What a failure may print, all in all; it was 9 kB a host.
SHORT = 4000


class Scene:
    """A set up AWX, two firewalls and the IPS."""

    def __init__(self, controller: Controller, emulator: EmulatorProcess, ledger: Path) -> None:
        self.controller, self.emulator, self.ledger = controller, emulator, ledger

    def launch(self, name: str, job_type: str = "run", **answers: Any) -> dict[str, Any]:
        return launch(self.controller, name, job_type, **answers)

    def blocked(self, firewall: str = "fw1") -> dict[str, int]:
        entries = self.emulator.control("GET", "state")["firewalls"][firewall]["entries"]
        return {entry["host"]: entry["ttl"] for entry in entries if entry["alert_type"] == "REST"}

    def destinations(self, name: str = SERVER) -> set[str]:
        servers = self.emulator.control("GET", "state")["servers"]
        return {one["typeCode"] for server in servers if server["name"] == name for one in server["destinations"]}

    def records(self, columns: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as connection:
            latest = "SELECT max(id) FROM records GROUP BY coalesce(write, id)"
            return connection.execute(f"SELECT {columns} FROM records WHERE id IN ({latest}) ORDER BY id").fetchall()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with EmulatorProcess("--firewalls", "2") as emulator, set_up(run) as controller:
        point_at(controller, emulator.ready, tmp_path / "ledger.sqlite3")
        yield Scene(controller, emulator, tmp_path / "ledger.sqlite3")


def well(job: dict[str, Any], *words: str) -> dict[str, Any]:
    assert job["status"] == "successful" and "is not a variable of this collection" not in job["_output"], job["_output"]
    assert all(word in job["_output"] for word in words), job["_output"]
    return job["artifacts"].get("intrusion_response_result", {})


def badly(job: dict[str, Any], *words: str) -> None:
    assert job["status"] == "failed", job["_output"]
    said = " ".join(job["_output"].split())
    assert all(word in said for word in words), job["_output"]
    assert len(job["_output"]) < SHORT and "Traceback" not in job["_output"]


def test_block_undo_and_what_the_ledger_knows(scene):
    why = {"blacklist_event": EVENT, "blacklist_event_rule": "Scan {{ 1 }}", "blacklist_description": "port scan"}
    block = scene.launch("Block", blacklist_addresses="203.0.113.5\n203.0.113.6\n", blacklist_ttl=600, **why)
    result = well(block, "203.0.113.5: blocked until 20")
    assert (result["ok"], result["event"], result["addresses"]) == (True, EVENT, ["203.0.113.5", "203.0.113.6"])
    assert (result["firewalls"], set(result["ends"])) == (["fw1", "fw2"], {"203.0.113.5", "203.0.113.6"})
    well(scene.launch("Block", blacklist_addresses="203.0.113.7"))
    assert scene.blocked() == scene.blocked("fw2") and set(scene.blocked()) == {f"203.0.113.{number}" for number in (5, 6, 7)}
    assert 590 < scene.blocked()["203.0.113.5"] <= 600 and 3590 < scene.blocked()["203.0.113.7"] <= 3600, "the default of the survey"
    assert scene.records("action, event, event_rule, user, job")[0] == ("block", EVENT, "Scan {{ 1 }}", "admin", str(block["id"]))
    refused = scene.launch("Block", blacklist_addresses="198.51.100.7")
    badly(refused, "198.51.100.7 was not blocked: it is in never_block (198.51.100.0/24).")
    history = scene.launch("History", blacklist_addresses="203.0.113.5")
    well(history, "fw1, fw2", f"admin ({block['id']})", "Scan {{ 1 }}, event", EVENT[:12])
    table = [line for line in history["_output"].splitlines() if line.startswith(" " * 8)]
    assert len(table) >= 2 and all(len(line) <= 120 for line in table), history["_output"]
    undone = scene.launch("Undo", blacklist_event=EVENT)
    assert well(undone, "203.0.113.5: removed")["action"] == "undo"
    assert set(scene.blocked()) == set(scene.blocked("fw2")) == {"203.0.113.7"}
    badly(scene.launch("Undo"), "Specify which blocks")
    well(scene.launch("History", blacklist_event=EVENT), f"removed by admin ({undone['id']})")


def test_unblock_and_report(scene):
    well(scene.launch("Block", blacklist_addresses="203.0.113.5, 203.0.113.6"))
    well(scene.launch("Unblock", blacklist_addresses="203.0.113.5", blacklist_every_service="true", blacklist_target="fw1"))
    assert set(scene.blocked()) == {"203.0.113.6"} and set(scene.blocked("fw2")) == {"203.0.113.5", "203.0.113.6"}
    well(scene.launch("Report"), "203.0.113.6, all_services, REST", SERVER)
    well(scene.launch("Report", blacklist_target="fw2", protect_target=SERVER), "203.0.113.5, all_services, REST")
    for name, answers in (("Unblock", {"blacklist_addresses": "203.0.113.6"}), ("Report", {})):
        badly(scene.launch(name, blacklist_target="firewals", **answers), "matches no host of the inventory")
    badly(scene.launch("History", blacklist_last="soon"), "last must be a number of minutes")
    well(scene.launch("Unblock", blacklist_addresses="203.0.113.6", blacklist_exempt="2h"))
    assert scene.blocked() == {} and set(scene.blocked("fw2")) == {"203.0.113.5"}
    badly(scene.launch("Block", blacklist_addresses="203.0.113.6"), "exempt from blocking until")


def test_a_database_is_the_ledger_of_all_nodes(scene, database):
    """What one throw-away home blocked, another undoes: nothing that is needed for it is kept in either."""
    point_at(scene.controller, scene.emulator.ready, database)
    blocks = [scene.launch("Block", blacklist_addresses=address) for address in ("203.0.113.5", "203.0.113.6")]
    assert set(scene.blocked()) == set(scene.blocked("fw2")) == {"203.0.113.5", "203.0.113.6"} and not scene.ledger.exists()
    foretold = scene.launch("Undo", "check", blacklist_last="1h", blacklist_addresses="203.0.113.5")
    assert well(foretold, "203.0.113.5: would be removed")["check_mode"] and len(scene.blocked()) == 2
    undone = scene.launch("Undo", blacklist_last="1h", blacklist_addresses="203.0.113.5")
    assert well(undone)["addresses"] == ["203.0.113.5"] and "belongs to a single machine" not in undone["_output"]
    assert set(scene.blocked()) == set(scene.blocked("fw2")) == {"203.0.113.6"}
    well(scene.launch("History"), *(f"admin ({block['id']})" for block in blocks), f"removed by admin ({undone['id']})")


def test_servers_that_failed_are_onboarded_again_with_the_answers_given_before(scene):
    """A relaunch on failed hosts is limited to them, and nothing else is written."""
    controller, other = scene.controller, "VA1ACMEWEB02"
    inventory = controller.named("inventories", "Intrusion response")["id"]
    unknown = json.dumps({"protect_detection": "api", "protect_server_name": "VA1ACMENONE"})
    held = controller.store.create("hosts", {"name": other, "inventory": inventory, "variables": unknown})
    controller.store.links["groups", controller.named("groups", "servers")["id"], "hosts"].append(held["id"])
    mail = json.dumps([{"type": "email", "email_address": "secops@example.com"}])
    job = scene.launch("Onboard", protect_destinations=mail)
    badly(job, other)
    assert scene.destinations() == {"EMAIL"} and scene.destinations(other) == set()
    held["variables"] = json.dumps({"protect_detection": "api"})
    scene.emulator.control("DELETE", "journal")
    again = relaunch(controller, job, "failed")
    well(again)
    assert (again["limit"], again["launch_type"]) == (other, "relaunch") and scene.destinations(other) == {"EMAIL"}
    written = [entry["path"] for entry in scene.emulator.writes() if "login" not in entry["path"]]
    assert written and not any(SERVER in path for path in written), written
    with pytest.raises(Refused, match="0 failed hosts"):
        relaunch(controller, again, "failed")


def test_onboard_and_offboard(scene):
    well(scene.launch("Onboard"), "nobody is notified of attacks")
    url = "https://hooks.example.com/canary-path-8Jq3"
    destinations = json.dumps([{"type": "webhook", "url": url}, {"type": "email", "email_address": "secops@example.com"}])
    job = scene.launch("Onboard", protect_destinations=destinations, protect_purge="false")
    well(job)
    assert "canary" not in job["_output"]
    assert scene.destinations() == {"WEBHOOK", "EMAIL"}
    badly(scene.launch("Onboard", protect_destinations="secops@example.com"), "protect_destinations")
    well(scene.launch("Offboard", protect_target=SERVER, protect_keep_destinations="true"))
    well(scene.launch("Offboard", protect_target=SERVER))
    assert scene.destinations() == set()
    badly(scene.launch("Offboard", protect_target="nowhere"), "matches no host of the inventory")


def test_a_block_after_an_approval_and_what_nobody_launched(scene):
    """The block waits; the ledger tells the workflow, a schedule and a webhook from a person."""
    controller = scene.controller
    workflow = controller.named("workflow_job_templates", "Block with approval")["id"]
    answers = {"extra_vars": {"blacklist_addresses": "203.0.113.5", "blacklist_ttl": 600}}
    made = controller.serve("POST", f"/api/v2/workflow_job_templates/{workflow}/launch/", {}, answers, f"Bearer {TOKEN}")[1]
    assert made["ignored_fields"] == {} and scene.blocked() == {}
    approval, = controller.store.objects["workflow_approvals"]
    controller.serve("POST", f"/api/v2/workflow_approvals/{approval}/approve/", {}, {}, f"Bearer {TOKEN}")
    done = finished(controller, made["id"], "workflow_jobs")
    assert done["status"] == "successful" and done["artifacts"]["intrusion_response_result"]["addresses"] == ["203.0.113.5"]
    nightly = {"launch_type": "scheduled", "schedule_name": "Nightly"}
    for address, about in (("203.0.113.6", nightly), ("203.0.113.7", {"launch_type": "webhook"})):
        well(finished(controller, controller.jobs.launch_by("Block", {"blacklist_addresses": address}, **about)["id"]))
    users = [user for user, firewall in scene.records("user, firewall") if firewall == scene.records("firewall")[0][0]]
    assert users == [f"admin (workflow job {made['id']})", "(schedule Nightly)", "(webhook)"]


def test_a_group_without_firewalls_and_a_prompt_for_a_limit(scene):
    """No green job that blocked nothing: an empty group, a limit that names others."""
    controller = scene.controller
    block, group = controller.named("job_templates", "Block"), controller.named("groups", "firewalls")
    block["ask_limit_on_launch"] = True

    def limited(limit: str) -> dict[str, Any]:
        body = {"extra_vars": {"blacklist_addresses": "203.0.113.5"}, "limit": limit}
        made = controller.serve("POST", f"/api/v2/job_templates/{block['id']}/launch/", {}, body, f"Bearer {TOKEN}")[1]
        assert made["ignored_fields"] == {}
        return finished(controller, made["id"])

    badly(limited("servers"), "No firewall takes part in this run: the limit 'servers' excludes fw1, fw2.")
    well(limited("fw2"))
    assert scene.blocked() == {} and set(scene.blocked("fw2")) == {"203.0.113.5"}
    controller.store.links["groups", group["id"], "hosts"].clear()
    badly(limited(""), "No firewall takes part in this run: the pattern is 'firewalls'")
    controller.store.delete("groups", group["id"])
    badly(limited("all"), "No firewall takes part in this run")
    badly(limited(""), "Specify which firewall")
