# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of a run."""

from __future__ import annotations

import re

from benchmarks.report import plot


def test_a_time_that_was_too_short_to_be_counted_is_drawn() -> None:
    sides = {side: {"seconds": seconds} for side, seconds in (("ours", 0.0), ("floor", 0.1))}
    case = {"title": "many events", "measures": {"share of a core": sides}}
    drawn = plot({"emulators": [{"latency_ms": 0.0, "cases": [case]}]})
    assert re.findall(r'<rect .*? width="([\d.]+)"', drawn) == ["1.0", "460.0"]
