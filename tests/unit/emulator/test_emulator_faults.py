# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults: what a client meets, and whether the write happened all the same."""
from __future__ import annotations

import http.client
import socket
import time

import pytest

from emulator.faults import KINDS

BROKEN = (http.client.HTTPException, ConnectionError)
EMAIL = [{"typeCode": "EMAIL", "emailAddress": "secops@example.com"}]
OTHER = [{"typeCode": "EMAIL", "emailAddress": "other@example.com"}]
ADD = "host=203.0.113.5"
COVERED = {"drop_before", "drop_after", "drop_mid", "delay", "delay_after", "status", "truncate", "garbage", "stale",
           "install_never_completes", "redirect", "drip"}


def _last(api):
    return api.emulator.journal("cos")[-1]


def test_this_file_knows_all_kinds():
    assert set(KINDS) == COVERED


@pytest.mark.parametrize("kind, applied", [("drop_before", False), ("drop_after", True), ("drop_mid", True)])
def test_dropped_connection(api, kind, applied):
    api.emulator.fault(kind=kind, service="cos", method="POST")
    with pytest.raises(BROKEN):
        api.cos("POST", body=ADD)
    assert (_last(api)["fault"], _last(api)["applied"]) == (kind, applied)
    assert len(api.entries()) == int(applied)
    assert api.cos("POST", body=ADD).status == 200


def test_dropped_login_and_ips_write(api):
    token = api.token()
    api.emulator.fault([{"kind": "drop_before", "service": "clc"}, {"kind": "drop_after", "path": "/notifications/"}])
    with pytest.raises(BROKEN):
        api.login()
    with pytest.raises(BROKEN):
        api.ips("PUT", "notifications/ACME/VA1ACMEWEB01", EMAIL, token=token)
    assert len(api.get().json()) == 1


def _send_and_leave(api):
    """A client that gives up: send an add and close without reading an answer."""
    api.emulator.switch("cos.auth", "none")
    host, port = api.emulator.firewalls[0].http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /api/oper/blacklist HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n"
                           b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + ADD.encode())
        return _until(lambda: api.emulator.journal("cos", writes=True))[0]


def _until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    return pytest.fail("nothing happened")


def test_delay_after_commit_leaves_the_write_behind(api):
    api.emulator.fault(kind="delay_after", seconds=3600, service="cos", method="POST")
    record = _send_and_leave(api)
    assert (record["applied"], record["status"]) == (True, None)
    assert len(api.entries()) == 1


def test_delayed_write_happens_though_the_client_has_left(api):
    api.emulator.fault(kind="delay", seconds=0.05, service="cos", method="POST")
    _send_and_leave(api)
    assert _until(api.entries)


def test_delayed_write_does_not_outlive_a_reset(api):
    api.emulator.fault(kind="delay", seconds=0.1, service="cos", method="POST")
    assert not _send_and_leave(api)["applied"]
    api.emulator.reset(switches={"cos.auth": "none"})
    api.emulator.fault(kind="delay", seconds=0.3, service="cos", method="GET")
    assert [e for e in api.entries() if e["alert_type"] == "REST"] == []


@pytest.mark.parametrize("given, status, content_type, text", [
    ({"status": 500}, 500, "text/plain", b"No exception message provided."),
    ({"status": 502}, 502, "text/html", b"<html>"), ({"status": 503}, 503, "text/html", b"<html>"),
    ({"status": 418, "body": "{}", "content_type": "application/json"}, 418, "application/json", b"{}")])
def test_status(api, given, status, content_type, text):
    api.emulator.fault(kind="status", service="cos", **given)
    answer = api.cos("POST", body=ADD)
    assert (answer.status, answer.headers["Content-Type"]) == (status, content_type)
    assert answer.body.startswith(text)
    assert api.entries() == []


@pytest.mark.parametrize("given, expected", [({}, "1"), ({"retry_after": 7}, "7"),
                                             ({"headers": {"Retry-After": "9"}, "status": 503}, "9")])
def test_retry_after(api, given, expected):
    api.emulator.fault(**{"kind": "status", "status": 429, **given})
    assert api.cos("GET").headers["Retry-After"] == expected


def test_status_after_commit(api):
    api.emulator.fault(kind="status", status=500, commit=True, method="POST", service="cos")
    assert api.cos("POST", body=ADD).status == 500
    assert len(api.entries()) == 1


@pytest.mark.parametrize("part", ["header", "continue", "chunk", "body"])
def test_drip_is_a_good_answer_for_who_waits(api, part):
    api.emulator.fault(kind="drip", part=part, service="cos", method="POST")
    answer = api.cos("POST", body=ADD)
    assert (answer.status, answer.json()["error"]) == (200, False)
    assert (_last(api)["fault"], _last(api)["applied"], len(api.entries())) == ("drip", True, 1)


def test_truncated_json_is_well_framed(api):
    api.emulator.fault(kind="truncate", service="cos")
    answer = api.cos("GET")
    assert (answer.status, len(answer.body)) == (200, int(answer.headers["Content-Length"]))
    with pytest.raises(ValueError):
        answer.json()


def test_garbage(api):
    api.emulator.fault([{"kind": "garbage"}, {"kind": "garbage", "body": '"fine"'}])
    answer = api.cos("GET")
    assert answer.status == 200
    with pytest.raises(ValueError):
        answer.json()
    assert api.cos("GET").json() == "fine"


def test_stale_reads_follow_a_write_and_end(api):
    api.emulator.fault(kind="stale", service="cos", times=2)
    assert api.entries() == []
    api.cos("POST", body=ADD)
    assert [len(api.entries()) for _unused in range(3)] == [0, 0, 1]


def test_stale_reads_stay_with_their_firewall(api):
    api.emulator.fault(kind="stale", times=1)
    api.cos("POST", body=ADD, firewall=1)
    assert len(api.get().json()) == 0
    assert api.entries() == []
    assert [len(api.entries(firewall=1)) for _unused in range(2)] == [0, 1]


def test_stale_destinations(api):
    api.put(EMAIL)
    api.emulator.fault(kind="stale", service="ips", times=1)
    api.put(OTHER)
    assert [api.get().json()[0]["emailAddress"] for _unused in range(2)] == ["secops@example.com", "other@example.com"]


def test_install_that_never_completes(api):
    api.emulator.fault(kind="install_never_completes")
    assert api.app("POST").status == 204
    api.emulator.advance(10**6)
    assert api.emulator.agent_state("ACME", "VA1ACMEWEB01") == "installing"


def test_redirect_from_http_to_https(api):
    api.emulator.fault(kind="redirect", service="cos", status=301)
    firewall = api.emulator.firewalls[0]
    answer = api.send("GET", firewall.http_url + "/api/oper/blacklist?alert_type=REST")
    assert (answer.status, answer.headers["Location"]) == (
        301, firewall.api_url + "/api/oper/blacklist?alert_type=REST")


def test_redirect_to_a_foreign_host_that_would_show_in_the_journal(api):
    api.emulator.fault(kind="redirect", to="foreign", method="POST")
    answer = api.cos("POST", body=ADD)
    assert answer.status == 307
    assert answer.headers["Location"].startswith("https://localhost:")
    assert api.send("GET", answer.headers["Location"]).status == 401
    assert api.emulator.journal("cos")[-1]["headers"]["host"].startswith("localhost:")


def test_redirect_to_a_given_url(api):
    api.emulator.fault(kind="redirect", to="https://192.0.2.1/x", status=302)
    assert api.cos("GET").headers["Location"] == "https://192.0.2.1/x"


def test_skip_times_and_for_ever(api):
    api.emulator.fault(kind="status", status=500, service="cos", method="GET", skip=1, times=2)
    assert [api.cos("GET").status for _unused in range(4)] == [200, 500, 500, 200]
    api.emulator.fault(kind="status", status=503, service="cos", times=None)
    assert [api.cos("GET").status for _unused in range(5)] == [503] * 5
    api.emulator.clear_faults()
    assert api.cos("GET").status == 200


def test_match_on_firewall_and_path(api):
    api.emulator.fault(kind="status", status=500, firewall="fw2", path="^/api/about$", times=None)
    assert [api.cos("GET", path="/api/about", firewall=n).status for n in (0, 1)] == [200, 500]
    assert api.cos("GET", firewall=1).status == 200


@pytest.mark.parametrize("given", [{"kind": "earthquake"}, {"kind": "status"}, {"kind": "delay", "colour": "red"}, {},
                                   {"kind": "delay", "path": "("}, {"kind": "delay", "service": "dns"}])
def test_bad_faults_are_refused(api, given):
    with pytest.raises(ValueError):
        api.emulator.fault(given)
    assert api.control("POST", "faults", [given]).status == 400
    assert api.cos("GET").status == 200
