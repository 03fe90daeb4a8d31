# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many addresses are blocked."""

from __future__ import annotations

from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.limits import Limits, LimitSettings
from hypothesis import given
from hypothesis import strategies as st


def test_a_minute_slides() -> None:
    limits = Limits(LimitSettings(3, 100))
    assert [limits.admit(f"a{number}", float(number)) for number in range(3)] == [None] * 3
    assert limits.admit("a3", 3.0) and limits.admit("a3", 59.9)
    assert limits.admit("a3", 60.0) is None
    assert limits.admit("a4", 60.5)
    assert limits.admit("a4", 61.0) is None


def test_what_is_known_costs_nothing() -> None:
    limits = Limits(LimitSettings(1, 100))
    limits.listed({"listed"}, ())
    assert limits.admit("new", 0.0) is None
    for _unused in range(5):
        assert limits.admit("new", 1.0) is None
        assert limits.admit("listed", 1.0) is None
    assert limits.admit("other", 1.0)


def test_a_settled_address_is_known_only_where_it_is_listed() -> None:
    limits = Limits(LimitSettings(2, 100))
    limits.admit("blocked", 0.0)
    limits.admit("failed", 0.0)
    limits.listed({"blocked"}, {"blocked"})
    limits.settled("blocked")
    limits.settled("failed")
    assert limits.admit("blocked", 1.0) is None
    assert limits.admit("failed", 1.0)


def test_the_total_counts_what_stands_and_what_is_under_way() -> None:
    limits = Limits(LimitSettings(100, 3))
    limits.listed({"a", "b", "foreign"}, {"a", "b"})
    limits.listed({"a"}, {"a"})
    assert limits.admit("c", 0.0) is None
    assert limits.admit("d", 0.0)
    limits.settled("c")  # it failed
    assert limits.admit("d", 0.0) is None
    assert limits.admit("e", 0.0)
    limits.listed((), (), {"a", "b", "foreign"}, {"a", "b"})
    assert limits.admit("e", 0.0) is None
    assert limits.admit("f", 0.0), "the other firewall lists one, and two are under way"
    limits.listed((), (), {"a"}, {"a"})
    assert limits.admit("f", 0.0) is None


def test_reached_and_cleared_are_told_once() -> None:
    limits = Limits(LimitSettings(10, 100))
    for number in range(10):
        assert limits.admit(f"a{number}", float(number)) is None
    assert limits.change(9.0) is None
    for second in range(10, 60):
        assert limits.admit("more", float(second))
        change = limits.change(float(second))
        assert (change is not None) == (second == 10)
        if change:
            assert (change["type"], change["state"], change["limit"], change["value"]) == ("limit", "reached", "new_per_minute", 10)
    assert limits.reached
    assert limits.change(60.0) is None, "nine of ten in use: the flood may go on"
    cleared = limits.change(61.0)
    assert cleared and (cleared["state"], cleared["events_limited"], cleared["in_use"]) == ("cleared", 50, 8)
    assert limits.change(62.0) is None and not limits.reached


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 30)), max_size=200), st.integers(1, 5), st.integers(1, 20))
def test_no_minute_ever_has_more(steps: list[tuple[float, int]], per_minute: int, total: int) -> None:
    limits = Limits(LimitSettings(per_minute, total))
    admitted: dict[str, float] = {}
    for now, number in sorted(steps):
        address = f"a{number}"
        if limits.admit(address, now) is None and address not in admitted:
            admitted[address] = now
        assert len(admitted) <= total
        assert sum(1 for at in admitted.values() if at > now - 60) <= per_minute


class Others:
    """What holds the limits over all, as a responder sees it that has nothing left."""

    is_alone, is_full, in_use = False, True, 40

    def admit(self, address: str) -> None:
        raise AssertionError(address)


def test_what_others_use_up_is_named_by_the_limit_that_is_nearest() -> None:
    for total, name, text in ((10, "total", "10 addresses are blocked"), (1000, "new_per_minute", "100 new addresses within a minute")):
        limits = Limits(LimitSettings(100, total))
        limits.shared = Others()
        limits.listed({f"a{number}" for number in range(9)}, {f"a{number}" for number in range(9)})
        assert limits.admit("b", 0.0) == f"limit reached: {text}" and limits.reached == name
        assert limits.status() == {"new_per_minute": {"in_use": 40, "of": 100}, "total": {"in_use": 9, "of": total}}
