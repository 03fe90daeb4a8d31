# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole source in a thread: events go in over a real connection, what the rule engine would get is collected."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.intrusion.response.plugins.plugin_utils._responder.app import App, check
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration

from emulator.testing import Handle

from .conftest import POST

SECRET = "canary-path-secret-Xw81Qz"
WAIT = 60.0
numbers = itertools.count(1)


def post_of(**fields: Any) -> dict[str, Any]:
    """Return a post that was not there before; its server's side is plain from the MAC addresses."""
    return {**POST, "rank": next(numbers), **fields}


def firewall(emulator: Handle, number: int = 0, **more: Any) -> dict[str, Any]:
    """Return the settings of one of the emulator's firewalls."""
    one, user = emulator.firewalls[number], emulator.firewall_users[0]
    return {
        "name": one.name, "api_url": one.api_url, "username": user["username"], "password": user["password"],
        "ca_path": emulator.ca_path, "timeout": 5, **more,
    }  # fmt: skip


def entries(emulator: Handle, name: str = "fw1", host: str | None = None) -> list[dict[str, Any]]:
    """Return what a firewall really holds and came in through the API."""
    found = emulator.state()["firewalls"][name]["entries"]
    return [entry for entry in found if entry["alert_type"] == "REST" and host in (None, entry["host"])]


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Return what the condition returns once that is true."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come about")


class Running:
    """A context manager.

    Attributes:
        events: everything handed to the rule engine, except for the first event.
        started: the first event.
        slow: while it is set, the rule engine takes nothing.
    """

    def __init__(self, directory: Path, respond: Mapping[str, Any] | None, **args: Any) -> None:
        self.directory = directory
        self.args: dict[str, Any] = {
            "port": 0, "state_dir": str(directory / "state"), "path_secrets": [SECRET], "monitor": {"port": 0}, **args
        }  # fmt: skip
        if respond is not None:
            self.args["respond"] = {"ledger": str(directory / "ledger.sqlite3"), **respond}
        self.events: list[dict[str, Any]] = []
        self.started: dict[str, Any] = {}
        self.slow = threading.Event()
        self.addresses: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Running:
        ready, addressed = threading.Event(), asyncio.Event()
        self._failure: BaseException | None = None

        async def emit(event: dict[str, Any]) -> None:
            while self.slow.is_set():
                await asyncio.sleep(0.01)
            if ready.is_set():
                self.events.append(json.loads(json.dumps(event)))
            else:
                self.started = event
                await addressed.wait()
                ready.set()

        async def serve() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            settings = Configuration.from_args(self.args)
            check(settings)
            async with App(settings, emit) as self.app:
                self.addresses.update(self.app.addresses)
                addressed.set()
                await asyncio.Event().wait()

        def work() -> None:
            try:
                asyncio.run(serve())
            except asyncio.CancelledError:
                pass
            except BaseException as error:
                self._failure = error
            finally:
                ready.set()

        self._thread = threading.Thread(target=work, name="source", daemon=True)
        self._thread.start()
        assert ready.wait(WAIT)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_unused: object) -> None:
        self.slow.clear()
        self.stop()

    def stop(self) -> None:
        """Stop in order; the rule engine stays as it is."""
        with suppress(RuntimeError):  # it has stopped
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()

    def post(self, **fields: Any) -> str:
        """Post an event that must be acknowledged; return its id."""
        status, answer = self.send(post_of(**fields))
        assert status == 200, answer
        return str(answer["ids"][0])

    def send(self, post: Any) -> tuple[int, Any]:
        """Post anything; return the status and the answer."""
        connection = http.client.HTTPConnection(*self.addresses["webhook"], timeout=WAIT)
        try:
            connection.request("POST", f"/ips/{SECRET}", json.dumps(post).encode(), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text.decode()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        """Ask the monitor."""
        connection = http.client.HTTPConnection(*self.addresses["monitor"], timeout=WAIT)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def verdicts(self, event_id: str | None = None) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["type"] == "verdict" and event_id in (None, event["intrusion"]["id"])]

    def verdict(self, event_id: str, number: int = 0) -> dict[str, Any]:
        """Return the verdict of an event, or a later one, once it is there."""
        found = until(lambda: self.verdicts(event_id)[number:], f"verdict {number} of {event_id}")
        return dict(found[0])

    def ask(self, **fields: Any) -> dict[str, Any]:
        """Post an event and return its verdict."""
        return self.verdict(self.post(**fields))
