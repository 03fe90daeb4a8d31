# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPS at the default switches, from the knowledge base and from the released Go client."""
from __future__ import annotations

import json
import socket
import ssl

import pytest

WEBHOOK = {"typeCode": "WEBHOOK", "url": "https://hooks.example.com/ips"}
SLACK = {"typeCode": "SLACK", "url": "https://hooks.slack.example/services/T/B/x"}
SYSLOG = {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "192.0.2.10", "udpPort": 514, "facility": 16}}
EMAIL = {"typeCode": "EMAIL", "emailAddress": "secops@example.com"}
GO_EMAIL = (b'[{"url":"","typeCode":"EMAIL","emailAddress":"a@b.example",'
            b'"sysLogSettings":{"ipAddress":"","udpPort":0,"facility":0}}]')
PATH = "notifications/ACME/VA1ACMEWEB01"


def _full(destination):
    return {"typeCode": None, "url": None, "emailAddress": None, "intervalCode": None, "sysLogSettings": None,
            **destination}


def _raw(api, request: bytes) -> bytes:
    """Send bytes over TLS and read to the end of the connection."""
    host, port = api.emulator.clc_url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        tls = ssl.create_default_context(cafile=api.emulator.ca_path)
        with tls.wrap_socket(plain, server_hostname=host) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


def _go(api, method: str, path: str, body: bytes | None) -> bytes:
    """A request as the Go client forms it: headers of net/http, no Accept, Content-Type always, CLC-ALIAS."""
    lines = [f"{method} {path} HTTP/1.1", "Host: " + api.emulator.clc_url.removeprefix("https://"),
             "User-Agent: clc-go-cli-1.1.0-linux"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"Authorization: Bearer {api.token()}", "Clc-Alias: ACME", "Content-Type: application/json",
              "Accept-Encoding: gzip", "Connection: close", "", ""]
    return _raw(api, "\r\n".join(lines).encode() + (body or b""))


def test_the_five_requests_of_the_go_client(api):
    app = b'{"hostName":"VA1ACMEWEB01","accountAlias":"ACME"}'
    notifications = "/ips/api/" + PATH
    assert _go(api, "POST", "/ips/api/app", app).startswith(b"HTTP/1.1 204 ")
    assert _go(api, "PUT", notifications, GO_EMAIL).startswith(b"HTTP/1.1 204 ")
    head, _unused, body = _go(api, "GET", notifications, None).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body) == [_full({"typeCode": "EMAIL", "emailAddress": "a@b.example"})]
    assert _go(api, "DELETE", notifications, None).startswith(b"HTTP/1.1 204 ")
    assert _go(api, "DELETE", "/ips/api/app", app).startswith(b"HTTP/1.1 204 ")
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "absent"
    assert all(record["applied"] for record in api.emulator.journal("ips"))


@pytest.mark.parametrize("path", ["app", "app/"])
def test_install_and_uninstall_with_and_without_the_slash(api, path):
    body = {"hostName": "va1acmeweb01", "accountAlias": "acme"}
    answer = api.ips("POST", path, body)
    assert (answer.status, answer.body) == (204, b"")
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "installed"
    assert api.ips("DELETE", path, body).status == 204
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "absent"


def test_install_takes_its_time_on_the_clock(api):
    api.emulator.settings(install_delay=60)
    api.app("POST")
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "installing"
    api.emulator.advance(60)
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "installed"
    api.app("DELETE")
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "uninstalling"
    api.emulator.advance(61)
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "absent"


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'"text"', {}, {"hostName": "VA1ACMEWEB01"}, {"accountAlias": "ACME"},
    {"hostName": "", "accountAlias": "ACME"}, {"hostName": "VA1ACMEWEB01", "accountAlias": ""},
    {"hostName": 1, "accountAlias": "ACME"}])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_malformed_app_bodies_are_400(api, method, body):
    assert api.ips(method, "app/", body).status == 400


def test_all_four_types_are_replaced_as_a_whole_and_deleted(api):
    assert api.put([WEBHOOK, SLACK, SYSLOG, EMAIL]).status == 204
    answer = api.get()
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == [_full(one) for one in (WEBHOOK, SLACK, SYSLOG, EMAIL)]
    assert api.put([EMAIL]).status == 204
    assert api.ips("GET", PATH.lower() + "/").json() == [_full(EMAIL)]
    assert api.ips("DELETE", PATH).status == 204
    assert (api.get().status, api.get().body) == (200, b"[]")


def test_names_with_escapes_are_decoded(api):
    api.emulator.seed({"servers": [{"name": "web 9.acme.example", "alias": "ACME"}]})
    assert api.put([EMAIL], "web%209.acme.example").status == 204
    assert api.get("WEB%209.ACME.EXAMPLE").json() == [_full(EMAIL)]


@pytest.mark.parametrize("changed", [
    {"typeCode": "PAGER"}, {"typeCode": None}, {"typeCode": "WEBHOOK"}, {"typeCode": "SYSLOG"},
    {"typeCode": "SLACK", "url": ""}, {"typeCode": "EMAIL", "emailAddress": ""},
    {**SYSLOG, "sysLogSettings": {"ipAddress": "192.0.2.10", "udpPort": 514, "facility": 15}},
    {**SYSLOG, "sysLogSettings": {"ipAddress": "192.0.2.10", "udpPort": 514, "facility": 24}},
    {**SYSLOG, "sysLogSettings": {"ipAddress": "192.0.2.10", "facility": 16}},
    {**SYSLOG, "sysLogSettings": {"udpPort": 514, "facility": 16}},
    {**SYSLOG, "sysLogSettings": {"ipAddress": "192.0.2.10", "udpPort": True, "facility": 16}},
    {**SYSLOG, "sysLogSettings": [16]}, "WEBHOOK", None])
def test_bad_destinations_are_400_and_change_nothing(api, changed):
    api.put([EMAIL])
    assert api.put([WEBHOOK, changed]).status == 400
    assert api.get().json() == [_full(EMAIL)]


@pytest.mark.parametrize("body", [b"", b"not json", b"null", b"{}"])
def test_put_needs_an_array(api, body):
    assert api.put(body).status == 400


def test_address_in_syslog_settings_is_not_checked(api):
    """The documents' own example has the address "12345" and quoted numbers."""
    quoted = {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "12345", "udpPort": "514", "facility": "16"}}
    assert api.put([quoted]).status == 204
    assert api.get().json()[0]["sysLogSettings"] == {"ipAddress": "12345", "udpPort": 514, "facility": 16}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nonsense", "nonsense", "Bearer a.b.c"])
def test_a_token_is_needed(api, header):
    headers = {} if header is None else {"Authorization": header}
    assert api.send("GET", f"{api.emulator.ips_url}/{PATH}", headers=headers).status == 401


def test_permissions_flow_down_only(api):
    body = {"hostName": "VA1ACMEWEB01", "accountAlias": "ACME"}
    assert api.ips("POST", "app/", body, token=api.token("root-admin")).status == 204
    for alias, host in (("ROOT", "VA1ROOTADM01"), ("OTHR", "VA1OTHRWEB01"), ("NONE", "VA1NONEWEB01")):
        refused = api.ips("POST", "app/", {"hostName": host, "accountAlias": alias})
        assert refused.status == 403
        assert refused.headers["Content-Type"].startswith("text/plain")
        assert api.ips("PUT", f"notifications/{alias}/{host}", [EMAIL]).status == 403
        assert api.ips("GET", f"notifications/{alias}/{host}").status == 403


def test_a_server_of_another_account_is_unknown(api):
    assert api.ips("POST", "app/", {"hostName": "VA1ACMEWEB01", "accountAlias": "ROOT"},
                   token=api.token("root-admin")).status == 204
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "absent"


def test_writes_for_an_unknown_server_vanish(api):
    assert api.put([EMAIL], "VA1ACMEWEB99").status == 204
    assert api.get("VA1ACMEWEB99").body == b"[]"


def test_no_other_resources(api):
    for path in ("", "app/x", "notifications/ACME", "notifications//VA1ACMEWEB01", "policies/ACME"):
        assert api.ips("GET", path).status == 404
    for path in ("/ips/api//app/", "/ips/api2/app/", "/ips/app/", "/ips/api//" + PATH):
        url = api.emulator.clc_url + path
        assert api.send("GET", url, headers={"Authorization": "Bearer " + api.token()}).status == 404
    refused = api.ips("POST", PATH, [EMAIL])
    assert refused.status == 405
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "PUT", "DELETE"}


def test_bodiless_delete_needs_no_content_type(api):
    assert api.ips("DELETE", PATH, headers={}).status == 204
