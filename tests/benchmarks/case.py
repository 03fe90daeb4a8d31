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
class Traffic:
    """Events: rates are a second, times in seconds.

    Attributes:
        rate: of the cases that do not name another, for `seconds`; `warm` events at this rate come before those that count.
        playbooks: events that start a playbook each, after warm_playbooks that do not count.
        calm: before and after the outage.
        verdict_rate: new attackers a second whose verdicts are waited for.
        listed: entries of the long blacklist.
        crowd_rates: new attackers a second on so many firewalls, for crowd_seconds.
        attackers: for two responders, of which one is killed so often, for `grace` seconds, and whose database is stopped so often.
        events_read, posted: of other detectors, in a process and by the webhook; lines a second are written to a file.
    """

    rate: float = 50
    seconds: float = 20
    warm: int = 50
    playbooks: int = 5
    warm_playbooks: int = 1
    load_rate: float = 200
    load_seconds: float = 60
    load_sources: int = 2000
    burst: int = 5000
    burst_sources: int = 1000
    kills: int = 50
    calm: float = 10
    outage: float = 30
    verdict_rate: float = 100
    listed: int = 100_000
    firewalls: int = 50
    crowd_rates: tuple[float, ...] = (10, 30)
    crowd_seconds: float = 10
    attackers: int = 400
    kills_of_owners: int = 20
    stops: int = 5
    grace: float = 5
    events_read: int = 3000
    posted: int = 2000
    lines: float = 1000


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
    records: int = 1_000_000
    traffic: Traffic = Traffic()


QUICK = Sizes(
    fleet=2, forks=2, entries=20, uri=2, listings=(20, 40), logins=4, login_forks=4, ad_hoc=1, records=2000,
    traffic=Traffic(
        seconds=0.4, warm=5, playbooks=1, warm_playbooks=0, load_rate=100, load_seconds=1, load_sources=20, burst=50, burst_sources=10,
        kills=2, calm=0.5, outage=1, verdict_rate=20, listed=200, firewalls=4, crowd_rates=(5,), crowd_seconds=0.5,
        attackers=20, kills_of_owners=1, stops=1, grace=2, events_read=20, posted=200, lines=200,
    ),
)  # fmt: skip


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
    """A benchmark in progress: `samples[measure][side]` are its runs, `turns` is how many a side has in a round.

    A case that is about counts, or that takes long, has `most_rounds` rounds at most.
    """

    title: str
    sides: dict[str, Side]
    judge: Callable[[Case], list[Target]]
    slow: tuple[str, ...] = ()
    turns: int = 1
    most_rounds: int | None = None
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
            say(f"{self.title}: {name}, " + ", ".join(f"{measure} {shown(run.seconds)}" for measure, run in runs.items()))

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
                    "runs": [round(run.seconds, 6) for run in runs],
                }
                for side, runs in sides.items()
            }
            for measure, sides in self.samples.items()
        }
        return {"title": self.title, "facts": self.facts, "measures": measures}


def shown(seconds: float) -> str:
    """Return a time as people read it."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
