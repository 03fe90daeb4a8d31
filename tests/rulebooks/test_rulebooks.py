# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks as they are shipped, in real ansible-rulebook: an event of the IPS on one side, the firewall on the other."""

from __future__ import annotations

import re
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
    variables = stage.variables(respond_firewalls=[stage.firewall], respond_never_block=[ANOTHER])
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


def test_block_attackers_with_every_variable(stage):
    names = set(re.findall(r"\{\{ (\w+) \|", (RULEBOOKS / "block_attackers.yml").read_text(encoding="utf-8")))
    given = {
        "ips_host": "127.0.0.1", "ips_tls": None, "ips_allow_http": False, "ips_hmac_secrets_file": None, "ips_replay_window": 60,
        "ips_allow_from": ["127.0.0.0/8"], "ips_limits": {"rate": 10}, "ips_monitor": {"port": 0}, "respond_firewalls": [stage.firewall],
        "respond_policy": {"ttl": 600}, "respond_escalation": {"multipliers": [1]}, "respond_limits": {"total": 10},
        "respond_never_block": [LAST], "respond_ledger": "none", "respond_ledger_keep": 30, "respond_verdict_after": 5,
        "respond_dry_run": True,
    }
    variables = stage.variables(**given)
    assert names == variables.keys()
    with Rulebook(stage, "intrusion.response.block_attackers", variables) as rulebook:
        rulebook.wait_for(r"^LISTENING on .*, dry run True, ")
        stage.raise_event(sourceIP=ATTACKER)
        rulebook.wait_for(rf"^DRY RUN, WOULD BLOCK: {ATTACKER} for 600 s, IPS event [0-9a-f]{{32}}$")
    assert not stage.blocked()


def test_the_file_of_the_service_starts_no_rulebook(stage):
    """Its names mean nothing to the rulebook, which would go on with the defaults: for real, with the firewall of the environment."""
    service = {"port": stage.port, "respond": {"firewalls": [stage.firewall], "dry_run": True}}
    environment = {f"COS_{name.upper()}": value for name, value in stage.firewall.items() if name != "name"}
    rulebook = Rulebook(stage, "intrusion.response.block_attackers", service, **environment)
    with pytest.raises(AssertionError, match="ansible-rulebook ended"):
        rulebook.__enter__()
    assert "respond.dry_run must be true or false; got 'unclear: respond_dry_run is not set, but respond is'" in rulebook.output()


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
    assert [given.pop("description")[:10] for given in sent] == ["IPS event "] * 2
    assert sent == [{
        "blacklist_addresses": host, "blacklist_ttl": 600, "blacklist_renew_below": 300, "blacklist_rule_name": "IPS",
    } for host in (ATTACKER, LAST)]
    assert SECRET not in rulebook.output()
