# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ledger may be kept, and where it will not last."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._ledger import place
from ansible_collections.intrusion.response.plugins.module_utils._ledger.place import parse_place, why_it_vanishes


@pytest.mark.parametrize(
    "value",
    [
        "postgres:ledger:s3cret",
        "postgresql:/ledger:s3cret@db/ledger",
        "postgresql://ledger:s3cret/@db.example.com/ledger",
        "postgresql://ledger:s3cret@@db.example.com/ledger",
        "postgresql://ledger:s3cret%@db.example.com/ledger",
        "postgresql://db.example.com/ledger?user=a@b&password=s3cret",
        "sqlite:///var/lib/s3cret",
        "HTTPS://user:s3cret@example.com",
        "host=db password=s3cret dbname=ledger",
        "/var/lib/s3cret\n/ledger",
    ],
)
def test_what_is_no_path_is_refused_without_repeating_it(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput) as caught:
        parse_place(value, pytest.fail)
    assert "s3cret" not in str(caught.value.as_result()) and not list(tmp_path.iterdir())


def test_a_directory_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a directory"):
        parse_place(str(tmp_path), pytest.fail)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def path(value: str | None) -> str | None:
        place = parse_place(value, pytest.fail)
        assert place is None or (place.url is None and place.name == place.path)
        return place and place.path

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert path("~/a/ledger") == path("a/ledger") == path("$HOME/a/ledger") == str(tmp_path / "a" / "ledger")
    assert path("/var/lib/it's 50%/ledger") == "/var/lib/it's 50%/ledger"
    for default in (None, "", " "):
        assert path(default) == str(tmp_path / ".local" / "state" / "intrusion.response" / "ledger.sqlite3")
    for nothing in (" none ", "NONE"):
        assert path(nothing) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql://ledger:s3cret@db.example.com/ledger", "postgresql://ledger@db.example.com/ledger"),
        (" postgres://:s3cret@db/ ", "postgresql://db/"),
        ("postgresql:///", "postgresql:///"),
        ("postgresql://u:%73%33cret@a:5432,b:5433/l?sslmode=verify-full&target_session_attrs=read-write", None),
        ("postgresql://u@[2001:db8::1]:5432/l?password=s3cret&sslmode=require&SSLpassword=s3cret", "postgresql://u@[2001:db8::1]:5432/l?sslmode=require"),
        ("postgresql://$HOME@%2Fvar%2Frun/l", "postgresql://$HOME@%2Fvar%2Frun/l"),
    ],
)  # fmt: skip
def test_databases(value: str, shown: str | None) -> None:
    place = parse_place(value, pytest.fail)
    assert place is not None and place.url == value.strip() and place.path is None
    assert place.name == (shown or "postgresql://u@a:5432,b:5433/l?sslmode=verify-full&target_session_attrs=read-write")
    assert "s3cret" not in repr(place) and "%73" not in repr(place)


def test_the_home_of_nobody_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    warnings: list[str] = []
    assert parse_place("~nobody-of-that-name/ledger", warnings.append) is None
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
