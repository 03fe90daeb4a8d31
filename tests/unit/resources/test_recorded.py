# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and spans as people write them, and standing blocks as the module that takes them back reads them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.ledger import Record, Standing
from ansible_collections.intrusion.response.plugins.module_utils._cos.blacklist import LONGEST_TTL
from ansible_collections.intrusion.response.plugins.module_utils._cos.recorded import (
    parse_span,
    parse_time,
    shown_record,
    shown_standing,
    time_text,
)
from hypothesis import given
from hypothesis import strategies as st

moments = st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 31)).map(lambda moment: moment.replace(microsecond=125000))


@given(moments, st.integers(-12 * 60, 12 * 60))
def test_every_spelling_of_a_time_is_the_same_time(moment: datetime, offset: int) -> None:
    seconds = moment.replace(tzinfo=timezone.utc).timestamp()
    there = moment.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(minutes=offset)))
    for text in (moment.isoformat(), f"{moment.isoformat(sep=' ')}", f"{moment.isoformat()}Z", there.isoformat(), time_text(seconds)):
        assert parse_time("since", text) == pytest.approx(seconds, abs=0.002), text


def test_other_times() -> None:
    assert parse_time("since", "1763780400.5") == 1763780400.5
    assert parse_time("since", "1970-01-02") == 86400
    assert parse_time("since", None) is parse_time("since", " ") is None
    for text in ("yesterday", "2026-13-01", "-5", "nan", "inf", "1e9", "12:00", "2026-11-22T03:10:00ZZ", "1" * 400 + "x"):
        with pytest.raises(InvalidInput, match="since must be a time"):
            parse_time("since", text)
    assert time_text(10.0**15) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 600), ("1.5", 90), (" 90s ", 90), ("90 m", 5400), ("2h", 7200), ("1d", 86400), ("1w", 604800)]
)
def test_spans(text: str, seconds: float) -> None:
    assert parse_span("last", text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0.0h", "-5", "1y", "1h30m", "h", "1e3", "10 minutes", "9" * 20, "\u0661"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(InvalidInput, match="last must be minutes"):
        parse_span("last", text)


@given(at=st.floats(0, 1e12), ttl=st.one_of(st.none(), st.integers(1, 2**40)), later=st.floats(0, 1e6))
def test_a_standing_block_can_always_be_handed_on(at: float, ttl: int | None, later: float) -> None:
    began = Record(at, "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", ttl, "IPS", event="e1")
    shown = shown_standing(Standing(began, began._replace(event="e2", rule_name="renamed")), at + later)
    assert shown["event"] == "e1" and shown["rule_name"] == "renamed"
    assert shown["ttl"] is None if ttl is None else 1 <= shown["ttl"] <= LONGEST_TTL


def test_a_record_shows_all_it_has() -> None:
    record = Record(1763780400.125, "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", 600, id=7)
    shown = shown_record(record)
    assert set(shown) == set(Record._fields)
    assert (shown["id"], shown["at"]) == (7, "2025-11-22T03:00:00.125Z")
