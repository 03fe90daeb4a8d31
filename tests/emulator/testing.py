# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator inside a test run: in a thread of the process, or as a process of its own."""
from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .server import Emulator
from .world import World

T = TypeVar("T")
PACKAGE_PARENT = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True)
class FirewallHandle:
    name: str
    api_url: str
    http_url: str


class Handle:
    """Addresses of a running emulator, and its controls as plain synchronous methods."""

    def __init__(self, emulator: Emulator, loop: asyncio.AbstractEventLoop, ca_path: str) -> None:
        self._world = emulator.world
        self._loop = loop
        self.ca_path = ca_path
        self.addresses = {**emulator.addresses(), "ca_path": ca_path}
        self.clc_url: str = self.addresses["clc_url"]
        self.ips_url: str = self.addresses["ips_url"]
        self.http_url: str = self.addresses["http_url"]
        self.control_url: str = self.addresses["control_url"]
        self.firewalls = [FirewallHandle(**given) for given in self.addresses["firewalls"]]
        self.users: list[dict[str, str]] = self.addresses["users"]
        self.firewall_users: list[dict[str, str]] = self.addresses["firewall_users"]

    def _call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        async def call() -> T:
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(30)

    def reset(self, seed: Mapping[str, Any] | None = None, switches: Mapping[str, object] | None = None) -> None:
        """Back to the start seed and switches, no faults, empty journal, real time."""
        self._call(self._world.reset, seed, switches)

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add to the state, see :data:`emulator.seed.DEFAULT` for the form."""
        self._call(self._world.seed, document)

    def switch(self, name: str, value: object, firewall: str | None = None) -> None:
        """Move one switch, see :mod:`emulator.switches`."""
        self._call(self._world.set_switches, {name: value}, firewall)

    def switch_many(self, given: Mapping[str, object], firewall: str | None = None) -> None:
        self._call(self._world.set_switches, given, firewall)

    def settings(self, **given: Any) -> None:
        """Change times and limits, see :data:`emulator.world.SETTINGS`."""
        self._call(self._world.set_settings, given)

    def fault(self, given: Any = None, **members: Any) -> None:
        """Set a fault (or a list), see :class:`emulator.faults.Fault`."""
        self._call(self._world.faults.add, members if given is None else given)

    def clear_faults(self) -> None:
        self._call(self._world.faults.clear)

    def journal(self, service: str | None = None, firewall: str | None = None,
                writes: bool | None = None) -> list[dict[str, Any]]:
        return self._call(self._world.journal.select, service, firewall, writes)

    def clear_journal(self) -> None:
        self._call(self._world.journal.clear)

    def now(self) -> float:
        return self._call(self._world.clock.now)

    def advance(self, seconds: float) -> None:
        self._call(self._world.clock.advance, seconds)

    def set_now(self, now: float) -> None:
        self._call(self._world.clock.set_now, now)

    def freeze(self, frozen: bool = True) -> None:
        self._call(self._world.clock.freeze, frozen)

    def revoke_tokens(self, username: str | None = None) -> int:
        return self._call(self._world.revoke_tokens, username)

    def state(self) -> dict[str, Any]:
        return self._call(self._world.state)

    def agent_state(self, alias: str, server: str) -> str:
        return self._call(self._world.agent_state, alias, server)

    def raise_event(self, server: str, alias: str | None = None, **fields: Any) -> dict[str, Any]:
        """An event on a server; ``fields`` override those of the sample."""
        return self._call(self._world.raise_event, server, alias, **fields)

    def deliveries(self, wait: float = 0.0) -> list[dict[str, Any]]:
        """The delivery log, after at most ``wait`` seconds for what is pending."""
        settled = self._world.delivery.settled(wait)
        return asyncio.run_coroutine_threadsafe(settled, self._loop).result(wait + 30)


async def _stop(emulator: Emulator) -> None:
    await emulator.stop()
    late = asyncio.all_tasks() - {asyncio.current_task()}
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


@contextmanager
def running_emulator(firewalls: Sequence[str] = ("fw1",), **options: Any) -> Iterator[Handle]:
    """Run an emulator in a thread of this process; options as for :class:`emulator.world.World`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulator", daemon=True)
    thread.start()

    async def create() -> Emulator:
        emulator = Emulator(World(firewalls, **options))
        await emulator.start()
        return emulator

    try:
        emulator = asyncio.run_coroutine_threadsafe(create(), loop).result(30)
        with tempfile.TemporaryDirectory(prefix="emulator-") as directory:
            ca_path = os.path.join(directory, "ca.pem")
            Path(ca_path).write_bytes(emulator.ca_pem)
            try:
                yield Handle(emulator, loop, ca_path)
            finally:
                asyncio.run_coroutine_threadsafe(_stop(emulator), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


class EmulatorProcess:
    """``python -m emulator`` as a child process; a context manager.

    :param arguments: command line arguments but for ``--ready-file`` and ``--parent-pid``.
    """

    def __init__(self, *arguments: str, start_timeout: float = 30.0) -> None:
        self._arguments = arguments
        self._start_timeout = start_timeout
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> EmulatorProcess:
        self._directory = tempfile.TemporaryDirectory(prefix="emulator-")
        ready_file = Path(self._directory.name, "ready.json")
        command = [sys.executable, "-m", "emulator", "--ready-file", str(ready_file),
                   "--parent-pid", str(os.getpid()), *self._arguments]
        path = os.pathsep.join(filter(None, (PACKAGE_PARENT, os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
        deadline = time.monotonic() + self._start_timeout
        try:
            while not ready_file.exists():
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the emulator did not start (exit status {self.process.poll()})")
                time.sleep(0.02)
            self.ready = json.loads(ready_file.read_text(encoding="utf-8"))
            self._tls = ssl.create_default_context(cafile=self.ready["ca_path"])
        except BaseException:
            self.stop()
            raise
        return self

    def call(self, method: str, url: str, body: Any = None, timeout: float = 30.0) -> Any:
        """Send one JSON request to a URL of the emulator and return the decoded answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, context=self._tls, timeout=timeout) as answer:
            return json.load(answer)

    def control(self, method: str, path: str, body: Any = None, timeout: float = 30.0) -> Any:
        """Use one of the controls; nothing of this goes over the emulated APIs."""
        return self.call(method, f"{self.ready['control_url']}/{path}", body, timeout)

    def writes(self) -> list[dict[str, Any]]:
        """Return the requests that changed something, or tried to."""
        return self.control("GET", "journal?writes=true")

    def stop(self) -> int:
        """Stop it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._directory.cleanup()

    def __exit__(self, *_unused: object) -> None:
        self.stop()
