# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an agent and of its destinations on every service that the documents allow for."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._core.redact import mask_url

from emulator.switches import deviations

from ..conftest import SERVER

DEVIATIONS = [pair for pair in deviations() if pair[0].startswith(("ips.", "clc."))]
PAIRS = [pair for pair in itertools.combinations(DEVIATIONS, 2) if pair[0][0] != pair[1][0]]
SAMPLE = random.Random(20261122).sample(PAIRS, 80)
MATRIX = [(), *[(pair,) for pair in DEVIATIONS], *SAMPLE]

WEBHOOK = {"type": "webhook", "url": "https://127.0.0.1:9/hooks/canary-hook"}
SLACK = {"type": "slack", "url": "https://127.0.0.1:9/services/T/B/canary-slack"}
EMAIL = {"type": "email", "email_address": "secops@example.com"}


def syslog(facility: object = "local0", port: int = 514) -> dict:
    return {"type": "syslog", "syslog": {"ip_address": "127.0.0.1", "udp_port": port, "facility": facility}}


def name(switches) -> str:
    return "+".join(f"{switch}={value}" for switch, value in switches) or "defaults"


@pytest.mark.parametrize("switches", MATRIX, ids=name)
def test_life_of_an_agent(door, switches) -> None:
    door.emulator.switch_many(dict(switches))
    predicted = door.agent(check=True)
    assert predicted["changed"] and not door.writes("ips")
    done = door.agent()
    assert done == predicted
    assert done["agent"] == {"server_name": SERVER, "account_alias": "ACME", "state": "install_accepted", "evidence": "none"}

    door.emulator.clear_journal()
    assert door.agent()["agent"]["evidence"] == "receipt" and not door.writes("ips")
    blind = door.agent(detection=[], state_dir="none")
    answered = dict(switches).get("ips.reinstall", "204") != "204"
    assert blind["changed"] != answered
    assert blind["agent"]["evidence"] == ("answer" if answered else "none")

    predicted = door.agent(check=True, state="absent")
    removed = door.agent(state="absent")
    assert removed == predicted and removed["changed"]
    assert removed["agent"]["state"] == "uninstall_accepted"
    assert not door.agent(state="absent")["changed"]
    blind = door.agent(state="absent", detection=[], state_dir="none")
    answered = dict(switches).get("ips.uninstall_absent", "204") != "204"
    empty_body = dict(switches).get("ips.error_body") == "empty"
    if not (answered and empty_body):
        assert blind["changed"] != answered


@pytest.mark.parametrize("switches", [switches for switches in MATRIX if ("ips.notifications", "500") not in switches], ids=name)
def test_life_of_the_destinations(door, switches) -> None:
    door.emulator.switch_many(dict(switches))
    start = [WEBHOOK, syslog(16)]
    predicted = door.notification(check=True, destinations=start)
    assert not door.writes("ips")
    done = door.notification(destinations=start)
    assert done["changed"]
    if ("ips.normalise", "yes") in switches:
        predicted["destinations"][1]["url"] = mask_url(WEBHOOK["url"] + "/")
        predicted.pop("diff"), done.pop("diff")
    assert done == predicted

    door.emulator.clear_journal()
    again = door.notification(destinations=start[::-1])
    assert not again["changed"] and again["destinations"] == done["destinations"] and not door.writes("ips")
    assert not door.notification(destinations=[WEBHOOK])["changed"], "what is not named is kept"

    merged = door.notification(destinations=[EMAIL, SLACK, syslog("local7")])
    assert merged["changed"] and [one["type"] for one in merged["destinations"]] == ["email", "slack", "syslog", "webhook"]
    assert merged["destinations"][2]["syslog"]["facility"] == 23
    assert len(door.writes("ips")) == 1, "one write at most"

    fewer = door.notification(state="absent", destinations=[{**EMAIL, "email_address": "SecOps@example.com"}, syslog(16)])
    assert [one["type"] for one in fewer["destinations"]] == ["slack", "webhook"]

    only = door.notification(destinations=[SLACK], purge=True)
    assert [one["type"] for one in only["destinations"]] == ["slack"]
    assert not door.notification(destinations=[SLACK], purge=True)["changed"]

    assert door.run("ips_notification_info", server_name=SERVER.lower())["destinations"] == only["destinations"]
    predicted = door.notification(check=True, state="absent")
    assert door.notification(state="absent") == predicted
    assert predicted["changed"] and predicted["destinations"] == []
    door.emulator.clear_journal()
    assert not door.notification(state="absent")["changed"] and not door.writes("ips")
    assert door.run("ips_notification_info", server_name=SERVER)["destinations"] == []


def test_host_evidence_needs_no_request(door) -> None:
    result = door.agent(installed=True)
    assert result["agent"] == {"server_name": SERVER, "account_alias": None, "state": "installed", "evidence": "host"}
    assert not door.emulator.journal()


def test_offboarding_right_after_onboarding_removes_what_is_still_to_come(door) -> None:
    door.agent(installed=False)
    assert not door.agent(installed=False)["changed"]
    removed = door.agent(installed=False, state="absent")
    assert removed["changed"] and removed["agent"]["state"] == "uninstall_accepted" and removed["agent"]["evidence"] == "receipt"
    assert [request["method"] for request in door.writes("ips")] == ["POST", "DELETE"]


def test_unreadable_destinations_do_not_stop_the_agent(door) -> None:
    door.emulator.switch("ips.notifications", "500")
    assert door.agent()["changed"]
    assert any("server_fault" in warning for warning in door.warnings)


def test_agent_path_and_wait(door, tmp_path) -> None:
    agent = tmp_path / "ds_agent"
    with pytest.raises(IntrusionResponseError) as caught:
        door.agent(agent_path=str(agent), wait=True, wait_timeout=1)
    assert caught.value.code == "not_verified" and caught.value.changed
    agent.touch()
    assert not door.agent(agent_path=str(agent))["changed"]
    removed = door.agent(agent_path=str(agent), state="absent")
    assert removed["agent"]["state"] == "uninstall_accepted"


def test_destinations_are_evidence_of_an_agent(door) -> None:
    door.notification(destinations=[EMAIL])
    result = door.agent(state_dir="none")
    assert not result["changed"] and result["agent"]["evidence"] == "api" and result["agent"]["state"] == "registered"
    assert door.agent(state_dir="none", detection=["receipt"])["changed"]


def test_unknown_destination_types_are_kept(door) -> None:
    door.emulator.switch("ips.put_invalid", "accept")
    with door.client() as client:
        client.replace_destinations(SERVER, [{"typeCode": "PAGER", "url": "https://127.0.0.1:9/p"}])
    result = door.notification(destinations=[EMAIL])
    assert [one["type"] for one in result["destinations"]] == ["PAGER", "email"]
    assert not door.notification(destinations=[EMAIL])["changed"]


@pytest.mark.parametrize(("value", "code"), [("204", "not_verified"), ("400", "rejected"), ("404", "not_found")])
def test_unknown_server(door, value: str, code: str) -> None:
    door.emulator.switch("ips.unknown_server", value)
    with pytest.raises(IntrusionResponseError) as caught:
        door.notification(server_name="VA1ACMENONE99", destinations=[EMAIL], verify_timeout=1)
    assert caught.value.code == code


def test_a_service_that_takes_fewer_destinations_is_named_at_once(door) -> None:
    door.emulator.switch("ips.second_destination", "keep_last")
    with pytest.raises(IntrusionResponseError) as caught:
        door.notification(destinations=[syslog(16, 514), syslog(16, 515)], verify_timeout=600)
    assert caught.value.code == "stored_differently" and caught.value.changed
    text = caught.value.message
    assert "Missing: syslog" in text and " 514 " in text and " 515 " not in text
    assert len(door.emulator.journal("ips")) == 3


def test_what_does_not_show_is_named(door) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        door.notification(server_name="VA1ACMENONE99", destinations=[EMAIL], verify_timeout=1)
    assert caught.value.code == "not_verified" and EMAIL["email_address"] in caught.value.message


def test_check_server_finds_a_mistyped_name_before_any_write(door) -> None:
    for run in (door.agent, door.notification):
        options = {"destinations": [EMAIL]} if run == door.notification else {}
        with pytest.raises(IntrusionResponseError) as caught:
            run(server_name="VA1ACMENONE99", check_server=True, **options)
        assert caught.value.code == "not_found"
        assert run(check_server=True, **options)["changed"]
    assert {request["path"] for request in door.writes("ips")} == {"/ips/api/app/", f"/ips/api/notifications/ACME/{SERVER}"}


def test_sub_account_of_a_parent_user(door) -> None:
    user = door.emulator.users[1]
    door.notification(username=user["username"], password=user["password"], account_alias="ACME", destinations=[EMAIL])
    assert door.writes("ips")[0]["path"].endswith(f"/ACME/{SERVER}")


def test_foreign_account(door) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        door.notification(account_alias="OTHR", destinations=[EMAIL])
    assert caught.value.code == "not_permitted"


@pytest.mark.parametrize("bad_token", ["401", "403"])
def test_an_expired_token_costs_one_login(door, bad_token: str, monkeypatch) -> None:
    door.emulator.switch("ips.bad_token", bad_token)
    door.notification(destinations=[EMAIL])
    door.emulator.revoke_tokens()
    monkeypatch.setattr("ansible_collections.intrusion.response.plugins.module_utils._ips.login.YOUNG", 0)
    door.emulator.clear_journal()
    assert not door.notification(destinations=[EMAIL])["changed"]
    assert not door.notification(destinations=[EMAIL])["changed"]
    assert len(door.emulator.journal("clc")) == 1


def test_logins_are_shared_through_the_state_directory(door) -> None:
    for _unused in range(3):
        door.run("ips_notification_info", server_name=SERVER)
    assert len(door.emulator.journal("clc")) == 1
    door.run("ips_notification_info", server_name=SERVER, state_dir="none")
    assert len(door.emulator.journal("clc")) == 2


def test_bad_credentials_are_tried_once(door) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        door.notification(password="wrong-password", destinations=[EMAIL])
    assert caught.value.code == "auth_failed"
    assert len(door.emulator.journal()) == 1


def test_a_refused_password_is_not_tried_again_by_the_rest_of_a_fleet(door) -> None:
    for _host in range(3):
        with pytest.raises(IntrusionResponseError) as caught:
            door.notification(password="wrong-password", destinations=[EMAIL])
        assert caught.value.code == "auth_failed"
    assert len(door.emulator.journal("clc")) == 1
    assert "wrong-password" not in "".join(path.read_text() for path in door.state_dir.rglob("*.json"))
    assert door.notification(destinations=[EMAIL])["changed"], "another password is tried at once"


def test_given_token(door) -> None:
    door.notification(destinations=[EMAIL])
    (record,) = (door.state_dir / "tokens").glob("*.json")
    token = json.loads(record.read_text())["value"]["token"]
    door.emulator.clear_journal()
    found = door.run("ips_notification_info", server_name=SERVER, token=token, account_alias="ACME", username=None, password=None)
    assert found["destinations"] and not door.emulator.journal("clc")


def test_clc_url_with_and_without_version(door) -> None:
    url = door.emulator.clc_url + "/v2/"
    assert door.run("ips_notification_info", server_name=SERVER, clc_url=url)["account_alias"] == "ACME"


def test_two_syslog_servers_are_sent_with_a_warning(door) -> None:
    assert door.notification(destinations=[syslog(16), syslog(16, 515)])["changed"]
    assert any("syslog" in warning for warning in door.warnings)
