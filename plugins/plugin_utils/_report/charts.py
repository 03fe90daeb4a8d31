# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry of the report's charts. The template draws them as SVG, stretched to the width that there is, so that all text is HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Optional

HOUR, DAY = 3600.0, 86400.0
#: Widths of a column of a timeline, and how many columns at most.
STEPS = (HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY)
COLUMNS = 48
SERIES = 6
#: Two spaces, which a page shows as one and a cleaned text never has, so that no rule of this name meets it.
OTHERS = "all  others"
#: Remaining life: what a bar is called, and up to how many seconds it goes.
LIVES = (("under 5 min", 300), ("5 min to 1 h", HOUR), ("1 to 6 h", 6 * HOUR), ("6 to 24 h", DAY), ("1 to 7 days", 7 * DAY),
         ("over 7 days", float("inf")))  # fmt: skip
NO_END = "no known end"


@dataclass(frozen=True)
class Bar:
    """A horizontal bar; its width is in percent of the longest."""

    name: str
    value: int
    width: float


@dataclass(frozen=True)
class Part:
    """A rectangle of a column: its place from the top and its height, both in percent of the chart, and the number of its series."""

    series: int
    top: float
    height: float


@dataclass(frozen=True)
class Column:
    """A step of time: what it is called, how many blocks it saw, and what they were."""

    label: str
    value: int
    told: str
    left: float
    width: float
    parts: list[Part]


@dataclass(frozen=True)
class Timeline:
    """Numbers over time: blocks, stacked by one of their properties, or the greatest of a number.

    Attributes:
        by: the property, or what the number is.
        series: names and totals, the greatest first and all others last.
        top: the number at the upper end.
        first, last: when the chart begins and ends.
        line: a limit, as its place from the top in percent of the chart.
    """

    by: str
    series: list[tuple[str, int]]
    columns: list[Column]
    top: int
    first: str
    last: str
    step: str
    line: Optional[float] = None


def bars(counts: Counter[str], most: int) -> list[Bar]:
    """Return the greatest counts, and the sum of the others."""
    shown = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    if len(shown) > most:
        shown = [*shown[: most - 1], (OTHERS, sum(value for _name, value in shown[most - 1 :]))]
    longest = max((value for _name, value in shown), default=0)
    return [Bar(name, value, round(100 * value / longest, 2) if longest else 0.0) for name, value in shown]


def remaining_life(seconds: Sequence[Optional[float]]) -> list[Bar]:
    """Return how many entries have how long to live, in the order of time."""
    counts = dict.fromkeys([name for name, _end in LIVES], 0)
    endless = 0
    for left in seconds:
        if left is None:
            endless += 1
        else:
            counts[next(name for name, end in LIVES if left < end or end == float("inf"))] += 1
    if endless:
        counts[NO_END] = endless
    longest = max(counts.values())
    return [Bar(name, value, round(100 * value / longest, 2) if longest else 0.0) for name, value in counts.items()]


def timeline(by: str, span: tuple[float, float], blocks: Sequence[tuple[float, str]]) -> Timeline:
    """Return the chart of blocks, each with its time and what it counts for, over a span of seconds since the epoch."""
    totals = Counter(name for _at, name in blocks)
    names = [one.name for one in bars(totals, SERIES)]
    step, first, number = _steps(span)
    counts: list[Counter[str]] = [Counter() for _column in range(number)]
    for at, name in blocks:
        counts[_place(at, step, first, number)][name if name in names else OTHERS] += 1
    series = [(name, sum(column[name] for column in counts)) for name in names]
    top = _round_up(max(sum(column.values()) for column in counts))
    return _timeline(by, series, counts, top, step, first)


def peaks(by: str, span: tuple[float, float], values: Sequence[tuple[float, int]], limit: Optional[int]) -> Timeline:
    """Return the chart of the greatest value of each step of time, beside the limit where that is known."""
    step, first, number = _steps(span)
    counts: list[Counter[str]] = [Counter() for _column in range(number)]
    for at, value in values:
        column = counts[_place(at, step, first, number)]
        column[by] = max(column[by], value)
    most = max(column[by] for column in counts)
    top = _round_up(max(most, limit or 0))
    chart = _timeline(by, [(by, most)], counts, top, step, first)
    return chart if limit is None else replace(chart, line=round(100 - 100 * limit / top, 3))


def _steps(span: tuple[float, float]) -> tuple[float, float, int]:
    """Return the width of a column in seconds, the number of the first one since the epoch, and how many there are."""
    step = next((one for one in STEPS if (span[1] - span[0]) / one <= COLUMNS - 1), (span[1] - span[0]) / (COLUMNS - 1))
    first = span[0] // step
    return step, first, int(span[1] // step - first) + 1


def _place(at: float, step: float, first: float, number: int) -> int:
    return min(max(int(at // step - first), 0), number - 1)


def _timeline(by: str, series: list[tuple[str, int]], counts: list[Counter[str]], top: int, step: float, first: float) -> Timeline:
    names, number = [name for name, _value in series], len(counts)
    columns = [
        _column(column, names, top, (first + index) * step, step, 100 * index / number, 100 / number) for index, column in enumerate(counts)
    ]
    return Timeline(by, series, columns, top, columns[0].label, columns[-1].label, _step_name(step))


def _column(counts: Counter[str], names: list[str], top: int, at: float, step: float, left: float, width: float) -> Column:
    parts, reached = [], 0
    for index, name in enumerate(names):
        if counts[name]:
            reached += counts[name]
            parts.append(Part(index, round(100 - 100 * reached / top, 3), round(100 * counts[name] / top, 3)))
    moment = datetime.fromtimestamp(at, timezone.utc)
    label = moment.strftime("%d %b %H:%M" if step < DAY else "%d %b %Y")
    told = ", ".join(f"{name} {counts[name]}" for name in names if counts[name])
    return Column(label, reached, told, round(left, 3), round(width * 0.8, 3), parts)


def _round_up(value: int) -> int:
    """Return a round number that is not less."""
    size = 1
    while True:
        for digit in (1, 2, 4, 6, 8, 10):
            if digit * size >= value:
                return digit * size
        size *= 10


def _step_name(step: float) -> str:
    hours = round(step / HOUR)
    return {1: "an hour", 24: "a day", 168: "a week"}.get(hours, f"{hours} hours" if step < DAY else f"{round(step / DAY)} days")
