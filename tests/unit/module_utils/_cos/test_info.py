# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blacklist and the device as they are shown."""

from __future__ import annotations

import pytest

from .test_matrix import HOST


def test_info(door) -> None:
    door.entry(host=HOST, ttl=600, description="scan")
    everything = door.run("cos_blacklist_entry_info", gather_device=True)
    assert everything["total"] == 3 and len(everything["entries"]) == len(everything["raw"]) == 3
    assert everything["device"]["product"] == "cOS Core" and everything["high_availability"] == {"enabled": False, "active": None}
    (mine,) = door.run("cos_blacklist_entry_info", alert_type="REST")["entries"]
    assert mine["host"] == HOST and mine["ttl"] in (599, 600) and mine["expires_at"].endswith("Z")
    (network,) = door.run("cos_blacklist_entry_info", hosts=["198.51.100.9"])["entries"]
    assert network["host"] == "198.51.100.0/24"
    (other,) = door.run("cos_blacklist_entry_info", service="http-all", ttl_meaning="configured")["entries"]
    assert other["expires_at"] is None
    assert len(door.run("cos_blacklist_entry_info", alert_type="ALL")["entries"]) == 3
    assert not door.writes("cos")[1:]


@pytest.mark.parametrize(("switch", "value"), [("cos.host_in_list", "network"), ("cos.own_alert_type", "rest")])
def test_other_spellings_are_shown_in_the_normal_form(door, switch: str, value: str) -> None:
    door.entry(host=HOST, ttl=600)
    door.emulator.switch(switch, value)
    for alert_type in ("REST", "rest"):
        found = door.run("cos_blacklist_entry_info", hosts=[HOST], alert_type=alert_type)
        assert [(entry["host"], entry["alert_type"]) for entry in found["entries"]] == [(HOST, "REST")]
        assert value in found["raw"][0]["alert_type"] or "/32" in found["raw"][0]["host"], "raw is as it came"
    assert not door.run("cos_blacklist_entries", entries=found["entries"])["changed"]
