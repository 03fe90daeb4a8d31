# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One normal form for what firewalls list."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import Entry, Listing
from ansible_collections.intrusion.response.plugins.module_utils._cos.change import changes, still_blocking
from ansible_collections.intrusion.response.plugins.module_utils._cos.wanted import Wanted
from hypothesis import given
from hypothesis import strategies as st

from .test_change import HOST, one


@pytest.mark.parametrize(("host", "alert_type"), [(f"{HOST}/32", "REST"), (HOST, "rest"), (f" {HOST}/32 ", "Rest")])
def test_other_spellings_of_our_own_entry_are_ours(host: str, alert_type: str) -> None:
    entry = Entry.from_wire({"host": host, "alert_type": alert_type, "service": "", "ttl": "600", "rule_name": "-", "description": "-"})
    assert one(Wanted(HOST), entry).action == "unchanged"
    change = one(Wanted(HOST, state="absent"), entry)
    assert change.action == "removed" and change.address() == {"host": HOST}


@given(
    st.dictionaries(st.sampled_from(Entry._fields), st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)))
)
def test_any_listed_value_can_be_read(raw: dict) -> None:
    entry = Entry.from_wire(raw)
    assert entry.ttl is None or isinstance(entry.ttl, int)
    assert entry.covers(HOST) in (True, False)
    assert still_blocking(changes([Wanted(HOST, state="absent")], Listing([entry])), Listing([entry])) in ([], [entry])
