# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of a firewall's answers, the strange ones above all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import normal_ttl
from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient

HOST = "203.0.113.5"


def answered(door, body: Any, status: int = 200) -> IntrusionResponseError:
    text = body if isinstance(body, str) else json.dumps(body)
    door.emulator.fault(kind="status", status=status, body=text, content_type="application/json", service="cos", times=None)
    call = door.call("cos_blacklist_entry_info", False, {"retries": 0})
    with CosClient.from_call(call) as client, pytest.raises(IntrusionResponseError) as caught:
        client.blacklist()
    return caught.value


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"error": "false", "blacklist_hosts": []}, "bad_response", ": the answer does not come from a cOS Core firewall."),
        ({"error": 0, "blacklist_hosts": []}, "bad_response", ": the answer does not come from a cOS Core firewall."),
        ({"blacklist_hosts": []}, "bad_response", ": the answer does not come from a cOS Core firewall."),
        ("[]", "bad_response", ": the answer does not come from a cOS Core firewall."),
        ({"error": True}, "rejected", " was answered with an error without a code."),
        ({"error": True, "error_code": 0, "error_message": ""}, "rejected", " was answered with an error without a code."),
        ({"error": True, "error_code": 10**30, "error_message": "x"}, "rejected", " was answered with an error without a code: x."),
        ({"error": True, "error_code": "404", "error_message": "No such"}, "not_found", " was answered with 404: No such."),
        ({"error": True, "error_code": 500, "error_message": "a\x1b[31m\nb"}, "server_fault", " was answered with 500: a?[31m b."),
    ],
)
def test_answers_that_are_none(door, body: Any, code: str, said: str) -> None:
    error = answered(door, body)
    assert (error.code, error.message) == (code, f"GET /api/oper/blacklist{said}")


@pytest.mark.parametrize("body", ["", "<html>", "404 page not found", {"message": "no Route matched with those values"}, ["error"]])
def test_the_404_of_a_stranger_says_nothing_of_a_firewall(door, body: Any) -> None:
    error = answered(door, body, 404)
    assert error.code == "wrong_service" and "api_url" in error.as_result()["msg"]
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host=HOST, state="absent", retries=0)
    assert caught.value.code == "wrong_service" and not caught.value.changed


def test_an_error_that_is_no_json(door) -> None:
    assert answered(door, "<html>", 403).message == "GET /api/oper/blacklist was answered with 403."


@pytest.mark.parametrize("ttl", ["1" + "0" * 400, "1" + "0" * 5000, '"1' + "0" * 400 + '"', "1e400", "0", "-1", "true", "null"])
def test_a_listed_ttl_that_is_no_number(door, ttl: str) -> None:
    entry = f'{{"host": "{HOST}", "ttl": {ttl}, "alert_type": "REST"}}'
    listed = f'{{"error": false, "blacklist_count": 1, "blacklist_hosts": [{entry}]}}'
    door.emulator.fault(kind="status", status=200, body=listed, content_type="application/json", service="cos", times=None)
    (shown,) = door.run("cos_blacklist_entry_info")["entries"]
    assert shown["host"] == HOST and shown["ttl"] is None


@pytest.mark.parametrize(
    ("value", "ttl"), [("600", 600), (600, 600), (2**31, 2**31), (2**53 + 1, None), (float("inf"), None), ("soon", None)]
)
def test_what_counts_as_a_ttl(value: Any, ttl: Any) -> None:
    assert normal_ttl(value) == ttl


def test_certificates_that_are_not_checked_are_worth_one_warning(door) -> None:
    door.entry(host=HOST, validate_certs=False)
    assert [warning for warning in door.warnings if "validate_certs" in warning] == door.warnings
    door.agent(validate_certs=False, detection=[])
    assert sum("validate_certs" in warning for warning in door.warnings) == 1
    door.entry(host=HOST)
    assert not door.warnings
