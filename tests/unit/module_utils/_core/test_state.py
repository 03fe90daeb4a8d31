# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state directory: private, atomic, shared by many processes, and never a reason to fail."""

from __future__ import annotations

import gc
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core import state as module
from ansible_collections.intrusion.response.plugins.module_utils._core.state import StateDir

KEY = ("https://api.example.com", "user")

WORKER = """
import sys, time
from ansible_collections.intrusion.response.plugins.module_utils._core.state import StateDir
state = StateDir(sys.argv[1], lambda message: sys.exit(message))
for turn in range(20):
    with state.lock("counter", ("one",)):
        value = (state.read("counter", ("one",)) or {"count": 0})["count"]
        state.write("counter", ("one",), {"count": value + 1})
    state.write("receipts", (sys.argv[2], str(turn)), {"turn": turn})
"""


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def state(tmp_path: Path, warnings: list[str]) -> StateDir:
    return StateDir(str(tmp_path / "state"), warnings.append)


def record(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "state" / "tokens").glob("*.json")
    return path


def test_round_trip(state: StateDir, warnings: list[str]) -> None:
    assert state.read("tokens", KEY) is None
    state.write("tokens", KEY, {"token": "t"})
    state.write("tokens", KEY, {"token": "u"})
    assert state.read("tokens", KEY) == {"token": "u"}
    assert state.read("tokens", ("https://api.example.com", "other")) is None
    state.remove("tokens", KEY)
    state.remove("tokens", KEY)
    assert state.read("tokens", KEY) is None and not warnings


def test_only_the_owner_can_read(state: StateDir, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state.write("tokens", KEY, {"token": "t"})
        with state.lock("tokens", KEY):
            pass
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state", tmp_path / "state" / "tokens")} == {0o700}


def test_a_directory_of_the_user_keeps_its_mode(tmp_path: Path, warnings: list[str]) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    StateDir(str(shared), warnings.append).write("tokens", KEY, {"token": "t"})
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert stat.S_IMODE((shared / "tokens").stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b'{"key": [], "value": {}}', b'{"value": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_corrupt_record_is_a_warning_and_a_fresh_start(state: StateDir, tmp_path: Path, warnings: list[str], content: bytes) -> None:
    state.write("tokens", KEY, {"token": "t"})
    record(tmp_path).write_bytes(content)
    gc.collect()  # or what earlier tests left is finalised where the recursion is at its end
    assert state.read("tokens", KEY) is None
    assert len(warnings) == 1 and warnings[0].startswith("Ignoring")
    state.write("tokens", KEY, {"token": "u"})
    assert state.read("tokens", KEY) == {"token": "u"}


def test_a_record_of_another_key_is_not_believed(state: StateDir, tmp_path: Path, warnings: list[str]) -> None:
    state.write("tokens", KEY, {"token": "t"})
    record(tmp_path).write_text(json.dumps({"key": ["https://evil.example.com", "user"], "value": {"token": "t"}}))
    assert state.read("tokens", KEY) is None and warnings


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_record_of_another_user_is_not_believed(state: StateDir, tmp_path: Path, warnings: list[str]) -> None:
    state.write("tokens", KEY, {"token": "t"})
    os.chown(record(tmp_path), 12345, 12345)
    assert state.read("tokens", KEY) is None
    assert "another user" in warnings[0]


def test_an_unusable_directory_is_a_warning(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "file").write_text("")
    state = StateDir(str(tmp_path / "file"), warnings.append)
    state.write("tokens", KEY, {"token": "t"})
    with state.lock("tokens", KEY):
        pass
    assert state.read("tokens", KEY) is None
    assert len(warnings) == 3


def test_a_directory_in_place_of_a_record_is_a_warning(state: StateDir, tmp_path: Path, warnings: list[str]) -> None:
    state.write("tokens", KEY, {"token": "t"})
    path = record(tmp_path)
    path.unlink()
    path.mkdir()
    assert state.read("tokens", KEY) is None
    state.write("tokens", KEY, {"token": "t"})
    assert len(warnings) == 2
    assert not list(path.parent.glob(".new-*"))


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An arbitrary user id in a container: no HOME, no account, and a working directory that must stay empty."""
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module.pwd, "getpwuid", lambda _uid: {}["no such account"])
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize("value", [None, "", "~", "~/state", "~no-such-user/state"])
@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_nothing_is_kept_and_that_is_said(value, home, nobody, warnings: list[str], tmp_path: Path) -> None:
    if home is not None:
        nobody.setenv("HOME", home)
    state = StateDir.from_option(value, warnings.append)
    state.write("tokens", KEY, {"token": "t"})
    with state.lock("tokens", KEY):
        assert state.read("tokens", KEY) is None
    assert not list(tmp_path.iterdir())
    assert len(warnings) == 1 and warnings[0].startswith("state_dir: nothing is kept")


@pytest.mark.parametrize(
    ("environ", "value", "path"),
    [
        ({"HOME": "/u/ann"}, None, "/u/ann/.local/state/intrusion.response"),
        ({"HOME": "/u/ann"}, "", "/u/ann/.local/state/intrusion.response"),
        ({"HOME": "/u/ann"}, "~/x", "/u/ann/x"),
        ({"HOME": "/u/ann", "XDG_STATE_HOME": "/var/state"}, None, "/var/state/intrusion.response"),
        ({"HOME": "/u/ann", "XDG_STATE_HOME": ""}, None, "/u/ann/.local/state/intrusion.response"),
        ({"HOME": "/u/ann", "XDG_STATE_HOME": "relative"}, None, "/u/ann/.local/state/intrusion.response"),
        ({"XDG_STATE_HOME": "/var/state"}, None, "/var/state/intrusion.response"),
        ({}, "/srv/state", "/srv/state"),
        ({}, " NONE ", None),
    ],
)
def test_where_it_is(environ: dict[str, str], value, path, nobody, warnings: list[str]) -> None:
    for name, given in environ.items():
        nobody.setenv(name, given)
    assert module.state_path("state_dir", value, module.FOLDER, warnings.append) == path and not warnings


def test_a_home_that_only_the_account_names(nobody, warnings: list[str]) -> None:
    nobody.setattr(module.pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_dir="/u/ann"))
    assert module.state_path("ledger", None, "a/b", warnings.append) == "/u/ann/.local/state/a/b" and not warnings


@pytest.mark.parametrize("value", ["none", "None"])
def test_it_can_be_switched_off(value, warnings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = StateDir.from_option(value, warnings.append)
    state.write("tokens", KEY, {"token": "t"})
    state.remove("tokens", KEY)
    with state.lock("tokens", KEY):
        assert state.read("tokens", KEY) is None
    assert not list(tmp_path.iterdir()) and not warnings


def test_twenty_processes_at_once(state: StateDir, tmp_path: Path, warnings: list[str]) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "state"), str(number)], stderr=subprocess.PIPE)
        for number in range(20)
    ]
    for worker in workers:
        _out, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    assert state.read("counter", ("one",)) == {"count": 400}
    assert all(state.read("receipts", (str(n), str(turn))) == {"turn": turn} for n in range(20) for turn in range(20))
    assert not warnings
