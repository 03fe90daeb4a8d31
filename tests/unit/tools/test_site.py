# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked for on the pages of the site when they are built."""

from __future__ import annotations

from pathlib import Path

from tools.site import faults


def test_what_comes_from_elsewhere_and_what_leads_nowhere_is_a_fault(tmp_path: Path) -> None:
    fine = '<link rel="canonical" href="https://a"><a href="https://b">b</a><img src="c.svg"><script src="_static/d.js"></script>'
    bad = ('<script async src="https://a/b.js">', '<link rel="stylesheet" href="http://c">', '<img src="https://d">')
    dangling = '<span class="xref std std-ref">protect_x'
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "fine.html").write_text(fine, encoding="utf-8")
    (tmp_path / "variables.html").write_text(f"{fine}{''.join(bad)}{dangling}</span>", encoding="utf-8")
    assert faults(tmp_path) == [f"variables.html: {one}" for one in (*bad, dangling)]
