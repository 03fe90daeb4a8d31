# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that posts events at a given rate, whatever the answers take, over kept connections.

    python sender.py job.json

The job is JSON: `url`, `ca_path`, `event` (the fields they all share), `sources` (an address for each event), `rate` (events a
second; null for as fast as the connections take them), `connections` (at most), `patience` (seconds for what is not acknowledged
after the last event is due) and `results` (the file to write). What is not answered with 2xx is sent again until it is, as the IPS
does it. SIGTERM ends the schedule; what was begun is still seen through.

The results are a list with one object for each event that was begun: `source`, `due`, `sent` (when the last byte of its first
request was written), `acknowledged` (null if it never was), `status` of the last answer, `tries`, and `id` from the answer. All
times are on the system's monotonic clock, in seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import ssl
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PAUSE = 0.05  # seconds before a connection, or what was sent over it, is tried again
TIMEOUT = 15.0  # seconds without an answer


class Event:
    """An event, and what became of it."""

    def __init__(self, number: int, source: str, body: bytes, head: bytes) -> None:
        self.request = head + str(len(body)).encode() + b"\r\n\r\n" + body
        self.number = number
        self.outcome: dict[str, Any] = {
            "source": source, "due": None, "sent": None, "acknowledged": None, "status": None, "tries": 0, "id": None,
        }  # fmt: skip


class Connection(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        self.event: Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, event: Event) -> None:
        assert self.transport is not None
        self.event = event
        self._timer = asyncio.get_running_loop().call_later(TIMEOUT, self.transport.abort)
        event.outcome["tries"] += 1
        if event.outcome["sent"] is None:  # before it is written: it may be acted on before this process goes on
            event.outcome["sent"] = time.monotonic()
        self.transport.write(event.request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        event = self._release()
        if event is not None:
            self._sender.answered(event, int(status.split()[1]), headers, rest[:length])
        if headers.get("connection", "").lower() == "close" and self.transport is not None:
            self.transport.abort()
        else:
            self._sender.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        event = self._release()
        self._sender.lost(self, event)

    def _release(self) -> Event | None:
        if self._timer is not None:
            self._timer.cancel()
        event, self.event = self.event, None
        return event


class Sender:
    """The schedule, the connections, and what is to be sent."""

    def __init__(self, job: dict[str, Any]) -> None:
        url = urlsplit(job["url"])
        self._address = (url.hostname, url.port)
        self._tls = ssl.create_default_context(cafile=job["ca_path"])
        self._rate = job["rate"]
        self._most = job["connections"]
        self._patience = job["patience"]
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
        stamp = int(time.time() * 1000)
        self._events = []
        for number, source in enumerate(job["sources"]):
            varied = {"sourceIP": source, "sourcePort": str(1024 + number % 60_000), "startTime": stamp + number}
            body = json.dumps({**job["event"], **varied}, separators=(",", ":")).encode()
            self._events.append(Event(number, source, body, head))
        self._waiting: deque[Event] = deque()
        self._idle: list[Connection] = []
        self._open = 0
        self._missing = 0
        self._begun = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._done = asyncio.Event()

    async def run(self) -> list[dict[str, Any]]:
        """Send everything; return the results."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        for _number in range(self._most):
            self._connect()
        if self._tasks:
            await asyncio.wait(self._tasks)
        start = time.monotonic()
        for event in self._events:
            if self._rate:
                await self._sleep_until(start + event.number / self._rate)
            if self._stop.is_set():
                break
            self._begun += 1
            self._missing += 1
            event.outcome["due"] = time.monotonic()
            self._waiting.append(event)
            self._pump()
        if self._missing:
            self._done.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._done.wait(), self._patience)
        return [event.outcome for event in self._events[: self._begun]]

    async def _sleep_until(self, due: float) -> None:
        pause = due - time.monotonic()
        if pause > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
        else:
            await asyncio.sleep(0)

    def _pump(self) -> None:
        while self._waiting and self._idle:
            self._idle.pop().send(self._waiting.popleft())
        if self._waiting:
            self._connect()

    def _connect(self) -> None:
        if self._open < self._most:
            self._open += 1
            task = asyncio.ensure_future(self._connect_now())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect_now(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _transport, connection = await loop.create_connection(lambda: Connection(self), *self._address, ssl=self._tls)
        except OSError:
            await asyncio.sleep(PAUSE)
            self._open -= 1
            self._pump()
        else:
            self.free(connection)

    def free(self, connection: Connection) -> None:
        """Take a connection that has nothing to do."""
        self._idle.append(connection)
        self._pump()

    def lost(self, connection: Connection, event: Event | None) -> None:
        """Take note of the end of a connection, and of the event whose answer it owes."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if event is not None:
            self._later(event, PAUSE)

    def answered(self, event: Event, status: int, headers: dict[str, str], body: bytes) -> None:
        """Take an answer."""
        event.outcome["status"] = status
        if not 200 <= status < 300:
            self._later(event, float(headers.get("retry-after", PAUSE)))
            return
        event.outcome["acknowledged"] = time.monotonic()
        with suppress(ValueError, AttributeError):
            event.outcome["id"] = json.loads(body).get("ids", [None])[0]
        self._missing -= 1
        if not self._missing:
            self._done.set()

    def _later(self, event: Event, pause: float) -> None:
        asyncio.get_running_loop().call_later(pause, self._again, event)

    def _again(self, event: Event) -> None:
        self._waiting.append(event)
        self._pump()


async def _main(job: dict[str, Any]) -> None:
    sender = Sender(job)
    gc.collect()
    gc.disable()
    results = await sender.run()
    partial = Path(job["results"] + ".partial")
    partial.write_text(json.dumps(results), encoding="utf-8")
    partial.replace(job["results"])


if __name__ == "__main__":
    asyncio.run(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
