# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line: start the emulator, announce its addresses in a ready file, run until told to stop."""
from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import seed as seeds
from .server import Emulator
from .world import World


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    parser.add_argument("--ready-file", type=Path, help="where to announce the addresses (JSON); default: stdout")
    parser.add_argument("--firewalls", default="1", help="how many, or their names separated by commas")
    parser.add_argument("--seed", type=Path, help="JSON or YAML file; its sections replace those of the default seed")
    parser.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE",
                        help="position of a switch, for example cos.repost=duplicate; may be repeated")
    parser.add_argument("--agent-root", type=Path, help="where the files of installed agents appear")
    parser.add_argument("--install-delay", type=float, default=0.0, help="seconds that an install takes")
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds added to each answer")
    parser.add_argument("--delivery-attempts", type=int, default=5, help="attempts at most for each delivery")
    parser.add_argument("--delivery-pause", type=float, default=0.2, help="seconds between two attempts")
    parser.add_argument("--smtp", default="", metavar="HOST:PORT", help="relay for EMAIL destinations")
    parser.add_argument("--parent-pid", type=int, help="stop when this process is gone")
    return parser


def _names(text: str) -> list[str]:
    names = [f"fw{number}" for number in range(1, int(text) + 1)] if text.isdigit() else text.split(",")
    if not all(names) or not names or len(set(names)) != len(names):
        raise ValueError("--firewalls takes a number from 1 or distinct names")
    return names


def _world(options: argparse.Namespace) -> World:
    pairs = [text.partition("=") for text in options.switch]
    if not all(sign for _unused, sign, _unused in pairs):
        raise ValueError("--switch takes NAME=VALUE")
    return World(
        _names(options.firewalls), seeds.read(options.seed) if options.seed else None,
        {name: value for name, _unused, value in pairs}, options.agent_root,
        install_delay=options.install_delay, latency_ms=options.latency, smtp=options.smtp,
        delivery_attempts=options.delivery_attempts, delivery_pause=options.delivery_pause)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_told(stop: asyncio.Event, parent: int | None) -> None:
    child_of_parent = parent is not None and os.getppid() == parent
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), None if parent is None else 0.5)
        except asyncio.TimeoutError:
            if not _alive(parent or 0) or (child_of_parent and os.getppid() != parent):
                return


def _announce(path: Path | None, ready: dict[str, Any]) -> None:
    text = json.dumps(ready, indent=1)
    if path is None:
        print(text, flush=True)
        return
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


async def _run(options: argparse.Namespace) -> None:
    stop = _stop_on_signals()
    emulator = Emulator(_world(options))
    directory = Path(tempfile.mkdtemp(prefix="emulator-"))
    try:
        await emulator.start()
        ca_path = directory / "ca.pem"
        ca_path.write_bytes(emulator.ca_pem)
        _announce(options.ready_file, {"pid": os.getpid(), "ca_path": str(ca_path), **emulator.addresses()})
        await _until_told(stop, options.parent_pid)
    finally:
        await emulator.stop()
        shutil.rmtree(directory, ignore_errors=True)
        if options.ready_file is not None:
            options.ready_file.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 2 for options that cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(options))
    except (ValueError, OSError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
