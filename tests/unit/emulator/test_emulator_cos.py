# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cOS Core at the default switches, from the REST guide 15.00: byte for byte where it gives the bytes."""
from __future__ import annotations

import base64

import pytest


def test_add_answers_as_in_the_guide(api):
    answer = api.cos("POST", body="host=203.0.113.5&service=http-all")
    assert answer.status == 200
    assert answer.body == (b'{"error":false,"blacklist_entry":{"host":"203.0.113.5","service":"http-all","ttl":"300",'
                           b'"rule_name":"-","description":"-"}}')
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.body))


def test_list_answers_as_in_the_guide(api):
    api.cos("POST", body="host=203.0.113.5&description=api added")
    api.cos("POST", body="host=203.0.113.7&service=http-all&ttl=100&description=api%20added")
    expected = (
        b'{"error":false,"blacklist_count":2,"blacklist_hosts":['
        b'{"host":"203.0.113.5","service":"","ttl":"300","alert_type":"REST","rule_name":"-","description":"api added"},'
        b'{"host":"203.0.113.7","service":"http-all","ttl":"100","alert_type":"REST","rule_name":"-",'
        b'"description":"api added"}]}')
    assert api.cos("GET").body == expected
    assert api.cos("GET", "?alert_type=REST").body == expected


def test_delete_answers_as_in_the_guide(api):
    api.cos("POST", body="host=203.0.113.5")
    answer = api.cos("DELETE", "?host=203.0.113.5")
    assert (answer.status, answer.body) == (200, b'{"error":false}')
    assert api.cos("GET").body == b'{"error":false,"blacklist_count":0,"blacklist_hosts":[]}'


def test_delete_matches_host_and_service_exactly(api):
    """The guide: the default service does not sweep the others."""
    api.cos("POST", body="host=203.0.113.5&service=http-all")
    answer = api.cos("DELETE", "?host=203.0.113.5")
    assert (answer.status, answer.json()["error"], answer.json()["error_code"]) == (404, True, 404)
    assert len(api.entries()) == 1
    assert api.cos("DELETE", "?host=203.0.113.5&service=http-all").status == 200
    assert api.entries() == []


def test_all_services_by_name_or_by_default_is_one_key(api):
    api.cos("POST", body="host=203.0.113.5")
    api.cos("POST", body="host=203.0.113.5&service=all_services&ttl=600")
    assert [(e["service"], e["ttl"]) for e in api.entries()] == [("", "600")]
    assert api.cos("DELETE", "?host=203.0.113.5&service=all_services").status == 200


def test_entries_tick_and_expire(api):
    api.cos("POST", body="host=203.0.113.5&ttl=100")
    api.emulator.advance(40)
    assert api.entries()[0]["ttl"] == "60"
    api.emulator.advance(59.5)
    assert api.entries()[0]["ttl"] == "1"
    api.emulator.advance(0.5)
    assert api.entries() == []
    assert api.cos("DELETE", "?host=203.0.113.5").status == 404


def test_repost_renews_to_the_full_time_without_adding_up(api):
    api.cos("POST", body="host=203.0.113.5&ttl=100&rule_name=a&description=b")
    api.emulator.advance(50)
    assert api.cos("POST", body="host=203.0.113.5&ttl=100").status == 200
    (entry,) = api.entries()
    assert (entry["ttl"], entry["rule_name"], entry["description"]) == ("100", "-", "-")


def test_texts_decode_escapes_and_plus(api):
    text = "a%20b+c%26d%22%C3%A9%2Be/,f"
    answer = api.cos("POST", body=f"host=203.0.113.5&rule_name={text}")
    assert answer.json()["blacklist_entry"]["rule_name"] == 'a b c&d"é+e/,f'
    assert api.entries()[0]["rule_name"] == 'a b c&d"é+e/,f'
    assert "é".encode() in answer.body


@pytest.mark.parametrize("body", [
    "", "ttl=5", "host=", "host=fw.example", "host=2001:db8::1", "host=203.0.113.0/24", "host=203.0.113.1-9",
    "host=203.0.113.05", "host=203.0.113.5&ttl=", "host=203.0.113.5&ttl=abc", "host=203.0.113.5&ttl=-1",
    "host=203.0.113.5&ttl=0", "host=203.0.113.5&ttl=4294967296", "host=203.0.113.5&ttl=1.5",
    "host=203.0.113.5&service=no-such", "host=203.0.113.5&service=HTTP-ALL",
    "host=203.0.113.5&close_established=true", "host=203.0.113.5&host=203.0.113.6", "host=203.0.113.5&extra=1"])
def test_bad_parameters_are_400(api, body):
    answer = api.cos("POST", body=body)
    assert (answer.status, answer.json()["error"], answer.json()["error_code"]) == (400, True, 400)
    assert list(answer.json()) == ["error", "error_code", "error_message"]
    assert api.entries() == []


@pytest.mark.parametrize("body, headers", [
    ("host=203.0.113.5", {}), ('{"host":"203.0.113.5"}', {"Content-Type": "application/json"}),
    ("host", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("host=%ff%zz", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("host=203.0.113.5&rule_name=%ff", {"Content-Type": "application/x-www-form-urlencoded"})])
def test_anything_but_a_readable_form_is_malformed(api, body, headers):
    answer = api.cos("POST", body=body, headers=headers)
    assert (answer.status, answer.json()) == (
        400, {"error": True, "error_code": 400, "error_message": "Bad Request, malformed"})


def test_close_established_is_counted_and_never_listed(api):
    answer = api.cos("POST", body="host=203.0.113.5&close_established=yes")
    api.cos("POST", body="host=203.0.113.6&close_established=no")
    assert "close_established" not in answer.json()["blacklist_entry"]
    assert "close_established" not in api.entries()[0]
    assert api.emulator.state()["firewalls"]["fw1"]["closed_established"] == ["203.0.113.5"]


def test_foreign_entries_are_listed_filtered_and_untouchable(api):
    api.emulator.seed({"firewalls": {"fw1": {"entries": [
        {"host": "198.51.100.0/24", "alert_type": "IDP", "ttl": 900},
        {"host": "203.0.113.5", "alert_type": "SCANNER", "ttl": 900},
        {"host": "203.0.113.5", "ttl": 60}]}}})
    assert [(e["host"], e["alert_type"]) for e in api.entries()] == [
        ("198.51.100.0/24", "IDP"), ("203.0.113.5", "SCANNER"), ("203.0.113.5", "REST")]
    assert [e["host"] for e in api.entries("?alert_type=IDP")] == ["198.51.100.0/24"]
    assert api.cos("DELETE", "?host=203.0.113.5").status == 200
    assert api.cos("DELETE", "?host=203.0.113.5").status == 404
    assert [e["alert_type"] for e in api.entries()] == ["IDP", "SCANNER"]
    assert api.cos("POST", body="host=203.0.113.5&ttl=30").status == 200
    assert [(e["alert_type"], e["ttl"]) for e in api.entries()] == [("IDP", "900"), ("SCANNER", "900"), ("REST", "30")]


@pytest.mark.parametrize("query", ["?alert_type=ALL", "?alert_type=NONSENSE", "?alert_type=", "?host=203.0.113.5"])
def test_list_refuses_other_filters(api, query):
    """The guide: ALL exists in the CLI, not here; only alert_type is documented."""
    assert api.cos("GET", query).status == 400


def test_whitelisted_host_is_never_listed(api):
    assert api.cos("POST", body="host=192.0.2.250").status == 200
    assert api.entries() == []


def test_credentials(api):
    for user in (None, "nobody", "blocker-x"):
        answer = api.cos("GET", user=user)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')
        assert answer.json()["error"] is True
    wrong = base64.b64encode(b"blocker:wrong").decode()
    for header in (f"Basic {wrong}", "Basic !!!", "Bearer x"):
        assert api.cos("GET", user=None, headers={"Authorization": header}).status == 401


def test_audit_user_reads_only(api):
    assert api.cos("GET", user="audit").status == 200
    for method, query, body in (("POST", "", "host=203.0.113.5"), ("DELETE", "?host=203.0.113.5", None)):
        assert api.cos(method, query, body, user="audit").status == 403


def test_unknown_path_and_method_keep_the_error_shape(api):
    for answer, status in ((api.cos("GET", path="/api/oper/nothing"), 404), (api.cos("PUT", body=""), 405),
                           (api.cos("POST", path="/api/about", body=""), 405)):
        assert (answer.status, answer.json()["error_code"]) == (status, status)


def test_about_and_ha(api):
    about = api.cos("GET", path="/api/about").json()
    assert (about["error"], about["vendor"], about["product"], about["device_name"]) == (
        False, "Clavister", "cOS Core", "fw1")
    assert isinstance(about["version_numbers"], list)
    assert api.cos("GET", path="/api/oper/ha").json() == {"error": False, "enabled": False}
    api.emulator.seed({"firewalls": {"fw2": {"ha": {"enabled": True, "status": {"active": False}}}}})
    assert api.cos("GET", path="/api/oper/ha", firewall=1).json()["status"] == {"active": False}


def test_two_firewalls_are_two(api):
    api.cos("POST", body="host=203.0.113.5", firewall=1)
    assert (len(api.entries()), len(api.entries(firewall=1))) == (0, 1)
    api.emulator.switch("cos.empty_text", "", firewall="fw2")
    api.cos("POST", body="host=203.0.113.5")
    assert (api.entries()[0]["rule_name"], api.entries(firewall=1)[0]["rule_name"]) == ("-", "")
