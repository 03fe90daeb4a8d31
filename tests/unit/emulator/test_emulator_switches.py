# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every value of every switch shows on the wire.

A probe makes requests and returns what it saw; ``SEEN`` says, for each switch, its probe and what it has to see at each
value. A switch or a value that has no line here fails the completeness test.
"""
from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from emulator.switches import TABLE, UnknownSwitch, check, deviations

WEBHOOK = {"typeCode": "WEBHOOK", "url": "https://hooks.example.com/1"}
WEBHOOK_2 = {"typeCode": "WEBHOOK", "url": "https://hooks.example.com/2"}
EMAIL = {"typeCode": "EMAIL", "emailAddress": "secops@example.com"}
ZEROS = {"ipAddress": "", "udpPort": 0, "facility": 0}
APP = {"hostName": "VA1ACMEWEB01", "accountAlias": "ACME"}
PATH = "notifications/ACME/VA1ACMEWEB01"


def _form_login(api):
    user = next(u for u in api.emulator.users if u["username"] == "ips-admin")
    body = urlencode({"username": user["username"], "password": user["password"]}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return api.send("POST", api.emulator.clc_url + "/v2/authentication/login", body, headers).status


def _error_body(api):
    answer = api.app("POST", alias="OTHR")
    try:
        kind = type(answer.json()).__name__
    except ValueError:
        kind = "text" if answer.body else "empty"
    return answer.status, kind


def _accepted(api):
    return api.app("POST").status, api.app("DELETE").status


def _reinstall(api):
    api.app("POST")
    status = api.app("POST").status
    agent = next(s["agent"] for s in api.emulator.state()["servers"] if s["name"] == "VA1ACMEWEB01")
    return status, agent["state"], agent["installs"], agent["repeated_installs"]


def _unknown_server(api):
    body = {"hostName": "VA1ACMEWEB99", "accountAlias": "ACME"}
    return api.ips("POST", "app/", body).status, api.put([EMAIL], "VA1ACMEWEB99").status


def _unsupported_os(api):
    status = api.app("POST", "VA1ACMEUBU01").status
    api.emulator.advance(86400)
    return status, api.emulator.agent_state("ACME", "VA1ACMEUBU01")


def _visibility(api):
    api.put([EMAIL])
    reads = [len(api.get().json()) for _unused in range(3)]
    api.ips("DELETE", PATH)
    return reads, [len(api.get().json()) for _unused in range(3)]


def _put(*bodies):
    """Status of each PUT in turn, and the number of destinations after it."""
    def probe(api):
        return [(api.put(body).status, len(api.get().json())) for body in bodies]
    return probe


def _irrelevant(api):
    status = api.put([{**EMAIL, "url": "", "sysLogSettings": ZEROS}]).status
    return status, api.get().json()[0]["url"], api.get().json()[0]["sysLogSettings"]


def _unknown_properties(api):
    status = api.put([{**EMAIL, "colour": "red"}]).status
    return status, next((one.get("colour") for one in api.get().json()), None)


def _wrapper(api):
    api.put([EMAIL])
    return type(api.get().json())


def _normalise(api):
    api.put([{**EMAIL, "emailAddress": "SecOps@example.com"}, WEBHOOK])
    email, webhook = api.get().json()
    return email["emailAddress"], webhook["url"]


def _no_route(api):
    answer = api.ips("GET", "nowhere/at/all/here")
    assert answer.status == 404
    return answer.headers.get("Content-Type", ""), b"server" in answer.body, b"Route GET:/ips/api/nowhere" in answer.body


def _second(api):
    status = api.put([WEBHOOK, EMAIL, WEBHOOK_2]).status
    return status, [one["url"] for one in api.get().json()]


def _shape(api):
    api.put([WEBHOOK])
    return api.get().json()[0]


def _order(api):
    api.put([WEBHOOK, EMAIL])
    return [one["typeCode"] for one in api.get().json()]


def _none(api):
    return api.get().status, api.get().body if api.get().status == 200 else None


def _delete_none(api):
    first = api.ips("DELETE", PATH).status
    api.put([EMAIL])
    return first, api.ips("DELETE", PATH).status


def _uninstall_destinations(api):
    api.app("POST")
    api.put([EMAIL])
    api.app("DELETE")
    return len(api.get().json())


def _singular(api):
    return api.ips("PUT", PATH.replace("notifications", "notification"), [EMAIL]).status, len(api.get().json())


def _content_type(api):
    body = json.dumps([EMAIL]).encode()
    return [api.ips("PUT", PATH, body, headers=headers).status for headers in ({}, {"Content-Type": "text/plain"})]


# cOS Core

KEY = "host=203.0.113.5"


def _add(api, **given):
    return api.cos("POST", body=urlencode({"host": "203.0.113.5", **given}))


def _ttl_in_list(api):
    _add(api, ttl=100)
    api.emulator.advance(40)
    return int(api.entries()[0]["ttl"])


def _ttl_types(api):
    return type(_add(api).json()["blacklist_entry"]["ttl"]), type(api.entries()[0]["ttl"])


def _longest_ttl(api):
    added = _add(api, ttl=86400).json()["blacklist_entry"]["ttl"], api.entries()[0]["ttl"]
    _add(api, ttl=100)
    return *added, api.entries()[0]["ttl"]


def _foreign_and_own(api):
    api.emulator.seed({"firewalls": {"fw1": {"entries": [{"host": "192.0.2.0/24", "alert_type": "IDP"}]}}})
    _add(api)
    return [(entry["host"], entry["alert_type"]) for entry in api.entries()]


def _repost(api):
    _add(api, ttl=100, description="old")
    api.emulator.advance(10)
    status = _add(api, ttl=200, description="new").status
    return status, [(e["ttl"], e["description"]) for e in api.entries()]


def _shorten(api):
    _add(api, ttl=300)
    _add(api, ttl=100)
    shorter = api.entries()[0]["ttl"]
    _add(api, ttl=400)
    return shorter, api.entries()[0]["ttl"]


def _delete_foreign(api):
    api.emulator.seed({"firewalls": {"fw1": {"entries": [{"host": "203.0.113.5", "alert_type": "IDP"}]}}})
    return api.cos("DELETE", "?" + KEY).status, len(api.entries())


def _services(api):
    return _add(api).json()["blacklist_entry"]["service"], api.entries()[0]["service"]


def _empty_text(api):
    return _add(api).json()["blacklist_entry"]["rule_name"], api.entries()[0]["description"]


def _errors(api):
    unauthorised = api.cos("GET", user=None).status
    answer = api.cos("DELETE", "?" + KEY)
    return answer.status, answer.json()["error"], answer.json()["error_code"], unauthorised


def _access(api):
    return _add(api).status, api.cos("DELETE", "?" + KEY).status, api.cos("GET").status


def _count(api):
    api.emulator.seed({"firewalls": {"fw1": {"entries": [{"host": "198.51.100.0/24", "alert_type": "IDP"}]}}})
    answer = api.cos("GET", "?alert_type=REST").json()
    return answer["blacklist_count"], len(answer["blacklist_hosts"])


def _cap(api):
    for last in (5, 6, 7):
        _add(api, host=f"203.0.113.{last}")
    answer = api.cos("GET").json()
    return answer["blacklist_count"], [e["host"][-1] for e in answer["blacklist_hosts"]]


def _list_order(api):
    _add(api)
    _add(api, host="203.0.113.6")
    return [e["host"][-1] for e in api.entries()]


def _whitelist(api):
    answer = _add(api, host="192.0.2.250")
    return answer.status, answer.json()["error"], len(api.entries())


def _text_limit(api):
    status = _add(api, description="0123456789").status
    return status, [e["description"] for e in api.entries()]


def _ttl_zero(api):
    status = _add(api, ttl=0).status
    api.emulator.advance(299)
    listed = [e["ttl"] for e in api.entries()]
    api.emulator.advance(10**8)
    return status, listed, len(api.entries())


def _capacity(api):
    statuses = [_add(api, host=f"203.0.113.{last}").status for last in (5, 6, 7)]
    return statuses[-1], _add(api, ttl=9).status, len(api.entries())


FULL = {"typeCode": "WEBHOOK", "url": WEBHOOK["url"]}
SEEN = {
    "clc.login_body": (_form_login, {"json_or_form": 200, "json_only": 400}),
    "ips.bad_token": (lambda api: api.ips("GET", PATH, token="nonsense").status, {"401": 401, "403": 403}),
    "ips.error_body": (_error_body, {"text": (403, "text"), "json": (403, "dict"), "empty": (403, "empty")}),
    "ips.accepted": (_accepted, {"204": (204, 204), "200": (200, 200), "202": (202, 202)}),
    "ips.reinstall": (_reinstall, {"204": (204, "installed", 1, 1), "400": (400, "installed", 1, 1),
                                   "409": (409, "installed", 1, 1)}),
    "ips.uninstall_absent": (lambda api: api.app("DELETE").status, {"204": 204, "400": 400, "404": 404}),
    "ips.unknown_server": (_unknown_server, {"204": (204, 204), "400": (400, 400), "404": (404, 404)}),
    "ips.unsupported_os": (_unsupported_os, {"204": (204, "installing"), "400": (400, "absent")}),
    "ips.write_visibility": (_visibility, {"immediate": ([1, 1, 1], [0, 0, 0]), "delayed": ([0, 0, 1], [1, 1, 0])}),
    "ips.put_object": (_put(EMAIL, {"notificationDestinations": [EMAIL, WEBHOOK]}),
                       {"400": [(400, 0), (400, 0)], "accept": [(204, 1), (204, 2)]}),
    "ips.put_invalid": (_put([{"typeCode": "PAGER"}], [{"typeCode": "SYSLOG", "sysLogSettings": ZEROS}]),
                        {"400": [(400, 0), (400, 0)], "accept": [(204, 1), (204, 1)]}),
    "ips.put_empty": (_put([EMAIL], []), {"204": [(204, 1), (204, 0)], "400": [(204, 1), (400, 1)]}),
    "ips.quoted_integers": (
        _put([{"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "x", "udpPort": "514", "facility": "16"}}]),
        {"accept": [(204, 1)], "400": [(400, 0)]}),
    "ips.irrelevant": (_irrelevant, {"accept": (204, None, None), "echo": (204, "", ZEROS)}),
    "ips.unknown_properties": (_unknown_properties, {"ignore": (204, None), "400": (400, None), "keep": (204, "red")}),
    "ips.get_wrapper": (_wrapper, {"bare": list, "wrapped": dict}),
    "ips.normalise": (_normalise, {"no": ("SecOps@example.com", WEBHOOK["url"]), "yes": ("secops@example.com", WEBHOOK["url"] + "/")}),
    "ips.notifications": (lambda api: [api.get().status, api.put([EMAIL]).status, api.ips("DELETE", PATH).status],
                          {"served": [200, 204, 204], "500": [500, 500, 500]}),
    "ips.app_path": (lambda api: [api.ips("POST", path, APP).status for path in ("app/", "app")],
                     {"both": [204, 204], "slash": [204, 404], "bare": [404, 204]}),
    "ips.no_route": (_no_route, {
        "text": ("text/plain", False, False), "html": ("text/html", False, False), "json": ("application/json", False, False),
        "server": ("application/json", True, False), "echo": ("application/json", False, True), "empty": ("", False, False)}),
    "ips.second_destination": (_second, {
        "accept": (204, [WEBHOOK["url"], None, WEBHOOK_2["url"]]), "400": (400, []),
        "keep_last": (204, [None, WEBHOOK_2["url"]])}),
    "ips.get_shape": (_shape, {
        "nulls": {**FULL, "emailAddress": None, "intervalCode": None, "sysLogSettings": None}, "omit": FULL,
        "empty": {**FULL, "emailAddress": "", "intervalCode": "", "sysLogSettings": ZEROS}}),
    "ips.get_order": (_order, {"kept": ["WEBHOOK", "EMAIL"], "reversed": ["EMAIL", "WEBHOOK"]}),
    "ips.get_none": (_none, {"[]": (200, b"[]"), "null": (200, b"null"), "204": (204, None), "404": (404, None)}),
    "ips.delete_none": (_delete_none, {"204": (204, 204), "404": (404, 204)}),
    "ips.uninstall_destinations": (_uninstall_destinations, {"keep": 1, "clear": 0}),
    "ips.singular_path": (_singular, {"404": (404, 0), "alias": (204, 1)}),
    "ips.app_read": (lambda api: [api.ips(m, "app/").status for m in ("GET", "PUT")], {"405": [405, 405],
                                                                                       "404": [404, 404]}),
    "ips.content_type": (_content_type, {"415": [415, 415], "accept": [204, 204]}),
    "cos.ttl_in_list": (_ttl_in_list, {"remaining": 60, "configured": 100}),
    "cos.ttl_json_type": (_ttl_types, {"string": (str, str), "number": (int, int)}),
    "cos.repost": (_repost, {
        "renew_all": (200, [("200", "new")]), "renew_ttl_only": (200, [("200", "old")]),
        "ignore": (200, [("90", "old")]), "duplicate": (200, [("90", "old"), ("200", "new")]),
        "reject_400": (400, [("90", "old")])}),
    "cos.renew_can_shorten": (_shorten, {"yes": ("100", "400"), "no": ("300", "400")}),
    "cos.delete_missing": (lambda api: api.cos("DELETE", "?" + KEY).status, {"404": 404, "200": 200}),
    "cos.delete_foreign": (_delete_foreign, {"404": (404, 1), "403": (403, 1), "400": (400, 1)}),
    "cos.longest_ttl": (_longest_ttl, {"none": ("86400", "86400", "100"), "200": ("200", "200", "100")}),
    "cos.host_in_list": (_foreign_and_own, {
        "address": [("192.0.2.0/24", "IDP"), ("203.0.113.5", "REST")], "network": [("192.0.2.0/24", "IDP"), ("203.0.113.5/32", "REST")]}),
    "cos.own_alert_type": (_foreign_and_own, {
        "REST": [("192.0.2.0/24", "IDP"), ("203.0.113.5", "REST")], "rest": [("192.0.2.0/24", "IDP"), ("203.0.113.5", "rest")]}),
    "cos.all_services_in_list": (_services, {"": ("all_services", ""), "all_services": ("all_services",) * 2}),
    "cos.all_services_in_reply": (_services, {"all_services": ("all_services", ""), "": ("", "")}),
    "cos.empty_text": (_empty_text, {"-": ("-", "-"), "": ("", "")}),
    "cos.error_http_status": (_errors, {"mirror": (404, True, 404, 401), "always_200": (200, True, 404, 401)}),
    "cos.auth": (lambda api: api.cos("GET", user=None).status, {"basic": 401, "none": 200}),
    "cos.access": (_access, {"read_write": (200, 200, 200), "read_only": (403, 403, 200)}),
    "cos.count": (_count, {"length": (0, 0), "total": (1, 0)}),
    "cos.list_order": (_list_order, {"insertion": ["5", "6"], "reversed": ["6", "5"]}),
    "cos.list_cap": (_cap, {"none": (3, ["5", "6", "7"]), "2": (3, ["5", "6"])}),
    "cos.whitelist": (_whitelist, {"silent": (200, False, 0), "400": (400, True, 0)}),
    "cos.text_limit": (_text_limit, {"none": (200, ["0123456789"]), "truncate:8": (200, ["01234567"]),
                                     "reject:8": (400, [])}),
    "cos.ttl_zero": (_ttl_zero, {"400": (400, [], 0), "infinite": (200, ["0"], 1), "default_300": (200, ["1"], 0)}),
    "cos.capacity": (_capacity, {"none": (200, 200, 3), "2:400": (400, 200, 2), "2:500": (500, 200, 2),
                                 "2:silent": (200, 200, 2)}),
}


@pytest.mark.parametrize("name", list(TABLE))
def test_every_value_has_its_own_expectation(name):
    assert list(SEEN[name][1]) == list(TABLE[name].values)
    seen = list(SEEN[name][1].values())
    assert all(value not in seen[:index] for index, value in enumerate(seen))


def test_nothing_is_expected_of_unknown_switches():
    assert set(SEEN) == set(TABLE)


@pytest.mark.parametrize("name, value", [(name, value) for name, switch in TABLE.items() for value in switch.values])
def test_value_shows_on_the_wire(api, name, value):
    api.emulator.switch(name, value)
    probe, expected = SEEN[name]
    assert probe(api) == expected[value]


def test_forms_take_other_numbers(api):
    api.emulator.switch_many({"cos.list_cap": 1, "cos.text_limit": "truncate:3", "ips.write_visibility": "delayed:1"})
    _add(api, description="abcdef")
    _add(api, host="203.0.113.6")
    assert [e["description"] for e in api.entries()] == ["abc"]
    api.put([EMAIL])
    assert [len(api.get().json()) for _unused in range(2)] == [0, 1]


@pytest.mark.parametrize("given", [{"cos.nothing": "1"}, {"cos.repost": "sometimes"}, {"cos.list_cap": "-1"},
                                   {"cos.capacity": "2:404"}, {"repost": "ignore"}])
def test_unknown_names_and_values_are_refused(given):
    with pytest.raises(UnknownSwitch):
        check(given)


def test_defaults_and_deviations_make_the_table():
    assert len(deviations()) + len(TABLE) == sum(len(switch.values) for switch in TABLE.values())
    assert all(value != TABLE[name].default for name, value in deviations())
