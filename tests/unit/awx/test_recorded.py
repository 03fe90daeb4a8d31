# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of the AWX API says to the same requests what AWX said: numbers, status, fields, types, and the links that it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from awx.catalogue import KINDS
from awx.jobs import Outcome
from awx.server import TOKEN, Controller
from awx.store import Refused

RECORDED = [json.loads(line) for line in (Path(__file__).parents[2] / "awx" / "recorded.jsonl").read_text(encoding="utf-8").splitlines()]
#: What AWX had counted up to when it was recorded.
FIRST = {
    "organizations": 3, "credential_types": 37, "credentials": 8, "execution_environments": 5, "unified_job_templates": 36, "jobs": 62,
    "inventories": 7, "hosts": 12, "groups": 6, "notification_templates": 4, "workflow_job_template_nodes": 10, "teams": 3, "users": 5,
    "roles": 191 - 13,
}
TYPES = {str: "text", int: "number", float: "number", bool: "truth", type(None): "null", list: "list", dict: "object"}
#: AWX prints the times, and a project's revision, of that day.
OF_THAT_DAY = {"created", "modified"}


def fits(answer: dict[str, Any], recorded: dict[str, Any], path: str) -> None:
    """An object has the recorded fields with the recorded types, and of links and summaries nothing that was not recorded."""
    shape = {name: TYPES[type(value)] for name, value in answer.items() if name not in ("related", "summary_fields")}
    if answer["type"] != "project_update":
        assert shape.keys() == recorded["keys"].keys(), path
    for name, kind in shape.items():
        assert kind == recorded["keys"][name] or "null" in (kind, recorded["keys"][name]), f"{path}: {name}"
    for name, value in answer.get("related", {}).items():
        if "related" in recorded:
            assert recorded["related"].get(name) == value, f"{path}: {name}"
    assert set(answer.get("summary_fields", ())) <= set(recorded["summary"]), path
    for name, value in recorded.get("values", {}).items():
        assert answer[name] == value, f"{path}: {name}"


def test_the_same_requests_get_the_same_answers(tmp_path):
    (tmp_path / "block.yml").write_text("- hosts: all\n", encoding="utf-8")
    controller = Controller({"file:///srv/awx/path": tmp_path}, first=FIRST)
    for entry in RECORDED:
        address = urlsplit(entry["path"])
        try:
            status, answer = controller.serve(
                entry["method"], address.path, dict(parse_qsl(address.query)), entry["request"] or None, f"Bearer {TOKEN}")
        except Refused as refused:
            status, answer = refused.status, refused.body
        recorded = entry["answer"]
        assert status == entry["status"], f"{entry['method']} {entry['path']}: {answer}"
        if "results" in (answer or {}):
            assert [one["id"] for one in answer["results"]] == recorded["ids"], entry["path"]
            for one in answer["results"][:1]:
                fits(one, recorded["first"], entry["path"])
        elif isinstance(recorded, dict) and "keys" in recorded:
            fits(answer, recorded, f"{entry['method']} {entry['path']}")
        else:
            assert (answer or "") == recorded, entry["path"]


def test_every_resource_was_recorded():
    made = {entry["answer"]["values"]["type"] for entry in RECORDED if "values" in (entry["answer"] or {})}
    assert made == {kind.type for kind in KINDS.values()}


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    (tmp_path / "block.yml").write_text("- hosts: all\n", encoding="utf-8")
    return Controller({"https://git": tmp_path})


def send(controller: Controller, collection: str, body: Any, sub: str = "") -> Any:
    return controller.serve("POST", f"/api/v2/{collection}/{sub}", {}, body, f"Bearer {TOKEN}")[1]


NET = {"name": "x", "kind": "net", "inputs": {"fields": [{"id": "user", "label": "User"}]}}


@pytest.mark.parametrize(("collection", "body", "about"), [
    ("credential_types", {**NET, "inputs": "fields: []"}, {"inputs": ["str provided, expected dict"]}),
    ("credential_types", {**NET, "kind": "ssh"}, "Must be 'cloud' or 'net'"),
    ("credential_types", {**NET, "injectors": {"env": {"ANSIBLE_X": "a"}}}, "not allowed"),
    ("credential_types", {**NET, "injectors": {"env": {"COS": "{{ nobody }}"}}}, "undefined field"),
    ("credential_types", {**NET, "injectors": {"env": {"COS": "{{ tower.filename.ca }}"}}}, "undefined field"),
    ("inventories", {"name": "i", "organization": 1, "variables": {"a": 1}}, {"variables": ["Not a valid string."]}),
    ("inventories", {"name": "i", "organization": 7}, "does not exist"),
    ("job_templates", {"name": "j", "project": 1, "playbook": "intrusion.response.block"}, "Playbook not found for project."),
    ("job_templates", {"name": "j", "project": 1, "playbook": "block.yml", "forks": "many"}, {"forks": ["A valid integer is required."]}),
    ("organizations", {"name": "Default"}, "already exists"),
])
def test_what_awx_refuses(controller, collection, body, about):
    send(controller, "projects", {"name": "p", "organization": 1, "scm_type": "git", "scm_url": "https://git"})
    with pytest.raises(Refused) as refused:
        send(controller, collection, body)
    assert refused.value.status == 400
    assert refused.value.body == about if isinstance(about, dict) else about in str(refused.value)


@pytest.mark.parametrize(("question", "answers", "jobs"), [
    ({"type": "text", "default": ""}, {"a\nb": "a\nb", "": ""}, ""),
    ({"type": "integer", "min": 1}, {600: 600}, None),
    ({"type": "integer", "default": 5}, {0: 0}, 5),
    ({"type": "multiplechoice", "choices": ["true", "false"], "default": "false"}, {"true": "true"}, "false"),
    ({"type": "multiselect", "choices": ["a", "b"]}, {}, None),
    ({"type": "password"}, {"x": "x"}, None),
])
def test_survey_answers_arrive_as_on_awx(controller, question, answers, jobs):
    send(controller, "projects", {"name": "p", "organization": 1, "scm_type": "git", "scm_url": "https://git"})
    send(controller, "job_templates", {"name": "j", "project": 1, "playbook": "block.yml", "survey_enabled": True})
    asked = {"question_name": "Q", "variable": "q", "required": False, **question}
    send(controller, "job_templates", {"name": "", "description": "", "spec": [asked]}, "2/survey_spec/")

    def launch(**variables: Any) -> Any:
        made = send(controller, "job_templates", {"extra_vars": variables}, "2/launch/")
        return made["ignored_fields"], json.loads(made["extra_vars"]).get("q")

    assert launch() == ({}, jobs)
    assert launch(other=1) == ({"extra_vars": {"other": 1}}, jobs)
    for given, arrives in answers.items():
        assert launch(q=given) == ({}, arrives)
    for wrong in ([1], {}, None, 600 if question["type"] != "integer" else "600"):
        with pytest.raises(Refused, match="expected to be"):
            launch(q=wrong)


def test_an_approval_between_two_tasks(controller):
    """A workflow cannot be found as a job template, and waits for somebody who may approve."""
    send(controller, "workflow_job_templates", {"name": "w", "organization": 1})
    number = controller.named("workflow_job_templates", "w")["id"]
    send(controller, "workflow_job_template_nodes", {"workflow_job_template": number, "identifier": "ask"})
    send(controller, "workflow_job_template_nodes", {"name": "May I?"}, "1/create_approval_template/")
    made = send(controller, "workflow_job_templates", {}, f"{number}/launch/")
    approval, = controller.store.objects["workflow_approvals"].values()
    assert (made["status"], approval["status"]) == ("running", "pending")
    send(controller, "users", {"username": "u", "password": "p"})
    with pytest.raises(Refused) as refused:
        controller.serve("POST", f"/api/v2/workflow_approvals/{approval['id']}/approve/", {}, {}, "Basic dTpw")
    assert refused.value.status == 403
    send(controller, "workflow_approvals", {}, f"{approval['id']}/approve/")
    assert controller.store.get("workflow_jobs", made["id"])["status"] == "successful"


def test_a_relaunch_keeps_the_answers_and_is_limited_to_what_failed(controller):
    """AWX knows which hosts failed only when the playbook got to its end, and refuses to relaunch on none."""
    jobs, outcomes = controller.jobs, [Outcome("failed", failed=("fw2", "fw9")), Outcome(), Outcome("failed", failed=None)]
    jobs.run = lambda _store, _job: outcomes.pop(0)
    send(controller, "projects", {"name": "p", "organization": 1, "scm_type": "git", "scm_url": "https://git"})
    given = {"name": "j", "project": 1, "playbook": "block.yml", "ask_variables_on_launch": True, "extra_vars": '{"own": 1}'}
    send(controller, "job_templates", given)
    first = send(controller, "job_templates", {"extra_vars": {"a": "{{ b }}"}}, "2/launch/")

    def again(number: int, hosts: str) -> Any:
        jobs.threads[-1].join(60)
        return send(controller, "jobs", {"hosts": hosts}, f"{number}/relaunch/")

    second = again(first["id"], "failed")
    assert (second["limit"], json.loads(second["extra_vars"]), second["launch_type"]) == ("fw2,fw9", {"own": 1, "a": "{{ b }}"}, "relaunch")
    with pytest.raises(Refused, match="0 failed hosts"):
        again(second["id"], "failed")
    third = again(first["id"], "all")
    assert third["limit"] == ""
    with pytest.raises(Refused, match="stats not available"):
        again(third["id"], "failed")
    send(controller, "users", {"username": "u", "password": "p"})
    with pytest.raises(Refused) as refused:
        controller.serve("POST", f"/api/v2/jobs/{first['id']}/relaunch/", {}, {}, "Basic dTpw")
    assert refused.value.status == 403
