# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role asks for all servers in one task, and yet every host has its own settings, outcome and part in the play."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .fleet import BIN, Fleet, Played

SERVERS = [f"VA1ACMEAPP0{number}" for number in range(1, 9)]
EMAIL = {"type": "email", "email_address": "secops@example.com"}
ROLE = {"name": "Protect", "import_role": {"name": "intrusion.response.protect"}}
LATE = "inventory_hostname > 'VA1ACMEAPP03'"
FAIL_SOME = {"name": "Fail some", "ansible.builtin.fail": {"msg": "x"}, "when": LATE}
NOTE = {"name": "Note", "ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}}
INCLUDE = {"name": "Include", "include_role": {"name": "intrusion.response.protect"}, "when": LATE}


class Play:
    """Plays on servers of which none is looked at, so that all can be asked for in one task."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.hosts: dict[str, dict[str, Any]] = {name: {} for name in SERVERS}
        other = [{"name": "VA1OTHRWEB01", "alias": "OTHR"}]
        fleet.control("POST", "reset", {})
        fleet.control("POST", "seed", {"servers": [{"name": name, "alias": "ACME"} for name in SERVERS] + other})
        shutil.rmtree(fleet.state_dir, ignore_errors=True)
        fleet.variables = {"protect_detection": "receipt"}
        fleet.write_inventory()

    def play(self, *tasks: dict[str, Any], arguments: tuple[str, ...] = (), **keywords: Any) -> Played:
        """Play tasks on all servers, or else the role."""
        return self.plays({"tasks": list(tasks) or [ROLE], **keywords}, arguments=arguments)

    def plays(self, *plays: dict[str, Any], arguments: tuple[str, ...] = ()) -> Played:
        path = self.fleet.secret / "inventory.json"
        inventory = json.loads(path.read_text())
        inventory["servers"]["hosts"] = self.hosts
        path.write_text(json.dumps(inventory))
        self.fleet.control("DELETE", "journal")
        book = self.fleet.write_playbook("fleet.json", [{"hosts": "servers", "gather_facts": False, **play} for play in plays])
        return self.fleet.play(book, "-f", "4", *arguments)

    def asked(self) -> Counter[str]:
        """How often each server was written to."""
        found: Counter[str] = Counter()
        for request in self.fleet.writes():
            body = request["body"] or ""
            found[re.search(r'hostName": "(\w+)', body)[1] if "hostName" in body else request["path"].rpartition("/")[2]] += 1
        return found

    def told(self) -> dict[str, set[str]]:
        """Which servers each address is to hear of, as the services were asked."""
        found: dict[str, set[str]] = {}
        for request in self.fleet.writes():
            for address in re.findall(r"([\w-]+)@example.com", request["body"] or ""):
                found.setdefault(address, set()).add(request["path"].rpartition("/")[2])
        return found

    def logins(self) -> int:
        return sum(request["service"] == "clc" for request in self.fleet.control("GET", "journal"))

    @staticmethod
    def together(played: Played) -> bool:
        """Whether they were asked for in the one task, going by what it returned at -v."""
        return '"servers": {"VA1' in played.output


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def play(fleet: Fleet) -> Play:
    return Play(fleet)


TWICE = dict.fromkeys(SERVERS, 2)


def test_all_in_one_task_and_each_host_has_its_own_outcome(play: Play) -> None:
    played = play.play(arguments=("-v",))
    assert played.status == 0 and played.changes == dict.fromkeys(SERVERS, 1), played.output
    assert play.together(played) and play.asked() == TWICE and play.logins() == 1
    again = play.play()
    assert again.changes == dict.fromkeys(SERVERS, 0) and not play.asked() and play.logins() == 0


def mailing(name: str) -> dict[str, Any]:
    """Variables with which a play changes every server."""
    return {"protect_destinations": [{"type": "email", "email_address": f"{name}@example.com"}], "protect_purge": True}


def test_batches_and_strategies(play: Play) -> None:
    ways = [{"serial": 3}, {"serial": ["25%", 1, 10]}, {"strategy": "free"}, {"strategy": "host_pinned"}, {"strategy": "debug"}]
    played = play.plays(*({**way, "tasks": [ROLE], "vars": mailing(f"way-{number}")} for number, way in enumerate(ways)))
    assert played.status == 0 and played.changes == dict.fromkeys(SERVERS, len(ways)), played.output
    assert play.told() == {f"way-{number}": set(SERVERS) for number in range(len(ways))} and play.logins() == 1
    assert play.asked() == dict.fromkeys(SERVERS, len(ways) + 1)
    summaries = [int(count) for count in re.findall(r"Destinations changed \((\d+)\): ", played.output)]
    # Where hosts come one by one, several may be the last.
    assert summaries[:6] == [3, 3, 2, 2, 1, 5] and summaries[6:] == [8] * len(summaries[6:]) and len(summaries[6:]) >= 3, summaries


def test_one_failure_is_one_hosts_own_and_a_relaunch_mends_it(play: Play) -> None:
    play.fleet.control("POST", "faults", [{"kind": "status", "status": 403, "method": "PUT", "path": SERVERS[2], "times": None}])
    caught = [{"name": "Caught", "ansible.builtin.debug": {"msg": "{{ ansible_failed_result.code }} {{ protect_result.code }}"}}]
    played = play.play({"name": "Block", "block": [ROLE, NOTE], "rescue": caught})
    assert played.status == 0 and "not_permitted not_permitted" in played.output
    assert played.output.count("goes on") == len(SERVERS) - 1
    played = play.play(ROLE, NOTE)
    assert played.failed == {SERVERS[2]} and played.changes == dict.fromkeys(SERVERS, 0), played.output
    assert f"{SERVERS[2]} goes on" not in played.output and "Failed (1)" in played.output
    play.fleet.control("DELETE", "faults")
    played = play.play(arguments=("--limit", SERVERS[2]))
    assert played.changes == {SERVERS[2]: 1} and play.asked() == {SERVERS[2]: 1}


def test_any_errors_fatal_ends_the_play_after_everybody_knows_how_it_went(play: Play) -> None:
    play.hosts[SERVERS[1]] = {"protect_server_name": "two words"}
    after = {"name": "After", "ansible.builtin.debug": {"msg": "after"}}
    played = play.play(ROLE, after, any_errors_fatal=True)
    assert played.status != 0 and "TASK [After]" not in played.output
    assert played.changes == {**dict.fromkeys(SERVERS, 1), SERVERS[1]: 0}


def test_a_host_that_failed_before_is_left_alone(play: Play) -> None:
    refuse = {"name": "Refuse one", "ansible.builtin.fail": {"msg": "no"}, "when": f"inventory_hostname == '{SERVERS[3]}'"}
    played = play.play(refuse, ROLE)
    assert played.failed == {SERVERS[3]} and "Failed before the role (1)" in played.output
    assert play.asked() == {name: 2 for name in SERVERS if name != SERVERS[3]}


def test_hosts_differ_in_destinations_account_names_and_connections(play: Play, tmp_path: Path) -> None:
    parent = play.fleet.ready["users"][1]
    play.hosts[SERVERS[0]] = {"protect_destinations": [{"type": "email", "email_address": "{{ inventory_hostname | lower }}@example.com"}]}
    play.hosts[SERVERS[1]] = {"protect_destinations": []}
    play.hosts["other"] = {
        "protect_server_name": "VA1OTHRWEB01", "protect_account_alias": "OTHR", "protect_username": parent["username"],
        "protect_password": parent["password"], "protect_state_dir": str(tmp_path / "other"),
    }
    play.hosts["refused"] = {"protect_server_name": "VA1ACMEDB01", "protect_account_alias": "OTHR"}
    played = play.play()
    assert played.failed == {"refused"}, played.output
    asked = play.asked()
    assert asked[SERVERS[0]] == 2 and asked[SERVERS[1]] == 1 and asked["VA1OTHRWEB01"] == 2 and play.logins() == 2
    held = {server["name"]: server["destinations"] for server in play.fleet.control("GET", "state")["servers"]}
    assert held[SERVERS[0]][0]["emailAddress"] == f"{SERVERS[0].lower()}@example.com" and not held[SERVERS[1]]


def test_hosts_whose_task_cannot_begin_stop_nobody(play: Play) -> None:
    """One of them is the first of all, and the check of the role's arguments, which is off in the playbooks, does not weed them out."""
    play.hosts.update({
        SERVERS[0]: {"ansible_connection": "nonsense"}, SERVERS[1]: {"ansible_user": "{{ nothing }}"},
        SERVERS[2]: {"ansible_become": True, "ansible_become_method": "none"}, SERVERS[3]: {"protect_server_name": "{{ nothing }}"},
    })  # fmt: skip
    played = play.play({**ROLE, "import_role": {**ROLE["import_role"], "rolespec_validate": False}})
    assert played.failed == set(SERVERS[:4]) and play.asked() == dict.fromkeys(SERVERS[4:], 2), played.output
    assert "Failed (4)" in played.output and all(f'"{name}: ' in played.output for name in SERVERS[:4])


def test_a_delegated_host_is_not_taken_for_the_other(play: Play) -> None:
    """The role would otherwise see the controller's file and take the agent for installed."""
    there = {"ansible_connection": "ssh", "protect_detection": "auto", "protect_agent_path_linux": "/bin/sh"}
    play.hosts = {SERVERS[0]: there, SERVERS[1]: {**there, "protect_detection": "host"}}
    played = play.play({**ROLE, "delegate_to": "localhost"})
    assert played.failed == {SERVERS[1]} and play.asked() == {SERVERS[0]: 2}, played.output
    assert f"Could not be checked (1): {SERVERS[0]}" in played.output


def test_variables_of_the_play_and_of_the_role_count(play: Play) -> None:
    mail = {"protect_destinations": "[{type: email, email_address: {{ inventory_hostname }}@example.com}]", "protect_purge": "yes"}
    played = play.play({**ROLE, "vars": mail}, vars={"protect_destinations": [EMAIL]})
    assert played.changes == dict.fromkeys(SERVERS, 1), played.output
    held = {server["name"]: server["destinations"] for server in play.fleet.control("GET", "state")["servers"]}
    assert [held[name][0]["emailAddress"] for name in SERVERS] == [f"{name}@example.com" for name in SERVERS]


def test_one_server_under_two_names_of_hosts_is_asked_for_once(play: Play) -> None:
    play.hosts = {SERVERS[0]: {}, "alias": {"protect_server_name": SERVERS[0].lower()}}
    played = play.play()
    assert played.changes == {SERVERS[0]: 1, "alias": 0} and play.asked() == {SERVERS[0]: 2}, played.output


def test_who_does_not_come_to_the_role_is_left_alone(play: Play) -> None:
    late, early = set(SERVERS[3:]), set(SERVERS[:3])
    stories: dict[str, tuple[list[dict[str, Any]], set[str]]] = {
        "all-but-the-first": ([{**ROLE, "when": "inventory_hostname != groups.servers[0]"}], set(SERVERS[1:])),
        "one": ([{**ROLE, "when": "inventory_hostname == groups.servers[1]"}], {SERVERS[1]}),
        "once": ([{**ROLE, "run_once": True}], {SERVERS[0]}),
        "included": ([INCLUDE], late),
        "rescue": ([{"name": "Block", "block": [FAIL_SOME], "rescue": [ROLE]}], late),
        "block": ([{"name": "Block", "block": [FAIL_SOME, ROLE], "rescue": [NOTE]}], early),
        "end": ([{"name": "End some", "ansible.builtin.meta": "end_host", "when": LATE}, ROLE], early),
    }
    played = play.plays(*({"name": name, "tasks": tasks, "vars": mailing(name)} for name, (tasks, _hosts) in stories.items()))
    assert played.status == 0, played.output
    assert play.told() == {name: hosts for name, (_tasks, hosts) in stories.items()}
    assert played.changes == Counter(host for _tasks, hosts in stories.values() for host in hosts)
    for said in played.output.split("PLAY [")[1:-1]:
        name = said.partition("]")[0]
        # By a condition that is false for the first host, Ansible leaves out what one host does for all, and so the summary.
        expected = 0 if name in ("all-but-the-first", "one") else len(stories[name][1])
        assert [int(count) for count in re.findall(r"Destinations changed \((\d+)\): ", said)] == [expected] * bool(expected), said


def test_credentials_of_module_defaults_and_of_an_environment(play: Play) -> None:
    user = play.fleet.ready["users"][0]
    play.fleet.variables["protect_username"] = play.fleet.variables["protect_password"] = ""
    play.fleet.write_inventory()
    defaults = {"group/intrusion.response.ips": {"username": user["username"], "password": user["password"]}}
    played = play.play(module_defaults=defaults)
    assert played.changes == dict.fromkeys(SERVERS, 1), played.output
    given = {"CLC_V2_API_USERNAME": user["username"], "CLC_V2_API_PASSWD": user["password"]}
    again = play.play()
    assert set(again.failed) == set(SERVERS), "nobody gives credentials"
    again = play.play({**ROLE, "environment": given})
    assert again.status == 0 and again.changes == dict.fromkeys(SERVERS, 0), again.output


def test_other_entry_points(play: Play) -> None:
    assert play.play().status == 0
    for entry, writes in (("report", 0), ("install", 0), ("notify", 1), ("remove", 1)):
        role = {"name": entry, "import_role": {"name": "intrusion.response.protect", "tasks_from": entry}}
        task = {**role, "vars": {"protect_purge": True, "protect_destinations": []}}
        foretold = play.play(task, arguments=("--check",))
        assert not play.asked()
        done = play.play(task)
        assert done.status == 0 and done.changes == foretold.changes == dict.fromkeys(SERVERS, writes), done.output
        assert play.asked() == (dict.fromkeys(SERVERS, writes) if writes else {})
        assert entry != "report" or all(f"{name}: email secops@example.com" in done.output for name in SERVERS)


def test_writes_that_show_late_are_waited_for_once(play: Play) -> None:
    play.fleet.control("PATCH", "switches", {"ips.write_visibility": "delayed:2"})
    played = play.play(arguments=("-v",))
    assert played.status == 0 and play.together(played), played.output


def test_ad_hoc(play: Play) -> None:
    user = play.fleet.ready["users"][0]
    settings = {
        "IPS_API_URL": play.fleet.ready["ips_url"], "CLC_V2_API_URL": play.fleet.ready["clc_url"],
        "IPS_CA_PATH": play.fleet.ready["ca_path"], "CLC_V2_API_USERNAME": user["username"], "CLC_V2_API_PASSWD": user["password"],
    }  # fmt: skip
    arguments = {"servers": ["VA1ACMEWEB01", "VA1ACMEWEB02"], "destinations": [EMAIL]}
    command = [str(BIN / "ansible"), "localhost", "-m", "intrusion.response.ips_servers", "-a", json.dumps(arguments)]
    written = []
    for options, expected in ((["--check"], True), ([], True), ([], False)):
        play.fleet.control("DELETE", "journal")
        done = subprocess.run([*command, *options], env=play.fleet.environment(**settings), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout.partition("=>")[2])["changed"] is expected, done.stdout
        written.append(len(play.fleet.writes()))
    assert written == [0, 4, 0]
