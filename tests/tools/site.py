# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sources of the site: the guides, and what antsibull-docs makes of the collection's documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

CONFIGURATION = """\
project = "intrusion.response"
extensions = ["myst_parser", "sphinx_antsibull_ext", "sphinxcontrib.mermaid"]
html_theme = "furo"
html_title = "intrusion.response"
html_show_sphinx = False
exclude_patterns = ["html"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["ref.ref", "misc.highlighting_failure"]
"""
#: What a reader finds at the side, in this order.
GUIDES = ["protect", "respond", "responder", "detectors", "awx", "scale", "ledger", "connection", "failures", "performance", "limits",
          "agent-evidence"]
PROJECT = ("CHANGELOG", "CONTRIBUTING", "docs/design", "docs/checklists", "SECURITY", "CODE_OF_CONDUCT")


def write_guides(tree: Path, pages: Path) -> None:
    """Copy the guides of a tree to where the site is built, and make its first page of README.md."""
    shutil.copytree(tree / "docs", pages / "docs")
    for name in ("LICENSE", *(f"{page}.md" for page in PROJECT if "/" not in page)):
        shutil.copy(tree / name, pages / name)
    for page in (pages / "docs").glob("*.md"):
        page.write_text(page.read_text(encoding="utf-8").replace("](../README.md", "](../index.md"), encoding="utf-8")
    trees = {
        "Guides": ["docs/README", *(f"docs/{guide}" for guide in GUIDES)],
        "Reference": ["collection/index"],
        "Project": list(PROJECT),
    }
    missing = {path.stem for path in (tree / "docs").glob("*.md")} - {Path(page).name for part in trees.values() for page in part}
    if missing:
        raise ValueError(f"tests/tools/site.py names no place for {', '.join(sorted(missing))}")
    text = (tree / "README.md").read_text(encoding="utf-8")
    for caption, members in trees.items():
        text += f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n" + "\n".join(members) + "\n```\n"
    (pages / "index.md").write_text(text, encoding="utf-8")
    (pages / "conf.py").write_text(CONFIGURATION, encoding="utf-8")
