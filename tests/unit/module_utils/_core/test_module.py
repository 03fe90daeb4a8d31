# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From arguments to a result: what is refused, what is shown, and what the environment counts for."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.call import Call
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import Rejected
from ansible_collections.intrusion.response.plugins.module_utils._core.module import connection_spec, run_in_process
from ansible_collections.intrusion.response.plugins.module_utils._core.options import COS_CONNECTION, IPS_CONNECTION, LEDGER_WRITING

PACKAGE = "ansible_collections.intrusion.response.plugins.modules"
SECRET = "canary-8fK2"
COS = {"api_url": "https://192.0.2.1", "username": "blocker", "password": SECRET}
IPS = {"server_name": "VA1ACMEWEB01", "token": SECRET, "password": f"{SECRET}-2", "account_alias": "ACME"}


def run(arguments: dict[str, Any], function=lambda _call: {"changed": False}, name: str = "cos_blacklist_entries") -> dict[str, Any]:
    spec = importlib.import_module(f"{PACKAGE}.{name}").ARGUMENT_SPEC
    return run_in_process(name, function, spec, {}, arguments, check_mode=False, diff_mode=False)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in (*IPS_CONNECTION, *COS_CONNECTION, *LEDGER_WRITING):
        for variable in option.env:
            monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cos_blacklist_entries", {**COS, "entries": ["203.0.113.5"]}),
        ("cos_blacklist_entries", {**COS, "entries": [{"host": "203.0.113.5", "hots": 1}]}),
        ("cos_blacklist_entries", {**COS, "entries": 5}),
        ("cos_blacklist_entries", {**COS, "entries": [], "passwrd": SECRET}),
        ("cos_blacklist_entries", {**COS, "entries": [], "password": {"vault": [SECRET]}, "ttl": "soon"}),
        ("cos_blacklist_entries", {**COS, "entries": [], "timeout": SECRET}),
        ("ips_notification", {**IPS, "destinations": SECRET}),
        ("ips_notification", {**IPS, "destinations": [{"type": "slack", "url": f"hooks.example.com/{SECRET}"}, "x"]}),
        ("ips_notification", {**IPS, "destinations": [f"hooks.example.com/{SECRET}"]}),
        ("ips_notification", {**IPS, "destinations": [{"type": "slack", "uri": f"https://hooks.example.com/{SECRET}"}]}),
        ("ips_notification", {**IPS, "host_name": "VA1ACMEWEB01", "destinations": 1.5}),
        ("cos_blacklist_entries", {"api_url": f"https://blocker:{SECRET}@192.0.2.1", "entries": ["203.0.113.5"]}),
    ],
)
def test_no_secret_is_shown_when_the_validation_fails(name: str, arguments: dict[str, Any]) -> None:
    result = run(arguments, name=name)
    assert result["failed"] and SECRET not in json.dumps(result)
    assert set(arguments) <= set(result["invocation"]["module_args"]), "what was given is still named"
    assert (result["code"], result["changed"], result["retryable"], result["http_status"]) == ("invalid_input", False, False, None)


def test_no_secret_of_the_environment_is_shown_when_the_validation_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COS_PASSWORD", SECRET)
    result = run({"api_url": "https://192.0.2.1", "entries": ["203.0.113.5"]})
    assert result["failed"] and SECRET not in json.dumps(result)
    assert result["invocation"]["module_args"]["password"]


def test_what_a_service_says_cannot_move_the_cursor() -> None:
    def function(call: Call) -> dict[str, Any]:
        call.warn("listed \x9b31mred\u202e\nand more")
        raise Rejected("it said\x1b]0;title\x07 so\r\nand so", hint="look\u2028here")

    result = run({**COS, "entries": []}, function)
    assert result["msg"] == "it said?]0;title? so and so look here" and result["hint"] == "look here"
    assert result["warnings"] == ["listed ?31mred? and more"]


@pytest.mark.parametrize(
    "table", [pytest.param(IPS_CONNECTION, id="ips"), pytest.param(COS_CONNECTION, id="cos"), pytest.param(LEDGER_WRITING, id="ledger")]
)
@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_variable_counts_as_not_set(table, nothing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {name: {**argument, "required": False} for name, argument in connection_spec(table).items()}

    def params() -> dict[str, Any]:
        seen: dict[str, Any] = {}
        result = run_in_process("x", lambda call: seen.update(call.params) or {}, spec, {}, {}, check_mode=False, diff_mode=False)
        assert not result.get("failed"), result
        return seen

    before = params()
    for option in table:
        for variable in option.env:
            monkeypatch.setenv(variable, nothing)
    assert params() == before


def test_an_empty_variable_does_not_hide_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLC_V2_API_PASSWD", "")
    monkeypatch.setenv("CLC_V2_API_PASSWORD", "good")
    seen: dict[str, Any] = {}
    run({"server_name": "VA1ACMEWEB01"}, lambda call: seen.update(call.params) or {}, name="ips_agent")
    assert seen["password"] == "good"


@pytest.mark.parametrize(
    "given",
    [
        {"username": "\udcff"},
        {"entries": [{"host": "203.0.113.5", "description": "caf\udce9"}]},
        {"never_block": ["\ud83d"]},
        {"ledger_user": "\udce9"},
    ],
)
def test_bytes_that_are_no_text_are_bad_input(given: dict[str, Any]) -> None:
    result = run({**COS, "entries": [], **given}, lambda _call: pytest.fail("nothing may be done"))
    assert result["failed"] and not result["changed"] and result["code"] == "invalid_input"
    assert next(iter(given)) in result["msg"] and "UTF-8" in result["msg"]
    json.dumps(result, ensure_ascii=False).encode()
