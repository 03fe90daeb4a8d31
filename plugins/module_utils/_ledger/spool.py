# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where records wait for an unavailable database: one file for each batch, delivered in order."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Callable

from .row import Row, StoreTrouble

#: Maximum number of waiting batches; a batch has 500 records at most, or what one task wrote.
MOST = 10_000
SUFFIX = ".json"
#: Seconds between two attempts to get the lock.
PAUSE = 0.01

#: Delivers rows that have waited for so many seconds; raises StoreTrouble.
Add = Callable[[Sequence[Row], float], Any]


class Spool:
    """A directory of waiting batches, shared by all processes of its owner.

    A batch is removed after it was delivered. If a process is killed in between, the batch is delivered again; its rows
    have the same keys then, so no record is added twice.

    Args:
        path: the directory, created with mode 0700 when something has to wait.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def waiting(self) -> list[str]:
        """Return the names of the waiting batches, oldest first; none if the directory cannot be read."""
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(SUFFIX))
        except OSError:
            return []

    def put(self, rows: Sequence[Row]) -> None:
        """Keep rows durably; raises StoreTrouble."""
        temporary = None
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            if os.stat(self.path).st_uid not in (os.geteuid(), 0):
                raise StoreTrouble(f"{self.path} belongs to another user")
            if len(self.waiting()) >= MOST:
                raise StoreTrouble(f"{MOST} batches are already waiting in {self.path}")
            descriptor, temporary = tempfile.mkstemp(dir=self.path, prefix=".new-")  # mode 0600
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump({"at": time.time(), "rows": rows}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, os.path.join(self.path, f"{time.time_ns():020}-{os.getpid()}{SUFFIX}"))
            temporary = None
            self._sync()
        except OSError as error:
            raise StoreTrouble(f"{self.path}: {error.strerror or 'it cannot be used'}") from None
        finally:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)

    def deliver(self, add: Add, seconds: float) -> None:
        """Deliver the waiting batches in order; raises StoreTrouble if that fails or takes longer than so many seconds."""
        if not self.waiting():
            return
        end = time.monotonic() + seconds
        with self._lock(end):
            for name in self.waiting():
                if time.monotonic() > end:
                    raise StoreTrouble("the waiting records were not delivered in time")
                path = os.path.join(self.path, name)
                try:
                    with open(path, encoding="utf-8") as stream:
                        found = json.load(stream)
                    rows = [Row(key, tuple(values)) for key, values in found["rows"]]
                    waited = max(0.0, time.time() - found["at"])
                except (OSError, ValueError, KeyError, TypeError):
                    with suppress(OSError):
                        os.replace(path, f"{path[: -len(SUFFIX)]}.damaged")
                    continue
                add(rows, waited)
                with suppress(OSError):
                    os.unlink(path)

    @contextmanager
    def _lock(self, end: float) -> Iterator[None]:
        """Hold the lock of the directory; raises StoreTrouble."""
        try:
            descriptor = os.open(os.path.join(self.path, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreTrouble(f"{self.path}: {error.strerror or 'it cannot be used'}") from None
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > end:
                        raise StoreTrouble("another process is delivering the waiting records") from None
                    time.sleep(PAUSE)
            yield
        finally:
            os.close(descriptor)

    def _sync(self) -> None:
        """Make the name of a new file as durable as its content."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
