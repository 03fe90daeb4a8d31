# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assembles webhook, inbox, responder, output and monitor into what the event source and the service run."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Optional

from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.http import VERSION
from ...module_utils._events.body import InvalidEvent
from ...module_utils._events.event import Event, Found, Ignored
from .configuration import Configuration
from .follow.follower import Follower
from .inbox import FILE, Inbox, NotRecorded, Stored
from .monitor import LIMITS, Metrics, Monitor, MonitorSettings
from .output import Output
from .responder import Responder
from .settings import reloaded
from .webhook.limits import Refused
from .webhook.listener import HAS_AIOHTTP, CannotListen
from .webhook.server import Webhook
from .webhook.tls import Certificates

LOG = logging.getLogger("intrusion.response")

#: Seconds for which finished events are remembered, to recognise one that is sent again.
KEEP = 7 * 86400.0
#: How many events of an earlier run are read at once, and acted on in one turn of the loop.
REPLAYED, AT_ONCE = 500, 20
#: Maximum bytes of events without a verdict.
MOST_BYTES = 64 * 1024 * 1024
#: File descriptors for everything except connections, and number of verdicts in the status.
OTHERS, SHOWN = 64, 20


def check(settings: Configuration) -> None:
    """Check what the settings require, without opening a socket or a database; raises InvalidInput."""
    if not HAS_AIOHTTP:
        raise InvalidInput("The webhook requires the Python package aiohttp.")
    if settings.tls is not None:
        Certificates(settings.tls)
    firewalls = () if settings.respond is None else settings.respond.firewalls
    needed = settings.limits.connections + LIMITS.connections + OTHERS + sum(firewall.concurrency + 1 for firewall in firewalls)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise InvalidInput(
                f"limits.connections ({settings.limits.connections}) and the firewalls need {needed} descriptors, but this process "
                f"may open {hard}: allow more (LimitNOFILE of systemd, ulimit -n), or fewer connections."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class App:
    """The whole responder, as an asynchronous context manager that serves until it exits.

    Args:
        settings: checked by `check`.
        emit: called with each event for the rule engine; the first one says where the webhook listens, and how it runs.
        is_written: whether the last emitted event could be written.

    Attributes:
        addresses: where webhook and monitor listen.
    """

    def __init__(
        self, settings: Configuration, emit: Callable[[dict[str, Any]], Awaitable[None]], is_written: Callable[[], bool] = lambda: True
    ) -> None:
        self.settings = settings
        self.addresses: dict[str, tuple[str, int]] = {}
        self._is_written = is_written
        self._metrics = Metrics()
        self._output = Output(emit)
        self._responder: Optional[Responder] = None
        self._followers: list[Follower] = []
        self._since = time.time()
        self._latest: deque[dict[str, Any]] = deque(maxlen=SHOWN)

    async def __aenter__(self) -> App:
        """Start everything, in an order that can be reversed to stop.

        Raises:
            CannotListen: an address is not available.
            StateInUse, StateUnusable: the inbox is not available.
        """
        settings = self.settings
        async with AsyncExitStack() as stack:
            self._inbox = await asyncio.to_thread(Inbox, os.path.join(settings.state_dir or "", FILE), KEEP)
            stack.push_async_callback(asyncio.to_thread, self._inbox.close)
            await stack.enter_async_context(self._output)
            if settings.respond is not None:
                self._responder = await asyncio.to_thread(
                    Responder, settings.respond, settings.relays, self._inbox, self._metrics, self._emit
                )
                stack.push_async_callback(self._responder.stop)
                await self._responder.start()
            newest = await asyncio.to_thread(self._inbox.newest)
            await self._start_monitor(stack)
            for follow in settings.follow:
                follower = Follower(follow, settings.reader(follow), settings.state_dir or "", self._record, self._metrics)
                await follower.open()
                self._followers.append(follower)
            webhook = await asyncio.to_thread(Webhook, settings, self._take, self._metrics)
            self._webhook = await stack.enter_async_context(webhook)
            self.addresses["webhook"] = self._webhook.address
            self._output.put(self._started())
            for follower in self._followers:
                stack.push_async_callback(follower.stop)
                follower.start()
            LOG.info("Listening on %s port %s%s.", *self._webhook.address, ", dry run" if self._is_dry else "")
            replaying = asyncio.ensure_future(self._replay(newest))
            stack.push_async_callback(asyncio.wait, {replaying})
            stack.callback(replaying.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_unused: object) -> None:
        await self._stack.aclose()

    async def _start_monitor(self, stack: AsyncExitStack) -> None:
        settings = self.settings.monitor or MonitorSettings()
        if not settings.enabled:
            return
        details = dict if self._responder is None else self._responder.details
        monitor = Monitor(settings, self._metrics, self.status, details)
        try:
            self.addresses["monitor"] = await monitor.start()
        except CannotListen as error:
            if self.settings.monitor is not None:
                raise
            LOG.warning("%s The monitor is off; set monitor.port.", error.message)
        stack.push_async_callback(monitor.stop)

    @property
    def _is_dry(self) -> bool:
        return self.settings.respond is not None and self.settings.respond.dry_run

    def reload(self, settings: Configuration) -> list[str]:
        """Apply new settings as far as possible while running; return the names of those that require a restart."""
        self.settings, stuck = reloaded(self.settings, settings)
        self._webhook.use(self.settings)
        for follower, follow in zip(self._followers, self.settings.follow):
            follower.reader = self.settings.reader(follow)
        if self._responder is not None and self.settings.respond is not None:
            self._responder.use(self.settings.respond, self.settings.relays)
        return stuck

    def _started(self) -> dict[str, Any]:
        respond = self.settings.respond
        return {
            "type": "started",
            "version": VERSION,
            "address": list(self.addresses["webhook"]),
            "tls": self.settings.tls is not None,
            "dry_run": self._is_dry,
            "firewalls": [] if respond is None else [firewall.name for firewall in respond.firewalls],
            "never_block": [] if respond is None else list(respond.never_block),
        }

    async def _take(self, found: Found, is_test: bool) -> dict[str, Any]:
        events = [one for one in found if isinstance(one, Event)]
        if is_test:
            [event] = events
            verdict = {"type": "event", "intrusion": event.as_dict()} if self._responder is None else self._responder.test(event)
            return {"ids": [event.id], "test": True, "verdict": verdict}
        new = await self._record(events)
        for one in found:
            if isinstance(one, Ignored):
                self._metrics.ignored(one.kind, address=one.address)
        return {"ids": [event.id for event in events], "new": new, "known": len(events) - new, "ignored": len(found) - len(events)}

    async def _record(self, events: Sequence[Event]) -> int:
        """Record events, and act on the new ones; return how many those are, once all are on disk.

        Raises:
            Refused: too many are waiting.
            NotRecorded: not all are on disk, or not in time; those that are will be recognised when they are sent again.
        """
        stored = [Stored(event.id, event.received, event.as_json()) for event in events]
        sizes = [len(one.event) for one in stored if not self._inbox.knows(one.id)]
        if sizes and self._is_full(sum(sizes)):
            raise Refused("busy", 429, "too many events are waiting", retry_after=1.0)
        known, recorded = [], []
        for event, one in zip(events, stored):
            known.append(self._inbox.knows(one.id))
            recorded.append(self._inbox.accept(one, partial(self._act, event, one)))
        if recorded and (await asyncio.wait(recorded, timeout=self.settings.limits.body_timeout))[1]:
            raise NotRecorded("The event was not recorded in time.")  # a hanging disk must not keep connections from others
        new = sum(done.result() and not is_known for done, is_known in zip(recorded, known))
        self._metrics.accepted.inc(new)
        self._metrics.repeated.inc(len(events) - new)
        return new

    def _is_full(self, size: int) -> bool:
        if self._inbox.size + size > MOST_BYTES:
            return True
        return self._output.is_full if self._responder is None else self._responder.waiting >= self.settings.limits.queue

    def _act(self, event: Event, stored: Stored, replayed: bool = False) -> None:
        if self._responder is not None:
            self._responder.act(event, stored, replayed)
        else:  # it is settled once the rule engine has it
            handed_on = {"type": "event", "intrusion": event.as_dict()}
            self._output.put(handed_on, lambda: self._inbox.finish(event.id, {"type": "event"}))

    def _emit(self, event: dict[str, Any]) -> None:
        if event["type"] == "verdict":
            self._latest.appendleft(event)
        self._output.put(event)

    async def _replay(self, newest: int) -> None:
        """Act on events that an earlier run acknowledged but did not finish, bit by bit, while new ones arrive."""
        count = 0
        pending, last = await asyncio.to_thread(self._inbox.pending, 0, REPLAYED, newest)
        if pending:
            LOG.warning("Continuing with events of the last run.")
        while pending:
            for stored in pending:
                count += 1
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
                while self._is_full(len(stored.event)):  # noqa: ASYNC110  what makes room are many things
                    await asyncio.sleep(0.05)
                self._inbox.restore(stored)
                try:
                    event = Event.from_json(stored.event)
                except InvalidEvent as error:
                    LOG.warning("A recorded event can no longer be read: %s", error)
                    self._inbox.finish(stored.id, {"type": "verdict", "verdict": "ignored", "reason": str(error)})
                    continue
                self._act(event, stored, replayed=True)
            pending, last = await asyncio.to_thread(self._inbox.pending, last, REPLAYED, newest)
        if count:
            LOG.info("Continued with %s events of the last run.", count)

    def status(self) -> dict[str, Any]:
        """Return what runs and since when, whether all is well or what is not, the limits and the last verdicts."""
        responder = self._responder
        return {
            "version": VERSION,
            "since": self._since,
            "time": time.time(),
            "address": list(self.addresses.get("webhook", ())),
            "healthy": (
                self._inbox.healthy and self._is_written() and (responder is None or responder.fleet.is_able)
                and all(follower.is_alive for follower in self._followers)
            ),
            "recording": self._inbox.healthy,
            "output": {"healthy": self._is_written(), "lost": self._output.lost},
            "follow": {follower.path: follower.status() for follower in self._followers},
            **({} if responder is None else responder.status()),
            "verdicts": [
                {
                    "at": event["intrusion"]["received_at"], "verdict": event["verdict"], "attacker": event["attacker"],
                    "code": event["code"], "reason": event["reason"], "id": event["intrusion"]["id"],
                }
                for event in self._latest
            ],
        }  # fmt: skip


async def run(args: Mapping[str, Any], emit: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Serve until cancelled, for the event source.

    Raises:
        InvalidInput: a setting is invalid.
        CannotListen: an address is not available.
        StateInUse, StateUnusable: the inbox is not available.
    """
    settings = await asyncio.to_thread(Configuration.from_args, args)
    await asyncio.to_thread(check, settings)
    async with App(settings, emit):
        await asyncio.Event().wait()
