# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sources of the site: the guides, and what antsibull-docs makes of the collection's documentation."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import mermaidx

from .variables import write_variables

CONFIGURATION = """\
project = "intrusion.response"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_title = "intrusion.response"
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
exclude_patterns = ["html"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4
suppress_warnings = ["ref.ref", "misc.highlighting_failure"]
"""
#: A diagram stays readable on a narrow screen, where it scrolls.
STYLE = """\
p:has(> img.diagram) { overflow-x: auto; }
img.diagram { max-width: max(100%, 44rem); height: auto; }
@media (max-width: 30rem) { h1 { font-size: 1.8rem; } }
"""
#: What would have a browser load something from elsewhere, and a name of which Sphinx could not tell where it leads.
FOREIGN = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src=\"https?:|rel=\"stylesheet\"[^>]*href=\"https?:)[^>]*>")
DANGLING = re.compile(r"<span class=\"xref std std-ref\">[^<]*")
DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Themes of Mermaid by what Furo calls the mode of the page; an image has a size of its own.
THEMES = {"light": "neutral", "dark": "dark"}
SIZED = {"flowchart": {"useMaxWidth": False}, "sequence": {"useMaxWidth": False}}
#: What a reader finds at the side, in this order.
GUIDES = ["protect", "respond", "responder", "detectors", "awx", "scale", "ledger", "connection", "failures", "performance", "limits",
          "agent-evidence"]
PROJECT = ("CHANGELOG", "CONTRIBUTING", "docs/design", "docs/checklists", "SECURITY", "CODE_OF_CONDUCT")


def write_guides(tree: Path, pages: Path) -> None:
    """Copy the guides of a tree to where the site is built, and make its first page of README.md."""
    shutil.copytree(tree / "docs", pages / "docs")
    for name in ("LICENSE", *(f"{page}.md" for page in PROJECT if "/" not in page)):
        shutil.copy(tree / name, pages / name)
    (pages / "static").mkdir()
    (pages / "static" / "site.css").write_text(STYLE, encoding="utf-8")
    for page in (pages / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../README.md", "](../index.md")
        page.write_text(with_diagrams(text, pages, page.stem), encoding="utf-8")
    write_variables(tree, pages)
    trees = {
        "Guides": ["docs/README", *(f"docs/{guide}" for guide in GUIDES)],
        "Reference": ["collection/index", "variables"],
        "Project": list(PROJECT),
    }
    missing = {path.stem for path in (tree / "docs").glob("*.md")} - {Path(page).name for part in trees.values() for page in part}
    if missing:
        raise ValueError(f"tests/tools/site.py names no place for {', '.join(sorted(missing))}")
    text = with_diagrams((tree / "README.md").read_text(encoding="utf-8"), pages, "README")
    for caption, members in trees.items():
        text += f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n" + "\n".join(members) + "\n```\n"
    (pages / "index.md").write_text(text, encoding="utf-8")
    (pages / "conf.py").write_text(CONFIGURATION, encoding="utf-8")


def with_diagrams(text: str, pages: Path, name: str) -> str:
    """Return a page whose diagrams are images, drawn here, so that a browser loads nothing from elsewhere."""
    folder = pages / "diagrams"
    folder.mkdir(exist_ok=True)

    def draw(found: re.Match[str]) -> str:
        images = []
        for mode, theme in THEMES.items():
            image = folder / f"{name}-{text.count('```mermaid', 0, found.start()) + 1}-{mode}.svg"
            image.write_text(mermaidx.render(found[1], theme=theme, config=SIZED).svg(), encoding="utf-8")
            images.append(f"![diagram](/diagrams/{image.name}){{.diagram .only-{mode}}}")
        return "\n".join(images)

    return DIAGRAM.sub(draw, text)


def faults(html: Path) -> list[str]:
    """Return what is wrong with the pages of a site that was built: what they load from elsewhere, and names that lead nowhere."""
    found = []
    for page in sorted(html.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        known = [*FOREIGN.findall(text), *(DANGLING.findall(text) if page.name == "variables.html" else ())]
        found += [f"{page.relative_to(html)}: {fault}" for fault in known]
    return found
