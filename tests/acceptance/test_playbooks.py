# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people meet at the playbooks: who takes part, how variables are spelt, what the summaries say, what an inventory may hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from acceptance.fleet import SERVERS, Fleet, Played

BLOCK, UNBLOCK, UNDO = (f"intrusion.response.{name}" for name in ("block", "unblock", "undo"))
ONBOARD, OFFBOARD, REPORT = (f"intrusion.response.{name}" for name in ("onboard", "offboard", "report"))
FIREWALLS = ("fw1", "fw2")
ADDRESS = ("-e", "blacklist_addresses=203.0.113.5")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), {"protect_detection": "receipt"}) as fleet:
        yield fleet


@pytest.fixture
def fleet(shared: Fleet) -> Iterator[Fleet]:
    """A fleet on which nothing has happened yet."""
    shared.control("POST", "reset", {})
    for path in (shared.home / ".local/state/intrusion.response").glob("ledger.sqlite3*"):
        path.unlink()
    shutil.rmtree(shared.state_dir, ignore_errors=True)
    yield shared
    shared.write_inventory()


def change_inventory(fleet: Fleet, **groups: dict[str, Any]) -> None:
    """Merge groups into the inventory."""
    path = fleet.secret / "inventory.json"
    inventory = json.loads(path.read_text(encoding="utf-8"))
    for group, parts in groups.items():
        for part, values in parts.items():
            inventory.setdefault(group, {}).setdefault(part, {}).update(values)
    path.write_text(json.dumps(inventory), encoding="utf-8")


def blocked(fleet: Fleet, firewall: str = "fw1") -> list[dict[str, Any]]:
    entries = fleet.control("GET", "state")["firewalls"][firewall]["entries"]
    return [entry for entry in entries if entry["alert_type"] == "REST" and entry["host"].startswith("203.0.113.")]


def said(played: Played) -> str:
    """Return the output as one line."""
    return " ".join(played.output.split())


@pytest.mark.parametrize(("playbook", "arguments", "says"), [
    (BLOCK, ("--limit", "servers", *ADDRESS), "No firewall takes part in this run: the limit 'servers' excludes fw1, fw2."),
    (UNBLOCK, ("--limit", "servers", *ADDRESS), "the limit 'servers' excludes fw1, fw2."),
    (UNDO, ("--limit", "servers", "-e", "blacklist_last=10"), "the limit 'servers' excludes fw1, fw2."),
    (BLOCK, ("-e", "blacklist_target=firewals", *ADDRESS), "blacklist_target is 'firewals', which matches no host"),
    (BLOCK, ("-e", "blacklist_target=spare", *ADDRESS), "blacklist_target is 'spare', which matches no host"),
    (ONBOARD, ("--limit", "firewalls"), f"No server takes part in this run: the limit 'firewalls' excludes {', '.join(SERVERS)}."),
    (OFFBOARD, ("-e", "protect_target=server"), "protect_target is 'server', which matches no host"),
    (OFFBOARD, ("-e", "protect_target=servers", "--limit", "firewalls"), "excludes"),
    (OFFBOARD, ("--limit", "servers"), "Specify which servers"),
    (REPORT, ("-e", "protect_target=server"), "protect_target is 'server', which matches no host"),
    (REPORT, ("-e", "blacklist_target=fw9"), "blacklist_target is 'fw9', which matches no host"),
    (BLOCK, ("-e", "addresses=203.0.113.5"), "Unknown extra variable addresses. Did you mean blacklist_addresses?"),
    (BLOCK, ("-e", "ttl=60", *ADDRESS), "Unknown extra variable ttl. Did you mean blacklist_ttl?"),
    (ONBOARD, ("-e", "target=servers"), "Unknown extra variable target. Did you mean protect_target?"),
])
def test_a_run_that_would_do_nothing_or_something_else_fails(fleet: Fleet, playbook: str, arguments: tuple[str, ...], says: str) -> None:
    change_inventory(fleet, spare={"hosts": {}})
    played = fleet.play(playbook, *arguments, *(["--check"] if playbook == UNDO else []))
    assert played.status != 0 and says in said(played), played.output
    assert "Traceback" not in played.output and fleet.writes() == []


def test_an_empty_group_firewalls_is_no_firewall(fleet: Fleet) -> None:
    path = fleet.secret / "inventory.json"
    inventory = json.loads(path.read_text(encoding="utf-8"))
    inventory["firewalls"]["hosts"] = {}
    path.write_text(json.dumps(inventory), encoding="utf-8")
    played = fleet.play(BLOCK, *ADDRESS)
    assert played.status != 0 and "No firewall takes part in this run: the pattern is 'firewalls'" in said(played), played.output


def test_a_misspelt_variable_is_a_warning(fleet: Fleet) -> None:
    played = fleet.play(BLOCK, *ADDRESS, "-e", "blacklist_tll=60")
    assert played.status == 0, played.output
    assert "blacklist_tll is not a variable of this collection. Did you mean blacklist_ttl?" in said(played)
    assert {entry["ttl"] for entry in blocked(fleet)} == {300}


def test_an_inventory_s_own_variables_do_not_leak_into_a_block(fleet: Fleet) -> None:
    own = {
        "description": "edge firewall", "service": "http-all", "ttl": 5, "target": "nobody", "rule_name": "x", "event": "e9", "last": "1h",
        "never_block": "203.0.113.0/24", "ledger": "none", "addresses": ["203.0.113.99"], "origin": "responder",
    }
    change_inventory(fleet, firewalls={"vars": own}, all={"vars": own})
    assert fleet.play(BLOCK, *ADDRESS).status == 0
    entry, = blocked(fleet)
    assert (entry["host"], entry["ttl"], entry["rule_name"], entry["description"]) == ("203.0.113.5", 300, "", "")
    played = fleet.play(UNDO, "-e", "blacklist_last=10")
    assert played.status == 0 and blocked(fleet) == [], played.output


def test_an_undefined_address_elsewhere_in_the_inventory(fleet: Fleet) -> None:
    change_inventory(fleet, web={"hosts": {"web9": {"ansible_host": "{{ nowhere }}"}}})
    limited = fleet.play(BLOCK, "--limit", "web", *ADDRESS)
    assert limited.status != 0 and "the limit 'web' excludes fw1, fw2." in said(limited), limited.output
    played = fleet.play(BLOCK, *ADDRESS)
    assert played.status == 0 and "web9" in played.output, played.output
    assert [entry["host"] for entry in blocked(fleet)] == ["203.0.113.5"]
    taken_back = fleet.play(UNDO, "-e", "blacklist_last=10")
    assert taken_back.status == 0 and blocked(fleet) == blocked(fleet, "fw2") == [], taken_back.output


def test_empty_answers_of_a_survey_count_as_not_given(fleet: Fleet) -> None:
    names = (
        "service", "ttl", "renew_below", "rule_name", "description", "close_established", "never_block", "allow_protected", "event",
        "event_rule", "ledger", "target",
    )
    answers = json.dumps({"blacklist_addresses": "203.0.113.5\n203.0.113.6\n", **{f"blacklist_{name}": "" for name in names}})
    played = fleet.play(BLOCK, "-e", answers)
    assert played.status == 0 and played.changes == dict.fromkeys(FIREWALLS, 1), played.output
    assert [entry["ttl"] for entry in blocked(fleet)] == [300, 300]
    texts = {"blacklist_addresses": "203.0.113.5", "blacklist_every_service": "true", "blacklist_service": ""}
    assert fleet.play(UNBLOCK, "-e", json.dumps(texts)).status == 0
    assert [entry["host"] for entry in blocked(fleet)] == ["203.0.113.6"]


def test_never_block_takes_line_breaks(fleet: Fleet) -> None:
    answers = {"blacklist_addresses": "203.0.113.5", "blacklist_never_block": "198.51.100.0/24\n203.0.113.5\n"}
    played = fleet.play(BLOCK, "-e", json.dumps(answers))
    assert played.status != 0 and "never_block" in played.output, played.output
    assert fleet.writes() == []


def test_a_line_for_each_address_and_for_a_firewall_that_failed(fleet: Fleet) -> None:
    fleet.control("POST", "faults", [{"kind": "status", "status": 403, "times": None, "firewall": "fw2"}])
    why = ("-e", "blacklist_ttl=600", "-e", "blacklist_rule_name=IPS", "-e", "{'blacklist_description': 'port scan'}")
    foretold = fleet.play(BLOCK, "--check", *ADDRESS, *why)
    assert "203.0.113.5: would be blocked until 20" in foretold.output, foretold.output
    played = fleet.play(BLOCK, *ADDRESS, *why)
    assert played.failed == {"fw2"}, played.output
    assert "203.0.113.5: blocked until 20" in played.output and "Z, IPS, port scan" in played.output
    assert "fw2 FAILED (not_permitted): " in played.output
    fleet.control("DELETE", "faults")
    again = fleet.play(BLOCK, *ADDRESS, *why)
    assert "203.0.113.5: unchanged, blocked until 20" in again.output, again.output
    let_in = fleet.play(UNBLOCK, "--check", *ADDRESS)
    assert let_in.output.count("203.0.113.5: would be removed") == 2, let_in.output


def test_a_connection_plugin_that_is_not_installed(fleet: Fleet) -> None:
    change_inventory(fleet, firewalls={"vars": {"ansible_connection": "ansible.netcommon.network_cli", "ansible_become": True}})
    for playbook, arguments in (
        (BLOCK, ADDRESS), (REPORT, ("--limit", "firewalls")), (UNDO, ("-e", "blacklist_last=10")), (UNBLOCK, ADDRESS),
    ):
        played = fleet.play(playbook, *arguments)
        assert played.status == 0 and set(played.changes) == set(FIREWALLS), played.output


def test_servers_that_cannot_be_connected_to_stop_nobody(fleet: Fleet) -> None:
    bad = {
        "bad1": {"ansible_host": "{{ nowhere }}"},
        "bad2": {"ansible_connection": "ansible.netcommon.network_cli", "ansible_network_os": "x.y.z"},
    }
    change_inventory(fleet, servers={"hosts": bad})
    for playbook in (REPORT, ONBOARD):
        played = fleet.play(playbook)
        assert played.status != 0 and set(bad) <= played.failed, played.output
        assert set(SERVERS) <= set(played.changes) - played.failed, played.output
        assert playbook != REPORT or set(FIREWALLS) <= set(played.changes) - played.failed, played.output


def test_an_address_of_a_firewall_that_is_in_error_is_no_reason_to_take_another(fleet: Fleet) -> None:
    change_inventory(fleet, firewalls={"hosts": {"fw3": {"cos_api_url": "{{ nowhere }}"}, "fw4": {"ansible_host": "{{ nowhere }}"}}})
    for playbook, arguments in ((BLOCK, ADDRESS), (REPORT, ("--limit", "firewalls")), (UNDO, ("-e", "blacklist_last=10"))):
        played = fleet.play(playbook, *arguments)
        assert played.failed == {"fw3", "fw4"} and "'nowhere' is undefined" in said(played), played.output
        assert "https://fw" not in played.output
        assert set(FIREWALLS) <= set(played.changes), played.output


def test_a_firewall_with_an_ipv6_address(fleet: Fleet) -> None:
    change_inventory(fleet, firewalls={"hosts": {"fw3": {"ansible_host": "2001:db8::1"}}})
    played = fleet.play(BLOCK, *ADDRESS, "--limit", "fw3", COS_RETRIES="0", COS_TIMEOUT="1")
    assert played.failed == {"fw3"}, played.output
    assert "https://[2001:db8::1]" in played.output and "invalid_input" not in played.output


def test_no_firewall_at_all(fleet: Fleet) -> None:
    (fleet.secret / "inventory.json").write_text('{"all": {}}', encoding="utf-8")
    for playbook, arguments in ((BLOCK, ADDRESS), (REPORT, ())):
        played = fleet.play(playbook, *arguments)
        assert played.status != 0 and "Specify which firewall" in played.output, played.output


def test_a_firewall_of_which_an_undo_was_quicker_is_in_the_play(fleet: Fleet) -> None:
    """Between the look at all firewalls and that at one, another undo has taken everything back."""
    assert fleet.play(BLOCK, *ADDRESS).status == 0
    role = {"name": "intrusion.response.blacklist", "tasks_from": "undo"}
    quick = {"name": "intrusion.response.blacklist", "tasks_from": "unblock"}
    path = fleet.write_playbook("race.json", [{
        "hosts": "firewalls", "gather_facts": False, "tasks": [
            {"name": "Look", "ansible.builtin.import_role": role, "vars": {"blacklist_last": "10"}, "check_mode": True},
            {"name": "Another is quicker", "ansible.builtin.import_role": quick},
            {"name": "Say", "ansible.builtin.debug": {
                "msg": "left={{ __blacklist_everywhere.standing | intrusion.response.blocked_elsewhere(ansible_play_hosts_all"
                       " | map('extract', hostvars) | map(attribute='__blacklist_firewall')) }}=",
            }},
        ],
    }])
    played = fleet.play(path, *ADDRESS)
    assert played.status == 0 and "left==" in played.output, played.output


def test_destinations_as_text_and_none_at_all(fleet: Fleet) -> None:
    text = "- type: email\n  email_address: other@example.com\n"
    played = fleet.play(ONBOARD, "-e", json.dumps({"protect_destinations": text, "protect_wait": "", "protect_check_server": ""}))
    assert played.status == 0 and played.changes == dict.fromkeys(SERVERS, 1), played.output
    servers = [server for server in fleet.control("GET", "state")["servers"] if server["name"] in SERVERS]
    assert [server["destinations"][0]["emailAddress"] for server in servers] == ["other@example.com"] * 3
    empty = fleet.play(ONBOARD, "-e", "protect_destinations=")
    assert empty.status == 0 and set(empty.changes.values()) == {0}, empty.output
    assert "nobody is notified of attacks on (3)" in empty.output


def test_bad_destinations_are_refused_before_an_agent_is_asked_for(fleet: Fleet) -> None:
    played = fleet.play(ONBOARD, "-e", json.dumps({"protect_destinations": "https://hooks.example.com/secret-path"}), "-vvv")
    assert played.failed == set(SERVERS), played.output
    assert "invalid_input: protect_destinations must be a list of destinations" in said(played)
    assert fleet.writes() == []


def test_servers_that_cannot_be_looked_at_are_counted_and_not_cried_over(fleet: Fleet) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    change_inventory(fleet, servers={"hosts": dict.fromkeys(SERVERS, away), "vars": {"protect_detection": "auto"}})
    played = fleet.play(ONBOARD)
    assert played.status == 0 and played.changes == dict.fromkeys(SERVERS, 1), played.output
    assert f"Could not be checked (3): {', '.join(SERVERS)}" in played.output
    assert "UNREACHABLE" not in played.output and "fatal" not in played.output and "ERROR" not in played.output
    insisting = fleet.play(ONBOARD, "-e", "protect_detection=host")
    assert insisting.failed == set(SERVERS) and "could not be checked for the agent: " in insisting.output


def held(fleet: Fleet) -> dict[str, list[str]]:
    return {name: [entry["host"] for entry in one["entries"]] for name, one in fleet.control("GET", "state")["firewalls"].items()}


def test_the_probe_says_what_a_firewall_does_and_leaves_nothing(fleet: Fleet) -> None:
    fleet.control("POST", "reset", {"switches": {"cos.ttl_in_list": "configured"}})
    before = held(fleet)
    refused = fleet.play("intrusion.response.probe")
    assert refused.status != 0 and "Specify which address you can spare" in said(refused) and fleet.writes() == []
    played = fleet.play("intrusion.response.probe", "-e", "blacklist_probe=203.0.113.254", "-e", "blacklist_wait=2")
    assert played.status == 0 and played.changes == dict.fromkeys(FIREWALLS, 0), played.output
    assert said(played).count("do not use renew_below. (ttl_in_list: configured)") == 2
    assert said(played).count("It renews time and texts. (repost: renew_all)") == 2
    assert held(fleet) == before
    taken_back = fleet.play(UNDO, "-e", "blacklist_last=10")
    assert taken_back.status == 0 and "nothing to undo" in said(taken_back), taken_back.output
