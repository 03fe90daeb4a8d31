# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger in a file: readable by its owner only, and where it is."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger import sql
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

NOW = 1_800_000_000.0


def record() -> Record:
    return Record(NOW, "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", ttl=3600)


def test_only_the_owner_can_read(ledger: Ledger, path: Path) -> None:
    before = os.umask(0)
    try:
        assert ledger.record([record()])
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {file.name for file in path.parent.iterdir()} <= {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_directory_of_the_user_keeps_its_mode(tmp_path: Path, warnings: list[str]) -> None:
    tmp_path.chmod(0o755)
    assert Ledger(str(tmp_path / "ledger"), warnings.append).record([record()])
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_that_was_put_away_is_made_anew(ledger: Ledger, path: Path, warnings: list[str]) -> None:
    ledger.record([record()])
    path.rename(path.with_name("archived"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert ledger.record([record(), record()]) and ledger.find(Filter())[1] == 2
    assert not warnings


@pytest.mark.parametrize("value", ["", None])
def test_what_is_not_set_is_below_the_directory_for_state(value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Ledger.from_option(value, lambda _message: None).path == str(tmp_path / "intrusion.response/ledger.sqlite3")


@pytest.mark.parametrize("value", ["none", " None "])
def test_it_can_be_switched_off(value: str | None, warnings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger.from_option(value, warnings.append)
    assert not ledger.enabled
    assert ledger.record([record()])
    assert ledger.find(Filter()) == ([], 0) and ledger.standing(Filter(), NOW) == [] and ledger.past("203.0.113.5", 0).offences == 0
    assert not list(tmp_path.iterdir()) and not warnings


def test_nothing_to_record_makes_nothing(ledger: Ledger, path: Path) -> None:
    assert ledger.record([]) and ledger.past("203.0.113.5", 0).offences == 0 and ledger.find(Filter()) == ([], 0)
    assert not path.parent.exists() and not ledger.is_there()


def test_the_offences_of_an_address_are_looked_up(ledger: Ledger, path: Path) -> None:
    ledger.record([record()])
    with closing(sqlite3.connect(path)) as connection:
        question = f"EXPLAIN QUERY PLAN {sql.past('address IN (:address0)')}"
        plan = str(connection.execute(question, {"address0": "203.0.113.5", "since": 0}).fetchall())
    assert "SEARCH records USING INDEX records_of_an_address" in plan and "TEMP B-TREE" not in plan


def test_a_record_is_not_replaced(ledger: Ledger, path: Path) -> None:
    ledger.record([record()])
    columns = ", ".join(Record._fields[:-1])
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(f"REPLACE INTO records (id, {columns}) VALUES (1, 1, 'block', 'ok', {', '.join(['1'] * 14)})")
    assert ledger.find(Filter())[0][0].address == "203.0.113.5"
