# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry: everything is inside the chart, nothing is counted twice, and no name breaks it."""

from __future__ import annotations

import importlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

charts = importlib.import_module("ansible_collections.intrusion.response.plugins.plugin_utils._report.charts")
DAY = 86400.0
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h", "all others"])


@given(st.floats(60, 400 * DAY), st.lists(st.tuples(st.floats(0, 1), NAMES), max_size=60))
def test_a_timeline_stays_inside_and_adds_up(length, blocks):
    first = 1_790_000_000.0
    line = charts.timeline("rule", (first, first + length), [(first + part * length, name) for part, name in blocks])
    assert 1 <= len(line.columns) <= charts.COLUMNS + 1
    assert sum(value for _name, value in line.series) == len(blocks) == sum(column.value for column in line.columns)
    assert len({name for name, _value in line.series}) == len(line.series) <= charts.SERIES
    for column in line.columns:
        assert column.left + column.width <= 100.01
        assert sum(part.height for part in column.parts) == pytest.approx(100 * column.value / line.top, abs=0.1)
        assert all(part.top >= -0.01 and part.top + part.height <= 100.01 for part in column.parts)


@pytest.mark.parametrize(
    ("hours", "step", "columns"), [(1, "an hour", 2), (47, "an hour", 48), (72, "3 hours", 25), (30 * 24, "a day", 31)]
)
def test_steps_of_time(hours, step, columns):
    line = charts.timeline("rule", (1_790_000_000.0 - hours * 3600, 1_790_000_000.0), [])
    assert line.step == step and abs(len(line.columns) - columns) <= 1


def test_bars_show_the_greatest_and_the_sum_of_the_rest():
    counts = Counter({"a": 5, "b": 4, "c": 3, "d": 2, "e": 1})
    assert [(one.name, one.value) for one in charts.bars(counts, 5)] == list(counts.items())
    assert [(one.name, one.value, one.width) for one in charts.bars(counts, 3)] == [
        ("a", 5, 83.33),
        ("b", 4, 66.67),
        (charts.OTHERS, 6, 100.0),
    ]
    assert charts.bars(Counter(), 3) == [] and charts.bars(Counter({"a": 0}), 3)[0].width == 0.0


def test_time_left_has_every_bar():
    found = {one.name: one.value for one in charts.remaining_life([-5, 299.9, 300, 3600, 8 * DAY, float("inf"), None])}
    assert found == {
        "under 5 min": 2,
        "5 min to 1 h": 1,
        "1 to 6 h": 1,
        "6 to 24 h": 0,
        "1 to 7 days": 0,
        "over 7 days": 2,
        charts.NO_END: 1,
    }
    assert sum(one.value for one in charts.remaining_life([])) == 0
