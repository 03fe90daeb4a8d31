# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task in the controller's process and the ordinary module are the same thing: same results, same masking, same writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from emulator.testing import EmulatorProcess

ENTRY = {"host": "203.0.113.5", "ttl": 600, "rule_name": "Invalid Traversal", "description": "port scan"}
DESTINATIONS = [
    {"type": "webhook", "url": "https://127.0.0.1:9/hooks/canary-hook"},
    {"type": "syslog", "syslog": {"ip_address": "127.0.0.1", "udp_port": "514", "facility": "local3"}},
]
SERVER = {"server_name": "VA1ACMEWEB01"}
FLEET = ["VA1ACMEWEB01", {"server_name": "VA1ACMEWEB02", "destinations": DESTINATIONS[:1], "installed": "no"}, "VA1ACMEWEB03"]
#: Tasks in order, each with keywords of its own; what they return must not depend on where they run.
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("cos_blacklist_entry", ENTRY, {"check_mode": True, "diff": True}),
    ("cos_blacklist_entry", ENTRY, {"diff": True}),
    ("cos_blacklist_entry", ENTRY, {}),
    ("cos_blacklist_entry", {**ENTRY, "ttl": "6000"}, {"diff": True}),
    ("cos_blacklist_entry", {**ENTRY, "host": "{{ item }}"}, {"loop": ["203.0.113.6", "2001:db8::1", "127.0.0.1"]}),
    ("cos_blacklist_entry", {**ENTRY, "ttl": "soon"}, {}),
    ("cos_blacklist_entry", {**ENTRY, "state": "gone"}, {}),
    ("cos_blacklist_entry", {**ENTRY, "adress": "203.0.113.5"}, {}),
    ("cos_blacklist_entry", {"ttl": 60}, {}),
    ("cos_blacklist_entry", {**ENTRY, "password": "canary-wrong-password"}, {}),
    ("cos_blacklist_entry", {**ENTRY, "username": "canary-user", "password": "canary-wrong-password"}, {"no_log": True}),
    ("cos_blacklist_entry", {"host": "198.51.100.7", "state": "absent"}, {}),
    ("cos_blacklist_entry", {"host": "203.0.113.8", "never_block": "192.0.2.1,203.0.113.8", "allow_protected": "yes"}, {}),
    ("cos_blacklist_entry", ENTRY, {"delegate_to": "localhost", "run_once": True}),
    (
        "cos_blacklist_entry",
        {**ENTRY, "api_url": "https://127.0.0.1:1", "retries": 0},
        {"until": "again is success", "retries": 1, "delay": 0},
    ),
    ("cos_blacklist_entry_info", {"alert_type": "REST", "ttl_meaning": "configured", "gather_device": True}, {}),
    (
        "cos_blacklist_entries",
        {"entries": [{"host": f"203.0.113.{n}"} for n in range(20, 30)], "ttl": 6000},
        {"check_mode": True, "diff": True},
    ),
    ("cos_blacklist_entries", {"entries": [{"host": f"203.0.113.{n}"} for n in range(20, 30)], "ttl": 6000}, {}),
    ("cos_blacklist_entries", {"entries": [{"host": "203.0.113.40"}, {"host": "127.0.0.1"}]}, {}),
    ("cos_blacklist_entries", {"entries": [{"host": "203.0.113.40", "hots": 1}]}, {}),
    ("ips_agent", SERVER, {"check_mode": True, "diff": True}),
    ("ips_agent", SERVER, {"diff": True}),
    ("ips_agent", {"host_name": "VA1ACMEWEB01", "state": "present"}, {}),
    ("ips_agent", {**SERVER, "wait": True}, {}),
    ("ips_agent", {**SERVER, "detection": ["guess"]}, {}),
    ("ips_agent", {**SERVER, "token": "canary-bad-token", "account_alias": "ACME", "state": "absent"}, {}),
    ("ips_notification", {**SERVER, "destinations": DESTINATIONS}, {"check_mode": True, "diff": True}),
    ("ips_notification", {**SERVER, "destinations": DESTINATIONS}, {"diff": True}),
    ("ips_notification", {**SERVER, "destinations": DESTINATIONS}, {}),
    ("ips_notification", {**SERVER, "destinations": [{"type": "webhook", "url": "canary-not-a-url"}]}, {}),
    ("ips_notification", {**SERVER, "destinations": [{"type": "pager"}]}, {}),
    ("ips_notification", {**SERVER, "destinations": [{"type": "webhook", "uri": "https://127.0.0.1:9/canary-misspelt"}]}, {}),
    ("ips_notification", {**SERVER, "destinations": [{"type": "https://127.0.0.1:9/canary-misplaced"}]}, {}),
    ("ips_notification_info", SERVER, {}),
    ("ips_notification", {**SERVER, "state": "absent"}, {}),
    ("ips_servers", {"servers": FLEET, "destinations": DESTINATIONS}, {"check_mode": True, "diff": True}),
    ("ips_servers", {"servers": FLEET, "destinations": DESTINATIONS}, {"diff": True}),
    ("ips_servers", {"servers": "VA1ACMEWEB02, VA1ACMEWEB03", "purge": True}, {}),
    ("ips_servers", {"servers": ["VA1ACMEWEB01", "va1acmeweb01"]}, {}),
    ("ips_servers", {"servers": [{"server_name": "VA1ACMEWEB01", "account_alias": "OTHR"}, "VA1ACMEWEB02"], "state": "absent"}, {}),
    ("ips_servers", {"servers": ["VA1ACMEWEB01", {"name": "VA1ACMEWEB02"}]}, {}),
    ("ips_servers", {"servers": [["VA1ACMEWEB01"], True]}, {}),
    ("ips_servers", {"servers": [{"server_name": "A", "destinations": [{"type": "slack", "url": "canary-not-a-url"}]}]}, {}),
    ("ips_servers", {"servers": [{"server_name": "A", "destinations": [{"type": "slack", "uri": "https://127.0.0.1:9/canary"}]}]}, {}),
    ("ips_notification_info", {"servers": FLEET}, {}),
    ("ips_notification_info", {"servers": ["VA1ACMEWEB01"], **SERVER}, {}),
    ("ips_notification_info", {}, {}),
]
CASES += [
    ("response_ledger_info", {"last": "1d", "limit": 0}, {}),
    ("response_ledger_info", {"last": "soon"}, {}),
    ("response_ledger_info", {"ledger": "none"}, {}),
    (
        "cos_blacklist_entries",
        {"entries": f"{{{{ result_{len(CASES)}.standing }}}}", "state": "absent", "match_rule_name": True},
        {"diff": True},
    ),
    ("cos_blacklist_entries", {"entries": [{"host": "203.0.113.5"}], "ledger": "/dev/null/ledger"}, {}),
    ("response_ledger_info", {"event": "", "action": "unblock"}, {}),
]


def play(environment: dict[str, str], output: Path, strategy: str) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    names = []
    for index, (module, options, keywords) in enumerate(CASES):
        name = "again" if "until" in keywords else f"result_{index}"
        names.append(name)
        register = {"register": name, "ignore_errors": True}
        tasks.append({f"intrusion.response.{module}": options, "name": f"Case {index}", **register, **keywords})
    results = "{{ [" + ", ".join(names) + "] | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": results, "dest": str(output), "mode": "0600"}})
    return [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "strategy": strategy,
            "environment": environment,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "module_defaults": {"group/intrusion.response.cos": {"timeout": 9}, "group/intrusion.response.ips": {"timeout": 29}},
            "tasks": tasks,
        }
    ]


def variables(ready: dict[str, Any], directory: Path) -> dict[str, str]:
    """The connection, and a home of their own for Ansible's files."""
    user, blocker = ready["users"][0], ready["firewall_users"][0]
    return {
        "COS_API_URL": ready["firewalls"][0]["api_url"],
        "COS_USERNAME": blocker["username"],
        "COS_PASSWORD": blocker["password"],
        "COS_CA_PATH": ready["ca_path"],
        "IPS_API_URL": ready["ips_url"],
        "CLC_V2_API_URL": ready["clc_url"],
        "CLC_V2_API_USERNAME": user["username"],
        "CLC_V2_API_PASSWD": user["password"],
        "IPS_CA_PATH": ready["ca_path"],
        "INTRUSION_RESPONSE_STATE_DIR": str(directory / "state"),
        "INTRUSION_RESPONSE_LEDGER": str(directory / "ledger.sqlite3"),
        "ANSIBLE_HOME": str(directory / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }


def comparable(value: Any) -> Any:
    """Drop what differs between any two runs: times, paths of this run, and where Ansible 2.19 says "Module" or "Action"."""
    if isinstance(value, dict):
        dropped = {"state_dir", "ledger", "exception", "expires_at"}
        if "host" in value and ("alert_type" in value or "firewall" in value):
            dropped |= {"ttl", "at"}
        if "outcome" in value:
            dropped |= {"at"}
        return {key: comparable(member) for key, member in value.items() if key not in dropped and not key.startswith("_ansible")}
    return [comparable(member) for member in value] if isinstance(value, list) else value


WAYS = {"module": ({"ANY": "thing"}, "linear"), "in process": ({}, "linear"), "in process, free": ({}, "free")}


def run(emulator: EmulatorProcess, directory: Path, way: str) -> tuple[list[Any], list[Any]]:
    """Return the results and the writes of one way, on an emulator that starts anew."""
    environment, strategy = WAYS[way]
    emulator.control("POST", "reset", {})
    directory.mkdir()
    playbook, output = directory / "play.yml", directory / "results.json"
    playbook.write_text(json.dumps(play(environment, output, strategy)))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-vvvv", str(playbook)]
    env = {**os.environ, **variables(emulator.ready, directory)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stdout + done.stderr
    started = "AnsiballZ_cos_blacklist_entry.py" in done.stdout
    assert started == (way == "module"), "the way that was to be tested is the one that ran"
    writes = [(record["method"], record["path"], record["query"], record["body"]) for record in emulator.writes()]
    return comparable(json.loads(output.read_text())), sorted(writes)


def test_same_results_same_writes(tmp_path: Path) -> None:
    with EmulatorProcess() as emulator:
        results, writes = run(emulator, tmp_path / "module", "module")
        for way in ("in process", "in process, free"):
            found, written = run(emulator, tmp_path / way, way)
            for case, here, there in zip(CASES, found, results, strict=True):
                assert here == there, (way, case)
            assert written == writes, way
            assert "canary" not in json.dumps(found).replace("canary-user", "")
