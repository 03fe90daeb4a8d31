# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken networks and broken answers: a recovered success or a typed failure, and never a wrong word about what changed."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError

from .conftest import SERVER

HOST = "203.0.113.5"
EMAIL = {"type": "email", "email_address": "secops@example.com"}
BROKEN_READS = [
    {"kind": "drop_before"},
    {"kind": "drop_mid"},
    {"kind": "truncate"},
    {"kind": "garbage"},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "retry_after": 0},
    {"kind": "redirect", "to": "foreign"},
    {"kind": "delay", "seconds": 1.0},
    {"kind": "drip", "part": "continue", "seconds": 0.05},
]
BROKEN_WRITES = [
    *BROKEN_READS,
    {"kind": "drop_after"},
    {"kind": "status", "status": 500, "commit": True},
    {"kind": "delay_after", "seconds": 1.0},
]
CODES = {
    "auth_failed", "bad_response", "not_permitted", "not_verified", "rate_limited", "redirect_refused", "rejected", "server_fault",
    "timeout_unknown", "unreachable",
}  # fmt: skip


def label(fault) -> str:
    return "-".join(str(value) for value in fault.values())


def outcome(function, **options):
    """Return (changed, failure code or None); a failure must be one of the typed ones, in one line."""
    try:
        return function(**options)["changed"], None
    except IntrusionResponseError as error:
        assert error.code in CODES
        assert "\n" not in error.as_result()["msg"]
        return error.changed, error.code


@pytest.mark.parametrize("times", [1, 2, None], ids=["once", "twice", "always"])
@pytest.mark.parametrize("fault", BROKEN_WRITES, ids=label)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_blacklist_writes(door, method: str, fault, times) -> None:
    state = "present" if method == "POST" else "absent"
    if state == "absent":
        door.entry(host=HOST, ttl=600)
    held = len(door.owned(HOST))
    door.emulator.fault(**fault, service="cos", method=method, times=times)
    changed, code = outcome(door.entry, host=HOST, ttl=600, state=state, timeout=0.4, retries=2)
    really = len(door.owned(HOST)) != held
    assert changed or not really, "a change must never go unreported"
    if code is None:
        assert really
    if times == 1 and fault["kind"] not in ("redirect",):
        assert code is None, "one fault is survived"
    door.emulator.clear_faults()
    door.entry(host=HOST, ttl=600, state=state)
    assert len(door.owned(HOST)) == (1 if state == "present" else 0)


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("fault", BROKEN_READS, ids=label)
def test_blacklist_reads(door, fault, times) -> None:
    door.emulator.fault(**fault, service="cos", method="GET", times=times)
    changed, code = outcome(door.entry, host=HOST, ttl=600, timeout=0.4, retries=2)
    assert bool(door.owned(HOST)) == changed
    if times is None:
        assert code is not None and not changed, "without a listing nothing is written"


@pytest.mark.parametrize("fault", BROKEN_READS, ids=label)
def test_blacklist_cannot_be_read_after_the_write(door, fault) -> None:
    door.emulator.fault(**fault, service="cos", method="GET", times=None, skip=1)
    changed, code = outcome(door.entry, host=HOST, ttl=600, timeout=0.4, retries=1)
    assert (changed, code) == (True, "timeout_unknown")
    assert door.owned(HOST)


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("fault", BROKEN_WRITES, ids=label)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_destination_writes(door, method: str, fault, times) -> None:
    if method == "DELETE":
        door.notification(destinations=[EMAIL])
    options = {"destinations": [EMAIL]} if method == "PUT" else {"state": "absent"}
    door.emulator.fault(**fault, service="ips", method=method, times=times)
    changed, code = outcome(door.notification, **options, timeout=0.4, retries=2, verify_timeout=1)
    shown = door.run("ips_notification_info", server_name=SERVER)["destinations"]
    really = bool(shown) == (method == "PUT")
    assert changed or not really
    if times == 1 and fault["kind"] != "redirect":
        assert code is None and really


@pytest.mark.parametrize("fault", BROKEN_READS, ids=label)
def test_destination_reads(door, fault) -> None:
    door.emulator.fault(**fault, service="ips", method="GET", times=None)
    changed, code = outcome(door.notification, destinations=[EMAIL], timeout=0.4, retries=1, verify_timeout=1)
    assert not changed and code is not None
    assert not door.writes("ips")


@pytest.mark.parametrize("fault", BROKEN_WRITES, ids=label)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_agent_requests_are_not_repeated_blindly(door, state: str, fault) -> None:
    door.agent(state="absent" if state == "present" else "present")
    door.emulator.clear_journal()
    door.emulator.fault(**fault, service="ips", path="/app/")
    changed, code = outcome(door.agent, state=state, timeout=0.4, retries=2)
    applied = [request for request in door.writes("ips") if request["status"] == 204 or request.get("applied")]
    assert len(applied) <= 1
    if applied:
        assert changed
    repeated = fault.get("retry_after") is not None
    assert len(door.writes("ips")) == (2 if repeated else 1)
    assert (code is None) == (repeated or fault["kind"] in ("truncate", "garbage"))


@pytest.mark.parametrize("fault", BROKEN_READS, ids=label)
def test_login(door, fault) -> None:
    door.emulator.fault(**fault, service="clc")
    changed, code = outcome(door.notification, destinations=[EMAIL], timeout=0.4, retries=2)
    survived = fault["kind"] not in ("garbage", "truncate", "redirect")
    assert (changed, code is None) == (survived, survived)


def test_stale_reads_after_a_write_are_waited_out(door) -> None:
    door.emulator.fault(kind="stale", service="ips", times=3)
    assert door.notification(destinations=[EMAIL])["changed"]


def test_retry_after_is_honoured_within_the_deadline(door) -> None:
    door.emulator.fault(kind="status", status=429, retry_after=3600, service="cos", times=None)
    changed, code = outcome(door.entry, host=HOST, timeout=1)
    assert (changed, code) == (False, "rate_limited")
    assert len(door.emulator.journal("cos")) == 1


def test_unreachable(door) -> None:
    changed, code = outcome(door.entry, host=HOST, api_url="https://127.0.0.1:1", retries=1)
    assert (changed, code) == (False, "unreachable")
    changed, code = outcome(door.notification, destinations=[EMAIL], clc_url="https://127.0.0.1:1", retries=1)
    assert (changed, code) == (False, "unreachable")


def test_untrusted_certificate(door) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host=HOST, ca_path=None)
    assert caught.value.code == "certificate_rejected"
    assert door.entry(host=HOST, ca_path=None, validate_certs=False)["changed"]
