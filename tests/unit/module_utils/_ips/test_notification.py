# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the destinations: order-free, settled by one write, and careful with what others configured."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import StoredDifferently
from ansible_collections.intrusion.response.plugins.module_utils._core.redact import mask_url
from ansible_collections.intrusion.response.plugins.module_utils._ips.destination import Destination, parse_destination
from ansible_collections.intrusion.response.plugins.module_utils._ips.notification import (
    Wanted,
    ensure,
    judge,
    plan_destinations,
)
from hypothesis import given
from hypothesis import strategies as st

URLS = ("https://hooks.example.com/a", "https://hooks.example.com/b")
destinations = st.one_of(
    st.builds(Destination, st.sampled_from(("webhook", "slack")), st.sampled_from(URLS)),
    st.builds(Destination, st.just("email"), st.sampled_from(("a@example.com", "A@example.com", "b@example.com"))),
    st.builds(
        Destination,
        st.just("syslog"),
        st.sampled_from(("192.0.2.1", "2001:db8::1")),
        st.sampled_from((514, 515)),
        st.integers(16, 23),
    ),
)
unknown = st.just(Destination.from_wire({"typeCode": "PAGER", "number": "123", "intervalCode": "DAILY"}))


def unique(found: list[Destination]) -> tuple[Destination, ...]:
    return tuple({one.identity: one for one in found}.values())


configured = st.lists(st.one_of(destinations, unknown), max_size=6).map(unique)


@st.composite
def requests(draw: st.DrawFn) -> Wanted:
    state = draw(st.sampled_from(("present", "absent")))
    purge = state == "present" and draw(st.booleans())
    smallest = 0 if purge or state == "absent" else 1
    named = draw(st.lists(destinations, min_size=smallest, max_size=4).map(unique))
    return Wanted("server", named, state, purge)


class Service:
    """A service that shows unset properties in a way of its own, and in reverse."""

    account_alias = "ACME"

    def __init__(self, held: tuple[Destination, ...], filler: object) -> None:
        self.held = [one.to_wire() for one in held]
        self.filler = filler
        self.writes = 0

    def destinations(self, _server: str) -> list[dict]:
        empty = {"url": self.filler, "emailAddress": self.filler, "intervalCode": "DAILY"}
        return [{**empty, **one} if one["typeCode"] != "PAGER" else one for one in reversed(self.held)]

    def replace_destinations(self, _server: str, wanted: list[dict]) -> None:
        self.writes += 1
        self.held = wanted

    def delete_destinations(self, _server: str) -> None:
        self.writes += 1
        self.held = []

    def check_server(self, _server: str) -> None:
        raise AssertionError("not asked for")

    def wait(self, _attempt: int) -> None:
        raise AssertionError("there is nothing to wait for")


@given(configured, requests(), st.sampled_from((None, "")))
def test_settles_in_one_write(held: tuple[Destination, ...], wanted: Wanted, filler: object) -> None:
    service = Service(held, filler)
    predicted = ensure(service, wanted, check_mode=True).result()
    assert service.writes == 0
    done = ensure(service, wanted, check_mode=False).result()
    assert done == predicted and service.writes == int(done["changed"])
    again = ensure(service, wanted, check_mode=False).result()
    assert not again["changed"] and again["destinations"] == done["destinations"]


@given(configured, requests())
def test_what_is_not_named_is_kept(held: tuple[Destination, ...], wanted: Wanted) -> None:
    service = Service(held, None)
    ensure(service, wanted, check_mode=False)
    left = {Destination.from_wire(raw).identity for raw in service.held}
    named = {one.identity for one in wanted.destinations}
    if wanted.state == "present":
        assert named <= left
        assert left == named if wanted.purge else left == named | {one.identity for one in held}
    else:
        assert left == ({one.identity for one in held} - named if named else set())


@given(configured, requests(), st.randoms())
def test_order_never_matters(held: tuple[Destination, ...], wanted: Wanted, random) -> None:
    shuffled, renamed = list(held), list(wanted.destinations)
    random.shuffle(shuffled)
    random.shuffle(renamed)
    other = Wanted("server", tuple(renamed), wanted.state, wanted.purge)
    assert plan_destinations(wanted, held) == plan_destinations(other, tuple(shuffled))


@given(destinations)
def test_round_trip_over_the_wire(one: Destination) -> None:
    assert Destination.from_wire(one.to_wire()) == one
    upper = {**one.to_wire(), "typeCode": one.type.title()}
    assert Destination.from_wire(upper) == one


def test_unknown_types_go_back_as_they_came() -> None:
    raw = {"typeCode": "PAGER", "number": "123", "intervalCode": "DAILY", "url": None}
    assert Destination.from_wire(raw).to_wire() == {"typeCode": "PAGER", "number": "123", "intervalCode": "DAILY"}


def test_undocumented_properties_of_what_is_kept_go_back_as_they_came() -> None:
    syslog = {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "192.0.2.1", "udpPort": 514, "facility": 16, "format": "CEF"}}
    held = [
        {"typeCode": "EMAIL", "emailAddress": "A@example.com", "intervalCode": "DAILY", "colour": {"r": 1}, "url": "", "note": None},
        syslog,
        {"typeCode": "WEBHOOK", "url": URLS[0], "secret": "s"},
    ]
    service = Service((), None)
    service.held = held
    named = (Destination("email", "a@example.com"), Destination("syslog", "192.0.2.1", 514, 17), Destination("webhook", URLS[1]))
    ensure(service, Wanted("server", named, purge=True, verify_timeout=0), check_mode=False)
    sent = sorted(service.held, key=lambda one: one["typeCode"])
    assert sent == [
        {"typeCode": "EMAIL", "emailAddress": "A@example.com", "intervalCode": "DAILY", "colour": {"r": 1}},
        {**syslog, "sysLogSettings": {**syslog["sysLogSettings"], "facility": 17}, "intervalCode": "DAILY"},
        {"typeCode": "WEBHOOK", "url": URLS[1]},
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://Hooks.Example.com/a", "https://hooks.example.com/a/", True),
        ("https://hooks.example.com", "HTTPS://hooks.example.com:443/", True),
        ("https://hooks.example.com:8443/a", "https://hooks.example.com/a", False),
        ("https://hooks.example.com/A", "https://hooks.example.com/a", False),
        ("https://hooks.example.com/a?x=1", "https://hooks.example.com/a?x=2", False),
        ("https://[2001:db8::1]:443/a", "https://[2001:db8::1]/a", True),
        ("not a URL", "not a URL/", False),
    ],
)
def test_spellings_of_a_url(one: str, other: str, same: bool) -> None:
    assert (Destination("webhook", one).normal == Destination("webhook", other).normal) == same


def test_another_spelling_is_no_change() -> None:
    held = (Destination("webhook", URLS[0] + "/"), Destination("email", "secops@example.com"))
    wanted = Wanted("server", (Destination("webhook", URLS[0]), Destination("email", "SecOps@Example.com")))
    assert not plan_destinations(wanted, held).changed


def test_what_the_service_shows_after_a_write() -> None:
    old, new, extra = (Destination("webhook", url) for url in (*URLS, "https://hooks.example.com/c"))
    assert judge((old,), (old, new), (new, old))
    assert not judge((old,), (old, new), (old,)), "not there yet"
    assert judge((), (new,), (Destination("webhook", new.address + "/"),))
    with pytest.raises(StoredDifferently) as caught:
        judge((old,), (old, new), (new, extra))
    text = caught.value.as_result()["msg"]
    assert mask_url(old.address) in text and mask_url(extra.address) in text and mask_url(new.address) not in text
    assert caught.value.changed and "/c" not in text
    with pytest.raises(StoredDifferently, match=r"email SecOps@example\.com"):
        judge((), (Destination("email", "SecOps@example.com"),), (new,))


def test_numbers_in_quotes_are_the_same() -> None:
    wire = {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "192.0.2.1", "udpPort": "514", "facility": "16"}}
    assert Destination.from_wire(wire) == Destination("syslog", "192.0.2.1", 514, 16)


def test_spellings_of_a_syslog_server() -> None:
    wire = {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "2001:DB8:0::1", "udpPort": 514, "facility": 16}}
    wanted = Wanted("server", (Destination("syslog", "2001:db8::1", 514, 16),))
    assert not plan_destinations(wanted, (Destination.from_wire(wire),)).changed


def test_facility_names() -> None:
    for number, name in enumerate((f"local{n}" for n in range(8)), 16):
        value = {"type": "syslog", "syslog": {"ip_address": "192.0.2.1", "udp_port": 514, "facility": name.upper()}}
        assert parse_destination("d", value).facility == number


def test_secret_urls_are_masked_but_their_change_shows() -> None:
    before = (Destination("slack", URLS[0]),)
    plan = plan_destinations(Wanted("server", (Destination("slack", URLS[1]),), purge=True), before)
    assert plan.before != plan.after
    assert plan.before == {"destinations": [{"type": "slack", "url": mask_url(URLS[0])}]}
    assert "/a" not in str(plan.before) and "/b" not in str(plan.after)
