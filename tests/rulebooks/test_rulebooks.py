# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks as they are shipped, in real ansible-rulebook: an event of the IPS on one side, the firewall on the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rulebooks.controller import TOKEN, Controller
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


def test_block_by_job_template_as_shipped(stage):
    with Controller("Stop them", "Security") as controller:
        variables = stage.variables(block_job_template="Stop them", block_organization="Security", block_ttl="600")
        arguments = ("--controller-url", controller.url, "--controller-token", TOKEN)
        with Rulebook(stage, "intrusion.response.block_by_job_template", variables, *arguments) as rulebook:
            send_what_leads_to_no_block(stage)
            stage.raise_event(sourceIP=ATTACKER)
            for number in range(FLOOD):
                stage.post(sourceIP=ATTACKER, sourcePort=str(40_000 + number))
            stage.post(sourceIP=LAST)
            until("both launches", lambda: len(controller.launches) >= 2)
    assert not controller.refused
    sent = [launch["extra_vars"] for launch in controller.launches]
    assert [given.pop("blacklist_description")[:10] for given in sent] == ["IPS event "] * 2
    assert sent == [{
        "blacklist_addresses": host, "blacklist_ttl": 600, "blacklist_renew_below": 300, "blacklist_rule_name": "IPS",
    } for host in (ATTACKER, LAST)]
    assert SECRET not in rulebook.output()
