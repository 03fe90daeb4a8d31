# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of docs/performance.md, drawn from the table of that page: python -m benchmarks.page."""

from __future__ import annotations

import math
import re
import textwrap
from dataclasses import dataclass
from html import escape

from tools.environment import ROOT

PAGE = ROOT / "docs" / "performance.md"
PLOT = PAGE.with_suffix(".svg")
TIMES = re.compile(r"([\d.]+)(?: to ([\d.]+))? times as (fast|long)")
AGAINST = re.compile(r"([\d.]+) (ms|s) against ([\d.]+) (ms|s)")
SECONDS = {"ms": 0.001, "s": 1.0}
#: Colours that stand on a light page as well as on a dark one.
INK, LINE, SHORTER, LONGER = "#80868f", "#80868f66", "#2a9d78", "#c8793d"
WIDTH, LEFT, TEXT, BAR, GAP, LETTERS = 480, 4, 17, 10, 16, 66


@dataclass(frozen=True)
class Row:
    """A row of the table: how long it took, in shares of what it is compared with, from the least to the most."""

    what: str
    against: str
    least: float
    most: float


def rows(page: str) -> list[Row]:
    """Return the rows; raises ValueError for a figure that it cannot read."""
    found: list[Row] = []
    lines = [line for line in page.splitlines() if line.startswith("|")][2:]
    for what, against, measured in ([cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines):
        before = found[-1] if found else None
        name = what
        if before and what.startswith("the same"):
            name = before.what if what == "the same" else what.replace("the same", before.what.split(", ")[0], 1)
        compared = before.against if against == "the same" and before else against
        times, pair = TIMES.search(measured), AGAINST.search(measured)
        if times:
            ends = [float(number) for number in times.groups()[:2] if number]
            shares = [1 / number if times[3] == "fast" else number for number in ends]
        elif pair:
            shares = [float(pair[1]) * SECONDS[pair[2]] / (float(pair[3]) * SECONDS[pair[4]])]
        else:
            raise ValueError(f"No figure that can be drawn: {measured}")
        found.append(Row(name, compared, min(shares), max(shares)))
    return found


def plot(page: str) -> str:
    """Return the SVG: on a logarithmic scale a bar from as long as the other (1) to what was measured."""
    found = rows(page)
    low, high = math.floor(math.log10(min(row.least for row in found))), math.ceil(math.log10(max(row.most for row in found)))

    def place(share: float) -> float:
        return LEFT + (math.log10(share) - low) / (high - low) * (WIDTH - 2 * LEFT)

    powers = range(low, high + 1)
    parts: list[str] = []
    y = 0
    for row in found:
        for line in textwrap.wrap(f"{row.what}, against {row.against}: {_said(row)}", LETTERS):
            y += TEXT
            parts.append(f'<text x="{LEFT}" y="{y}">{escape(line)}</text>')
        y += 6
        parts += [f'<path d="M{place(10**power):.1f} {y - 3}v{BAR + 6}" stroke="{INK if power == 0 else LINE}"/>' for power in powers]
        colour = LONGER if row.most > 1 else SHORTER
        near = min(max(row.least, 1.0), row.most)  # the end of the range that is nearer to 1, or 1 within it
        for least, most, opacity in ((row.least, row.most, 0.5), (min(1.0, near), max(1.0, near), 1)):
            if least < most:
                x, width = place(least), place(most) - place(least)
                parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}" opacity="{opacity}"/>')
        y += BAR + GAP - 6
    for power in powers:
        anchor = "start" if power == low else "end" if power == high else "middle"
        parts.append(f'<text x="{place(10**power):.1f}" y="{y + TEXT}" text-anchor="{anchor}">{10**power:g}</text>')
    note = f'<text x="{LEFT}" y="{y + 2 * TEXT}">times as long as the other; lighter: the range of the runs</text>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 2 * TEXT + 8}" width="{WIDTH * 4 // 3}" role="img" '
        f'aria-label="How long it takes, compared with other ways" font-family="sans-serif" font-size="13" fill="{INK}">'
    )
    return "\n".join([head, *parts, note, "</svg>", ""])


def _said(row: Row) -> str:
    ends = [f"{share:.2g}" if share < 1 else f"{share:.3g}" if share < 100 else f"{share:.0f}" for share in (row.least, row.most)]
    return " to ".join(dict.fromkeys(ends))


if __name__ == "__main__":
    PLOT.write_text(plot(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
