# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where records wait: durable, bounded, in their order, and private."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger import spool as module
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.row import Row, StoreTrouble
from ansible_collections.intrusion.response.plugins.module_utils._ledger.spool import Spool


def row(number: int) -> Row:
    return Row.of(Record(float(number), "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", event=f"\u00e4\ud800 {number}"))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path / "state" / "spool"))


def test_in_their_order_and_until_they_are_taken(spool: Spool) -> None:
    rows = [row(number) for number in range(6)]
    for number in range(0, 6, 2):
        spool.put(rows[number : number + 2])
    taken: list[Row] = []

    def refuse_the_second(found: list[Row], waited: float) -> None:
        assert 0 <= waited < 60
        if len(taken) == 2:
            raise StoreTrouble("gone")
        taken.extend(found)

    with pytest.raises(StoreTrouble, match="gone"):
        spool.deliver(refuse_the_second, 60)
    assert taken == rows[:2] and len(spool.waiting()) == 2
    spool.deliver(lambda found, _waited: taken.extend(found), 60)
    assert taken == rows and not spool.waiting()
    assert {stat.S_IMODE(file.stat().st_mode) for file in Path(spool.path).iterdir()} == {0o600}
    assert stat.S_IMODE(os.stat(spool.path).st_mode) == 0o700


def test_what_is_damaged_is_put_aside(spool: Spool) -> None:
    spool.put([row(1)])
    (name,) = spool.waiting()
    Path(spool.path, name).write_text('{"at": 1, "ro', encoding="utf-8")
    spool.put([row(2)])
    taken: list[Row] = []
    spool.deliver(lambda found, _waited: taken.extend(found), 60)
    assert len(taken) == 1 and not spool.waiting() and [path.suffix for path in Path(spool.path).glob("0*")] == [".damaged"]


def test_it_is_bounded(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    spool.put([row(1)])
    spool.put([row(2)])
    with pytest.raises(StoreTrouble, match="2 batches are already waiting"):
        spool.put([row(3)])
    assert len(spool.waiting()) == 2


def test_one_process_delivers_at_a_time(spool: Spool) -> None:
    spool.put([row(1)])
    descriptor = os.open(os.path.join(spool.path, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(StoreTrouble, match="another process"):
        spool.deliver(lambda _found, _waited: pytest.fail("it is theirs"), 0.05)
    os.close(descriptor)
    spool.deliver(lambda _found, _waited: None, 60)
    assert not spool.waiting()


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(str(tmp_path / "file" / "spool"))
    with pytest.raises(StoreTrouble, match="Not a directory"):
        spool.put([row(1)])
    assert not spool.waiting()
    spool.deliver(lambda _found, _waited: pytest.fail("nothing waits"), 1)
