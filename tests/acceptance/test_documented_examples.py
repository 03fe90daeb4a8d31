# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example runs as printed, that of modules and of guides, against the emulator, and again without a change."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from demo.stage import BIN, FIREWALLS, Outcome, Stage

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
#: Added to every result by Ansible itself.
ANSIBLE_S_OWN = {"changed", "failed", "warnings", "deprecations"}
FIREWALLS_OF_THE_EXAMPLES = ("https://192.0.2.1", "https://192.0.2.2")
FEED_OF_THE_EXAMPLES = "# attackers\n203.0.113.21\n\n203.0.113.22   # seen twice\n"
#: What the page's examples of undo name must be on record.
BLOCK_OF_THE_EXAMPLES = (
    "ansible-playbook -i inventory.yml intrusion.response.block -e blacklist_addresses=203.0.113.10"
    " -e blacklist_event=5d41402abc4b2a76b9719d911017c592 -e \"blacklist_event_rule='Invalid Traversal'\""
)
REASON = "port scan"  # two words: a place where quoting goes wrong
#: Pages whose examples are one story, in this order.
GUIDES = ("README.md", "docs/respond.md", "docs/protect.md")
WEBHOOK_OF_THE_EXAMPLES = "http://127.0.0.1:9/ips/a-secret-path"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Emulated services of one's own for each test, since examples build on each other."""
    with Stage(tmp_path, []) as stage:
        yield stage


def documentation() -> dict[str, dict[str, Any]]:
    """Return what ansible-doc says of all modules: fragments merged, as a user sees it."""
    names = [f"intrusion.response.{name}" for name in MODULES]
    done = subprocess.run([BIN / "ansible-doc", "--json", *names], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


DOCUMENTATION = documentation()


def clc_token(stage: Stage) -> str:
    """Log in as any other client of the cloud would."""
    user = stage.ready["users"][0]
    login = {"username": user["username"], "password": user["password"]}
    return stage.emulator.call("POST", f"{stage.ready['clc_url']}/v2/authentication/login", login)["bearerToken"]


def assert_documented(value: Any, spec: dict[str, Any], place: str) -> None:
    """Compare a returned value with its documentation, down to the last field."""
    if value is None:
        return
    kinds = {"dict": dict, "list": list, "str": str, "int": int, "bool": bool}
    assert isinstance(value, kinds[spec["type"]]), f"{place} is {value!r}, documented as {spec['type']}"
    for item in value if isinstance(value, list) else [value]:
        if "contains" in spec:
            assert set(item) <= set(spec["contains"]), f"{place} has undocumented fields {set(item) - set(spec['contains'])}"
            always = {name for name, part in spec["contains"].items() if not part.get("returned")}
            assert always <= set(item), f"{place} lacks {always - set(item)}"
            for name, field in item.items():
                assert_documented(field, spec["contains"][name], f"{place}.{name}")


def assert_result_documented(module: str, result: dict[str, Any]) -> None:
    returns = DOCUMENTATION[f"intrusion.response.{module}"]["return"]
    names = set(result) - ANSIBLE_S_OWN
    assert names <= set(returns), f"{module} returns {names - set(returns)}, which is not documented"
    always = {name for name, spec in returns.items() if spec["returned"] == "success"}
    assert always <= names, f"{module} does not return {always - names}"
    for name in names:
        assert_documented(result[name], returns[name], f"{module}: {name}")


def example_tasks(stage: Stage) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (module, name, task) for every example task, pointed at the emulator."""
    passwords = {user["username"]: user["password"] for user in stage.ready["firewall_users"]}
    for module in MODULES:
        fqcn = f"intrusion.response.{module}"
        text = DOCUMENTATION[fqcn]["examples"]
        for address, firewall in zip(FIREWALLS_OF_THE_EXAMPLES, stage.ready["firewalls"]):
            text = text.replace(address, firewall["api_url"])
        for task in yaml.safe_load(text):
            user = task.get(fqcn, {}).get("username")
            if user in passwords:
                task["vars"] = {"cos_password": passwords[user]}
            yield module, task["name"], task


def test_module_examples_run_twice(stage: Stage) -> None:
    user = stage.ready["users"][0]
    look = {
        "name": "Look for the agent",
        "ansible.builtin.stat": {"path": str(stage.place / "servers" / "VA1ACMEWEB01" / "opt" / "ds_agent" / "ds_agent")},
        "register": "agent_file",
    }
    listen = {
        "name": "Let somebody listen",
        "intrusion.response.ips_notification": {
            "server_name": "VA1ACMEWEB01", "destinations": [{"type": "email", "email_address": "secops@example.com"}],
        },
    }
    (stage.place / "feed.txt").write_text(FEED_OF_THE_EXAMPLES, encoding="utf-8")
    tasks, titles = [], []
    for module, name, task in example_tasks(stage):
        if module == "ips_notification_info" and listen not in tasks:
            tasks.append(listen)
        titles.append((module, name, f"intrusion.response.{module}" in task))
        number = len(titles) - 1
        for run in ("first", "second"):
            tasks += [look] if "agent_file" in str(task) else []
            kept = {"name": "Keep", "ansible.builtin.set_fact": {f"{run}_{number}": f"{{{{ {task.get('register', 'current')} }}}}"}}
            tasks += [{"register": "current", **task}, kept]
    keep = "{{ query('ansible.builtin.varnames', '^(first|second)_') | map('extract', vars) | list | to_json }}"
    names = "{{ query('ansible.builtin.varnames', '^(first|second)_') | to_json }}"
    tasks += [
        {"name": "Write results", "ansible.builtin.copy": {"content": keep, "dest": str(stage.place / "results.json"), "mode": "0600"}},
        {"name": "Write names", "ansible.builtin.copy": {"content": names, "dest": str(stage.place / "names.json"), "mode": "0600"}},
    ]
    variables = {
        "clc_username": user["username"], "clc_password": user["password"], "clc_token": clc_token(stage),
        "ips_webhook_url": WEBHOOK_OF_THE_EXAMPLES,
    }
    play = {"name": "Examples", "hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
    (stage.place / "examples.yml").write_text(json.dumps([play]), encoding="utf-8")
    outcome = stage.run("ansible-playbook examples.yml")
    assert outcome.status == 0, outcome.output
    results = dict(zip(
        json.loads((stage.place / "names.json").read_text(encoding="utf-8")),
        json.loads((stage.place / "results.json").read_text(encoding="utf-8")), strict=True,
    ))
    changed = set()
    for number, (module, name, own) in enumerate(titles):
        first, second = results[f"first_{number}"], results[f"second_{number}"]
        assert second["changed"] is False, f"{module}, {name}: changed again"
        for result in (first, second) if own else ():
            assert_result_documented(module, result)
        if first["changed"]:
            changed.add(module)
    assert changed == {module for module in MODULES if not module.endswith(("_info", "_probe"))}


def test_module_examples_run_ad_hoc(stage: Stage) -> None:
    for module in MODULES:
        text = DOCUMENTATION[f"intrusion.response.{module}"]["examples"]
        comments = "\n".join(line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#"))
        commands = re.findall(r"^(ansible localhost (?:.*\\\n)*.*)$", comments, re.MULTILINE)
        assert commands, module
        for command in commands:
            outcome = run_until_unchanged(stage, command.replace("\\\n", " "))
            assert_result_documented(module, outcome.result())


def changes(outcome: Outcome) -> int:
    """Return how many tasks of a command, playbook or ad hoc, reported a change."""
    recap = outcome.recap()
    return sum(count["changed"] for count in recap.values()) if recap else int(outcome.result()["changed"])


def run_once(stage: Stage, command: str) -> Outcome:
    """Run a command that must succeed, and do what its words say."""
    outcome = stage.run(command)
    assert outcome.status == 0, f"{command}\n{outcome.output}"
    if REASON in command:
        stored = {entry["description"] for entry in stage.blocked(FIREWALLS[0])}
        assert REASON in stored, f"not stored as printed: {command}\n{stored}"
    return outcome


def run_until_unchanged(stage: Stage, command: str, ran: dict[str, int] | None = None) -> Outcome:
    """Run a command; when it changed something, a second run must not."""
    outcome = run_once(stage, command)
    if ran is not None:
        ran[command] = changes(outcome)
    if changes(outcome) and "--check" not in command:
        again = stage.run(command)
        assert again.status == 0, f"{command}\n{again.output}"
        assert changes(again) == 0, f"changed again: {command}\n{again.output}"
    return outcome


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (language, text) of every fenced block of a page, in order."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, textwrap.dedent(text)) for _indent, language, text in found if language != "mermaid"]


def write_inventory(stage: Stage, inventory: dict[str, Any]) -> None:
    """Write the page's inventory with the emulator's addresses, and the servers as directories of this machine."""
    groups = inventory["all"]["children"]
    urls = [firewall["api_url"] for firewall in stage.ready["firewalls"]]
    for host, url in zip(groups["firewalls"]["hosts"].values(), urls, strict=True):
        host["cos_api_url"] = url
    agent = stage.place / "servers" / "{{ inventory_hostname }}" / "opt" / "ds_agent" / "ds_agent"
    here = {"ansible_connection": "local", "protect_agent_path_linux": str(agent)}
    for group in groups.keys() - {"firewalls"}:
        groups[group]["vars"] = here
    for name in ("inventory.yml", "inventory"):
        (stage.place / name).write_text(json.dumps(inventory), encoding="utf-8")


def write_settings(stage: Stage, settings: dict[str, Any]) -> None:
    """Write the page's settings of the responder, and the files that they name."""
    text = yaml.safe_dump(settings).replace("/etc/ips", str(stage.place / "ips"))
    (stage.place / "responder.yml").write_text(text, encoding="utf-8")
    (stage.place / "ips").mkdir()
    for name in re.findall(r"/etc/ips/([\w.-]+)", str(settings)):
        (stage.place / "ips" / name).write_text("a-secret-of-some-length\n", encoding="utf-8")
    certificate = trustme.CA().issue_cert("responder.example.com")
    certificate.cert_chain_pems[0].write_to_path(str(stage.place / "ips" / Path(settings["tls"]["cert_file"]).name))
    certificate.private_key_pem.write_to_path(str(stage.place / "ips" / Path(settings["tls"]["key_file"]).name))


def check_settings(stage: Stage, line: str) -> None:
    """Let the service check its settings; it runs in the demo and in tests of its own."""
    words = line.replace("~/.ansible/collections/ansible_collections/intrusion/response", str(ROOT)).split()
    assert words[0] == "python3"
    outcome = stage.run(" ".join([sys.executable, *words[1:], "--check"]))
    assert outcome.status == 0, outcome.output


def check_export(line: str) -> None:
    known = set(re.findall(r"E\((\w+)\)", json.dumps(DOCUMENTATION))) | {"CONTROLLER_HOST", "CONTROLLER_OAUTH_TOKEN"}
    assert set(re.findall(r"(\w+)=", line.partition("#")[0])) <= known, line


def test_readme_examples_run_as_printed(stage: Stage) -> None:
    ran: dict[str, int] = {}
    stage.environment["IPS_WEBHOOK_URL"] = WEBHOOK_OF_THE_EXAMPLES
    for number, (language, text) in enumerate(block for page in GUIDES for block in blocks(page)):
        if language == "yaml":
            document = yaml.safe_load(text)
            if isinstance(document, list):
                (stage.place / f"readme-{number}.yml").write_text(text, encoding="utf-8")
                run_until_unchanged(stage, f"ansible-playbook -i inventory.yml readme-{number}.yml", ran)
            elif "all" in document:
                write_inventory(stage, document)
                run_once(stage, BLOCK_OF_THE_EXAMPLES)
            else:
                assert "respond" in document, text
                write_settings(stage, document)
            continue
        assert language == "shell", text
        for line in text.splitlines():
            program = line.split()[0]
            if program == "export":
                check_export(line)
            elif "awx_setup" in line:
                assert (ROOT / "playbooks" / "awx_setup.yml").is_file()  # test_awx_setup runs it
            elif program in ("ansible", "ansible-playbook"):
                run_until_unchanged(stage, line, ran)
            elif program == "python3":
                check_settings(stage, line)
            elif program == "ansible-rulebook":
                name = re.search(r"-r intrusion\.response\.(\w+)", line)[1]
                assert (ROOT / "extensions" / "eda" / "rulebooks" / f"{name}.yml").is_file(), line
            else:
                assert program in ("make", "ansible-galaxy"), f"nothing runs this example: {line}"
    assert_examples_did_something(ran)
    for firewall in FIREWALLS:
        left = {entry["host"] for entry in stage.blocked(firewall)}
        assert not left & {f"203.0.113.{number}" for number in (5, 6, 7, 9)}, f"{firewall} still blocks what was let in"
    assert {server["agent"]["state"] for server in stage.servers().values()} == {"absent"}, "offboard left agents"


def assert_examples_did_something(ran: dict[str, int]) -> None:
    changing = [command for command, count in ran.items() if count]
    playbooks = ("response.block ", "response.unblock", "response.undo -e blacklist_last=10", "response.offboard")
    for words in (*playbooks, "state=absent", "host=203.0.113.9 ttl"):
        assert any(words in command for command in changing), f"no example with {words!r} changed anything: {changing}"
    assert sum(command.startswith("ansible-playbook -i inventory.yml readme-") for command in changing) >= 2


def test_examples_of_role_and_playbooks_run_as_printed(stage: Stage) -> None:
    """Once only: that a second run changes nothing is shown for all of them with the examples of README.md."""
    mail = {"protect_destinations": [{"type": "email", "email_address": "secops@example.com"}]}
    write_inventory(stage, {"all": {"vars": mail | {"ips_webhook_url": WEBHOOK_OF_THE_EXAMPLES}, "children": {
        "webservers": {"hosts": {"VA1ACMEWEB01": {}}},
        "to_be_deleted": {"hosts": {"VA1ACMEWEB01": {}, "VA1ACMEWEB03": {}}},
        "firewalls": {"hosts": {name: {} for name in FIREWALLS}},
    }}})
    commands = []
    for name in ("onboard", "block", "history", "undo", "block", "report", "unblock", "offboard"):
        text = (ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8")
        found = re.findall(r"^# +(ansible-playbook .*)$", text, re.MULTILINE)
        assert found, name
        commands += found
    for number, (_language, text) in enumerate(blocks("roles/protect/README.md")):
        (stage.place / f"role-{number}.yml").write_text(text, encoding="utf-8")
        commands.append(f"ansible-playbook -i inventory role-{number}.yml")
    for command in commands:
        changed = changes(run_once(stage, command))
        assert bool(changed) == (not re.search(r"response\.(history|report|offboard)", command)), f"{command}: {changed}"
