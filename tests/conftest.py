# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database, for all tests that need one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tools.database import MISSING, Server, programs


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server of this run's own."""
    if programs() is None:
        pytest.skip(f"PostgreSQL: {MISSING}")
    with Server() as server:
        yield server


@pytest.fixture
def database(postgresql: Server) -> str:
    """The address of an empty database."""
    return postgresql.create(f"test_{uuid.uuid4().hex}")
