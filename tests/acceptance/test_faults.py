# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the services do: a recovered success, or a typed failure of one line that does not deny what was done."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from acceptance.fleet import SERVERS, Fleet

CODES = {
    "auth_failed", "bad_response", "not_permitted", "not_verified", "rate_limited", "redirect_refused", "rejected",
    "server_fault", "timeout_unknown", "unreachable",
}
ALWAYS: dict[str, Any] = {"times": None}
WRITES = ("POST", "PUT")
#: Name -> faults; those without a service hit the login, too.
FAULTS: dict[str, list[dict[str, Any]]] = {
    "one 500 each": [{"kind": "status", "status": 500, "method": method, "times": 3} for method in ("GET", "POST", "PUT")],
    "500 for ever": [{"kind": "status", "status": 500, **ALWAYS}],
    "503 pages on writes": [{"kind": "status", "status": 503, "method": method, "service": service, **ALWAYS}
                            for method in WRITES for service in ("ips", "cos")],
    "500 after the write": [{"kind": "status", "status": 500, "commit": True, "method": method, "service": service, **ALWAYS}
                            for method in WRITES for service in ("ips", "cos")],
    "429, then good": [{"kind": "status", "status": 429, "retry_after": 0, "method": method, "service": service}
                       for method in ("GET", *WRITES) for service in ("clc", "ips", "cos")],
    "429 for too long": [{"kind": "status", "status": 429, "retry_after": 900, "service": service, **ALWAYS} for service in ("ips", "cos")],
    "dropped before the write": [{"kind": "drop_before", "method": method, "service": service, **ALWAYS}
                                 for method in WRITES for service in ("ips", "cos")],
    "dropped after the write": [{"kind": "drop_after", "method": method, "service": service}
                                for method in WRITES for service in ("ips", "cos")],
    "dropped in the answer": [{"kind": "drop_mid", **ALWAYS}],
    "garbage": [{"kind": "garbage", "service": service, **ALWAYS} for service in ("ips", "cos")],
    "garbage for a login": [{"kind": "garbage", "service": "clc", **ALWAYS}, {"kind": "truncate", "service": "cos", **ALWAYS}],
    "a byte a second": [{"kind": "drip", "part": "header", "seconds": 1.0, "service": service, **ALWAYS} for service in ("ips", "cos")],
    "redirects": [{"kind": "redirect", "to": "foreign", **ALWAYS}],
}


def tasks(fleet: Fleet) -> list[dict[str, Any]]:
    """One write of each kind, on a fresh emulator that has the faults ready."""
    user, blocker = fleet.ready["users"][0], fleet.ready["firewall_users"][0]
    ips = {"ips_url": fleet.ready["ips_url"], "clc_url": fleet.ready["clc_url"], "ca_path": fleet.ready["ca_path"],
           "username": user["username"], "password": user["password"], "server_name": "VA1ACMEWEB01", "state_dir": "none",
           "retries": 1, "timeout": 3}
    cos = {"api_url": fleet.ready["firewalls"][0]["api_url"], "ca_path": fleet.ready["ca_path"], "retries": 1, "timeout": 3,
           "username": blocker["username"], "password": blocker["password"], "host": "203.0.113.5", "ttl": 600}
    mail = [{"type": "email", "email_address": "secops@example.com"}]

    def control(path: str, body: Any) -> dict[str, Any]:
        return {"ansible.builtin.uri": {
            "url": f"{fleet.ready['control_url']}/{path}", "method": "POST", "ca_path": fleet.ready["ca_path"], "body_format": "json",
            "body": body}}

    state = "lookup('ansible.builtin.url', state_url, ca_path=ca_path, split_lines=false) | from_json"
    one = "{'agent': agent, 'notification': notification, 'entry': entry, 'state': " + state + "}"
    return [
        control("reset", {}),
        control("faults", "{{ item.value }}"),
        {"intrusion.response.ips_agent": ips, "register": "agent", "ignore_errors": True},
        {"intrusion.response.ips_notification": {**ips, "destinations": mail, "verify_timeout": 1}, "register": "notification",
         "ignore_errors": True},
        {"intrusion.response.cos_blacklist_entry": cos, "register": "entry", "ignore_errors": True},
        {"ansible.builtin.set_fact": {"seen": "{{ seen | default({}) | combine({item.key: " + one + "}) }}"}},
    ]


def done_to(state: dict[str, Any]) -> dict[str, bool]:
    """What has really happened."""
    server = next(one for one in state["servers"] if one["name"] == "VA1ACMEWEB01")
    return {
        "agent": server["agent"]["state"] == "installed",
        "notification": bool(server["destinations"]),
        "entry": any(entry["host"] == "203.0.113.5" for entry in state["firewalls"]["fw1"]["entries"]),
    }


def test_faulty_services(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        (fleet.secret / "one.json").write_text(json.dumps(tasks(fleet)), encoding="utf-8")
        result = fleet.temporary / "seen.json"
        playbook = fleet.write_playbook("faults.json", [{
            "hosts": "localhost", "connection": "local", "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "state_url": f"{fleet.ready['control_url']}/state", "ca_path": fleet.ready["ca_path"],
            },
            "tasks": [
                {"ansible.builtin.include_tasks": str(fleet.secret / "one.json"), "loop": "{{ faults | dict2items }}"},
                {"ansible.builtin.copy": {"content": "{{ seen | to_json }}", "dest": str(result), "mode": "0600"}},
            ],
            "vars_files": [str(write(fleet, {"faults": FAULTS}))],
        }])
        played = fleet.play(playbook)
        assert played.status == 0, played.output
        assert "Traceback" not in played.output
        for name, seen in json.loads(result.read_text(encoding="utf-8")).items():
            happened = done_to(seen["state"])
            for door, outcome in ((door, seen[door]) for door in happened):
                place = f"{name}, {door}: {outcome}"
                if outcome["failed"]:
                    assert outcome["code"] in CODES, place
                    assert "\n" not in outcome["msg"], place
                else:
                    assert outcome["changed"], place
                    assert happened[door], place
                if happened[door]:
                    assert outcome["changed"], place
        recovered = {name: [seen[door]["failed"] for door in ("agent", "notification", "entry")]
                     for name, seen in json.loads(result.read_text(encoding="utf-8")).items()}
        assert recovered["429, then good"] == [False, False, False]
        assert recovered["dropped after the write"][1:] == [False, False]
        assert recovered["500 for ever"] == [True, True, True]


def write(fleet: Fleet, value: Any) -> Path:
    path = fleet.secret / "variables.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def kill_after(fleet: Fleet, writes: int, playbook: str, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Play, kill the emulator once it has taken some writes, and return status, output and those writes."""
    fleet.control("POST", "faults", [{"kind": "delay_after", "seconds": 0.2, "method": method, "times": None} for method in WRITES])
    process = subprocess.Popen(
        fleet.command(playbook, "-f", "1", *arguments),
        env=fleet.environment(IPS_RETRIES="0", COS_RETRIES="0", IPS_TIMEOUT="3", COS_TIMEOUT="3"), cwd=fleet.temporary,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    taken: list[dict[str, Any]] = []
    try:
        while len(taken) < writes and process.poll() is None:
            taken = fleet.writes()
            time.sleep(0.02)
        fleet.emulator.process.kill()
        output, _unused = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output, taken


def test_onboarding_when_the_service_dies(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        status, output, taken = kill_after(fleet, 2, "intrusion.response.onboard")
    assert status == 2, output
    assert "Traceback" not in output
    assert len(taken) >= 2, output
    for server in SERVERS:
        assert f"{server}: unreachable: " in output or f"{server}: timeout_unknown: " in output, output
    asked = next(line for line in output.splitlines() if "Agent changed (" in line)
    for write in taken:
        if write["method"] == "POST":
            assert json.loads(write["body"])["hostName"] in asked, output
    assert "Agent unchanged" not in output


def test_blocking_when_the_firewall_dies(tmp_path: Path) -> None:
    addresses = [f"203.0.113.{number}" for number in range(1, 5)]
    wanted = f"blacklist_addresses={','.join(addresses)}"
    with Fleet(tmp_path) as fleet:
        status, output, taken = kill_after(fleet, 2, "intrusion.response.block", "-l", "fw1", "-e", wanted)
    assert status == 2, output
    assert "Traceback" not in output
    assert len(taken) >= 2, output
    for address in addresses:
        assert f"{address}: FAILED, " in output, output
    for write in taken:
        address = write["body"].partition("host=")[2].partition("&")[0]
        told = next(line for line in output.splitlines() if f"{address}: FAILED, " in line)
        assert "it is unknown whether" in told, "what was sent may have taken effect"
    assert "unchanged" not in output
