# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that writes the ledger."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Past, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import batch as batch_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import ledger as ledger_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.ledger import LedgerWriter

from .running import until


def record(event: str, address: str = "203.0.113.5") -> Record:
    return Record(time.time(), "block", "ok", address, "all_services", "https://192.0.2.1", event=event)


def test_what_follows_comes_after_the_record(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "ledger.sqlite3"), print)
    thread = LedgerWriter(ledger, lambda: None)
    seen: list[int] = []
    for number in range(50):
        thread.note([record(f"event {number}")])
        thread.note((), lambda number=number: seen.append(ledger.find(Filter(event=f"event {number}"))[1]))
    thread.close()
    assert seen == [1] * 50


def test_blocks_that_stand_are_recorded_once(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "ledger.sqlite3"), print)
    thread = LedgerWriter(ledger, lambda: None)
    thread.note([record("one")])
    thread.note([record("one"), record("two", "203.0.113.6")], completes=True)
    thread.note([record("two", "203.0.113.6")], completes=True)
    thread.close()
    assert {(one.event, one.address) for one in ledger.find(Filter())[0]} == {("one", "203.0.113.5"), ("two", "203.0.113.6")}
    assert ledger.find(Filter())[1] == 2
    ledger.close()


def test_trouble_is_counted_and_what_follows_still_comes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    failures: list[None] = []
    done: list[None] = []
    warnings: list[str] = []
    thread = LedgerWriter(Ledger(str(tmp_path / "file" / "ledger.sqlite3"), warnings.append), lambda: failures.append(None))
    thread.note([record("one")])
    thread.note((), lambda: done.append(None))
    thread.close()
    assert failures and done and warnings


def test_trouble_that_passes_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "PAUSE", 0.01)
    blocked = tmp_path / "directory"
    blocked.write_text("no directory")
    failures: list[None] = []
    ledger = Ledger(str(blocked / "ledger.sqlite3"), lambda _message: None)
    monkeypatch.setattr(LedgerWriter, "patience", 1.0)
    thread = LedgerWriter(ledger, lambda: failures.append(None))
    time.sleep(1.1)  # how long there was nothing to write does not count
    thread.note([record("one")])
    until(lambda: len(failures) > 2)
    blocked.unlink()
    until(lambda: ledger.find(Filter())[1] == 1)
    thread.close()
    ledger.close()


def test_the_past_is_read_once_for_a_wish_and_anew_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, asked = Ledger(str(tmp_path / "ledger.sqlite3"), print), []
    past = ledger.past
    monkeypatch.setattr(ledger, "past", lambda *given: asked.append(given[0]) or past(*given))
    monkeypatch.setattr(ledger_module, "MOST", 5)
    thread = LedgerWriter(ledger, lambda: None)
    assert [thread.past(1, "203.0.113.5", 60, "two") for _firewall in range(3)] == [Past()] * 3
    exemption = record("two", "203.0.113.6")._replace(action="unblock", ttl=3600)
    ledger.record([record("one"), exemption])
    assert thread.past(2, "203.0.113.5", 60, "two") == Past(1), "another event led to a block"
    assert thread.past(3, "203.0.113.5", 60, "one") == Past(0), "an event is no earlier offence of itself"
    assert thread.past(4, "203.0.113.5", -60, "two") == Past(0), "what is older does not count"
    assert thread.past(5, "203.0.113.6", 60, "two") == Past(0, exemption.at + 3600, exemption.at)
    assert asked == [*["203.0.113.5"] * 4, "203.0.113.6"]
    for number in range(10, 30):
        thread.past(number, "203.0.113.5", 60, "two")
    assert len(thread._pasts) <= 5, "what is kept is bounded"
    thread.close()
    ledger.close()


def test_a_past_that_cannot_be_read_is_said_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no directory")
    failures: list[None] = []
    thread = LedgerWriter(Ledger(str(tmp_path / "file" / "ledger.sqlite3"), print), lambda: failures.append(None))
    assert [thread.past(number, "203.0.113.5", 60, "one") for number in (1, 1, 2)] == [Past()] * 3
    assert caplog.text.count("Earlier blocks are not counted, and exemptions are unknown.") == 1 and len(failures) == 2
    thread.close()
