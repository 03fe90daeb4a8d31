# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose answer it is: the service's own, somebody else's, or nobody can tell."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import (
    BadResponse,
    IntrusionResponseError,
    NotFound,
    WrongService,
)
from ansible_collections.intrusion.response.plugins.module_utils._core.http import Reply
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import of_this_api

EMAIL = {"type": "email", "email_address": "secops@example.com"}
STRANGERS = ("html", "json", "text", "server", "echo")


@pytest.mark.parametrize("form", STRANGERS)
def test_the_404_of_a_stranger_is_no_absence(door, form: str) -> None:
    door.emulator.switch("ips.no_route", form)
    wrong = {"ips_url": f"{door.emulator.ips_url}s"}
    door.agent()
    door.notification(destinations=[EMAIL])
    calls = (
        lambda: door.agent(state="absent", detection=[], **wrong),
        lambda: door.agent(state="absent", state_dir="none", **wrong),
        lambda: door.agent(state="absent", state_dir="none", check=True, **wrong),
        lambda: door.agent(state_dir="none", **wrong),
        lambda: door.notification(state="absent", **wrong),
        lambda: door.notification(destinations=[EMAIL], **wrong),
        lambda: door.run("ips_notification_info", server_name="VA1ACMEWEB01", **wrong),
    )
    for call in calls:
        with pytest.raises(WrongService) as caught:
            call()
        assert "ips_url" in caught.value.as_result()["msg"] and not caught.value.changed


def test_an_empty_404_is_taken_for_absence_with_a_word(door) -> None:
    door.emulator.switch("ips.no_route", "empty")
    wrong = {"ips_url": f"{door.emulator.ips_url}s"}
    assert door.run("ips_notification_info", server_name="VA1ACMEWEB01", **wrong)["destinations"] == []
    assert any("empty 404" in warning and "ips_url" in warning for warning in door.warnings)
    assert not door.notification(state="absent", **wrong)["changed"]
    assert any("empty 404" in warning for warning in door.warnings)
    assert not door.agent(state="absent", detection=[], **wrong)["changed"]
    assert any("empty 404" in warning for warning in door.warnings)
    with pytest.raises(IntrusionResponseError) as caught:
        door.agent(detection=[], **wrong)
    assert caught.value.code == "not_found"


@pytest.mark.parametrize("body", ["text", "json"])
@pytest.mark.parametrize("switch", ["ips.get_none", "ips.delete_none"])
def test_a_404_of_the_service_itself_is_absence_without_a_word(door, switch: str, body: str) -> None:
    door.emulator.switch_many({switch: "404", "ips.error_body": body})
    with door.client() as client:
        assert client.destinations("VA1ACMEWEB01") == []
        client.delete_destinations("VA1ACMEWEB01")
    assert not door.warnings


@pytest.mark.parametrize(("served", "form"), [("slash", "text"), ("bare", "text"), ("bare", "html"), ("bare", "json"), ("bare", "empty")])
def test_agents_are_found_at_either_path(door, served: str, form: str) -> None:
    door.emulator.switch_many({"ips.app_path": served, "ips.no_route": form})
    with door.client() as client:
        assert client.install("VA1ACMEWEB01") and client.uninstall("VA1ACMEWEB01")
    paths = [request["path"].rpartition("api")[2] for request in door.writes("ips")]
    assert paths == (["/app/", "/app/"] if served == "slash" else ["/app/", "/app", "/app"]), "what is served is kept to"


def test_a_page_in_place_of_an_empty_success_is_no_success(door) -> None:
    door.emulator.fault(kind="status", service="ips", method="POST", status=200, body="<html>Log in</html>", content_type="text/html")
    with pytest.raises(WrongService):
        door.agent(detection=[])


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("There are no destinations.", True),
        ('{"message": "The agent was not found."}', True),
        ("Server VA1ACMEWEB01 is unknown", True),
        ('{"kind": "Status", "message": "the server could not find the requested resource", "code": 404}', False),
        ('{"message": "No HTTP resource was found that matches the request URI \'https://h/ips/apix/notifications/ACME/X\'."}', False),
        ("RESTEASY003210: Could not find resource for full path: https://h/ips/apix/notifications/ACME/VA1ACMEWEB01", False),
        ('{"message": "no Route matched with those values"}', False),
        ("404 page not found", False),
        ("Unknown host", False),
    ],
)
def test_an_error_is_of_this_api_when_it_speaks_of_what_it_has(text: str, own: bool) -> None:
    assert of_this_api(Reply(404, {}, text.encode())) == own


def test_a_stranger_does_not_say_that_a_server_is_unknown(door) -> None:
    stranger = {"status": 404, "body": '{"message": "no Route matched with those values"}', "content_type": "application/json"}
    for body, failure, option in ((stranger, WrongService, "clc_url"), ({**stranger, "body": ""}, NotFound, "check_server")):
        door.run("ips_notification_info", server_name="VA1ACMEWEB01")
        door.emulator.fault(kind="status", service="clc", method="GET", **body)
        with pytest.raises(failure) as caught:
            door.agent(check_server=True, detection=[])
        assert option in caught.value.hint and not door.writes("ips")


def test_a_list_of_something_else_is_no_list_of_destinations(door) -> None:
    door.emulator.fault(
        kind="status", service="ips", method="GET", status=200, body='[{"id": 1, "name": "x"}]', content_type="application/json"
    )
    with pytest.raises(BadResponse):
        door.run("ips_notification_info", server_name="VA1ACMEWEB01")
