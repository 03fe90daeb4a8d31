# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that listens for events, and what it uses."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.shell import descendants, stop_group

from ..stage import Misbehaviour

PATIENCE = 90.0  # seconds until it listens; ansible-rulebook starts a Java machine
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
#: The id of the event in a line with a verdict.
VERDICT = re.compile(rb'"type":"verdict".*"intrusion":\{"id":"([0-9a-f]{32})"')


class Server:
    """One side, as a context manager; what it prints goes to a log in its place.

    Attributes:
        verdicts: monotonic times at which the first verdicts of events were printed, by their ids; only where they are watched for.
    """

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], place: Path, port: int, watch: bool = False) -> None:
        self.verdicts: dict[str, float] = {}
        self._watch = watch
        self.command = [str(word) for word in command]
        self.port = port
        self.place = place
        self.starting = 0.0
        self._started = 0.0
        self._environment = dict(environment)
        self._log = place / "server.log"

    def __enter__(self) -> Server:
        self.start()
        try:
            self.wait_until_it_listens()
        except BaseException:
            stop_group(self.process)
            raise
        return self

    def __exit__(self, *_unused: object) -> None:
        stop_group(self.process)

    def start(self) -> None:
        """Start it, without waiting for anything."""
        self._started = time.monotonic()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.place, env=self._environment, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True,
                stdout=subprocess.PIPE if self._watch else log,
            )  # fmt: skip
        if self._watch:
            threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            found = VERDICT.search(line)
            if found:
                self.verdicts.setdefault(found[1].decode(), time.monotonic())

    def wait_until_it_listens(self) -> None:
        """Wait; the seconds from its start are in `starting`."""
        while True:
            if self.process.poll() is not None:
                raise Misbehaviour(f"{' '.join(self.command)} ended with {self.process.returncode}:\n{self.output()[-3000:]}")
            if self.listens():
                self.starting = time.monotonic() - self._started
                return
            if time.monotonic() - self._started > PATIENCE:
                raise Misbehaviour(f"{' '.join(self.command)} does not listen:\n{self.output()[-3000:]}")
            time.sleep(0.01)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End it with kill -9."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def memory(self) -> float:
        """Return the resident memory of the process in MiB."""
        resident = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return resident * PAGE / 2**20

    def processor(self) -> float:
        """Return the processor time in seconds, with all processes below it."""
        return sum(_processor(pid) for pid in (self.process.pid, *descendants(self.process.pid)))

    def peak(self) -> float:
        """Return the peak memory of the biggest process, in MiB."""
        return max(_peak(pid) for pid in (self.process.pid, *descendants(self.process.pid)))


class Samples:
    """Looks at a server's memory over and over, as a context manager; `found` are MiB in the order of time."""

    def __init__(self, server: Server, pause: float) -> None:
        self.found: list[float] = []
        self._server = server
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Samples:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._stop.set()
        self._thread.join()

    def quarter(self, number: int) -> float:
        """Return the mean of a quarter of the samples, counted from 0."""
        size = len(self.found) / 4
        part = self.found[int(number * size) : max(int(number * size) + 1, int((number + 1) * size))]
        return sum(part) / len(part)

    def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                self.found.append(self._server.memory())
            if self._stop.wait(self._pause):
                return


def _processor(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS
    return 0.0


def _peak(pid: int) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    return 0.0
