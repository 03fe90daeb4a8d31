# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the benchmarks: run the cases, print and write what was found."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.environment import ROOT

from . import report
from .case import QUICK, Sizes
from .cases import CASES, TASKS, stage_for
from .stage import Misbehaviour

OUTPUT = ROOT / ".cache" / "benchmarks"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare our modules with other ways and with the floor.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often every side has its turn; slow ones every third time")
    parser.add_argument("--latency", type=float, action="append", metavar="MS", help="of the emulator; default: 0, and 5 for tasks")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round: shows that it runs, the figures mean nothing")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for results.json and results.svg")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown or options.rounds < 1:
        parser.error(f"there is no case {', '.join(sorted(unknown))}" if unknown else "--rounds must be at least 1")
    names = options.cases or list(CASES)
    later = [] if options.quick else [(5.0, [name for name in names if name in TASKS])]
    options.runs = [(latency, names) for latency in options.latency or [0.0]] + ([] if options.latency else later)
    options.rounds = 1 if options.quick else options.rounds
    return options


def _measure(console: Console, options: argparse.Namespace, place: Path) -> dict[str, Any]:
    sizes = QUICK if options.quick else Sizes()
    begun = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begun:6.0f} s  {text}", style="dim", soft_wrap=True)

    document: dict[str, Any] = {
        "machine": {
            "python": platform.python_version(), "ansible-core": version("ansible-core"), "system": platform.platform(),
            "processors": os.cpu_count(), "load": os.getloadavg(),
        },
        "rounds": options.rounds,
        "quick": options.quick,
        "emulators": [],
    }  # fmt: skip
    for latency, names in options.runs:
        found = []
        for name in names:
            directory = place / f"{name}-{latency:g}"
            directory.mkdir()
            with stage_for(name, directory, latency, sizes) as stage:
                case = CASES[name](stage, sizes)
                for number in range(min(options.rounds, case.most_rounds or options.rounds)):
                    case.round(number, say)
                targets = [target.as_dict() for target in case.judge(case)]
            found.append({"name": name, **case.as_dict(), "targets": targets})
        if found:
            document["emulators"].append({"latency_ms": latency, "cases": found})
    return document


def main() -> int:
    """Run; 0 when all runs did what they should and all counts are right, however fast they were."""
    options = _parse()
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=130)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="intrusion-response-benchmarks-") as directory:
            document = _measure(console, options, Path(directory))
    except Misbehaviour as trouble:
        console.print(str(trouble), style="bold red", soft_wrap=True, markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything that was started is stopped.")
        return 130
    report.show(console, document)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.output / "results.svg").write_text(report.plot(document), encoding="utf-8")
    console.print(f"\nWritten: {options.output / 'results.json'} and results.svg", soft_wrap=True)
    counts = [target for one in document["emulators"] for case in one["cases"] for target in case["targets"] if target["exact"]]
    return 0 if all(target["reached"] for target in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
