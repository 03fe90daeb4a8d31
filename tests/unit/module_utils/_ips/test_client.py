# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose answer it is: the service's own, somebody else's, or nobody can tell."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError, WrongService

EMAIL = {"type": "email", "email_address": "secops@example.com"}
STRANGERS = ("html", "json", "text")


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
