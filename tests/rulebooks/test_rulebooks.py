# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks as they are shipped, in real ansible-rulebook: an event of the IPS on one side, the firewall on the other."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from acceptance.awx_stage import finished, launch, point_at, set_up
from awx.jobs import Outcome
from awx.runner import run
from awx.server import TOKEN
from rulebooks.stage import SECRET, Rulebook, Stage, until

RULEBOOKS = Path(__file__).resolve().parents[2] / "extensions" / "eda" / "rulebooks"
ATTACKER, ANOTHER, LAST = "203.0.113.5", "203.0.113.6", "198.51.100.77"
INVENTORY = ("--inventory", "inventory.json")
FLOOD = 30


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as running:
        yield running


def send_what_leads_to_no_block(stage: Stage) -> None:
    """Events of other kinds, from places that are not blocked, and with addresses that are none."""
    stage.post(sourceIP="198.51.100.1", direction="Outgoing", iface="")
    stage.post(sourceIP="198.51.100.2", flow="Reverse Flow", iface="")
    for address in ("10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"):
        stage.post(sourceIP=address)
    for address in ("", "203.0.113.0/24", "2001:db8::1", "::ffff:203.0.113.7", "203.0.113.007", "attacker.example.com"):
        stage.post(sourceIP=address)


def test_playbook_behind_another_source(stage):
    """The rules of block_by_playbook.yml behind a plain webhook; no text of an event is run as a template."""
    (ruleset,) = yaml.safe_load((RULEBOOKS / "block_by_playbook.yml").read_text(encoding="utf-8"))
    (source,) = ruleset["sources"]
    webhook = {"eda.builtin.webhook": {"host": "127.0.0.1", "port": stage.port}, "filters": source["filters"]}
    rulebook = stage.place / "behind-a-webhook.yml"
    rulebook.write_text(yaml.safe_dump([{**ruleset, "sources": [webhook]}]), encoding="utf-8")
    planted = stage.place / "planted"
    template = f"{{{{ lookup('ansible.builtin.pipe', 'touch {planted}') }}}}"
    with Rulebook(stage, rulebook, {"block_ttl": 7200}, *INVENTORY):
        send_what_leads_to_no_block(stage)
        stage.raise_event(sourceIP=ATTACKER, reason=template, flags=template, protocol=template, tags=template)
        entry = stage.wait_for_block(ATTACKER)
    assert list(stage.blocked()) == [ATTACKER]
    assert entry["rule_name"] == "IPS"
    assert entry["description"].startswith("IPS event ")
    assert 7100 < entry["ttl"] <= 7200
    assert not planted.exists()


def test_block_by_playbook_as_shipped(stage):
    """A flood of one attacker starts one job."""
    with Rulebook(stage, "intrusion.response.block_by_playbook", stage.variables(), *INVENTORY) as rulebook:
        send_what_leads_to_no_block(stage)
        stage.raise_event(sourceIP=ATTACKER)
        for number in range(FLOOD):
            stage.post(sourceIP=ATTACKER, sourcePort=str(40_000 + number))
        stage.wait_for_block(ATTACKER)
        stage.post(sourceIP=LAST)
        stage.wait_for_block(LAST)
        assert rulebook.plays() == 2, "one for each attacker"
    assert stage.blocked().keys() == {ATTACKER, LAST}
    assert [write["method"] for write in stage.emulator.writes() if write["service"] == "cos"] == ["POST", "POST"]
    assert SECRET not in rulebook.output()


def test_block_attackers_as_shipped(stage):
    """The source blocks, and the verdict reaches the rules."""
    variables = stage.variables(respond={"firewalls": [stage.firewall], "never_block": [ANOTHER]})
    with Rulebook(stage, "intrusion.response.block_attackers", variables) as rulebook:
        where = rf"\['127\.0\.0\.1', {stage.port}\]"
        rulebook.wait_for(rf"^LISTENING on {where}, TLS False, dry run False, firewalls \['fw1'\], never block \['{ANOTHER}'\]$")
        send_what_leads_to_no_block(stage)
        stage.raise_event(sourceIP=ANOTHER)
        stage.raise_event(sourceIP=ATTACKER)
        entry = stage.wait_for_block(ATTACKER)
        told = rulebook.wait_for(rf"^BLOCKED: {ATTACKER} for (\d+) s in ([\d.]+) ms, IPS event ([0-9a-f]{{32}})$")
    assert told[1] == "3600"
    assert entry["rule_name"].startswith("IPS")
    assert list(stage.blocked()) == [ATTACKER]
    assert rulebook.output().count("BLOCKED:") == 1
    assert SECRET not in rulebook.output()


def test_block_attackers_takes_the_file_of_the_service(stage):
    """Every setting at the top of the configuration has its variable, and the section respond goes through as it is."""
    names = set(re.findall(r"\{\{ (\w+) \|", (RULEBOOKS / "block_attackers.yml").read_text(encoding="utf-8")))
    respond = {
        "firewalls": [stage.firewall], "policy": {"ttl": 600}, "escalation": {"multipliers": [1]}, "limits": {"total": 10},
        "never_block": [LAST], "ledger": "none", "ledger_keep": 30, "verdict_after": 5, "dry_run": True,
    }
    given = {
        "host": "127.0.0.1", "tls": None, "allow_http": False, "path_secrets": None, "hmac_secrets": None, "hmac_secrets_file": None,
        "replay_window": 60, "allow_from": ["127.0.0.0/8"], "limits": {"rate": 10}, "monitor": {"port": 0}, "respond": respond,
        "format": "auto", "custom": None, "detect_only": True,
        "follow": [{"path": str(stage.place / "eve.json"), "format": "suricata_eve"}],
    }
    variables = stage.variables(**given)
    schema = json.loads((RULEBOOKS.parent / "plugins" / "event_source" / "schemas" / "webhook.json").read_text(encoding="utf-8"))
    assert names == variables.keys() == schema["properties"].keys()
    settings = stage.place / "variables.json"
    settings.write_text(json.dumps(variables), encoding="utf-8")
    source = RULEBOOKS.parent / "plugins" / "event_source" / "webhook.py"
    subprocess.run([sys.executable, source, "--config", settings, "--check"], check=True)
    with Rulebook(stage, "intrusion.response.block_attackers", variables) as rulebook:
        rulebook.wait_for(r"^LISTENING on .*, dry run True, ")
        stage.raise_event(sourceIP=ATTACKER)
        rulebook.wait_for(rf"^DRY RUN, WOULD BLOCK: {ATTACKER} for 600 s, IPS event [0-9a-f]{{32}}$")
    assert not stage.blocked()


def test_a_failure_to_block_reaches_the_rules(stage):
    """With the firewall of the environment, as the rulebook takes it when no variable names one."""
    wrong = {"COS_USERNAME": stage.firewall["username"], "COS_PASSWORD": "canary-wrong-password-1Zq9"}
    environment = {"COS_API_URL": stage.firewall["api_url"], "COS_CA_PATH": stage.firewall["ca_path"], **wrong}
    with Rulebook(stage, "intrusion.response.block_attackers", stage.variables(), **environment) as rulebook:
        stage.raise_event(sourceIP=ATTACKER)
        rulebook.wait_for(rf"^NOT BLOCKED: {ATTACKER} \(auth_failed\), IPS event [0-9a-f]{{32}}$")
    assert not stage.blocked()
    assert wrong["COS_PASSWORD"] not in rulebook.output()


def post_a_flood(stage: Stage) -> None:
    """Events that lead to no block, many of one attacker, and one of another."""
    send_what_leads_to_no_block(stage)
    stage.raise_event(sourceIP=ATTACKER, reason="Invalid Traversal")
    for number in range(FLOOD):
        stage.post(sourceIP=ATTACKER, sourcePort=str(40_000 + number))
    stage.post(sourceIP=ANOTHER, reason="{{ 7 }}")


def test_block_by_job_template_on_an_awx_that_was_set_up(stage):
    """An event becomes a job that blocks for the time that was asked for, the ledger knows its event and rule, and undo finds it."""
    with set_up(run) as controller:
        ledger = stage.place / "ledger.sqlite3"
        controller.store.delete("hosts", controller.named("hosts", "fw2")["id"])
        point_at(controller, stage.emulator.ready, ledger)
        variables = stage.variables(block_organization="Security", block_ttl="600")
        arguments = ("--controller-url", controller.url, "--controller-token", TOKEN)
        with Rulebook(stage, "intrusion.response.block_by_job_template", variables, *arguments) as rulebook:
            post_a_flood(stage)
            assert stage.wait_for_block(ATTACKER)["ttl"] <= 600 and stage.wait_for_block(ANOTHER)["rule_name"] == "IPS"
        # ansible-rulebook always sends a limit, which no template of the setup asks for
        assert [launch["ignored_fields"] for launch in controller.launched] == [{"limit": "all"}] * 2
        assert "NOT AS WANTED" not in rulebook.output() and SECRET not in rulebook.output()
        for launched in controller.launched:
            finished(controller, launched["id"])
        with closing(sqlite3.connect(ledger)) as connection:
            known = dict(connection.execute("SELECT address, event FROM records WHERE event_rule IN ('Invalid Traversal', '(( 7 }}')"))
        assert known.keys() == {ATTACKER, ANOTHER}
        undone = launch(controller, "Undo", blacklist_event=known[ATTACKER])
        assert undone["status"] == "successful" and stage.blocked().keys() == {ANOTHER}, undone["_output"]


def told(_store: Any, job: Mapping[str, Any]) -> Outcome:
    """What a job says that blocks everything it is told to."""
    given = job["_variables"]
    result = {"action": "block", "ok": True, "event": given.get("blacklist_event", ""), "addresses": [given["blacklist_addresses"]]}
    return Outcome(artifacts={"intrusion_response_result": {**result, "failed": {}}})


def test_what_a_controller_drops_or_refuses_is_seen(stage):
    with set_up(told) as controller:
        template = controller.named("job_templates", "Block")["id"]
        asked = {question["variable"]: question for question in controller.store.surveys[template]["spec"]}
        variables = stage.variables(block_organization="Security")
        arguments = ("--controller-url", controller.url, "--controller-token", TOKEN)
        with Rulebook(stage, "intrusion.response.block_by_job_template", variables, *arguments) as rulebook:
            controller.store.surveys[template]["spec"].remove(asked["blacklist_event"])
            stage.post(sourceIP=ATTACKER)
            rulebook.wait_for(f"NOT AS WANTED: {ATTACKER}, failed on no firewall, event dropped by the controller")
            asked["blacklist_ttl"]["type"] = "text"
            stage.post(sourceIP=ANOTHER)
            rulebook.wait_for("variables_needed_to_start.*Value 3600 for 'blacklist_ttl' expected to be a string")
        assert len(controller.launched) == 1


def test_block_by_workflow_waits_for_an_approval(stage):
    with set_up(told) as controller:
        arguments = ("--controller-url", controller.url, "--controller-token", TOKEN)
        with Rulebook(stage, "intrusion.response.block_by_workflow", stage.variables(block_organization="Security"), *arguments):
            post_a_flood(stage)
            until("both launches", lambda: len(controller.launched) == 2)
        assert [launched["ignored_fields"] for launched in controller.launched] == [{}] * 2
        assert not controller.store.objects["jobs"]
        approval = next(iter(controller.store.objects["workflow_approvals"]))
        controller.serve("POST", f"/api/v2/workflow_approvals/{approval}/approve/", {}, {}, f"Bearer {TOKEN}")
        job, = controller.store.objects["jobs"].values()
        result = finished(controller, job["id"])["artifacts"]["intrusion_response_result"]
        assert re.fullmatch("[0-9a-f]{32}", result["event"]) and result["addresses"][0] in (ATTACKER, ANOTHER)
