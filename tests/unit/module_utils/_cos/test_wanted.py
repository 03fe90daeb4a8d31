# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task may ask for: refused before any request where no firewall would take it, and compared in one normal form."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import Entry
from ansible_collections.intrusion.response.plugins.module_utils._cos.wanted import TEXTS, Limit, Wanted
from hypothesis import given
from hypothesis import strategies as st

from .test_apply import entries as listed_entries
from .test_apply import requests
from .test_apply_many import HOSTS, entries, many


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "One of hosts and entries"),
        ({"hosts": [HOSTS[0], HOSTS[1], HOSTS[0]]}, "hosts[0] and hosts[2]"),
        ({"hosts": HOSTS[:2], "entries": entries(HOSTS[1:3])}, "hosts[1] and entries[0]"),
        ({"hosts": [HOSTS[0], "203.0.113.0/24"]}, "hosts[1]: host"),
        ({"entries": entries([HOSTS[0], HOSTS[1], HOSTS[0]])}, "entries[0] and entries[2]"),
        ({"entries": [{"host": HOSTS[0]}, {"host": HOSTS[0], "state": "absent"}]}, "entries[0] and entries[1]"),
        ({"entries": entries([HOSTS[0], "203.0.113.0/24"])}, "entries[1]: host"),
        ({"entries": [{"host": HOSTS[0], "ttl": 0}]}, "entries[0]: ttl"),
        ({"entries": entries(), "purge": True}, "purge_mark"),
        ({"entries": entries(rule_name="other"), "rule_name": "feed", "purge": True}, "must begin with 'feed'"),
        ({"entries": entries(), "purge_limit": "many"}, "purge_limit"),
        ({"entries": entries(), "purge_limit": "101%"}, "purge_limit"),
        ({"entries": entries(), "concurrency": 0}, "concurrency"),
    ],
)
def test_bad_input(door, options, expected: str) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        many(door, **options)
    assert caught.value.code == "invalid_input" and expected in caught.value.message
    assert not door.emulator.journal()


@given(requests(), st.one_of(st.none(), listed_entries))
def test_what_is_written_over_an_entry_is_no_longer_different(wanted: Wanted, entry: Entry | None) -> None:
    after = wanted.over(entry)
    assert wanted.differences(after) == () or after.ttl is None
    for name in TEXTS:
        if getattr(wanted, name) is None:
            assert getattr(after, name) == ("" if entry is None else getattr(entry, name)), "what is not given stays"


@pytest.mark.parametrize(
    ("listed", "recorded", "ours"),
    [("feed", "feed", True), ("feed", "Feed", False), ("", "", True), ("two\tparts\x07", "two parts?", True), ("feed ", "feed", True)],
)
def test_a_rule_name_is_compared_as_the_ledger_keeps_it(listed: str, recorded: str, ours: bool) -> None:
    entry = Entry("203.0.113.5", "all_services", 60, "REST", listed, "")
    assert Wanted(entry.host, state="absent", rule_name=recorded, match_rule_name=True).leaves(entry) != ours
    assert not Wanted(entry.host, state="absent", rule_name=recorded).leaves(entry)


@given(st.integers(0, 200), st.integers(0, 500))
def test_limits(amount: int, total: int) -> None:
    assert Limit.parse("purge_limit", f" {amount} ").allows(amount, total) and not Limit(amount, False).allows(amount + 1, total)
    if amount <= 100:
        most = max(count for count in range(total + 1) if Limit.parse("purge_limit", f"{amount} %").allows(count, total))
        assert most == -(-total * amount // 100)
