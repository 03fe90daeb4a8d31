# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was acknowledged is there after a crash; a full disk is said, survived and recovered from."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import intake as intake_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.intake import (
    Intake,
    NotRecorded,
    StateInUse,
    StateUnusable,
    Stored,
)

PACKAGE = "ansible_collections.intrusion.response.plugins.plugin_utils._responder.intake"

#: Records events for ever; says each id once its future has resolved, and finishes every third of them.
LOADER = f"""
import sys, time
from {PACKAGE} import Intake
intake = Intake(sys.argv[1], 3600)
def report(id):
    def done(future):
        sys.stdout.write(f"{{'ack' if future.result() else 'again'}} {{id}}\\n")
        sys.stdout.flush()
    return done
number = 0
while True:
    for turn in range(20):
        id = f"{{sys.argv[2]}}-{{number}}"
        intake.add(id, time.time(), {{"number": number, "padding": "x" * (number % 3000)}}).add_done_callback(report(id))
        if number % 3 == 0:
            intake.finish(id, {{"verdict": "blocked"}})
        number += 1
    time.sleep(0.002)
"""

#: Records events while files may not grow, then when they may again.
FULL_DISK = f"""
import os, resource, signal, sys
from {PACKAGE} import Intake, NotRecorded
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
intake = Intake(sys.argv[1], 3600)
assert intake.add("before", 1.0, {{"a": 1}}).result(30) is True
_soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
for turn in range(3):
    try:
        intake.add(f"full-{{turn}}", 1.0, {{"a": "x" * 5000}}).result(30)
    except NotRecorded:
        pass
    else:
        sys.exit("recorded on a full disk")
intake.finish("before", {{"verdict": "blocked"}})
try:
    intake.add("full-3", 1.0, {{}}).result(30)
    sys.exit("recorded on a full disk")
except NotRecorded:
    assert not intake.healthy
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert intake.add("full-1", 2.0, {{"b": 2}}).result(30) is True
assert intake.healthy
intake.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "responder" / "intake.sqlite3")


def settled(future: Future[bool]) -> bool:
    return future.result(30)


def rows(path: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(query).fetchall()


def test_events_are_new_once_and_pending_until_finished(path: str) -> None:
    with Intake(path, 3600) as intake:
        assert settled(intake.add("a", 1.5, {"n": [1, {"deep": None}]})) is True
        assert settled(intake.add("b", 2.5, {"text": "\ud800 \u00e9 \u2028"})) is True
        assert settled(intake.add("a", 9.0, {"n": "other"})) is False
        assert intake.pending() == [Stored("a", 1.5, {"n": [1, {"deep": None}]}), Stored("b", 2.5, {"text": "\ud800 \u00e9 \u2028"})]
        intake.finish("a", {"verdict": "ignored"})
    with Intake(path, 3600) as intake:
        assert [stored.id for stored in intake.pending()] == ["b"]
        assert intake.recent(10) == ["a", "b"] and intake.recent(1) == ["b"]
        assert settled(intake.add("a", 9.0, {})) is False
    assert rows(path, "SELECT id, post, verdict FROM events WHERE id = 'a'") == [("a", None, '{"verdict":"ignored"}')]


def test_a_verdict_may_come_before_the_commit(path: str) -> None:
    with Intake(path, 3600) as intake:
        futures = [intake.add(str(number), 1.0, {}) for number in range(100)]
        for number in range(100):
            intake.finish(str(number), {"verdict": "blocked"})
        assert all(settled(future) for future in futures)
    with Intake(path, 3600) as intake:
        assert intake.pending() == []


def test_verdicts_are_committed_without_further_events(path: str) -> None:
    with Intake(path, 3600) as intake:
        settled(intake.add("a", 1.0, {}))
        intake.finish("a", {})
        deadline = time.monotonic() + 30
        while intake.pending() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert intake.pending() == []


def test_only_the_owner_can_read(path: str) -> None:
    before = os.umask(0)
    try:
        with Intake(path, 3600) as intake:
            settled(intake.add("a", 1.0, {}))
            assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
            for name in os.listdir(os.path.dirname(path)):
                assert stat.S_IMODE(os.stat(os.path.join(os.path.dirname(path), name)).st_mode) == 0o600, name
    finally:
        os.umask(before)


def test_a_directory_of_everybody_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StateUnusable, match="everybody can write"):
        Intake(str(shared / "intake.sqlite3"), 3600)


def test_two_at_once_are_refused(path: str) -> None:
    with Intake(path, 3600):
        with pytest.raises(StateInUse, match="another process") as caught:
            Intake(path, 3600)
        assert caught.value.code == "state_in_use"
    Intake(path, 3600).close()


@pytest.mark.parametrize("damage", ["garbage", "newer", "foreign", "incomplete"])
def test_an_unusable_file_is_named_and_left_alone(path: str, damage: str) -> None:
    with Intake(path, 3600) as intake:
        settled(intake.add("a", 1.0, {}))
    if damage == "garbage":
        Path(path).write_bytes(b"no database at all" * 500)
    else:
        changes = {
            "newer": "PRAGMA user_version = 99", "foreign": "ALTER TABLE events RENAME COLUMN finished TO other",
            "incomplete": "DROP TABLE instance",
        }  # fmt: skip
        rows(path, changes[damage])
    before = Path(path).read_bytes()
    for _turn in range(2):  # and the lock is let go of
        with pytest.raises(StateUnusable, match=r"intake\.sqlite3 cannot be used") as caught:
            Intake(path, 3600)
        assert "move it away" in str(caught.value.hint)
    assert Path(path).read_bytes() == before


def test_the_record_of_an_older_release_goes_on(path: str) -> None:
    with Intake(path, 3600) as intake:
        settled(intake.add("a", 1.5, {"n": 1}))
    rows(path, "DROP TABLE instance")
    rows(path, "DROP INDEX events_finished")
    rows(path, "PRAGMA user_version = 1")
    with Intake(path, 3600) as intake:
        assert intake.pending() == [Stored("a", 1.5, {"n": 1})]
        instance = intake.instance
        assert len(instance) == 4
        intake.finish("a", {"verdict": "blocked"})
    with Intake(path, 3600) as intake:
        assert (intake.pending(), intake.instance) == ([], instance)


def test_an_unreadable_event_is_not_lost_in_silence(path: str) -> None:
    with Intake(path, 3600) as intake:
        settled(intake.add("a", 1.0, {}))
    rows(path, "UPDATE events SET post = '{'")
    with Intake(path, 3600) as intake, pytest.raises(StateUnusable, match="not readable"):
        intake.pending()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="file/responder cannot be used") as caught:
        Intake(str(tmp_path / "file" / "responder" / "intake.sqlite3"), 3600)
    assert caught.value.hint == intake_module.NOT_OURS


def test_one_bad_event_does_not_spoil_the_others(path: str) -> None:
    with Intake(path, 3600) as intake:
        endless: dict[str, Any] = {}
        endless["self"] = endless
        futures = [intake.add("a", 1.0, {}), intake.add("b", 1.0, endless), intake.add("c", 1.0, {})]
        assert settled(futures[0]) and settled(futures[2])
        with pytest.raises(NotRecorded):
            settled(futures[1])


def test_giving_up_on_a_future_harms_nobody(path: str) -> None:
    with Intake(path, 3600) as intake:
        assert not intake.add("a", 1.0, {}).cancel()
        assert settled(intake.add("b", 1.0, {})) is True
        assert intake.recent(5) == ["a", "b"]


def test_after_the_end_nothing_is_promised(path: str) -> None:
    intake = Intake(path, 3600)
    last = intake.add("a", 1.0, {})
    intake.close()
    intake.close()
    assert settled(last) is True
    with pytest.raises(NotRecorded):
        settled(intake.add("b", 1.0, {}))


def wait_until_gone(intake: Intake, expected: list[str]) -> None:
    deadline = time.monotonic() + 30
    while intake.recent(1000) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert intake.recent(1000) == expected


def fill(path: str) -> None:
    with Intake(path, 3600) as intake:
        futures = [intake.add(str(number), 1.0, {}) for number in range(10)]
        for number in range(10):
            if number != 4:
                intake.finish(str(number), {})
        assert all(settled(future) for future in futures)


def test_old_finished_events_are_forgotten_and_pending_ones_never(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    monkeypatch.setattr(intake_module, "PRUNE_STEP", 2)
    with Intake(path, 0) as intake:
        wait_until_gone(intake, ["4"])


def test_finished_events_are_bounded_in_number(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    monkeypatch.setattr(intake_module, "MOST_FINISHED", 3)
    with Intake(path, 3600) as intake:
        wait_until_gone(intake, ["4", "7", "8", "9"])


def test_a_full_disk_is_said_and_survived(path: str) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with Intake(path, 3600) as intake:
        assert intake.recent(10) == ["before", "full-1"]
        assert [stored.id for stored in intake.pending()] == ["full-1"]


def test_verdicts_in_memory_are_bounded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MOST_VERDICTS", 10)
    monkeypatch.setattr(intake_module, "VERDICT_PAUSE", 3600)
    intake = Intake(path, 3600)
    for number in range(100):
        intake.finish(str(number), {})
    assert list(intake._verdicts) == [str(number) for number in range(90, 100)]
    intake.close()


def test_what_was_acknowledged_survives_kill_9(path: str) -> None:
    acknowledged: dict[str, None] = {}
    for turn in range(5):
        with subprocess.Popen([sys.executable, "-c", LOADER, path, str(turn)], stdout=subprocess.PIPE, text=True) as loader:
            assert loader.stdout is not None
            first = loader.stdout.readline()
            time.sleep(random.uniform(0.0, 0.3))
            loader.send_signal(signal.SIGKILL)
            lines = [first, *loader.stdout]
        # The last line may be cut; then nobody got the acknowledgement.
        acknowledged.update((line.split()[1], None) for line in lines if line.endswith("\n"))
    assert acknowledged
    with Intake(path, 3600) as intake:
        recorded = intake.recent(10_000_000)
        assert set(acknowledged) <= set(recorded)
        assert len(recorded) == len(set(recorded))
        pending = {stored.id: stored.post["number"] for stored in intake.pending()}
        assert all(id_ in pending for id_ in acknowledged if int(id_.split("-")[1]) % 3)
        assert all(id_.endswith(f"-{number}") for id_, number in pending.items())
        assert settled(intake.add(next(iter(acknowledged)), 1.0, {})) is False
