# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared records that a responder keeps in memory, so that deciding whether and for how long to block needs no database."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Optional

from .record import Past, Record

#: Maximum number of records kept in memory, the newest ones.
MOST = 200_000


class Memory:
    """Blocks and unblocks of all that share the ledger, with those of this responder at once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: OrderedDict[str, dict[str, Record]] = OrderedDict()
        self._count = 0

    def add(self, records: Iterable[Record]) -> None:
        """Add records in the order in which they were made; a later one of the same write replaces the earlier."""
        for record in records:
            if record.action not in ("block", "unblock"):
                continue
            with self._lock:  # for each record, so that nobody waits for many
                known = self._records.setdefault(record.address, {})
                self._records.move_to_end(record.address)
                before = len(known)
                known[record.write or str(record.id)] = record
                self._count += len(known) - before
                while self._count > MOST:
                    self._count -= len(self._records.popitem(last=False)[1])

    def past(self, address: str, since: float, besides: Optional[str] = None) -> Past:
        """Return the past of an address, like Past.of."""
        return Past.of(self._known(address), since, besides)

    def _known(self, address: str) -> list[Record]:
        with self._lock:
            return sorted(self._records.get(address, {}).values(), key=lambda record: record.at)

    def unblocks(self, since: float) -> list[Record]:
        """Return the unblocks since an epoch time, newest first."""
        with self._lock:
            wanted = list(self._records)
        found = [one for address in wanted for one in self._known(address) if one.action == "unblock" and one.at >= since]
        return sorted(found, key=lambda record: record.at, reverse=True)
