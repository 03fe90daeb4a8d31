# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's clock: real time plus an offset that tests may move."""
from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch, injectable.

    It ticks unless it is frozen; :meth:`advance` and :meth:`set_now` work in both states.
    """

    def __init__(self, frozen: bool = False) -> None:
        self._start_frozen = frozen
        self.reset()

    def reset(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = time.time() if self._start_frozen else None

    def now(self) -> float:
        return (time.time() if self._frozen is None else self._frozen) + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += float(seconds)

    def set_now(self, now: float) -> None:
        self._offset += float(now) - self.now()

    def freeze(self, frozen: bool = True) -> None:
        """Stop the clock where it stands, or let it run on from there."""
        now = self.now()
        self._frozen = time.time() if frozen else None
        self.set_now(now)

    def as_dict(self) -> dict[str, float | bool]:
        return {"now": self.now(), "frozen": self._frozen is not None}
