# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and spans as people write them, and standing blocks as the module that takes them back reads them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.clock import utc_text
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.options import LONGEST_TTL
from ansible_collections.intrusion.response.plugins.module_utils._ledger.query import (
    parse_event,
    parse_span,
    parse_time,
    shown_record,
    shown_standing,
    whole_event,
)
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record, Standing
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from hypothesis import given
from hypothesis import strategies as st

IDS = ("5d41402abc4b2a76b9719d911017c592", "5d41402abc4b2a00000000000000c592", "7d793037a0760186574b0282f2f435e7")
moments = st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 31)).map(lambda moment: moment.replace(microsecond=125000))


@given(moments, st.integers(-12 * 60, 12 * 60))
def test_every_spelling_of_a_time_is_the_same_time(moment: datetime, offset: int) -> None:
    seconds = moment.replace(tzinfo=timezone.utc).timestamp()
    there = moment.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(minutes=offset)))
    ours = utc_text(seconds, "milliseconds")
    for text in (moment.isoformat(), f"{moment.isoformat(sep=' ')}", f"{moment.isoformat()}Z", there.isoformat(), ours):
        assert parse_time("since", text) == pytest.approx(seconds, abs=0.002), text


def test_other_times() -> None:
    assert parse_time("since", "1763780400.5") == 1763780400.5
    assert parse_time("since", "1970-01-02") == 86400
    assert parse_time("since", None) is parse_time("since", " ") is None
    for text in ("yesterday", "2026-13-01", "-5", "nan", "inf", "1e9", "12:00", "2026-11-22T03:10:00ZZ", "1" * 400 + "x"):
        with pytest.raises(InvalidInput, match="since must be a time"):
            parse_time("since", text)
    assert utc_text(10.0**15) is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 600), ("1.5", 90), (" 90s ", 90), ("90 m", 5400), ("2h", 7200), ("1d", 86400), ("1w", 604800)]
)
def test_spans(text: str, seconds: float) -> None:
    assert parse_span("last", text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0.0h", "-5", "1y", "1h30m", "h", "1e3", "10 minutes", "9" * 20, "\u0661"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(InvalidInput, match="last must be a number of minutes"):
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
    assert set(shown) == set(Record._fields) - {"write"}
    assert (shown["id"], shown["at"]) == (7, "2025-11-22T03:00:00.125Z")


@pytest.mark.parametrize("text", ["{}", " {}.3f9a ", "{}.3f9a on web01", "IPS event {}.3f9a", "IPS event {}.3f9a on web01: Port Scan"])
def test_an_event_is_named_as_the_firewall_lists_it(text: str) -> None:
    assert parse_event(text.format(IDS[0])) == IDS[0]


@pytest.mark.parametrize("text", ["e1", "e1.3f9a", "change 7 on web01", f"{IDS[0][1:]}.3f9a", f"{IDS[0]}.", f"{IDS[0]}.3f9a:"])
def test_other_names_of_events_stay_as_they_are(text: str) -> None:
    assert parse_event(text) == text


def test_no_event() -> None:
    assert parse_event(None) is parse_event("") is None
    with pytest.raises(InvalidInput, match="event must not contain control characters"):
        parse_event("a\nb")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(str(tmp_path / "ledger"), pytest.fail, keep=0)
    one = Record(1.0, "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1")
    found.record([one._replace(event=event) for event in (*IDS, "e1", "e12")])
    yield found
    found.close()


def test_the_beginning_of_an_id_is_enough(ledger: Ledger) -> None:
    for event in (*IDS, "e1", None, "nobody", "7d793037a07", "0123456789abcdef"):
        assert whole_event(ledger, event) == event
    assert whole_event(ledger, IDS[2][:12]) == IDS[2]
    assert whole_event(ledger, IDS[0][:15]) == IDS[0]
    with pytest.raises(InvalidInput) as raised:
        whole_event(ledger, IDS[0][:14])
    assert all(text in raised.value.message for text in (repr(IDS[0][:14]), "several", *IDS[:2]))
