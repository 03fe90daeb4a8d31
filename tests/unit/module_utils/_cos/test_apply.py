# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of carrying out changes: it settles what was foretold, touches nothing else, and nothing is ever lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._cos.apply import BATCH, ensure
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import Entry, Listing
from ansible_collections.intrusion.response.plugins.module_utils._cos.change import Change, changes, many_results, one_result
from ansible_collections.intrusion.response.plugins.module_utils._cos.wanted import Wanted
from hypothesis import assume, given
from hypothesis import strategies as st

HOSTS = ("203.0.113.5", "203.0.113.6")
SERVICES = ("all_services", "http-all", "ssh")
TEXTS = ("", "scan", "port scan & more")

entries = st.builds(
    Entry,
    host=st.sampled_from(HOSTS),
    service=st.sampled_from(SERVICES),
    ttl=st.one_of(st.none(), st.integers(1, 1000)),
    alert_type=st.sampled_from(("REST", "IDP")),
    rule_name=st.sampled_from(TEXTS),
    description=st.sampled_from(TEXTS),
)
listings = st.lists(entries, max_size=6)


@st.composite
def requests(draw: st.DrawFn) -> Wanted:
    ttl = draw(st.one_of(st.none(), st.integers(1, 1000)))
    return Wanted(
        host=draw(st.sampled_from(HOSTS)),
        service=draw(st.sampled_from(SERVICES)),
        ttl=ttl,
        renew_below=draw(st.one_of(st.none(), st.integers(1, ttl or 300))),
        rule_name=draw(st.one_of(st.none(), st.sampled_from(TEXTS))),
        description=draw(st.one_of(st.none(), st.sampled_from(TEXTS))),
    )


class Firewall:
    """A firewall that keeps what it is told, with the recommended readings; time stands still."""

    attempts = 1

    def __init__(self, held: list[Entry]) -> None:
        unique = {(entry.key, entry.alert_type): entry for entry in held}
        self.held = list(unique.values())
        self.writes = 0

    def wait(self, attempt: int) -> None:
        raise AssertionError("there is nothing to wait for")

    def each(self, function, items) -> None:
        for item in items:
            function(item)

    def blacklist(self) -> dict:
        hosts = [{**entry._asdict(), "ttl": "?" if entry.ttl is None else str(entry.ttl)} for entry in self.held]
        return {"error": False, "blacklist_count": len(hosts), "blacklist_hosts": hosts}

    def add(self, fields: dict) -> dict:
        self.writes += 1
        entry = Entry.from_wire({"ttl": "300", "alert_type": "REST", **fields})
        self.held = [other for other in self.held if not (other.owned and other.key == entry.key)] + [entry]
        return {"error": False, "blacklist_entry": fields}

    def remove(self, fields: dict) -> None:
        self.writes += 1
        key = Entry.from_wire(fields).key
        self.held = [other for other in self.held if not (other.owned and other.key == key)]


def others(firewall: Firewall, wanted: Wanted) -> list[Entry]:
    return [entry for entry in firewall.held if not (entry.owned and entry.key == wanted.key)]


def undecidable(firewall: Firewall, wanted: Wanted) -> bool:
    """Whether an entry would have to be written over without anybody knowing for how long."""
    owned = Listing.from_wire(firewall.blacklist()).owned(wanted.key)
    return wanted.ttl is None and any(entry.ttl is None and wanted.differences(entry) for entry in owned)


def bring(firewall: Firewall, wanted: Wanted, *, check_mode: bool = False) -> dict[str, Any]:
    result = one_result(*ensure(firewall, [wanted], check_mode=check_mode, warn=lambda _message: None))
    return {name: value for name, value in result.items() if name != "expires_at"}


@pytest.mark.parametrize("ttl", [None, 0])
def test_an_entry_of_unknown_life_is_not_shortened_by_chance(ttl: int | None) -> None:
    firewall = Firewall([Entry("203.0.113.5", "all_services", ttl, "REST", "", "for ever")])
    with pytest.raises(InvalidInput, match="set ttl"):
        bring(firewall, Wanted("203.0.113.5", description="new"))
    assert firewall.writes == 0
    assert bring(firewall, Wanted("203.0.113.5", description="new", ttl=60))["changed"]


@given(listings, requests())
def test_present_settles(held: list[Entry], wanted: Wanted) -> None:
    firewall = Firewall(held)
    assume(not undecidable(firewall, wanted))
    bystanders = others(firewall, wanted)
    predicted = bring(firewall, wanted, check_mode=True)
    assert firewall.writes == 0
    done = bring(firewall, wanted)
    assert done == predicted
    assert done["changed"] == bool(firewall.writes)
    assert others(firewall, wanted) == bystanders
    again = bring(firewall, wanted)
    assert not again["changed"] and again["entry"] == done["entry"]


@given(listings, requests())
def test_what_is_not_given_survives(held: list[Entry], wanted: Wanted) -> None:
    firewall = Firewall(held)
    assume(not undecidable(firewall, wanted))
    before = Listing.from_wire(firewall.blacklist()).owned(wanted.key)
    done = bring(firewall, wanted)
    if before and done["changed"]:
        for name in ("rule_name", "description"):
            if getattr(wanted, name) is None:
                assert done["entry"][name] == getattr(before[0], name)
        if wanted.ttl is None and wanted.renew_below is None and before[0].ttl is not None:
            assert done["entry"]["ttl"] == before[0].ttl


@given(listings, requests(), st.booleans())
def test_absent_settles(held: list[Entry], wanted: Wanted, every_service: bool) -> None:
    wanted = Wanted(wanted.host, wanted.service, "absent", every_service=every_service)
    firewall = Firewall(held)
    foreign = [entry for entry in firewall.held if not entry.owned]
    predicted = bring(firewall, wanted, check_mode=True)
    assert firewall.writes == 0
    done = bring(firewall, wanted)
    assert done == predicted and done["changed"] == bool(firewall.writes)
    assert [entry for entry in firewall.held if not entry.owned] == foreign
    assert done["still_blocked"] == [entry._asdict() for entry in firewall.held if entry.host == wanted.host], "nothing is kept quiet"
    assert not any(change.writes for change in changes([wanted], Listing.from_wire(firewall.blacklist())))


@given(held=listings, wanted=requests(), name=st.sampled_from(TEXTS), every_service=st.booleans(), check_mode=st.booleans())
def test_what_bears_another_rule_name_stays(
    held: list[Entry], wanted: Wanted, name: str, every_service: bool, check_mode: bool
) -> None:
    wanted = replace(wanted, state="absent", rule_name=name, every_service=every_service, match_rule_name=True)
    firewall = Firewall(held)
    before = list(firewall.held)
    intended: list[Change] = []
    done, _blocking = ensure(firewall, [wanted], check_mode=check_mode, warn=lambda _message: None, intend=intended.extend)
    named = [entry for entry in before if entry.owned and entry.host == wanted.host and (every_service or entry.key == wanted.key)]
    gone = [entry for entry in named if entry.rule_name == name]
    assert one_result(done, [])["changed"] == bool(gone)
    assert firewall.held == (before if check_mode else [entry for entry in before if entry not in gone])
    assert [change.key for change in intended] == ([] if check_mode else [entry.key for entry in gone])
    assert sum("left alone" in str(change.remark) for change in done) == len(named) - len(gone)


def test_changes_are_announced_in_batches_before_they_are_sent() -> None:
    firewall = Firewall([])
    announced: list[int] = []

    def intend(found: Sequence[Change]) -> None:
        assert firewall.writes == sum(announced) and not any(change.sent for change in found)
        announced.append(len(found))

    hosts = [f"203.0.{number // 250}.{number % 250 + 1}" for number in range(2 * BATCH + 5)]
    for state in ("present", "absent"):
        done, _blocking = ensure(
            firewall, [Wanted(host, state=state) for host in hosts], check_mode=False, warn=pytest.fail, intend=intend
        )
        assert all(change.sent and change.settled for change in done) and many_results(done, [])["changed"]
    assert announced == [BATCH, BATCH, 5] * 2
