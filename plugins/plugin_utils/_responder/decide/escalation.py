# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a block lasts: longer for repeat offenders."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace
from typing import Optional, Union

from ....module_utils._core.errors import InvalidInput
from ....module_utils._core.options import LONGEST_TTL
from ....module_utils._ledger.memory import Memory
from ....module_utils._ledger.store import Ledger
from ..settings import setting

#: Minimum seconds of a block.
SHORTEST_TTL = 2
#: Seconds for which the number of earlier offences is cached, and for how many addresses.
KEPT, MOST = 5.0, 20_000


@dataclass(frozen=True)
class EscalationSettings:
    """The section `respond.escalation`."""

    multipliers: tuple[float, ...] = setting(
        "numbers", "The ttl is multiplied by the first of these for the first offence, and so on; the last is for all after it. "
        "[1] switches escalation off, and so does `ledger: none`.", (1, 4, 24), low=1, high=100_000,
    )  # fmt: skip
    cap: Optional[int] = setting("integer", "The longest block in seconds.", low=1, high=LONGEST_TTL, shown="604800, or the ttl")
    memory: int = setting("integer", "Offences older than these seconds are forgotten.", 2_592_000, low=1, high=LONGEST_TTL)

    def above(self, ttl: int) -> EscalationSettings:
        """Return the settings with a cap that fits the policy's ttl; raises InvalidInput."""
        if not self.multipliers:
            raise InvalidInput("escalation.multipliers must contain at least one number; [1] switches escalation off.")
        cap = max(604_800, ttl) if self.cap is None else self.cap
        if cap < ttl:
            raise InvalidInput(f"escalation.cap must not be less than the policy's ttl ({ttl}); got {cap}.")
        return replace(self, cap=cap)

    def ttl(self, ttl: int, offences: int) -> int:
        """Return the seconds of a block after so many earlier offences."""
        return self.bounded(ttl * self.multipliers[min(offences, len(self.multipliers) - 1)])

    def bounded(self, ttl: float) -> int:
        """Return the seconds of a block that should last this long."""
        return int(max(SHORTEST_TTL, min(self.cap or LONGEST_TTL, ttl)))


class Escalation:
    """Counts earlier offences in the ledger, for the workers of all firewalls; the first one reads it, the others get the same result."""

    def __init__(self, settings: EscalationSettings, ledger: Union[Ledger, Memory]) -> None:
        self.settings = settings
        self._ledger = ledger
        self._lock = threading.Lock()
        self._offences: dict[str, tuple[int, float]] = {}

    def ttl(self, ttl: int, address: str, event_id: str, wanted: Optional[int] = None) -> int:
        """Return the seconds for which to block an address because of an event. Reads the ledger, so it may block.

        Args:
            ttl: the policy's.
            wanted: the detector's value; since it has its own escalation, only the cap applies.
        """
        settings = self.settings
        if wanted is not None:
            return settings.bounded(wanted)
        if not self._ledger.enabled or all(multiplier == 1 for multiplier in settings.multipliers):
            return settings.ttl(ttl, 0)
        kept = KEPT if isinstance(self._ledger, Ledger) else 0.0
        with self._lock:
            offences, asked = self._offences.get(address, (0, -math.inf))
            if time.monotonic() - asked >= kept:
                if len(self._offences) >= MOST:
                    self._offences.clear()
                offences = self._ledger.offences(address, time.time() - settings.memory, event_id)
                self._offences[address] = offences, time.monotonic()
        return settings.ttl(ttl, offences)
