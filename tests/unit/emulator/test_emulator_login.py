# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CLC v2 login and Get Server, from the API documentation and the recorded answers."""
from __future__ import annotations

import base64
import gzip
import json
from urllib.parse import urlencode

import pytest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LOGIN = "/v2/authentication/login"


def _password(api, username="ips-admin"):
    return next(user["password"] for user in api.emulator.users if user["username"] == username)


def test_answer_has_the_documented_members_and_recorded_headers(api):
    answer = api.login()
    assert answer.status == 200
    assert list(answer.json()) == ["userName", "accountAlias", "locationAlias", "roles", "bearerToken"]
    assert answer.json()["accountAlias"] == "ACME"
    assert answer.json()["bearerToken"].count(".") == 2
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"], answer.headers["Expires"]) == (
        "no-cache", "no-cache", "-1")


def test_gzip_only_when_accepted(api):
    assert "Content-Encoding" not in api.login().headers
    answer = api.login(**{"Accept-Encoding": "gzip, deflate"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["userName"] == "ips-admin"


@pytest.mark.parametrize("username, password", [("ips-admin", "wrong"), ("nobody", "wrong"), ("ips-admin", "")])
def test_bad_credentials_are_400_with_the_documented_message(api, username, password):
    answer = api.login(username, password)
    assert answer.status == 400
    assert answer.json() == {
        "message": "We didn't recognize the username or password you entered. Please try again."}


def test_form_with_capital_names_as_in_the_powershell_sample(api):
    body = urlencode({"Username": "ips-admin", "Password": _password(api)}).encode()
    assert api.send("POST", api.emulator.clc_url + LOGIN, body, FORM).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_unreadable_body_is_400(api, body):
    assert api.send("POST", api.emulator.clc_url + LOGIN, body, {"Content-Type": "application/json"}).status == 400


def test_token_lives_two_weeks_on_the_clock(api):
    token = api.token()
    path = "notifications/ACME/VA1ACMEWEB01"
    api.emulator.advance(14 * 86400 - 1)
    assert api.ips("GET", path, token=token).status == 200
    api.emulator.advance(2)
    assert api.ips("GET", path, token=token).status == 401


def test_tokens_can_be_revoked_by_user(api):
    mine, other = api.token(), api.token("root-admin")
    assert api.emulator.revoke_tokens("ips-admin") == 1
    assert api.ips("GET", "notifications/ACME/VA1ACMEWEB01", token=mine).status == 401
    assert api.ips("GET", "notifications/ACME/VA1ACMEWEB01", token=other).status == 200


def test_get_server_ignores_case(api):
    headers = {"Authorization": "Bearer " + api.token()}
    answer = api.send("GET", api.emulator.clc_url + "/v2/servers/acme/va1acmeweb01", headers=headers)
    assert answer.status == 200
    assert (answer.json()["id"], answer.json()["name"]) == ("va1acmeweb01", "VA1ACMEWEB01")


def test_get_unknown_server_is_404_without_a_body(api):
    headers = {"Authorization": "Bearer " + api.token()}
    answer = api.send("GET", api.emulator.clc_url + "/v2/servers/ACME/VA1ACMEWEB99", headers=headers)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (404, b"", "0")


def test_get_server_needs_a_token_and_a_reachable_account(api):
    url = api.emulator.clc_url + "/v2/servers/ROOT/VA1ROOTADM01"
    assert api.send("GET", url).status == 401
    assert api.send("GET", url, headers={"Authorization": "Bearer " + api.token()}).status == 403
    assert api.send("GET", url, headers={"Authorization": "Bearer " + api.token("root-admin")}).status == 200


def test_unknown_resource_and_method(api):
    answer = api.send("GET", api.emulator.clc_url + "/v2/nothing")
    assert (answer.status, answer.json()) == (404, {"message": "The requested resource does not exist."})
    assert api.send("GET", api.emulator.clc_url + LOGIN).status == 405


def test_basic_is_not_bearer(api):
    credentials = base64.b64encode(b"ips-admin:x").decode()
    headers = {"Authorization": f"Basic {credentials}"}
    assert api.send("GET", api.emulator.ips_url + "/notifications/ACME/VA1ACMEWEB01", headers=headers).status == 401
