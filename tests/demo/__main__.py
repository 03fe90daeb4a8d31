# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the demo: set the stage, play the story, stop everything."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from .screen import Screen
from .stage import Misbehaviour, Stage
from .story import Story


class Stopped(Exception):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # cleaning up is not to be interrupted
    raise Stopped(number)


def main() -> int:
    """Play the demo; 0 when every step did what it should."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Show the main job of intrusion.response, on emulated services.",
        epilog="Arguments that are not known here go to the emulator, such as --switch cos.repost=duplicate.",
    )
    _options, arguments = parser.parse_known_args()
    screen = Screen()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        screen.title("intrusion.response", "From intrusion detection to network block.")
        with tempfile.TemporaryDirectory(prefix="intrusion-response-demo-") as directory, Stage(Path(directory), arguments) as stage:
            Story(stage, screen).run()
    except Stopped as stopped:
        screen.line(f"\nStopped by {stopped}; everything that was started is stopped.")
        return 128 + stopped.number
    except (Misbehaviour, RuntimeError) as trouble:
        screen.failure(str(trouble), getattr(trouble, "output", ""))
        screen.line("")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
