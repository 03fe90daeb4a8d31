# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark consists of: sides that take turns, samples, and targets judged by ratios of medians."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from .stage import Run

#: What a side does in its turn: one run for each thing that is measured.
Side = Callable[[], "dict[str, Run]"]
#: Slow sides take their turn only in every third round.
SLOW_EVERY = 3


@dataclass(frozen=True)
class Sizes:
    """How much of everything; uri is how many entries the slow loop gets."""

    fleet: int = 100
    forks: int = 10
    entries: int = 1000
    uri: int = 50
    listings: tuple[int, ...] = (1000, 10_000, 50_000)
    logins: int = 500
    login_forks: int = 50
    ad_hoc: int = 3


QUICK = Sizes(fleet=2, forks=2, entries=20, uri=2, listings=(20, 40), logins=4, login_forks=4, ad_hoc=1)


@dataclass(frozen=True)
class Target:
    """One figure to reach; an exact one is a count and no matter of speed."""

    what: str
    limit: float
    value: float
    at_least: bool = False
    exact: bool = False
    unit: str = "x"

    @property
    def reached(self) -> bool:
        if self.exact:
            return self.value == self.limit
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def condition(self) -> str:
        sign = "=" if self.exact else ">=" if self.at_least else "<="
        return f"{sign} {self.limit:g} {self.unit}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "condition": self.condition, "reached": self.reached}


@dataclass
class Case:
    """A benchmark in progress: `samples[measure][side]` are its runs, `turns` is how many a side has in a round."""

    title: str
    sides: dict[str, Side]
    judge: Callable[[Case], list[Target]]
    slow: tuple[str, ...] = ()
    turns: int = 1
    facts: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, dict[str, list[Run]]] = field(default_factory=dict)

    def round(self, number: int, say: Callable[[str], None]) -> None:
        """Let every side have its turn, another one first each time."""
        names = list(self.sides)
        start = number % len(names)
        for name in (names[start:] + names[:start]) * self.turns:
            if name in self.slow and number % SLOW_EVERY:
                continue
            runs = self.sides[name]()
            for measure, run in runs.items():
                self.samples.setdefault(measure, {}).setdefault(name, []).append(run)
            say(f"{self.title}: {name}, " + ", ".join(f"{measure} {run.seconds:.2f} s" for measure, run in runs.items()))

    def seconds(self, measure: str, side: str) -> float:
        """Return the median of the wall times."""
        return median(run.seconds for run in self.samples[measure][side])

    def ratio(self, measure: str, side: str, to: str) -> float:
        return self.seconds(measure, side) / self.seconds(measure, to)

    def as_dict(self) -> dict[str, Any]:
        measures = {
            measure: {
                side: {
                    "seconds": self.seconds(measure, side),
                    "processor_seconds": median(run.processor for run in runs),
                    "memory_mib": max(run.memory for run in runs),
                    "runs": [round(run.seconds, 4) for run in runs],
                }
                for side, runs in sides.items()
            }
            for measure, sides in self.samples.items()
        }
        return {"title": self.title, "facts": self.facts, "measures": measures}
