# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""eda_setup against the options of ansible.eda and what it was recorded to send; the collection itself is in no registry of packages.

The modules here take the options that those of ansible.eda 2.13.0 take, and write down with which they were called.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tools.workspace import ROOT, clean_environment

BIN = Path(sys.executable).parent
RECORDED = [json.loads(line) for line in (ROOT / "tests" / "awx" / "recorded_eda.jsonl").read_text(encoding="utf-8").splitlines()]
OPTIONS = {
    "decision_environment": """name*:str new_name:str description:str image_url:str credential:str pull_policy:str=always/never/missing
        state:str=present/absent organization_name:str""",
    "credential": """name*:str new_name:str copy_from:str inputs:dict credential_type_name:str organization_name:str description:str
        metadata:dict state:str=present/absent/test""",
    "credential_info": "name:str",
    "event_stream": """name*:str new_name:str credential_name:str organization_name:str event_stream_type:str headers:str
        forward_events:bool uuid:str state:str=present/absent""",
    "project": """name*:str new_name:str description:str url:str proxy:str credential:str organization_name:str scm_branch:str
        state:str=present/absent sync:bool wait:bool update_revision_on_launch:bool scm_update_cache_timeout:int""",
    "rulebook_activation": """name*:str new_name:str description:str project_name:str rulebook_name:str extra_vars:str restart:bool
        restart_policy:str=on-failure/always/never enabled:bool decision_environment_name:str awx_token_name:str
        organization_name:str eda_credentials:list k8s_service_name:str swap_single_source:bool restart_on_project_update:bool
        event_streams:list log_level:str=debug/info/error enable_persistence:bool rule_engine_credential_id:int
        state:str=present/absent/disabled/enabled""",
}
MODULE = '''
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(SPEC, supports_check_mode=True)
given = {name: value for name, value in module.params.items() if value is not None}
there = os.path.exists(os.environ["EDA_THERE"])
with open(os.environ["EDA_LOG"], "a") as log:
    log.write(json.dumps([NAME, given]) + "\\n")
module.exit_json(changed=not there, credentials=[given] if there else [])
'''
#: How a request calls what an option gives, where it is another name.
SENT_AS = {
    "organization_name": "organization_id", "credential_type_name": "credential_type_id", "credential_name": "eda_credential_id",
    "forward_events": "test_mode", "decision_environment_name": "decision_environment_id", "rulebook_name": "rulebook_id",
    "event_streams": "source_mappings", "extra_vars": "extra_var", "state": "is_enabled",
}
#: Options that no recorded set-up gave: where there is nothing to compare with, the table above is all.
NOT_RECORDED = {"description", "project_name", "wait", "scm_branch"}
ENDPOINTS = {
    "decision_environment": "decision-environments", "credential": "eda-credentials", "event_stream": "event-streams",
    "project": "projects", "rulebook_activation": "activations",
}
VARIABLES = {
    "eda_image": "registry.example.com/de:1", "eda_controller_host": "https://awx.example.com/api/",
    "eda_controller_token": "canary-token-4Fg7", "eda_stream_token": "canary-stream-6Hj2",
    "eda_variables": {"block_organization": "Security", "block_ttl": 600},
}


def specification(options: str) -> dict[str, Any]:
    found = {}
    for name, required, kind, choices in re.findall(r"(\w+)(\*?):(\w+)(?:=([\w/-]+))?", options):
        found[name] = {"type": kind, "required": bool(required), "choices": choices.split("/") if choices else None}
    return found


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    modules = tmp_path / "ansible_collections" / "ansible" / "eda" / "plugins" / "modules"
    modules.mkdir(parents=True)
    for name, options in OPTIONS.items():
        text = MODULE.replace("SPEC", repr(specification(options))).replace("NAME", repr(name))
        (modules / f"{name}.py").write_text(text, encoding="utf-8")
    return tmp_path


def play(collections: Path, **variables: Any) -> tuple[int, str, list[list[Any]]]:
    log = collections / "log"
    log.write_text("", encoding="utf-8")
    environment = clean_environment(
        BIN, EDA_LOG=str(log), EDA_THERE=str(collections / "there"), ANSIBLE_PIPELINING="1",
        ANSIBLE_COLLECTIONS_PATH=f"{collections}:{sysconfig.get_path('purelib')}",
    )
    given = collections / "eda.json"
    given.write_text(json.dumps({**VARIABLES, **variables}), encoding="utf-8")
    command = [BIN / "ansible-playbook", "-vvvv", "intrusion.response.eda_setup", "-e", f"@{given}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_what_is_asked_for_is_what_was_recorded(collections):
    status, output, calls = play(collections)
    assert status == 0, output
    assert "canary" not in output
    assert [name for name, _given in calls] == [
        "decision_environment", "credential_info", "credential_info", "credential", "credential", "event_stream", "project",
        "rulebook_activation",
    ]
    posted: dict[str, list[dict[str, Any]]] = {}
    for entry in RECORDED:
        if entry["method"] == "POST":
            posted.setdefault(urlsplit(entry["path"]).path.split("/")[4], []).append(entry["request"])
    asked = [urlsplit(entry["path"]).query for entry in RECORDED if "/credential-types/" in entry["path"]]
    types = {name for query in asked for name in parse_qs(query)["name"]}
    for name, given in calls:
        if name == "credential_info":
            continue
        sent = {SENT_AS.get(option, option) for option in given} - NOT_RECORDED
        assert any(sent <= request.keys() for request in posted[ENDPOINTS[name]]), (name, sent)
        if name == "credential":
            assert given["credential_type_name"] in types
            assert any(given["inputs"].keys() == request["inputs"].keys() for request in posted["eda-credentials"])
    activation = calls[-1][1]
    mapping = posted["activations"][0]["source_mappings"]
    assert activation["event_streams"] == [{"event_stream": "Intrusion response", "source_name": "IPS"}] and "source_name: IPS" in mapping
    assert activation["rulebook_name"] == "block_by_job_template.yml" and "block_ttl: 600" in activation["extra_vars"]
    assert (ROOT / "extensions" / "eda" / "rulebooks" / activation["rulebook_name"]).is_file()


def test_credentials_are_not_asked_for_again(collections):
    (collections / "there").touch()
    status, output, calls = play(collections)
    assert status == 0 and "credential" not in [name for name, _given in calls], output
    assert re.search(r"changed=0 ", output)


@pytest.mark.parametrize(("wrong", "about"), [
    ({"eda_rulebook": "block_attackers"}, "value of eda_rulebook must be one of"), ({"eda_enabled": "maybe"}, "eda_enabled"),
])
def test_bad_variables_are_refused_before_anything_is_asked(collections, wrong, about):
    status, output, calls = play(collections, **wrong)
    assert status != 0 and about in output and calls == []
