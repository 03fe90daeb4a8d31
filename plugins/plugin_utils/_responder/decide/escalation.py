# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a block lasts: longer for repeat offenders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from ....module_utils._core.errors import InvalidInput
from ....module_utils._core.options import LONGEST_TTL
from ..settings import setting

#: Minimum seconds of a block.
SHORTEST_TTL = 2


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

    def ttl(self, ttl: int, offences: int, wanted: Optional[int] = None) -> int:
        """Return the seconds of a block after so many earlier offences.

        Args:
            ttl: the policy's.
            wanted: the detector's value; since it has its own escalation, only the cap applies.
        """
        seconds = ttl * self.multipliers[min(offences, len(self.multipliers) - 1)] if wanted is None else wanted
        return int(max(SHORTEST_TTL, min(self.cap or LONGEST_TTL, seconds)))
