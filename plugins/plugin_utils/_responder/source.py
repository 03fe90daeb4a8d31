# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts door, intake, responder and monitor together: what the event source and the service run."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import STATE_DIR_ENV
from ...module_utils._core.state import FOLDER, state_path
from ...module_utils._ips.event import Event, InvalidEvent
from .door import Door
from .inbox import WAITING, Inbox, Outbox
from .intake import Intake, Stored
from .listener import HAS_AIOHTTP, Certificates
from .monitor import Metrics, Monitor
from .responder import Responder, RespondSettings
from .section import Section
from .settings import DoorSettings, MonitorSettings

LOG = logging.getLogger("intrusion.response")

#: Seconds for which finished events are remembered, so that one that is sent again is known.
KEEP = 7 * 86400.0
DRAIN = 2.0

Emit = Callable[[dict[str, Any]], Awaitable[None]]
Addresses = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Settings:
    """All arguments, checked.

    Attributes:
        respond: None where events are only recorded and handed on.
        monitor: None for none.
    """

    door: DoorSettings
    state_dir: str
    monitor: Optional[MonitorSettings]
    respond: Optional[RespondSettings]

    @classmethod
    def from_args(cls, args: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> Settings:
        """Read the arguments; raises InvalidInput, naming the one at fault, before anything is opened."""
        environ = os.environ if environ is None else environ
        top = Section({name: value for name, value in args.items() if name != "eda_feedback_queue"})
        shared = state_path("state_dir", environ.get(STATE_DIR_ENV), FOLDER, LOG.warning)
        settings = cls(
            door=DoorSettings.from_section(top),
            state_dir=top.file("state_dir", os.path.join(shared or "none", "responder")),
            monitor=MonitorSettings.from_section(top.section("monitor")) if top.has("monitor") else None,
            respond=RespondSettings.from_section(top.section("respond"), environ) if top.has("respond") else None,
        )
        top.done()
        if top.text("state_dir", shared or "none") == "none":
            name = "state_dir" if top.has("state_dir") else f"state_dir is not given, and {STATE_DIR_ENV}"
            raise InvalidInput(f"{name} must be a directory, not none: events are acknowledged only when they are recorded.")
        settings.door.refuse_open_door()
        return settings

    def check(self) -> None:
        """Look at what the settings need beyond themselves, without opening a socket or a database; raises InvalidInput."""
        if not HAS_AIOHTTP:
            raise InvalidInput("The event source needs the Python package aiohttp.")
        Metrics(enabled=self.monitor is not None)
        if self.door.tls is not None:
            Certificates(self.door.tls)


async def run(args: Mapping[str, Any], emit: Emit, ready: Optional[Callable[[Addresses], None]] = None) -> None:
    """Serve until cancelled.

    Args:
        args: the arguments of the event source, or the content of the service's configuration file.
        emit: takes one event for the rule engine; the first one tells where the door listens, and what is going to happen.
        ready: is called with the addresses that the door and the monitor listen on.

    Raises:
        InvalidInput: an argument cannot work.
        CannotListen: an address cannot be had.
        StateInUse, StateUnusable: the recorded events cannot be had.
    """
    settings = Settings.from_args(args)
    settings.check()
    metrics = Metrics(enabled=settings.monitor is not None)
    metrics.dry_run(settings.respond is not None and settings.respond.dry_run)
    async with AsyncExitStack() as stack:
        intake = await asyncio.to_thread(Intake, os.path.join(settings.state_dir, "intake.sqlite3"), KEEP)
        stack.push_async_callback(asyncio.to_thread, intake.close)
        outbox = Outbox(emit)
        task = asyncio.ensure_future(outbox.run())
        stack.push_async_callback(_end, outbox, task)
        responder: Optional[Responder] = None
        if settings.respond is not None:
            responder = await asyncio.to_thread(Responder, settings.respond, intake, metrics, outbox.put)
            stack.push_async_callback(responder.stop)
            await responder.start()
        inbox = _inbox(settings, intake, outbox, responder)
        pending = await asyncio.to_thread(intake.pending)
        addresses: Addresses = {}
        if settings.monitor is not None:
            monitor = Monitor(settings.monitor, metrics, lambda: _health(intake, responder))
            addresses["monitor"] = await monitor.start()
            stack.push_async_callback(monitor.stop)
        door = Door(settings.door, inbox, metrics)
        addresses["door"] = await door.start()
        stack.push_async_callback(door.stop)
        outbox.put(_started(settings, addresses["door"]))
        LOG.info("Listening on %s port %s%s.", *addresses["door"], ", dry run" if settings.respond and settings.respond.dry_run else "")
        if ready is not None:
            ready(addresses)
        await _replay(pending, intake, outbox, responder)
        await asyncio.Event().wait()


def _started(settings: Settings, address: tuple[str, int]) -> dict[str, Any]:
    """Return the event that tells how the source runs."""
    respond = settings.respond
    return {
        "type": "started",
        "address": list(address),
        "tls": settings.door.tls is not None,
        "dry_run": respond is not None and respond.dry_run,
        "firewalls": [] if respond is None else [firewall.name for firewall in respond.firewalls],
        "never_block": [] if respond is None else list(respond.never_block),
    }


def _inbox(settings: Settings, intake: Intake, outbox: Outbox, responder: Optional[Responder]) -> Inbox:
    if responder is None:
        return Inbox(intake, lambda event, _received: _hand_on(event, intake, outbox), lambda: outbox.is_full)
    acting, most = responder, settings.door.limits.queue
    return Inbox(intake, acting.act, lambda: acting.waiting >= most)


def _hand_on(event: Event, intake: Intake, outbox: Outbox) -> None:
    """Give an event to the rule engine as it is; it is settled when the rule engine has it."""
    outbox.put({"type": "event", "ips": event.as_dict()}, lambda: intake.finish(event.id, {"type": "event"}))


async def _replay(pending: list[Stored], intake: Intake, outbox: Outbox, responder: Optional[Responder]) -> None:
    """Act on what an earlier run acknowledged and did not finish."""
    if pending:
        LOG.warning("Going on with %s events of the last run.", len(pending))
    for stored in pending:
        try:
            event = Event.from_post(stored.post, stored.received)
        except InvalidEvent as error:
            LOG.warning("A recorded event cannot be read any more: %s", error)
            intake.finish(stored.id, {"type": "verdict", "verdict": "ignored", "reason": str(error)})
            continue
        if responder is not None:
            responder.act(event, stored.received, replayed=True)
            continue
        await outbox.wait(WAITING - 1)
        _hand_on(event, intake, outbox)


def _health(intake: Intake, responder: Optional[Responder]) -> tuple[bool, dict[str, Any]]:
    details: dict[str, Any] = {"recording": intake.healthy, "time": time.time()}
    if responder is None:
        return intake.healthy, details
    return intake.healthy and responder.is_able, {**details, **responder.health()}


async def _end(outbox: Outbox, task: asyncio.Future[None]) -> None:
    """Give the rule engine a moment to take what waits."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(outbox.wait(0), DRAIN)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
