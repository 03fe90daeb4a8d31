# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the demo looks: numbered steps, calm, the same without a terminal but for colour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

TAIL = 40


class Screen:
    """Prints the steps and remembers them for the table at the end."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, width=110)
        self._steps: list[tuple[str, str, float]] = []
        self._started = time.monotonic()
        self._current = ""

    def title(self, text: str, explanation: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold"))
        self._console.print(Text(explanation, style="dim"))

    @contextmanager
    def step(self, title: str, why: str) -> Iterator[None]:
        """One numbered step; its outcome comes from `done`."""
        self._console.print()
        self._console.print(Text.assemble((f"{len(self._steps) + 1:>2}  ", "bold cyan"), (title, "bold")))
        self._indented(Text(why, style="dim"))
        self._current, begun = "", time.monotonic()
        working = self._console.status("", spinner="dots", refresh_per_second=5) if self._console.is_terminal else nullcontext()
        with working:
            yield
        self._steps.append((title, self._current, time.monotonic() - begun))

    def command(self, command: str) -> None:
        """Show a command as the user would type it, on one line, so that it can be copied."""
        self._console.print(Text.assemble("    ", ("$ ", "green"), (command, "green")), soft_wrap=True)

    def show(self, text: str) -> None:
        """Show a detail of a result."""
        self._indented(Text(text))

    def done(self, text: str) -> None:
        """Show the outcome of the step."""
        self._current = text
        self._indented(Text.assemble(("ok  ", "bold green"), text))

    def summary(self) -> None:
        """Print what happened, and how long each step took."""
        table = Table(title="What happened", title_justify="left", title_style="bold", box=None, header_style="dim")
        for heading, side in (("", "right"), ("Step", "left"), ("Outcome", "left"), ("Seconds", "right")):
            table.add_column(heading, justify=side)
        for number, (title, outcome, seconds) in enumerate(self._steps, 1):
            table.add_row(str(number), title, outcome, f"{seconds:.1f}")
        table.add_row("", "", "All", f"{time.monotonic() - self._started:.1f}", style="bold")
        self._console.print()
        self._console.print(table)
        self._console.print()

    def failure(self, message: str, output: str) -> None:
        """Say what went wrong, with the end of the command's output."""
        self._indented(Text.assemble(("failed  ", "bold red"), message))
        for line in output.rstrip().splitlines()[-TAIL:]:
            self._console.print(Text(f"        {line}", style="dim"), soft_wrap=True)

    def line(self, text: str) -> None:
        """Print plain lines as they are, so that commands can be copied."""
        self._console.print(Text(text), soft_wrap=True)

    def _indented(self, content: Text) -> None:
        self._console.print(Padding(content, (0, 0, 0, 4), expand=False))
