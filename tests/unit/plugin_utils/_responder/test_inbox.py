# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was acknowledged is there after a crash; a full disk is said, survived and recovered from."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import inbox as inbox_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.inbox import Inbox, NotRecorded, Stored

PACKAGE = "ansible_collections.intrusion.response.plugins.plugin_utils._responder.inbox"

#: Records events for ever; says each id once it is acknowledged, and finishes every third of them.
LOADER = f"""
import asyncio, sys, time
from {PACKAGE} import Inbox, Stored
async def record(inbox, number):
    id = f"{{sys.argv[2]}}-{{number}}"
    new = await inbox.accept(Stored(id, time.time(), '{{"number":%d,"padding":"%s"}}' % (number, "x" * (number % 3000))), lambda: None)
    sys.stdout.write(f"{{'ack' if new else 'again'}} {{id}}\\n")
    sys.stdout.flush()
    if number % 3 == 0:
        inbox.finish(id, {{"verdict": "blocked"}})
async def main():
    inbox = Inbox(sys.argv[1], 3600)
    number = 0
    while True:
        tasks = [asyncio.ensure_future(record(inbox, number + turn)) for turn in range(20)]
        number += 20
        await asyncio.sleep(0.002)
asyncio.run(main())
"""

#: Records events while files may not grow, then when they may again.
FULL_DISK = f"""
import asyncio, resource, signal, sys
from {PACKAGE} import Inbox, NotRecorded, Stored
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def nothing(): pass
async def refused(inbox, id, text):
    try:
        await inbox.accept(Stored(id, 1.0, text), nothing)
    except NotRecorded:
        return
    sys.exit("recorded on a full disk")
async def main():
    inbox = Inbox(sys.argv[1], 3600)
    assert await inbox.accept(Stored("before", 1.0, "{{}}"), nothing) is True
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    for turn in range(3):
        await refused(inbox, f"full-{{turn}}", "x" * 5000)
    inbox.finish("before", {{"verdict": "blocked"}})
    await refused(inbox, "full-3", "{{}}")
    assert not inbox.healthy
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert await inbox.accept(Stored("full-1", 2.0, "{{}}"), nothing) is True
    assert inbox.healthy
    inbox.close()
asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "responder" / "inbox.sqlite3")


def nothing() -> None:
    """Act on nothing."""


def accept(inbox: Inbox, *events: str, received: float = 1.0, text: str = "{}") -> list[bool]:
    """Accept events one after the other; return which were new."""

    async def story() -> list[bool]:
        return [await inbox.accept(Stored(event, received, text), nothing) for event in events]

    return asyncio.run(story())


def pending(inbox: Inbox) -> list[Stored]:
    return inbox.pending(0, 1_000_000, inbox.newest())[0]


def recorded(path: str) -> list[str]:
    return [row[0] for row in rows(path, "SELECT id FROM events ORDER BY seq")]


def until(condition: Callable[[], Any], what: str = "it") -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.01)


def rows(path: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(query).fetchall()


def test_events_are_new_once_and_pending_until_finished(path: str) -> None:
    with closing(Inbox(path, 3600)) as inbox:
        assert accept(inbox, "a", "b", "a", text='{"n":[1,{"deep":null}]}') == [True, True, False]
        assert pending(inbox) == [Stored("a", 1.0, '{"n":[1,{"deep":null}]}'), Stored("b", 1.0, '{"n":[1,{"deep":null}]}')]
        assert inbox.size == 46 and inbox.knows("a") and not inbox.knows("c")
        inbox.finish("a", {"verdict": "ignored"})
        assert inbox.size == 23
    with closing(Inbox(path, 3600)) as inbox:
        assert [stored.id for stored in pending(inbox)] == ["b"]
        assert accept(inbox, "a") == [False]
    assert rows(path, "SELECT id, event, verdict FROM events WHERE id = 'a'") == [("a", None, '{"verdict":"ignored"}')]


def test_older_events_are_known_by_the_file(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "REMEMBERED", 2)
    with closing(Inbox(path, 3600)) as inbox:
        assert accept(inbox, "a", "b", "c", "a") == [True, True, True, False]


def test_the_one_that_comes_twice_at_once_is_recorded_once(path: str) -> None:
    async def story(inbox: Inbox) -> list[bool]:
        acted: list[int] = []
        known, waiting = [], []
        for _turn in range(3):
            known.append(inbox.knows("a"))
            waiting.append(inbox.accept(Stored("a", 1.0, "{}"), lambda: acted.append(1)))
        assert await asyncio.gather(*waiting) == [True] * 3
        assert acted == [1]
        return known

    with closing(Inbox(path, 3600)) as inbox:
        assert asyncio.run(story(inbox)) == [False, True, True]
        assert [stored.id for stored in pending(inbox)] == ["a"]


def test_what_is_pending_is_read_in_parts(path: str) -> None:
    with closing(Inbox(path, 3600)) as inbox:
        accept(inbox, *"abcde")
        newest = inbox.newest()
        accept(inbox, "f")
        found, last = inbox.pending(0, 3, newest)
        assert [stored.id for stored in found] == ["a", "b", "c"]
        found, last = inbox.pending(last, 3, newest)
        assert [stored.id for stored in found] == ["d", "e"]
        assert inbox.pending(last, 3, newest) == ([], last)


def test_what_is_forgotten_is_new_again(path: str) -> None:
    with closing(Inbox(path, 3600)) as inbox:
        accept(inbox, "a", "b")
        inbox.forget("a")
        assert accept(inbox, "a", "b") == [True, False]
        assert inbox.size == 4


def test_a_verdict_may_come_before_the_commit(path: str) -> None:
    async def story(inbox: Inbox) -> None:
        names = [str(number) for number in range(100)]
        await asyncio.gather(*(inbox.accept(Stored(name, 1.0, "{}"), lambda name=name: inbox.finish(name, {})) for name in names))

    with closing(Inbox(path, 3600)) as inbox:
        asyncio.run(story(inbox))
    with closing(Inbox(path, 3600)) as inbox:
        assert pending(inbox) == []


def test_verdicts_are_committed_without_further_events(path: str) -> None:
    with closing(Inbox(path, 3600)) as inbox:
        accept(inbox, "a")
        inbox.finish("a", {})
        until(lambda: not pending(inbox))


def test_giving_up_on_an_answer_harms_nobody(path: str) -> None:
    async def story(inbox: Inbox) -> None:
        task = asyncio.ensure_future(asyncio.wait([inbox.accept(Stored("a", 1.0, "{}"), nothing)]))
        await asyncio.sleep(0)
        task.cancel()
        assert await inbox.accept(Stored("b", 1.0, "{}"), nothing) is True

    with closing(Inbox(path, 3600)) as inbox:
        asyncio.run(story(inbox))
        assert [stored.id for stored in pending(inbox)] == ["a", "b"]


def test_after_the_end_nothing_is_promised(path: str) -> None:
    inbox = Inbox(path, 3600)
    accept(inbox, "a")
    inbox.close()
    inbox.close()
    for _turn in range(2):
        with pytest.raises(NotRecorded):
            accept(inbox, "b")


def fill(path: str) -> None:
    with closing(Inbox(path, 3600)) as inbox:
        names = [str(number) for number in range(10)]
        accept(inbox, *names)
        for name in names:
            if name != "4":
                inbox.finish(name, {})


def test_old_finished_events_are_forgotten_and_pending_ones_never(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    monkeypatch.setattr(inbox_module, "PRUNE_STEP", 2)
    with closing(Inbox(path, 0)):
        until(lambda: recorded(path) == ["4"])


def test_finished_events_are_bounded_in_number(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    monkeypatch.setattr(inbox_module, "MOST_FINISHED", 3)
    with closing(Inbox(path, 3600)):
        until(lambda: recorded(path) == ["4", "7", "8", "9"])


def cut(path: str) -> None:
    os.truncate(path, 0)


def overwrite(path: str) -> None:
    with open(path, "r+b") as stream:
        stream.write(b"SQLite format 3\0" + bytes(200))


def replace(path: str) -> None:
    other = f"{path}.other"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE t (x)")
    os.replace(other, path)


DAMAGE: dict[str, Callable[[str], Any]] = {
    "directory": lambda path: shutil.rmtree(os.path.dirname(path)), "file": os.unlink, "cut": cut, "overwritten": overwrite,
    "replaced": replace, "lock": lambda path: os.unlink(f"{path}.lock"), "journal": lambda path: os.unlink(f"{path}-wal"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_ground_is_lost_and_found(path: str, damage: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever somebody does to the files: from then on nothing is acknowledged that would not be found after a restart."""
    with closing(Inbox(path, 3600)) as inbox:
        accept(inbox, "before", "done")
        inbox.finish("done", {})
        until(lambda: [stored.id for stored in pending(inbox)] == ["before"])
        DAMAGE[damage](path)
        acknowledged = {"before", "after"}
        try:
            accept(inbox, "next")
        except NotRecorded:
            assert not inbox.healthy
        else:  # it was noticed before the event came, and there is a new inbox already
            acknowledged.add("next")
        assert "removed, replaced or truncated" in caplog.text
        if "next" not in acknowledged and damage in ("cut", "overwritten", "replaced"):  # what is there is never replaced by us
            for name in (path, f"{path}-wal", f"{path}-shm"):
                if os.path.exists(name):
                    os.unlink(name)

        def again() -> bool:
            try:
                return bool(accept(inbox, "after"))
            except NotRecorded:
                return False

        until(again)
        assert inbox.healthy and caplog.text.count("removed, replaced or truncated. Nothing") == 1
        instance = inbox.instance
    with closing(Inbox(path, 3600)) as inbox:
        assert acknowledged <= {stored.id for stored in pending(inbox)}, "also what was pending is there"
        assert inbox.instance == instance


def test_lost_ground_is_noticed_without_traffic(path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "PRUNE_PAUSE", 0.01)
    with closing(Inbox(path, 3600)) as inbox:
        accept(inbox, "a")
        shutil.rmtree(os.path.dirname(path))
        until(lambda: "There is a new inbox" in caplog.text and inbox.healthy)
        assert recorded(path) == ["a"]


def test_a_full_disk_is_said_and_survived(path: str) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with closing(Inbox(path, 3600)) as inbox:
        assert [stored.id for stored in pending(inbox)] == ["full-1"]
    assert recorded(path) == ["before", "full-1"]


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
    with closing(Inbox(path, 3600)) as inbox:
        there = recorded(path)
        assert set(acknowledged) <= set(there)
        assert len(there) == len(set(there))
        waiting = {stored.id: json.loads(stored.event)["number"] for stored in pending(inbox)}
        assert all(id_ in waiting for id_ in acknowledged if int(id_.split("-")[1]) % 3)
        assert all(id_.endswith(f"-{number}") for id_, number in waiting.items())
        assert accept(inbox, next(iter(acknowledged))) == [False]
