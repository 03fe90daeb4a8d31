# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger that cannot be used: one warning, and never a reason to fail; but who reads it is told."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import LedgerUnusable
from ansible_collections.intrusion.response.plugins.module_utils._ledger import sqlite
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

NOW = 1_800_000_000.0


def record() -> Record:
    return Record(NOW, "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", ttl=3600)


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM records").fetchone()[0]


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_corrupt_file_is_a_warning(ledger: Ledger, path: Path, warnings: list[str], content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert not ledger.record([record()])
    assert not ledger.record([record()])
    assert len(warnings) == 1 and str(path) in warnings[0] and "not recorded" in warnings[0]
    with pytest.raises(LedgerUnusable):
        ledger.past("203.0.113.5", 0)
    with pytest.raises(LedgerUnusable):
        ledger.find(Filter())
    with pytest.raises(LedgerUnusable):
        ledger.standing(Filter(), NOW)
    assert path.read_bytes() == content
    path.unlink()
    assert ledger.record([record()])


def test_a_database_of_something_else(ledger: Ledger, path: Path, warnings: list[str]) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE records (id)")
    assert not ledger.record([record()])
    assert "it is not a ledger" in warnings[0]
    assert rows(path) == 0


def test_a_newer_format(ledger: Ledger, path: Path, warnings: list[str]) -> None:
    ledger.record([record()])
    ledger.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 3")
    assert not ledger.record([record()])
    assert "a newer release of intrusion.response" in warnings[0] and "format 3" in warnings[0]
    with pytest.raises(LedgerUnusable, match="newer release"):
        ledger.find(Filter())
    assert rows(path) == 1


def test_a_locked_file(path: Path, warnings: list[str]) -> None:
    ledger = Ledger(str(path), warnings.append, patience=0.05)
    ledger.record([record()])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert not ledger.record([record()])
        assert ledger.past("203.0.113.5", 0).offences == 1, "reading does not wait for writing"
        assert ledger.find(Filter())[1] == 1
    assert warnings == [f"The ledger {path} cannot be written: database is locked. What was done is not recorded."]
    assert ledger.record([record()])
    ledger.close()


FULL = """
import resource, sys, time
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
warnings = []
ledger = Ledger(sys.argv[1], warnings.append)
one = Record(time.time(), "block", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", description="x" * 500)
done = [one] * 1000
results = [ledger.record(done), ledger.record(done), ledger.record(done[:1])]
ledger.close()
print(results, len(warnings))
"""


@pytest.mark.parametrize("room", [0, 4096, 60_000, 200_000])
def test_a_full_disk_is_a_warning(path: Path, room: int) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(path), str(room)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("[False, False, "), done.stderr
    assert done.stdout.strip().endswith(" 1"), done.stdout
    assert not list(path.parent.glob(".new-*"))
    ledger = Ledger(str(path), pytest.fail)
    assert ledger.record([record()]), "with room again, it goes on"
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else, and act as somebody else")
def test_what_belongs_to_others(tmp_path: Path) -> None:
    def act_as(user: int, path: Path) -> str:
        code = (
            "import os, sys, time\n"
            "from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record\n"
            "from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger\n"
            "os.setgid(12345); os.setuid(int(sys.argv[2])); ledger = Ledger(sys.argv[1], print)\n"
            "print(ledger.record([Record(time.time(), 'block', 'ok', '203.0.113.5', 's', 'f')]))\n"
            "try: print(ledger.find(Filter())[1])\n"
            "except Exception as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path), str(user)], capture_output=True, text=True, cwd="/", check=False)
        return done.stdout + done.stderr

    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o711)
        theirs = Path(place, "theirs")
        theirs.mkdir()
        os.chown(theirs, 12345, 12345)
        assert "its directory belongs to another user" in act_as(0, theirs / "ledger")
        assert not list(theirs.iterdir())
        assert act_as(12345, theirs / "ledger").splitlines() == ["True", "1"]
        assert act_as(0, theirs / "ledger").splitlines() == ["True", "2"], "root may use the ledger of a service"
        assert act_as(12345, theirs / "ledger").splitlines() == ["True", "3"], "and the service goes on"
        open_to_all = Path(place, "open")
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        (theirs / "ledger").rename(open_to_all / "ledger")
        (open_to_all / "ledger").chmod(0o666)
        assert act_as(12346, open_to_all / "ledger").count("it belongs to another user") == 2
        theirs.chmod(0o500)
        assert "Permission denied" in act_as(12345, theirs / "ledger")
        (open_to_all / "ledger").rename(theirs / "ledger")
        answer = act_as(12345, theirs / "ledger").splitlines()
        assert answer[1:] == ["False", "3"], "a read-only directory can be read"
        closed = theirs / "closed"
        closed.mkdir(mode=0o700)
        assert act_as(12345, closed / "ledger").count("Permission denied") == 2


def test_an_unusable_place_is_a_warning(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(str(tmp_path / "file" / "ledger"), warnings.append)
    assert not ledger.record([record()]) and not ledger.record([record()])
    with pytest.raises(LedgerUnusable):
        ledger.past("203.0.113.5", 0)
    assert len(warnings) == 1
    with pytest.raises(LedgerUnusable):
        ledger.find(Filter())
    with pytest.raises(LedgerUnusable):
        ledger.is_there()


def test_without_sqlite(path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "sqlite3", None)
    ledger = Ledger(str(path), warnings.append)
    assert not ledger.record([record()])
    assert "lacks the module sqlite3" in warnings[0]
    path.parent.mkdir()
    path.touch()
    with pytest.raises(LedgerUnusable, match="lacks the module sqlite3"):
        ledger.find(Filter())
