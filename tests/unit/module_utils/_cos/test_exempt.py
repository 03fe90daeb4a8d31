# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An address that was let in and is to be left alone: whoever shares the ledger does not block it, until that ends."""

from __future__ import annotations

import time

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput, ProtectedAddress
from ansible_collections.intrusion.response.plugins.module_utils._ledger.query import parse_time

HOST, OTHER = "203.0.113.5", "203.0.113.6"


def unblock(door, exempt, *hosts, **more):
    return door.run("cos_blacklist_entries", hosts=list(hosts), state="absent", exempt=exempt, ledger_user="alice", **more)


def test_the_address_is_not_blocked_again_until_it_ends(door, monkeypatch) -> None:
    door.entry(host=HOST, ttl=600)
    assert unblock(door, "2h", HOST, OTHER)["changed"] and door.owned(HOST) == []
    assert not unblock(door, "2h", HOST, OTHER)["changed"], "the firewall has nothing to remove"
    writes = door.writes("cos")
    for check in (True, False):
        with pytest.raises(ProtectedAddress, match=r"it is exempt from blocking until 20\S+Z, according to the ledger"):
            door.entry(host=OTHER, check=check)
    refused = door.run("cos_blacklist_entries", hosts=[HOST, OTHER], ttl=60)
    assert refused["failed"] and {one["code"] for one in refused["entries"]} == {"protected_address"}
    assert door.writes("cos") == writes
    told = door.run("response_ledger_info", addresses=[HOST])
    assert [(one["host"], one["user"]) for one in told["exempt"]] == [(HOST, "alice")] and told["standing"] == []
    overridden = door.entry(host=HOST, ttl=60, allow_protected=True)
    assert overridden["changed"] and "exempt" in overridden["protected"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7201)
    assert door.entry(host=OTHER, ttl=60)["changed"]
    assert door.run("response_ledger_info")["exempt"] == []


def test_the_latest_exemption_counts(door) -> None:
    unblock(door, "2d", HOST)
    unblock(door, "1h", HOST, OTHER)
    told = door.run("response_ledger_info")["exempt"]
    assert [one["host"] for one in told] == [HOST, OTHER]
    assert all(abs(parse_time("until", one["until"]) - parse_time("at", one["at"]) - 3600) <= 1 for one in told)


def test_where_the_firewall_does_not_answer_the_exemption_holds_all_the_same(door) -> None:
    door.entry(host=HOST, ttl=600)
    door.emulator.switch("cos.access", "read_only")
    assert unblock(door, "2h", HOST)["failed"]
    told = door.run("response_ledger_info", addresses=[HOST])
    assert [one["host"] for one in told["exempt"]] == [HOST] and [one["host"] for one in told["standing"]] == [HOST]


def test_check_mode_records_nothing(door) -> None:
    unblock(door, "2h", HOST, check=True)
    assert door.entry(host=HOST, ttl=60)["changed"]


@pytest.mark.parametrize(("options", "says"), [
    ({"exempt": "soon"}, "exempt must be a number of minutes"), ({"exempt": "31d"}, "to 30 days"),
    ({"exempt": "2h", "state": "present"}, "requires state: absent"),
    ({"exempt": "2h", "ledger": "none"}, "exempt requires a ledger"),
])
def test_bad_input(door, options, says) -> None:
    with pytest.raises(InvalidInput, match=says):
        door.run("cos_blacklist_entries", **{"hosts": [HOST], "state": "absent", **options})
    assert door.emulator.journal("cos") == []
