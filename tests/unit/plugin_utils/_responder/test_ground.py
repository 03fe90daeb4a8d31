# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file under the inbox is the owner's, one process's, and never replaced."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import ground as module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.ground import Ground, StateInUse, StateUnusable


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "responder" / "inbox.sqlite3")


def make(path: str) -> None:
    Ground(path).release()


def rows(path: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(query).fetchall()


def test_only_the_owner_can_read(path: str) -> None:
    before = os.umask(0)
    try:
        ground = Ground(path)
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
        names = os.listdir(os.path.dirname(path))
        assert {"inbox.sqlite3", "inbox.sqlite3-wal", "inbox.sqlite3.lock"} <= set(names)
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(os.path.dirname(path), name)).st_mode) == 0o600, name
        ground.release()
    finally:
        os.umask(before)


def test_a_directory_of_everybody_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StateUnusable, match="everybody can write"):
        Ground(str(shared / "inbox.sqlite3"))


def test_two_at_once_are_refused(path: str) -> None:
    ground = Ground(path)
    with pytest.raises(StateInUse, match="another process") as caught:
        Ground(path)
    assert caught.value.code == "state_in_use" and ground.is_ours()
    ground.release()
    assert not ground.is_ours()
    make(path)


@pytest.mark.parametrize("damage", ["garbage", "newer", "foreign", "incomplete"])
def test_an_unusable_file_is_named_and_left_alone(path: str, damage: str) -> None:
    make(path)
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
        with pytest.raises(StateUnusable, match=r"inbox\.sqlite3 cannot be used") as caught:
            Ground(path)
        assert "move it away" in str(caught.value.hint)
    assert Path(path).read_bytes() == before


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="file/responder cannot be used") as caught:
        Ground(str(tmp_path / "file" / "responder" / "inbox.sqlite3"))
    assert caught.value.hint == module.NOT_OURS
