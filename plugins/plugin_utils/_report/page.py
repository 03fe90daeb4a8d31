# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: the template filled in, in one file that loads nothing.

Its policy lets only this style and this script run, by their digests, and lets nothing be fetched: even a text that came
past the escaping could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import math
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .data import Report

TEMPLATES = Path(__file__).resolve().parents[3] / "roles" / "blacklist" / "templates"
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def render(report: Report) -> str:
    """Return the page."""
    style, script = ((TEMPLATES / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(span=span, moment=moment, number=number)
    template = environment.get_template("report.html.j2")
    return template.render(report=report, style=style, script=script, style_digest=digest(style), script_digest=digest(script))


def digest(text: str) -> str:
    """Return what a content security policy calls a text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def span(seconds: float) -> str:
    """Return a length of time in its two greatest units: 3 h 12 min."""
    left = max(0, math.ceil(seconds))
    words: list[str] = []
    for unit, size in UNITS:
        if left >= size or (unit == "s" and not words):
            words.append(f"{left // size} {unit}")
            left %= size
        elif words:
            break
        if len(words) == 2:
            break
    return " ".join(words)


def moment(seconds: Optional[float], form: str = "%Y-%m-%d %H:%M") -> str:
    """Return a point in time in UTC, nothing for None."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).strftime(form)


def number(value: int) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}"
