# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ledger may be kept, and where it will not last."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._ledger import place
from ansible_collections.intrusion.response.plugins.module_utils._ledger.place import parse_path, why_it_vanishes


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://ledger:s3cret@db.example.com/ledger",
        "postgres:ledger:s3cret",
        "sqlite:///var/lib/s3cret",
        "HTTPS://user:s3cret@example.com",
        "host=db password=s3cret dbname=ledger",
        "/var/lib/s3cret\n/ledger",
    ],
)
def test_what_is_no_path_is_refused_without_repeating_it(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput) as caught:
        parse_path(value, pytest.fail)
    assert "s3cret" not in str(caught.value.as_result()) and not list(tmp_path.iterdir())


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a directory"):
        parse_path(str(tmp_path), pytest.fail)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert parse_path("~/a/ledger", pytest.fail) == parse_path("a/ledger", pytest.fail) == str(tmp_path / "a" / "ledger")
    assert parse_path("/var/lib/it's 50%/ledger", pytest.fail) == "/var/lib/it's 50%/ledger"
    for default in (None, "", " "):
        assert parse_path(default, pytest.fail) == str(tmp_path / ".local" / "state" / "intrusion.response" / "ledger.sqlite3")
    for nothing in (" none ", "NONE"):
        assert parse_path(nothing, pytest.fail) is None


def test_the_home_of_nobody_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    warnings: list[str] = []
    assert parse_path("~nobody-of-that-name/ledger", warnings.append) is None
    assert len(warnings) == 1 and "nothing is kept" in warnings[0] and not list(tmp_path.iterdir())


def test_homes_that_go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = "/srv/runner/.local/state/ledger"
    monkeypatch.setattr(place, "CONTAINER_FILES", ())
    monkeypatch.setattr(place, "_mount_of", lambda path: "/data" if path.startswith("/data/") else "/")
    monkeypatch.setenv("HOME", "/srv/runner")
    assert why_it_vanishes(ledger, {}) is None
    for name in ("container", "KUBERNETES_SERVICE_HOST"):
        assert "container" in str(why_it_vanishes(ledger, {name: "podman"}))
        assert why_it_vanishes("/srv/ledger", {name: "podman"}) is None, "somebody chose it"
    monkeypatch.setattr(place, "CONTAINER_FILES", ("/",))
    assert "container" in str(why_it_vanishes(ledger, {}))
    monkeypatch.setenv("HOME", "/data/home")
    assert why_it_vanishes("/data/home/ledger", {}) is None, "that is mounted"
    monkeypatch.setattr(place, "CONTAINER_FILES", ())
    for home in ("/tmp/home", "/var/tmp", "/dev/shm/x"):
        monkeypatch.setenv("HOME", home)
        assert "temporary" in str(why_it_vanishes(f"{home}/state/ledger", {}))
        assert why_it_vanishes("/srv/ledger", {}) is None
