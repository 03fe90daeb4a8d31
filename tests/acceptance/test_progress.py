# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that takes long tells a terminal how far it is, and nobody else."""

from __future__ import annotations

import os
import pty
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulator.testing import EmulatorProcess

from .fleet import BIN
from .test_both_ways import variables

SERVERS = 60
LATENCY = 100  # milliseconds, so that reading one after the other takes longer than it takes until there is a line
LINE = f" of {SERVERS} done"


def read_many(directory: Path, terminal: bool, callback: str) -> tuple[str, str]:
    """Return what ansible wrote to stdout and to stderr, which may be a terminal."""
    names = ",".join(f"VA1ACMEWEB{number:02}" for number in range(SERVERS))
    command = [str(BIN / "ansible"), "localhost", "-m", "intrusion.response.ips_notification_info"]
    command += ["-a", f"servers={names} concurrency=1"]
    with EmulatorProcess("--latency", str(LATENCY)) as emulator:
        leader, follower = pty.openpty() if terminal else os.pipe()
        env = {**os.environ, **variables(emulator.ready, directory), "ANSIBLE_STDOUT_CALLBACK": callback}
        with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower) as process:
            os.close(follower)
            said = b""
            while True:
                try:
                    part = os.read(leader, 65536)
                except OSError:  # how a terminal ends
                    break
                if not part:
                    break
                said += part
            output = process.stdout.read() if process.stdout else b""
        os.close(leader)
    assert process.returncode == 0, output + said
    return output.decode(), said.decode()


def test_a_terminal_is_told_and_nobody_else(tmp_path: Path) -> None:
    ways = {"terminal": (True, "default"), "no terminal": (False, "default"), "forbidden": (True, "oneline")}
    with ThreadPoolExecutor(len(ways)) as pool:
        running = {name: pool.submit(read_many, tmp_path / name, *way) for name, way in ways.items()}
    said = {name: future.result() for name, future in running.items()}
    assert {name: (LINE in output, LINE in errors) for name, (output, errors) in said.items()} == {
        "terminal": (False, True), "no terminal": (False, False), "forbidden": (False, False),
    }  # fmt: skip
