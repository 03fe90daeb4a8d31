# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done and whether it has come about, told from what is wanted and what is listed alone."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import Entry, Listing
from ansible_collections.intrusion.response.plugins.module_utils._cos.change import (
    Change,
    changes,
    diff,
    is_cut,
    judge,
    still_blocking,
    unmet,
)
from ansible_collections.intrusion.response.plugins.module_utils._cos.wanted import Wanted
from hypothesis import assume, given
from hypothesis import strategies as st

from .test_apply import Firewall, listings, requests, undecidable

HOST = "203.0.113.5"


def listed(host: str = HOST, service: str = "all_services", ttl: int = 600, alert_type: str = "REST", **texts: str) -> Entry:
    return Entry(host, service, ttl, alert_type, texts.get("rule_name", ""), texts.get("text", ""))


def one(wanted: Wanted, *entries: Entry) -> Change:
    (change,) = changes([wanted], Listing(entries))
    return change


@given(listings, requests())
def test_comparing_is_pure(held: list[Entry], wanted: Wanted) -> None:
    firewall = Firewall(held)
    assume(not undecidable(firewall, wanted))
    listing = Listing(firewall.held)
    first, second = (changes([wanted], listing)[0] for _turn in range(2))
    assert (first.action, first.before, first.now, first.reasons) == (second.action, second.before, second.now, second.reasons)
    assert diff([first]) == diff([second])


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_a_ticking_ttl_is_never_a_change(ttl: int, elapsed: int) -> None:
    assert one(Wanted(HOST, ttl=ttl), listed(ttl=max(1, ttl - elapsed))).action == "unchanged"


@given(st.integers(1, 10_000), st.floats(0, 20), st.integers(-1, 1), st.booleans())
def test_a_time_that_was_stored_as_sent_is_met_under_both_readings(asked: int, elapsed: float, rounding: int, configured: bool) -> None:
    change = one(Wanted(HOST, ttl=asked))
    seconds = asked if configured else round(asked - elapsed) + rounding
    assume(seconds > 0)
    assert unmet(change, Listing([listed(ttl=seconds)]), elapsed) == ()


@pytest.mark.parametrize("before", [None, 100, 200, 86398])
@pytest.mark.parametrize("seconds", [200, 90000])
def test_another_time_than_asked_for_is_told(before: int | None, seconds: int) -> None:
    change = one(Wanted(HOST, ttl=86400, renew_below=86399), *([] if before is None else [listed(ttl=before)]))
    listing = Listing([listed(ttl=seconds)])
    assert unmet(change, listing, 1.0) == ("ttl",)
    failure = judge(change, listing, 1.0)
    assert failure is not None and failure.code == "stored_differently" and failure.changed
    assert f"{seconds} seconds are listed, 86400 were requested" in failure.message
    assert "text" not in str(failure.hint) and ("may limit" in str(failure.hint)) == (seconds == 200)
    assert is_cut(change, listing, 1.0) == (seconds == 200 and before == 100), "only then has the firewall clearly renewed it"


def test_what_is_left_to_the_firewall_is_not_judged() -> None:
    assert unmet(one(Wanted(HOST)), Listing([listed(ttl=120)]), 0.0) == ()


def test_texts_are_told_with_what_was_sent_and_what_is_listed() -> None:
    change = one(Wanted(HOST, ttl=600, rule_name="a rule", description="a long\x1b[1m text"))
    failure = judge(change, Listing([listed(rule_name="a rule", text="a long\x1b")]), 0.0)
    assert failure is not None and "ttl" not in failure.message and "rule_name" not in failure.message
    assert "description is listed as 'a long?', but 'a long?[1m text' was sent" in failure.message
    assert "Try shorter or plainer texts" in str(failure.hint) and "limit" not in str(failure.hint)


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        (None, "does not list it."),
        (listed(service="All_Services"), "it lists only 203.0.113.5 (All_Services, REST)."),
        (listed(alert_type="API"), "it lists only 203.0.113.5 (all_services, API)."),
        (listed(alert_type=""), "it lists only 203.0.113.5 (all_services, no alert_type)."),
    ],
)
def test_an_entry_that_is_listed_in_another_spelling_is_named(entry: Entry | None, seen: str) -> None:
    change = one(Wanted(HOST, ttl=600))
    failure = judge(change, Listing([] if entry is None else [entry]), 0.0)
    assert failure is not None and failure.code == "not_listed_after_write" and seen in failure.message
    assert judge(change, Listing([]), 599.5) is None, "it has expired meanwhile"


@pytest.mark.parametrize(
    "other",
    [
        listed(service="All_Services"),
        listed(service="http-all"),
        listed(alert_type="API"),
        listed("203.0.113.0/24", alert_type="IDP"),
    ],
)
@pytest.mark.parametrize("ours", [False, True])
def test_an_address_is_never_called_unblocked_that_is_blocked(other: Entry, ours: bool) -> None:
    before = Listing([other, listed()] if ours else [other])
    done = changes([Wanted(HOST, state="absent")], before)
    assert [change.action for change in done] == ["removed" if ours else "unchanged"]
    for listing in (before, Listing([other])):
        assert still_blocking(done, listing) == [other]
    why = "" if other.owned else ", which the API cannot remove"
    assert done[0].result()["msg"] == f"{HOST} is still blocked by {other.host} ({other.service}, {other.alert_type}){why}."
