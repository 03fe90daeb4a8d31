# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the responder reports about itself: metrics for Prometheus, health, and status."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Optional

from ...module_utils._events.event import IGNORED
from .settings import setting
from .verdict import VERDICTS
from .webhook.limits import REASONS, WebhookLimits
from .webhook.listener import Connection, Listener, host_objection, is_loopback

with suppress(ImportError):
    from aiohttp import web

try:
    import prometheus_client
except ImportError:
    HAS_PROMETHEUS = False
else:
    HAS_PROMETHEUS = True

LOG = logging.getLogger("intrusion.response")

#: Returns whether the responder is well ("healthy") with its state, or further details.
Status = Callable[[], dict[str, Any]]

#: Seconds between two log messages about refusals for one reason.
LOG_PAUSE = 60.0
#: Seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: Connections to the monitor.
LIMITS = WebhookLimits(connections=32, connections_per_source=16)


@dataclass(frozen=True)
class MonitorSettings:
    """The section `monitor`."""

    enabled: bool = setting("boolean", "Whether there is a monitor.", True, fixed=True)
    host: str = setting("text", "Where it listens.", "127.0.0.1", objection=host_objection, fixed=True)
    port: int = setting("integer", "Where it listens.", 9105, low=0, high=65535, fixed=True)
    names: tuple[str, ...] = setting("texts", "Host names that it answers to, besides localhost, its own and addresses.", (), fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> MonitorSettings:
        """Warn if others can read it."""
        if self.enabled and not is_loopback(self.host):
            LOG.warning("monitor: everybody who can reach %s port %s can read health and metrics.", self.host, self.port)
        return self


class Metrics:
    """Counts what happens, in its own registry; without prometheus_client, nothing is counted."""

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry() if HAS_PROMETHEUS else None
        self._said: dict[str, tuple[float, int]] = {}

        def make(kind: str, name: str, text: str, labels: tuple[str, ...] = (), **more: Any) -> Any:
            if self._registry is None:
                return _Nothing()
            return getattr(prometheus_client, kind)(f"intrusion_response_{name}", text, labels, registry=self._registry, **more)

        self.accepted = make("Counter", "events_accepted", "New events that were recorded and acknowledged.")
        self.repeated = make("Counter", "events_repeated", "Events that were acknowledged, but recorded before.")
        self._refused = make("Counter", "events_refused", "Requests and connections that were refused.", ("reason",))
        self._ignored = make("Counter", "events_ignored", "Events that are not attacks to act on.", ("kind",))
        self.verdicts = make("Counter", "verdicts", "Events by their verdict.", ("verdict",))
        self.latency = make("Histogram", "latency_seconds", "From the event to the firewall's answer.", buckets=BUCKETS)
        self.ledger_errors = make("Counter", "ledger_errors", "Times that the ledger could not be written.")
        self._queue = make("Gauge", "queue", "Events that wait for a verdict.")
        self._limited_events = make("Gauge", "limited_events", "Events that wait until the limits allow more blocks.")
        self._firewall = make("Gauge", "firewall_up", "Whether the firewall answered the last request.", ("firewall",))
        self._lost = make("Gauge", "lost", "Verdicts and records that could not be passed on or written.", ("what",))
        self._limited = make("Gauge", "limited", "Whether a limit keeps new addresses from being blocked.")
        self._limit = make("Gauge", "limit", "How much each limit of respond.limits allows.", ("limit",))
        self._limit_in_use = make("Gauge", "limit_in_use", "How much of each limit is in use.", ("limit",))
        self._ledger_waiting = make("Gauge", "ledger_waiting", "Batches of records that wait for a shared ledger.")
        self._ledger_shared = make("Gauge", "ledger_shared", "Whether a shared ledger answers; also 0 without one.")
        self._worked = make("Gauge", "firewall_worked", "Whether this responder works the firewall.", ("firewall",))
        self._dry_run = make("Gauge", "dry_run", "Whether nothing is written to the firewalls.")
        for reason in REASONS:
            self._refused.labels(reason)
        for kind in IGNORED:
            self._ignored.labels(kind)
        for verdict in VERDICTS:
            self.verdicts.labels(verdict)

    def refused(self, reason: str, peer: Optional[str]) -> None:
        """Count a refusal, for one of REASONS, and log it now and then."""
        self._refused.labels(reason).inc()
        now = time.monotonic()
        since, unsaid = self._said.get(reason, (-math.inf, 0))
        if now - since < LOG_PAUSE:
            self._said[reason] = (since, unsaid + 1)
            return
        self._said[reason] = (now, 0)
        more = f" (and {unsaid} more since the last such message)" if unsaid else ""
        LOG.warning("Refused a request or connection from %s: %s%s.", peer or "an unknown address", REASONS[reason], more)

    def ignored(self, kind: str, count: int = 1, address: Optional[str] = None) -> None:
        """Count an ignored event, by one of IGNORED; address is where to confirm a subscription."""
        self._ignored.labels(kind).inc(count)
        if kind == "subscription":
            LOG.warning("Amazon SNS is waiting for a subscription to be confirmed, which is never done automatically: %s",
                        address or "its SubscribeURL is not one of Amazon's")  # fmt: skip

    def render(self, status: Mapping[str, Any]) -> Optional[bytes]:
        """Return all metrics, including those from the status, in the text format of Prometheus; None if nothing is counted."""
        if self._registry is None:
            return None
        self._queue.set(status.get("waiting", 0))
        self._limited_events.set(status.get("limited_events", 0))
        self._limited.set(bool(status.get("limited")))
        self._dry_run.set(bool(status.get("dry_run")))
        shared = status.get("shared") or {}
        self._ledger_shared.set(bool(shared.get("connected")))
        self._ledger_waiting.set(status.get("ledger", {}).get("waiting", 0))
        for name, limit in status.get("limits", {}).items():
            self._limit.labels(name).set(limit["of"])
            self._limit_in_use.labels(name).set(limit["in_use"])
        for name, state in status.get("firewalls", {}).items():
            self._firewall.labels(name).set(state == "up")
            self._worked.labels(name).set(name in shared.get("works", (name,)))
        for what in ("output", "ledger"):
            self._lost.labels(what).set(status.get(what, {}).get("lost", 0))
        return prometheus_client.generate_latest(self._registry)


class _Nothing:
    """Replaces every metric if nothing is counted."""

    def __getattr__(self, _name: str) -> Callable[..., _Nothing]:
        return lambda *_values: self


class Monitor:
    """Serves GET /healthz (503 if not all is well), /status (with more details) and /metrics, to requests by its own name or an address.

    Args:
        status: called in the event loop.
        details: only for /status, called in a thread.

    Raises:
        CannotListen: (at the start) the address is not available.
    """

    def __init__(self, settings: MonitorSettings, metrics: Metrics, status: Status, details: Status = dict) -> None:
        self._settings = settings
        self._metrics = metrics
        self._status = status
        self._details = details
        self._listener = Listener("The monitor", LIMITS, self._answer, metrics.refused)
        self._names = {"localhost", settings.host.lower(), socket.gethostname().lower(), *(name.lower() for name in settings.names)}

    async def start(self) -> tuple[str, int]:
        return await self._listener.start(self._settings.host, self._settings.port)

    async def stop(self) -> None:
        await self._listener.stop(0.5)

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> web.Response:
        connection.proven = True
        if not self._is_ours(request.headers.get("Host", "")):  # a web page whose own name resolves to here must not read this
            return web.Response(status=421, text="The monitor answers for its own names only; see monitor.names.\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET"})
        status = self._status()
        if request.path == "/healthz":
            return web.json_response(status, status=200 if status["healthy"] else 503)
        if request.path == "/status":
            return web.json_response({**status, **await asyncio.to_thread(self._details)})
        if request.path == "/metrics":
            body = self._metrics.render(status)
            if body is None:
                return web.Response(status=501, text="Metrics need the Python package prometheus_client.\n")
            return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
        return web.Response(status=404)

    def _is_ours(self, host: str) -> bool:
        name = host.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        try:
            ip_address(name)
        except ValueError:
            return name in self._names
        return True
