# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of docs/performance.md shows what its table says."""

from __future__ import annotations

import re

import pytest
from benchmarks.page import PAGE, PLOT, Row, plot, rows

HEAD = "| What | Compared with | Measured |\n| --- | --- | --- |\n"


def test_the_plot_is_that_of_the_table() -> None:
    drawn = PLOT.read_text(encoding="utf-8") == plot(PAGE.read_text(encoding="utf-8"))
    assert drawn, "draw it anew: PYTHONPATH=tests .venv/bin/python -m benchmarks.page"


def test_rows_are_shares_of_what_they_are_compared_with() -> None:
    table = HEAD + (
        "| `a`, first | b | 20 to 50 times as fast |\n| the same, second | the same | 1 to 1.5 times as long: 2 s |\n"
        "| the same | c | median 2 ms against 0.5 s, 95th percentile 3 ms against 1 s |\n"
    )
    assert rows(table) == [Row("a, first", "b", 0.02, 0.05), Row("a, second", "b", 1, 1.5), Row("a, second", "c", 0.004, 0.004)]
    with pytest.raises(ValueError, match="No figure"):
        rows(HEAD + "| a | b | quick |\n")


def test_bars_reach_from_one_to_what_was_measured() -> None:
    drawn = plot(HEAD + "| a | b | 100 times as fast |\n| c | d | 2 to 10 times as long |\n| e | f | 0.1 to 10 times as long |\n")
    bars = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="\d+" fill="(#\w+)" opacity="([\d.]+)"', drawn)
    shown = [(round(float(x)), round(float(x) + float(width)), opacity) for x, width, _fill, opacity in bars]
    one, ten, two = 319, 476, 366  # of 4 to 476 for 0.01 to 10
    assert shown == [(4, one, "1"), (two, ten, "0.5"), (one, two, "1"), (161, ten, "0.5")]
