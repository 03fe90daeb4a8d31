# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe finds every switch of the emulator that is moved, and takes back all that it did."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._cos import probe

from emulator.switches import TABLE

from .test_matrix import DEVIATIONS, HOST

DEFAULTS = {name.removeprefix("cos."): switch.default for name, switch in TABLE.items() if name.startswith("cos.")}
WHITELISTED, FOREIGN = "192.0.2.250", "192.0.2.66"
NEEDS_ENTRY = set(DEFAULTS) - {"auth", "access", "error_http_status", "list_cap", "whitelist", "capacity"}
#: What the answer to a write tells already.
ECHOED = {"all_services_in_reply", "empty_text", "ttl_json_type"}


@pytest.fixture
def look(door, monkeypatch):
    """Run the probe; the time between two looks passes at once."""
    monkeypatch.setattr(probe, "time", SimpleNamespace(sleep=door.emulator.advance))

    def run(**more):
        return door.run("cos_blacklist_probe", host=HOST, whitelisted=WHITELISTED, foreign=FOREIGN, **more)

    return run


def expected(name: str, value: str) -> dict[str, str]:
    """Return what the probe can find when one switch is moved."""
    found = {**DEFAULTS, name: value}
    blind: set[str] = set()
    if name == "access":
        blind = NEEDS_ENTRY | {"whitelist", "capacity"}
    elif name == "list_cap":
        blind = (NEEDS_ENTRY - ECHOED) | {"whitelist", "capacity"}
    elif name == "capacity":
        found[name] = value.partition(":")[2]
        blind = NEEDS_ENTRY - (ECHOED if found[name] == "silent" else set())
    elif name == "repost" and value in ("ignore", "duplicate", "reject_400"):
        blind = {"renew_can_shorten"}
    elif (name, value) == ("text_limit", "reject:8"):
        found[name] = "reject"
    return {**found, **dict.fromkeys(blind, probe.UNKNOWN)}


@pytest.mark.parametrize(("switch", "value"), [("cos.auth", "basic"), *DEVIATIONS])
def test_every_switch_is_found(door, look, switch, value):
    door.emulator.switch(switch, value)
    before = door.emulator.state()["firewalls"]["fw1"]["entries"]
    found = look()
    assert found["changed"] is False and found["device"]["product"] == "cOS Core"
    assert set(found["findings"]) == set(DEFAULTS) == {row["name"] for row in found["questions"]}
    assert found["findings"] == expected(switch.removeprefix("cos."), value)
    after = door.emulator.state()["firewalls"]["fw1"]["entries"]
    assert [entry["host"] for entry in after] == [entry["host"] for entry in before]
    recorded = door.run("response_ledger_info", addresses=[HOST])
    assert recorded["standing"] == [] and recorded["total"] == 4
    assert all(row["means"] for row in found["questions"])


def test_check_mode_only_reads(door, look):
    found = look(check=True)["findings"]
    assert {name for name, answer in found.items() if answer != probe.UNKNOWN} == {"auth", "list_cap"} and door.writes("cos") == []


@pytest.mark.parametrize(("options", "says"), [
    ({"host": "203.0.113.0/24"}, "host"), ({"wait": 1}, "wait must be"), ({"host": FOREIGN, "foreign": FOREIGN}, "different addresses"),
    ({"host": "127.0.0.1"}, "127.0.0.1"), ({"never_block": [f"{HOST}/32"]}, HOST), ({"whitelisted": "x"}, "whitelisted"),
])
def test_bad_input_and_protected_addresses(door, options, says):
    with pytest.raises(IntrusionResponseError, match=says):
        door.run("cos_blacklist_probe", **{"host": HOST, **options})
    assert door.writes("cos") == []


def test_an_address_that_is_blocked_is_left_alone(door, look):
    door.entry(host=HOST, ttl=600)
    writes = door.writes("cos")
    with pytest.raises(IntrusionResponseError, match="is already on the blacklist"):
        look()
    assert door.writes("cos") == writes and len(door.owned(HOST)) == 1


def test_it_cleans_up_after_a_failure(door, look, monkeypatch):
    def broken(_seconds):
        raise IntrusionResponseError("gone")

    monkeypatch.setattr(probe, "time", SimpleNamespace(sleep=broken))
    with pytest.raises(IntrusionResponseError, match="gone"):
        look()
    assert door.owned(HOST) == []
