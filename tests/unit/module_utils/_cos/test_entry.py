# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the blacklist entry: planning is pure, applying a plan settles it, and nothing is ever lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._cos.apply import Job
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import Entry, Listing
from ansible_collections.intrusion.response.plugins.module_utils._cos.entry import (
    ensure_absent,
    ensure_present,
    plan_absent,
    plan_present,
)
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
        every_service=False,
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


@pytest.mark.parametrize("ttl", [None, 0])
def test_an_entry_of_unknown_life_is_not_shortened_by_chance(ttl: int | None) -> None:
    firewall = Firewall([Entry("203.0.113.5", "all_services", ttl, "REST", "", "for ever")])
    with pytest.raises(InvalidInput, match="give ttl"):
        ensure_present(firewall, Wanted("203.0.113.5", description="new"), check_mode=False, warn=lambda _unused: None)
    assert firewall.writes == 0
    given = Wanted("203.0.113.5", description="new", ttl=60)
    assert ensure_present(firewall, given, check_mode=False, warn=lambda _unused: None).plan.changed


@given(listings, requests())
def test_present_settles(held: list[Entry], wanted: Wanted) -> None:
    firewall = Firewall(held)
    assume(not undecidable(firewall, wanted))
    bystanders = others(firewall, wanted)
    predicted = ensure_present(firewall, wanted, check_mode=True, warn=lambda _unused: None)
    assert firewall.writes == 0
    done = ensure_present(firewall, wanted, check_mode=False, warn=lambda _unused: None)
    assert done.result() == predicted.result()
    assert done.plan.changed == bool(firewall.writes)
    assert others(firewall, wanted) == bystanders
    again = ensure_present(firewall, wanted, check_mode=False, warn=lambda _unused: None)
    assert not again.plan.changed and again.entry == done.entry


@given(listings, requests())
def test_what_is_not_given_survives(held: list[Entry], wanted: Wanted) -> None:
    firewall = Firewall(held)
    assume(not undecidable(firewall, wanted))
    before = Listing.from_wire(firewall.blacklist()).owned(wanted.key)
    done = ensure_present(firewall, wanted, check_mode=False, warn=lambda _unused: None)
    if before and done.plan.changed:
        for name in ("rule_name", "description"):
            if getattr(wanted, name) is None:
                assert getattr(done.entry, name) == getattr(before[0], name)
        if wanted.ttl is None and wanted.renew_below is None and before[0].ttl is not None:
            assert done.entry.ttl == before[0].ttl


@given(listings, requests(), st.booleans())
def test_absent_settles(held: list[Entry], wanted: Wanted, every_service: bool) -> None:
    wanted = Wanted(wanted.host, wanted.service, "absent", every_service=every_service)
    firewall = Firewall(held)
    foreign = [entry for entry in firewall.held if not entry.owned]
    predicted = ensure_absent(firewall, wanted, check_mode=True, warn=lambda _unused: None)
    assert firewall.writes == 0
    done = ensure_absent(firewall, wanted, check_mode=False, warn=lambda _unused: None)
    assert done.result() == predicted.result() and done.plan.changed == bool(firewall.writes)
    assert [entry for entry in firewall.held if not entry.owned] == foreign
    assert not plan_absent(wanted, Listing.from_wire(firewall.blacklist())).changed


@given(listings, requests())
def test_planning_is_pure(held: list[Entry], wanted: Wanted) -> None:
    firewall = Firewall(held)
    assume(not undecidable(firewall, wanted))
    listing = Listing(firewall.held)
    assert plan_present(wanted, listing) == plan_present(wanted, listing)


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_a_ticking_ttl_is_never_a_change(ttl: int, elapsed: int) -> None:
    entry = Entry("203.0.113.5", "all_services", max(1, ttl - elapsed), "REST", "", "")
    assert not plan_present(Wanted("203.0.113.5", ttl=ttl), Listing([entry])).changed


@given(
    st.dictionaries(st.sampled_from(Entry._fields), st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)))
)
def test_any_listed_value_can_be_read(raw: dict) -> None:
    entry = Entry.from_wire(raw)
    assert entry.ttl is None or isinstance(entry.ttl, int)
    assert entry.covers("203.0.113.5") in (True, False)


@given(held=listings, wanted=requests(), name=st.sampled_from(TEXTS), every_service=st.booleans(), check_mode=st.booleans())
def test_what_bears_another_rule_name_stays(
    held: list[Entry], wanted: Wanted, name: str, every_service: bool, check_mode: bool
) -> None:
    wanted = replace(wanted, state="absent", rule_name=name, every_service=every_service, match_rule_name=True)
    firewall = Firewall(held)
    before = list(firewall.held)
    warnings: list[str] = []
    noted: list[tuple[Job, str]] = []

    def note(job: Job, action: str) -> None:
        noted.append((job, action))

    done = ensure_absent(firewall, wanted, check_mode=check_mode, warn=warnings.append, note=note)
    named = [entry for entry in before if entry.owned and entry.host == wanted.host and (every_service or entry.key == wanted.key)]
    gone = [entry for entry in named if entry.rule_name == name]
    assert done.plan.changed == bool(gone)
    assert firewall.held == (before if check_mode else [entry for entry in before if entry not in gone])
    assert [job.key for job, action in noted if action == "removed"] == ([] if check_mode else [entry.key for entry in gone])
    assert sum("left alone" in warning for warning in warnings) == len(named) - len(gone)
