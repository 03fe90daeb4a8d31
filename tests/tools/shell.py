# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the commands of one test layer, keep their output in a log, and count."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .environment import ROOT
from .workspace import LOGS, clean_environment

TAIL_LINES = 60
REASON_LINES = 12
#: What is run also waits, for services and for time to pass, so that one more than there are processors keeps them busy.
AT_A_TIME = (os.cpu_count() or 1) + 1
_interrupted = threading.Event()


class Shell:
    """What a layer does and what came of it: `passed`, `failed` (names) and `skipped` (reasons)."""

    def __init__(self, layer: str) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{layer}.log"
        self.log.write_text("", encoding="utf-8")
        self.passed = 0
        self.failed: list[str] = []
        self.skipped: list[str] = []
        self.tails: list[str] = []
        self.reasons: list[str] = []

    def run(
        self,
        *command: str | os.PathLike[str],
        cwd: Path = ROOT,
        env: dict[str, str] | None = None,
        timeout: float = 900,
    ) -> tuple[int, str]:
        """Run a command to its end; return its status and its output. Nothing that it started outlives it."""
        if _interrupted.is_set():
            raise InterruptedError("the run was interrupted")
        with self.log.open("ab") as stream:
            stream.write(f"\n$ {' '.join(map(str, command))}\n".encode())
            stream.flush()
            start = stream.tell()
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd, env=env or clean_environment(), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )
            try:
                status = wait(process, timeout)
            except subprocess.TimeoutExpired:
                status = 124
                stream.write(f"\nstopped after {timeout:.0f} s\n".encode())
            finally:
                stop_group(process)
        with self.log.open("rb") as stream:
            stream.seek(start)
            return status, stream.read().decode(errors="replace")

    def check(self, title: str, *command: str | os.PathLike[str], **options: object) -> bool:
        """Run a command that must succeed, and count it as one test."""
        status, output = self.run(*command, **options)  # type: ignore[arg-type]
        return self.record(title, status == 0, output)

    def record(self, title: str, success: bool, output: str = "") -> bool:
        """Count one test; show the end of the output of one that failed."""
        if success:
            self.passed += 1
        else:
            self.failed.append(title)
            self.tails.append(f"--- {title} ---\n" + "\n".join(output.rstrip().splitlines()[-TAIL_LINES:]))
            self.reasons.append(f"failed in {self.log.stem}: {title}\n" + "".join(f"    {line}\n" for line in reason(output)))
        return success

    def add(self, part: Shell) -> None:
        """Add what came of a part, and its log where that is another."""
        self.passed += part.passed
        self.failed += part.failed
        self.skipped += part.skipped
        self.tails += part.tails
        self.reasons += part.reasons
        if part.log != self.log:
            with self.log.open("a", encoding="utf-8") as stream:
                stream.write(f"\n===== {part.log.stem} =====\n{part.log.read_text(encoding='utf-8', errors='replace')}")


def reason(output: str) -> list[str]:
    """Return the lines of an output that most likely say what was wrong: what pytest marks, or the end."""
    lines = [line.rstrip()[:200] for line in output.splitlines() if line.strip()]
    return ([line for line in lines if line.startswith("E ")] or lines)[-REASON_LINES:]


def side_by_side(function: Callable[..., None], calls: Iterable[tuple[Any, ...]]) -> None:
    """Call a function with each of these arguments, some at a time; an interruption of the run stops the commands of all."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            for _done in pool.map(lambda arguments: function(*arguments), calls):
                pass
        except BaseException:
            _interrupted.set()
            raise


def wait(process: subprocess.Popen[bytes], timeout: float) -> int:
    """Wait for a process, but not beyond an interruption of the run."""
    until = time.monotonic() + timeout
    while True:
        try:
            return process.wait(min(0.5, max(0.0, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            if _interrupted.is_set() or time.monotonic() >= until:
                raise


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Let signals wait while a process is started, so that whoever starts it knows it before it has to be stopped."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def descendants(pid: int) -> list[int]:
    """Return the processes below a process, where /proc tells."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # the name, in parentheses, may itself hold spaces
            parent = int(status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found.extend(children.get(child, []))
    return found


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Stop a process, what is left of its session, and what it started in sessions of their own, as Ansible's workers are."""
    strays = descendants(process.pid) if process.poll() is None else []
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.02)
