# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes out: tables on the screen, JSON, and a plot."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .case import shown

COLOURS = {"ours": "#2a7f62", "floor": "#9aa5b1", "structure": "#c3cad2", "modules": "#d9a441", "uri": "#c8553d"}
COLOURS.update(least=COLOURS["structure"], late="#8fc7a9", alone=COLOURS["modules"], few=COLOURS["floor"], many=COLOURS["ours"])
COLOURS.update(bare=COLOURS["floor"], bulk=COLOURS["structure"], rulebook=COLOURS["modules"], playbook=COLOURS["uri"])
OTHER = "#5b7db1"
BAR, GAP, LABEL, WIDTH, NUMBER = 16, 14, 330, 460, 80
#: Seconds; a shorter time is shown as this one. Processor time is counted in hundredths of a second, so it may be 0.
SHORTEST = 1e-5


def show(console: Console, document: dict[str, Any]) -> None:
    """Print the medians and the targets."""
    times = Table(title="Medians", title_justify="left", box=None, pad_edge=False)
    for heading in ("latency", "case", "measure", "side"):
        times.add_column(heading, justify="right" if heading == "latency" else "left")
    for heading in ("time", "processor", "MiB", "runs"):
        times.add_column(heading, justify="right")
    for latency, case in _cases(document):
        for measure, sides in case["measures"].items():
            for side, found in sides.items():
                numbers = (shown(found["seconds"]), shown(found["processor_seconds"]), f"{found['memory_mib']:.0f}")
                times.add_row(f"{latency:g} ms", case["title"], measure, side, *numbers, str(len(found["runs"])))
    targets = Table(title="Targets", title_justify="left", box=None, pad_edge=False)
    for heading in ("latency", "case", "target", "to reach", "measured", ""):
        targets.add_column(heading, justify="right" if heading in ("latency", "measured") else "left")
    for latency, case in _cases(document):
        for target in case["targets"]:
            word = Text("reached", style="green") if target["reached"] else Text("missed", style="bold red")
            measured = f"{target['value']:.{0 if target['exact'] else 2}f} {target['unit']}".rstrip()
            targets.add_row(f"{latency:g} ms", case["name"], target["what"], target["condition"], measured, word)
    for table in (times, targets):
        console.print()
        console.print(table)


def plot(document: dict[str, Any]) -> str:
    """Return an SVG: a bar for the median of every side, on a logarithmic scale."""
    groups = [
        (f"{case['title']}: {measure}, {latency:g} ms", {side: max(SHORTEST, found["seconds"]) for side, found in sides.items()})
        for latency, case in _cases(document)
        for measure, sides in case["measures"].items()
    ]
    values = [value for _title, sides in groups for value in sides.values()]
    low, high = math.floor(math.log10(min(values)) * 2) / 2, math.ceil(math.log10(max(values)) * 2) / 2
    high = max(high, low + 0.5)
    parts = []
    y = 10
    for title, sides in groups:
        parts.append(f'<text x="0" y="{y + 12}" font-weight="bold">{escape(title)}</text>')
        y += BAR + 4
        for side, value in sides.items():
            length = max(1.0, (math.log10(value) - low) / (high - low) * WIDTH)
            parts.append(f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(side)}</text>')
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS.get(side, OTHER)}"/>')
            parts.append(f'<text x="{LABEL + length + 6:.1f}" y="{y + 12}">{shown(value)}</text>')
            y += BAR
        y += GAP
    size = f'width="{LABEL + WIDTH + NUMBER}" height="{y + 10}"'
    note = f'<text x="0" y="{y + 4}" fill="#666">medians, logarithmic scale from {shown(10**low)} to {shown(10**high)}</text>'
    body = "\n".join([*parts, note])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n{body}\n</svg>\n'


def _cases(document: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    return [(one["latency_ms"], case) for one in document["emulators"] for case in one["cases"]]
