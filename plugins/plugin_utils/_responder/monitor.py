# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the responder tells about itself: metrics for Prometheus, and whether it is well."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...module_utils._core.errors import InvalidInput
from .settings import CannotListen, MonitorSettings

try:
    from aiohttp import web
except ImportError:
    HAS_AIOHTTP = False
else:
    HAS_AIOHTTP = True

try:
    import prometheus_client
except ImportError:
    HAS_PROMETHEUS = False
else:
    HAS_PROMETHEUS = True

Health = Callable[[], tuple[bool, dict[str, Any]]]

#: Why the door refuses: the values of the label `reason`, and what the log says.
REASONS = {
    "source": "an address that is not in allow_from",
    "connections": "too many connections",
    "tls": "no TLS, or a failed handshake",
    "timeout": "too slow",
    "http": "malformed HTTP",
    "rate": "too many requests",
    "path": "wrong or missing secret in the URL",
    "method": "not a POST",
    "too_large": "the body is too large",
    "signature": "wrong or missing signature, or its time is too far from now",
    "replayed": "a signed request that was acknowledged before",
    "malformed": "the body is not an event",
    "busy": "too many events wait for their verdict",
    "not_recorded": "the event could not be recorded",
    "error": "an internal error",
}
VERDICTS = ("blocked", "renewed", "already_blocked", "protected", "ignored", "limited", "failed")
#: Seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SERVER = "intrusion.response"


class Metrics:
    """Counts what happens, in a registry of its own.

    Args:
        enabled: whether to count at all; without, nothing is needed and every method does nothing.

    Raises:
        InvalidInput: prometheus_client is not there.
    """

    def __init__(self, enabled: bool = True) -> None:
        if enabled and not HAS_PROMETHEUS:
            raise InvalidInput("The monitor needs the Python package prometheus_client: install it, or leave out `monitor`.")
        self._registry = prometheus_client.CollectorRegistry() if enabled else None

        def make(kind: str, name: str, text: str, labels: tuple[str, ...] = (), **more: Any) -> Any:
            if self._registry is None:
                return _Nothing()
            return getattr(prometheus_client, kind)(f"intrusion_response_{name}", text, labels, registry=self._registry, **more)

        self._accepted = make("Counter", "events_accepted", "New events that were recorded and acknowledged.")
        self._repeated = make("Counter", "events_repeated", "Events that were acknowledged, but recorded before.")
        self._refused = make("Counter", "events_refused", "Requests and connections that were refused.", ("reason",))
        self._verdicts = make("Counter", "verdicts", "Events by their verdict.", ("verdict",))
        self._queue = make("Gauge", "queue", "Events that wait for their verdict.")
        self._latency = make("Histogram", "latency_seconds", "From the event to the firewall's answer.", buckets=BUCKETS)
        self._firewall = make("Gauge", "firewall_up", "Whether the firewall answered last time.", ("firewall",))
        self._ledger_errors = make("Counter", "ledger_errors", "Times that the ledger could not be written.")
        self._limited = make("Gauge", "limited", "Whether the limits keep new addresses from being blocked.")
        self._dry_run = make("Gauge", "dry_run", "Whether nothing is written to the firewalls.")
        for reason in REASONS:
            self._refused.labels(reason)
        for verdict in VERDICTS:
            self._verdicts.labels(verdict)

    def accepted(self, new: bool) -> None:
        """Count an event that was acknowledged."""
        (self._accepted if new else self._repeated).inc()

    def refused(self, reason: str) -> None:
        """Count a refusal, for one of REASONS."""
        self._refused.labels(reason).inc()

    def verdict(self, name: str) -> None:
        """Count a verdict, one of VERDICTS."""
        self._verdicts.labels(name).inc()

    def queue(self, length: int) -> None:
        """Set the number of events that wait."""
        self._queue.set(length)

    def latency(self, seconds: float) -> None:
        """Note the time from an event to a firewall's answer."""
        self._latency.observe(seconds)

    def firewall(self, name: str, up: bool) -> None:
        """Set whether a firewall can be reached."""
        self._firewall.labels(name).set(int(up))

    def ledger_error(self) -> None:
        """Count a failure to write the ledger."""
        self._ledger_errors.inc()

    def limited(self, on: bool) -> None:
        """Set whether blocking is stopped by the limits."""
        self._limited.set(int(on))

    def dry_run(self, on: bool) -> None:
        """Set whether nothing is written."""
        self._dry_run.set(int(on))

    def render(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        return b"" if self._registry is None else prometheus_client.generate_latest(self._registry)


class _Nothing:
    """Stands in for every metric when nothing is counted."""

    def labels(self, *_values: str) -> _Nothing:
        return self

    def inc(self) -> None:
        """Do nothing."""

    def set(self, value: float) -> None:
        """Do nothing."""

    def observe(self, value: float) -> None:
        """Do nothing."""


class Monitor:
    """Serves GET /healthz (200 or 503, JSON) and GET /metrics.

    Args:
        health: returns whether the responder is well, and details for the answer.

    Raises:
        InvalidInput: aiohttp is not there.
        CannotListen: (at the start) the address cannot be had.
    """

    def __init__(self, settings: MonitorSettings, metrics: Metrics, health: Health) -> None:
        if not HAS_AIOHTTP:
            raise InvalidInput("The monitor needs the Python package aiohttp.")
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._runner: Optional[web.AppRunner] = None

    async def start(self) -> tuple[str, int]:
        """Start to serve; return the address."""
        app = web.Application()
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/metrics", self._serve_metrics)
        app.on_response_prepare.append(_name_server)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=30)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.host, self._settings.port).start()
        except OSError as error:
            await runner.cleanup()
            raise CannotListen.at("The monitor", self._settings.host, self._settings.port, error) from None
        self._runner = runner
        host, port = runner.addresses[0][:2]
        return host, port

    async def stop(self) -> None:
        """Stop to serve."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve_health(self, _request: web.Request) -> web.Response:
        healthy, details = self._health()
        return web.json_response({"healthy": healthy, **details}, status=200 if healthy else 503)

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        content_type = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.render(), headers=content_type)


async def _name_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER
