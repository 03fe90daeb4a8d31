# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger of one's own, in a file and in a database, and what it warns of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger.place import parse_place
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

from .maker import Maker


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path, warnings: list[str]) -> Iterator[Ledger]:
    found = Ledger(str(path), warnings.append)
    yield found
    found.close()


@pytest.fixture(params=["file", "database"])
def make(request: pytest.FixtureRequest, path: Path, warnings: list[str], tmp_path: Path) -> Iterator[Maker]:
    """Both stores, one after the other."""
    value = str(path) if request.param == "file" else request.getfixturevalue("database")
    place = parse_place(value, pytest.fail)
    assert place is not None
    maker = Maker(place, warnings, str(tmp_path / "spool"))
    yield maker
    maker.close()


@pytest.fixture
def either(make: Maker) -> Ledger:
    """A ledger in each store."""
    return make()
