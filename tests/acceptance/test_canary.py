# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret is ever shown: not at -vvvv, not in a diff, not in an error, not in a file outside the state directory."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from acceptance.fleet import BIN, Fleet, Played

TOKEN = "canary-token-Zk3vQ8.wT1"
PASSWORD = "canary-pass/word+Hq7 &x%"
FIREWALL_PASSWORD = "canary-fw:pass\u00e9-Jm2"
WEBHOOK = "canary-webhook-path-Rb5"
SLACK = "canary-slack-path-Ny9"
SECRETS = {"token": TOKEN, "password": PASSWORD, "firewall password": FIREWALL_PASSWORD, "webhook": WEBHOOK, "slack": SLACK}
DESTINATIONS = [
    {"type": "webhook", "url": f"https://user:{WEBHOOK}@hooks.example.com/{WEBHOOK}?key={WEBHOOK}"},
    {"type": "slack", "url": f"https://hooks.slack.example/services/{SLACK}"},
]


def spellings(secret: str) -> set[str]:
    """The secret as it is, and as it travels."""
    return {
        secret, quote(secret, safe=""), quote(secret), secret.encode("unicode_escape").decode(),
        base64.b64encode(secret.encode()).decode().rstrip("="), base64.b64encode(f"blocker:{secret}".encode()).decode(),
    }


def assert_hidden(text: str, where: str) -> None:
    for name, secret in SECRETS.items():
        for spelling in spellings(secret):
            assert spelling not in text, f"{where} shows the {name}: {text[max(0, text.index(spelling) - 300):][:400]}"


def assert_no_file_tells(fleet: Fleet) -> None:
    for directory in (fleet.home, fleet.temporary, fleet.hosts):
        for path in directory.rglob("*"):
            if path.is_file():
                assert_hidden(path.read_bytes().decode(errors="replace"), str(path))
    for path in fleet.state_dir.rglob("*.json"):  # the token of the login may be kept, 0600; nothing else
        assert path.stat().st_mode & 0o077 == 0
        for name in set(SECRETS) - {"token"}:
            assert SECRETS[name] not in path.read_text(encoding="utf-8"), f"{path} holds the {name}"


@pytest.fixture
def fleet(tmp_path: Path) -> Any:
    with Fleet(tmp_path, {"protect_destinations": DESTINATIONS}) as fleet:
        user = {"username": "ips-admin", "password": PASSWORD, "alias": "ACME"}
        blocker = {"username": "blocker", "password": FIREWALL_PASSWORD, "access": "read_write"}
        fleet.control("POST", "seed", {
            "users": [user], "tokens": [{"token": TOKEN, "username": "ips-admin"}], "firewalls": {"*": {"users": [blocker]}},
        })
        fleet.ready["users"], fleet.ready["firewall_users"] = [user], [blocker]
        fleet.write_inventory()
        yield fleet


def loud(fleet: Fleet, playbook: str | Path, *arguments: str, **environment: str) -> Played:
    played = fleet.play(playbook, "-vvvv", "--diff", *arguments, **environment)
    assert_hidden(played.output, f"the output of {playbook}")
    assert "Traceback" not in played.output
    return played


def many(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a task on one server as those of a task on several."""
    rest = {name: value for name, value in arguments.items() if name != "server_name"}
    return {**rest, "servers": [arguments["server_name"], "VA1ACMEWEB02"]}


def modules(fleet: Fleet) -> list[dict[str, Any]]:
    """Every module, in success and in failure."""
    local = {"delegate_to": "localhost", "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}}
    ips = {"ips_url": fleet.ready["ips_url"], "clc_url": fleet.ready["clc_url"], "ca_path": fleet.ready["ca_path"],
           "server_name": "VA1ACMEWEB01", "state_dir": str(fleet.state_dir), "retries": 1}
    login = {**ips, "username": "ips-admin", "password": PASSWORD}
    token = {**ips, "token": TOKEN, "account_alias": "ACME"}
    cos = {"api_url": fleet.ready["firewalls"][0]["api_url"], "ca_path": fleet.ready["ca_path"], "username": "blocker",
           "password": FIREWALL_PASSWORD, "retries": 1}
    wrong_url = [{"type": "webhook", "url": f"hooks.example.com/{WEBHOOK}"}]
    database = f"postgresql://ledger:{quote(PASSWORD, safe='')}@127.0.0.1:1/ledger"
    tasks = [
        {"intrusion.response.ips_agent": login},
        {"intrusion.response.ips_agent": {**token, "detection": []}},
        {"intrusion.response.ips_agent": {**login, "ips_url": "https://127.0.0.1:1/ips", "installed": False}},
        {"intrusion.response.ips_agent": {**login, "username": "nobody", "installed": False, "state_dir": "none"}},
        {"intrusion.response.ips_agent": {**token, "token": f"{TOKEN}\n", "installed": False}},
        {"intrusion.response.ips_agent": {**login, "ips_url": f"ftp://{PASSWORD}"}},
        {"intrusion.response.ips_notification": {**token, "destinations": DESTINATIONS}},
        {"intrusion.response.ips_notification": {**login, "destinations": DESTINATIONS[:1], "state": "absent"}},
        {"intrusion.response.ips_notification": {**login, "destinations": wrong_url}},
        {"intrusion.response.ips_notification": {**login, "destinations": DESTINATIONS, "purge": "perhaps"}},
        {"intrusion.response.ips_servers": {**many(token), "destinations": DESTINATIONS}},
        {"intrusion.response.ips_servers": {**many(login), "servers": [{"server_name": "VA1ACMEWEB01", "destinations": DESTINATIONS[:1]}]}},
        {"intrusion.response.ips_servers": {**many(login), "servers": [{"server_name": "VA1ACMEWEB01", "destinations": wrong_url}]}},
        {"intrusion.response.ips_notification_info": many(token)},
        {"intrusion.response.ips_notification_info": token},
        {"intrusion.response.ips_notification_info": {**token, "account_alias": "OTHR"}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "ttl": 600}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "service": "no-such-service"}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "username": "nobody"}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "127.0.0.1"}},
        {"intrusion.response.cos_blacklist_entry_info": cos},
        {"intrusion.response.cos_blacklist_entry_info": {**cos, "api_url": "https://127.0.0.1:1"}},
        {"intrusion.response.response_ledger_info": {"last": "1h"}},
        {"intrusion.response.cos_blacklist_entry_info": {"api_url": f"https://blocker:{FIREWALL_PASSWORD}@127.0.0.1:1"}},
        {"intrusion.response.response_ledger_info": {"firewall": f"https://blocker:{FIREWALL_PASSWORD}@127.0.0.1:1"}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "ttl": 900, "ledger": database}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "ledger": f"postgresql://u:{PASSWORD}@db/ledger"}},
        {"intrusion.response.response_ledger_info": {"ledger": database}},
        {"intrusion.response.response_ledger_info": {"ledger": f"postgresql://db/ledger?password={quote(PASSWORD, safe='')}"}},
    ]
    return [{**task, **local, "name": f"Task {number}", "ignore_errors": True} for number, task in enumerate(tasks)]


def test_modules(fleet: Fleet) -> None:
    playbook = fleet.write_playbook("modules.json", [{"hosts": "VA1ACMEWEB01", "gather_facts": False, "tasks": modules(fleet)}])
    for check in ("--check", "--force-handlers"):
        played = loud(fleet, playbook, check)
        assert "TASK [Task 17]" in played.output
        assert played.output.count("...ignoring") >= 10
    assert_no_file_tells(fleet)


def refused(fleet: Fleet) -> list[dict[str, Any]]:
    """Tasks whose options are refused before the module has its say, in the controller's process and out of it."""
    ips = {"server_name": "VA1ACMEWEB01", "token": TOKEN, "password": PASSWORD, "account_alias": "ACME"}
    cos = {"api_url": fleet.ready["firewalls"][0]["api_url"], "username": "blocker", "password": FIREWALL_PASSWORD}
    tasks = [
        {"intrusion.response.cos_blacklist_entries": {**cos, "entries": [{"host": "203.0.113.5", "tll": 5}]}},
        {"intrusion.response.cos_blacklist_entries": {**cos, "entries": [["203.0.113.5"]]}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "ttl": "soon"}},
        {"intrusion.response.cos_blacklist_entry": {**cos, "host": "203.0.113.5", "passwrd": FIREWALL_PASSWORD}},
        {"intrusion.response.ips_notification": {**ips, "destinations": f"https://hooks.example.com/{WEBHOOK}"}},
        {"intrusion.response.ips_notification": {**ips, "destinations": [f"hooks.example.com/{WEBHOOK}"]}},
        {"intrusion.response.ips_notification": {**ips, "destinations": [*DESTINATIONS, 5]}},
        {"intrusion.response.ips_servers": {**many(ips), "destinations": [*DESTINATIONS, 5]}},
        {"intrusion.response.ips_servers": {**many(ips), "servers": [{"server_name": "A", "destinations": [*DESTINATIONS, 5]}]}},
        {"intrusion.response.ips_servers": {**many(ips), "servers": ["A", {"server_nam": "B", "destinations": DESTINATIONS}]}},
    ]
    local = {"delegate_to": "localhost", "ignore_errors": True, "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}}
    ways = [{}, {"environment": {"OUT_OF": "process"}}]
    return [{**task, **local, **way, "name": f"Task {number}"} for way in ways for number, task in enumerate(tasks)]


def test_options_that_are_refused(fleet: Fleet) -> None:
    tasks = refused(fleet)
    playbook = fleet.write_playbook("refused.json", [{"hosts": "VA1ACMEWEB01", "gather_facts": False, "tasks": tasks}])
    log = fleet.temporary / "ansible.log"
    played = loud(fleet, playbook, ANSIBLE_LOG_PATH=str(log))
    assert played.output.count("...ignoring") == len(tasks) and "FAILED!" in log.read_text(encoding="utf-8")
    artifacts = fleet.temporary / "artifacts"
    command = [
        str(BIN / "ansible-runner"), "run", str(fleet.secret), "--playbook", str(playbook), "--artifact-dir", str(artifacts),
        "--inventory", str(fleet.secret / "inventory.json"), "--omit-env-files",
    ]  # fmt: skip
    path = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(command, env=fleet.environment(PATH=path), cwd=fleet.temporary, capture_output=True, timeout=300, check=False)
    assert_hidden(done.stdout.decode(errors="replace"), "the output of ansible-runner")
    events = [json.loads(file.read_text(encoding="utf-8")) for file in artifacts.rglob("job_events/*.json")]
    assert sum(event["event"] == "runner_on_failed" for event in events) == len(tasks)
    assert_no_file_tells(fleet)


def test_services_that_repeat_what_they_were_sent(fleet: Fleet) -> None:
    """An error page may quote the request, secrets and all."""
    destinations = [task for task in modules(fleet) if "intrusion.response.ips_notification" in task]
    keep = destinations[:1] + modules(fleet)[:2] + modules(fleet)[10:11] + modules(fleet)[14:17]
    # Each is told what only it knows, so each can only be asked to hide that.
    for task in keep:
        name, arguments = next((key, value) for key, value in task.items() if key.startswith("intrusion."))
        own = [str(arguments.get(option, "")) for option in ("token", "password")]
        own += [one["url"] for one in arguments.get("destinations", [])]
        text = " ".join(filter(None, own))
        fleet.control("DELETE", "faults")
        fleet.control("POST", "faults", [
            {"kind": "status", "status": 500, "body": text, "times": None, "service": "ips"},
            {"kind": "status", "status": 400, "times": None, "service": "cos", "content_type": "text/plain", "body": text},
        ])
        tasks = [{**task, "ignore_errors": False}]
        playbook = fleet.write_playbook("one.json", [{"hosts": "VA1ACMEWEB01", "gather_facts": False, "tasks": tasks}])
        played = loud(fleet, playbook)
        assert played.failed == {"VA1ACMEWEB01"}, f"{name}: {played.output}"
    assert_no_file_tells(fleet)


def test_role_and_playbooks(fleet: Fleet) -> None:
    servers = ("-l", "VA1ACMEWEB01,fw1,localhost")
    block = ("-e", "blacklist_addresses=203.0.113.5")
    assert loud(fleet, "intrusion.response.onboard", *servers).status == 0
    assert loud(fleet, "intrusion.response.report", *servers).status == 0
    assert loud(fleet, "intrusion.response.block", *servers, *block).status == 0
    fleet.control("POST", "tokens/revoke", {})
    fleet.control("POST", "faults", [{"kind": "status", "status": 500, "times": None, "method": "DELETE"}])
    assert loud(fleet, "intrusion.response.unblock", *servers, *block).failed == {"fw1"}
    assert loud(fleet, "intrusion.response.offboard", *servers, "-e", "protect_target=servers").failed == {"VA1ACMEWEB01"}
    wrong = {"protect_destinations": [{"url": f"https://hooks.example.com/{WEBHOOK}"}]}
    assert loud(fleet, "intrusion.response.onboard", *servers, "-e", f"@{write(fleet, wrong)}").failed == {"VA1ACMEWEB01"}
    assert_no_file_tells(fleet)


def write(fleet: Fleet, variables: dict[str, Any]) -> Path:
    path = fleet.secret / "variables.json"
    path.write_text(json.dumps(variables), encoding="utf-8")
    return path
