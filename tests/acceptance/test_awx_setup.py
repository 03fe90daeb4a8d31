# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""awx_setup and awx_teardown with awx.awx, against the double of the AWX API."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from acceptance.awx_stage import GIT, SETUP, SOURCES, TEARDOWN, play, set_up, variables
from awx.catalogue import KINDS
from awx.runner import injected
from awx.server import TOKEN, Controller
from awx.surveys import accept

from tools.workspace import ROOT

MARK = "Made by intrusion.response.awx_setup."
SPECS = {role: yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
         for role in ("awx", "blacklist", "protect")}
ENTRIES = {
    "Block": [("blacklist", "block")], "Unblock": [("blacklist", "unblock")], "Undo": [("blacklist", "undo")],
    "History": [("blacklist", "history")], "Onboard": [("protect", "main")], "Offboard": [("protect", "remove")],
    "Report": [("protect", "report"), ("blacklist", "report")], "Block with approval": [("blacklist", "block")],
}
TARGETS = {"blacklist_target", "protect_target"}


def held(controller: Controller) -> dict[str, set[str]]:
    return {kind: {one.get("name") or one.get("identifier") or one["username"] for one in controller.store.objects[kind].values()}
            for kind in KINDS}


def test_a_prediction_on_an_empty_awx_writes_nothing():
    with Controller(SOURCES) as controller:
        before = held(controller)
        played = play(controller, SETUP, variables(), "--check")
        assert played.status == 0 and played.changed > 0, played.output
        assert controller.writes() == [] and held(controller) == before


@pytest.mark.parametrize("arguments", [("--check",), ()], ids=["check", "real"])
def test_a_second_run_changes_nothing(arguments):
    with set_up() as controller:
        before = held(controller)
        played = play(controller, SETUP, variables(), *arguments)
        assert played.status == 0 and played.changed == 0, played.output
        assert controller.writes() == [] and held(controller) == before


def test_what_was_deleted_and_edited_by_hand_is_predicted_and_put_right():
    """What depends on what is not there any more is skipped by a prediction; what the set-up says nothing of is left alone."""
    with set_up() as controller:
        store, made = controller.store, held(controller)
        store.delete("teams", controller.named("teams", "Operators")["id"])
        for number in list(store.objects["workflow_job_template_nodes"]):
            store.delete("workflow_job_template_nodes", number)
        block = controller.named("job_templates", "Block")
        survey = copy.deepcopy(store.surveys[block["id"]])
        store.surveys[block["id"]]["spec"] = survey["spec"][:1]
        block |= {"allow_simultaneous": False, "playbook": "extensions/awx/undo.yml", "extra_vars": "", "limit": "fw1"}
        store.links["job_templates", block["id"], "credentials"].clear()
        before = held(controller)
        played = play(controller, SETUP, variables(), "--check")
        assert played.status == 0 and played.changed > 0, played.output
        assert controller.writes() == [] and held(controller) == before
        played = play(controller, SETUP, variables())
        assert played.status == 0 and held(controller) == made, played.output
        assert store.surveys[block["id"]] == survey and len(store.links["job_templates", block["id"], "credentials"]) == 1
        assert (block["allow_simultaneous"], block["playbook"], block["limit"]) == (True, "extensions/awx/block.yml", "fw1")
        assert "198.51.100.0/24" in block["extra_vars"]


def test_teardown_removes_what_was_made_and_only_that():
    """Of the same name, of the same type, in another organization, or a copy: what others made stays. The team's name was a choice."""
    with set_up() as controller:
        store = controller.store
        security = controller.named("organizations", "Security")["id"]
        ips, firewalls = (controller.named("credential_types", f"Intrusion response {name}") for name in ("IPS", "firewalls"))
        controller.named("teams", "Operators")["name"] = 'Blue, "green"'
        store.create("teams", {"name": "Operators", "organization": security})
        store.create("credentials", {"name": "Of mine", "organization": security, "credential_type": ips["id"]})
        elsewhere = {"name": firewalls["name"], "organization": 1, "credential_type": firewalls["id"], "description": MARK}
        store.create("credentials", elsewhere)
        store.create("inventories", {"name": "Copy", "organization": security, "description": MARK})
        controller.named("workflow_job_templates", "Block with approval")["description"] = "mine"
        played = play(controller, TEARDOWN, {"awx_organization": "Security"})
        assert played.status == 0, played.output
        left = {kind: names for kind, names in held(controller).items() if names}
        assert left == {
            "organizations": {"Default", "Security"}, "users": {"admin"}, "teams": {"Operators"},
            "credentials": {"Of mine", "Intrusion response firewalls"}, "inventories": {"Copy"},
            "credential_types": {"Intrusion response IPS", "Intrusion response firewalls"},
            "workflow_job_templates": {"Block with approval"}, "workflow_job_template_nodes": {"block", "approve"},
            "workflow_approval_templates": {"Approve the block"},
        }


def test_two_organizations_of_one_awx():
    """Both have objects of the same names, and each its own; what they share stays while the other uses it."""
    with set_up() as controller:
        store = controller.store
        other = "Ops' \"EMEA\", 2"
        played = play(controller, SETUP, variables(awx_organization=other, awx_operators='Night, "watch"'))
        assert played.status == 0, played.output
        numbers = {name: controller.named("organizations", name)["id"] for name in ("Security", other)}
        for template in store.objects["job_templates"].values():
            inventory = store.get("inventories", template["inventory"])
            linked = [store.get("credentials", one) for one in store.links["job_templates", template["id"], "credentials"]]
            assert {inventory["organization"], *(one["organization"] for one in linked)} == {template["organization"]} and linked
        kept = ("organizations", "credential_types", "credentials", "execution_environments", "job_templates", "inventories")
        before = {kind: {number: copy.deepcopy(one) for number, one in store.objects[kind].items()
                         if one.get("organization") != numbers[other]} for kind in kept}
        again = play(controller, SETUP, variables(), "--check")
        assert (again.status, again.changed) == (0, 0), again.output
        assert play(controller, TEARDOWN, {"awx_organization": other}).status == 0
        assert {kind: store.objects[kind] for kind in before} == before


def test_what_others_made_is_neither_taken_over_nor_changed():
    with set_up() as controller:
        team, credential = controller.named("teams", "Operators"), controller.named("credentials", "Intrusion response firewalls")
        for one in (team, credential, controller.named("job_templates", "Undo")):
            one["description"] = "mine"
        refused = play(controller, SETUP, variables())
        assert refused.status != 0 and "were not created by this playbook; rename or remove them: Undo." in " ".join(refused.output.split())
        assert controller.writes() == []


def test_a_manual_project_an_inventory_of_ones_own_and_no_secrets():
    """A credential that somebody made by hand is used, and the organization that is there is left alone."""
    with Controller(SOURCES) as controller:
        store = controller.store
        mine = store.create("inventories", {"name": "Mine", "organization": 1, "variables": "a: 1"})
        few = {"awx_project_path": "intrusion-response", "awx_inventory": "Mine", "awx_operators": ""}
        kind = store.create("credential_types", {"name": "Intrusion response firewalls", "kind": "net", "description": MARK})
        made = store.create("credentials", {"name": kind["name"], "organization": 1, "credential_type": kind["id"]})
        absent = play(controller, SETUP, {**few, "awx_inventory": "Yours"})
        assert absent.status != 0 and "The organization Default has no inventory Yours." in absent.output
        assert play(controller, SETUP, few).status == 0
        assert kind["inputs"]["fields"] and len(store.objects["credentials"]) == 1
        assert not store.objects["teams"] and not store.objects["hosts"]
        assert controller.named("job_templates", "Block")["playbook"] == "block.yml"
        assert store.links["job_templates", controller.named("job_templates", "Undo")["id"], "credentials"] == [made["id"]]
        assert (mine["description"], made["description"], controller.named("organizations", "Default")["description"]) == (
            "", "", "The default organization")


def test_what_the_templates_are():
    controller = set_up()
    store = controller.store
    templates = {one["name"]: one for kind in ("job_templates", "workflow_job_templates") for one in store.objects[kind].values()}
    assert templates.keys() == ENTRIES.keys()
    for name, template in templates.items():
        assert template["description"] == MARK and template["survey_enabled"], name
        asked = {question["variable"] for question in store.surveys[template["id"]]["spec"]}
        read = {option for role, entry in ENTRIES[name] for option in SPECS[role][entry]["options"]}
        assert asked <= read | TARGETS, f"{name} asks for what its playbook does not read"
        assert template["allow_simultaneous"] == name.startswith("Block")
        assert not template["ask_variables_on_launch"] and not template["ask_limit_on_launch"]
    assert "blacklist_never_block" in templates["Block"]["extra_vars"]
    team = controller.named("teams", "Operators")["id"]
    can = {(place, role) for number, (place, _owner, role) in store.roles.items() if team in store.links["roles", number, "teams"]}
    workflows = "workflow_job_templates"
    assert can == {("job_templates", "execute_role"), (workflows, "execute_role"), (workflows, "approval_role")}


#: Every answer that a question of a type may get, and whether AWX takes it.
ANSWERS = {
    "text": [("x", True), ("", True), (600, False), (["x"], False)],
    "textarea": [("203.0.113.5\n203.0.113.6", True), ("", None), (["203.0.113.5"], False)],
    "password": [("x", True), ("", True), ({}, False)],
    "integer": [(600, True), ("600", False), ("", False), (-1, False)],
    "multiplechoice": [("true", None), ("", False), (True, False)],
}


def test_every_answer_is_judged_as_awx_does():
    """What is not required may be left open; what is has to be given, and a text that is required is no empty one."""
    store = set_up().store
    judged = 0
    for kind in ("job_templates", "workflow_job_templates"):
        for template in store.objects[kind].values():
            survey = store.surveys[template["id"]]
            good = {question["variable"]: "203.0.113.5" for question in survey["spec"] if question["required"]}
            assert accept(template, survey, good) == (good, {}, [])
            assert bool(good) == bool(accept(template, survey, {})[2])
            for question in survey["spec"]:
                for answer, taken in ANSWERS[question["type"]]:
                    wanted = taken
                    if taken is None:
                        wanted = answer in question.get("choices", []) or (answer == "" and not question["required"])
                    if question["required"] and answer == "":
                        wanted = False
                    _accepted, dropped, wrong = accept(template, survey, {**good, question["variable"]: answer})
                    assert (not wrong) == wanted and dropped == {}, f"{template['name']}: {question['variable']} = {answer!r}: {wrong}"
                    judged += 1
    assert judged > 100


def test_an_operator_may_run_and_approve_but_not_edit():
    with set_up() as controller:
        store = controller.store
        person = store.create("users", {"username": "op", "password": "op"})["id"]
        outsider = store.create("users", {"username": "out", "password": "out"})["id"]
        team = controller.named("teams", "Operators")["id"]
        role = next(number for number, what in store.roles.items() if what == ("teams", team, "member_role"))
        store.links["roles", role, "users"].append(person)
        controller.tokens |= {"op": person, "out": outsider}
        block = controller.named("job_templates", "Block")["id"]
        workflow = controller.named("workflow_job_templates", "Block with approval")["id"]
        answers = {"extra_vars": {"blacklist_addresses": "203.0.113.5"}}

        def status(method: str, path: str, body: object, token: str) -> int:
            try:
                return controller.serve(method, f"/api/v2/{path}/", {}, body, f"Bearer {token}")[0]
            except Exception as refused:
                return getattr(refused, "status", 500)

        assert [status("POST", f"job_templates/{block}/launch", answers, token) for token in ("op", "out", TOKEN)] == [201, 403, 201]
        assert [status("PATCH", f"job_templates/{block}", {"limit": "x"}, token) for token in ("op", "out", TOKEN)] == [403, 403, 200]
        assert status("POST", f"workflow_job_templates/{workflow}/launch", answers, "op") == 201
        approval, = store.objects["workflow_approvals"]
        assert [status("POST", f"workflow_approvals/{approval}/approve", {}, token) for token in ("out", "op")] == [403, 204]


def test_what_the_credentials_give_to_a_job(tmp_path):
    """Without a certificate there is none to trust but the system's; certificates are verified unless somebody says otherwise."""
    controller = set_up()
    (tmp_path / "env").mkdir()
    report = controller.named("job_templates", "Report")
    given = injected(controller.store, report, tmp_path)
    assert given == {
        "COS_USERNAME": "blocker", "COS_PASSWORD": "canary-firewall-7Kd2", "COS_CA_PATH": "", "COS_VALIDATE_CERTS": "",
        "INTRUSION_RESPONSE_LEDGER": "canary-ledger-9Qw4",
        "CLC_V2_API_USERNAME": "ips", "CLC_V2_API_PASSWD": "canary-ips-3Zx8", "CLC_ACCT_ALIAS": "",
        "IPS_CA_PATH": "", "IPS_VALIDATE_CERTS": "",
    }
    for name in ("firewalls", "IPS"):
        credential = controller.named("credentials", f"Intrusion response {name}")
        credential["inputs"] |= {"ca_certificate": "PEM\n", "insecure": True}
    given = injected(controller.store, report, tmp_path)
    assert {Path(given[name]).read_text(encoding="utf-8") for name in ("COS_CA_PATH", "IPS_CA_PATH")} == {"PEM\n"}
    assert given["COS_VALIDATE_CERTS"] == given["IPS_VALIDATE_CERTS"] == "false"


@pytest.mark.parametrize(("wrong", "about"), [
    ({"awx_firewalls_credential": {"username": "u"}}, "missing required arguments: password"),
    ({"awx_approval_timeout": "soon"}, "awx_approval_timeout"),
    ({"awx_notification": {"type": "slack", "configuration": {}, "events": ["never"]}}, "never"),
])
def test_bad_variables_are_refused_before_any_request(wrong, about):
    with Controller(SOURCES) as controller:
        played = play(controller, SETUP, {**variables(), **wrong})
        assert played.status != 0 and about in played.output, played.output
        assert controller.log == []
    assert GIT in SOURCES
