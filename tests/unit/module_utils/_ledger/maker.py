# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ledger, in either store, as several users of it have it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from ansible_collections.intrusion.response.plugins.module_utils._ledger.place import Place
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger


class Maker:
    """Makes ledgers that are the same one, and empties it."""

    def __init__(self, place: Place, warnings: list[str], spool: str) -> None:
        self.place = place
        self.warnings = warnings
        self.spool = spool
        self.made: list[Ledger] = []

    def __call__(self, **more: Any) -> Ledger:
        found = Ledger(self.place, self.warnings.append, spool=self.spool, **more)
        self.made.append(found)
        return found

    def close(self) -> None:
        while self.made:
            self.made.pop().close()

    def empty(self) -> None:
        """Take it away, and all that it holds."""
        self.close()
        if self.place.url is not None:
            self.execute("DROP SCHEMA IF EXISTS intrusion_response CASCADE")
        else:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.place.path}{suffix}").unlink(missing_ok=True)

    def execute(self, statement: str) -> None:
        """Do something to it behind its back."""
        if self.place.url is not None:
            with psycopg.connect(self.place.url, autocommit=True) as connection:
                connection.execute("SET search_path = intrusion_response")
                connection.execute(statement)
        else:
            with closing(sqlite3.connect(self.place.path or "", isolation_level=None)) as connection:
                connection.execute(statement)
