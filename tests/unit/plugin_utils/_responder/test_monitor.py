# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health and metrics, read as Prometheus reads them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder import monitor as monitor_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.monitor import (
    REASONS,
    VERDICTS,
    Metrics,
    Monitor,
    MonitorSettings,
)
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.listener import CannotListen
from prometheus_client.parser import text_string_to_metric_families

from .webhook.stand import Stand, run


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Return the values by name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def tell(metrics: Metrics) -> None:
    metrics.accepted.inc()
    metrics.repeated.inc()
    metrics.refused("path", None)
    metrics.refused("path", "192.0.2.1")
    metrics.verdicts.labels("blocked").inc()
    metrics.latency.observe(0.003)
    metrics.latency.observe(100.0)
    metrics.ledger_errors.inc()


STATUS = {
    "waiting": 7, "limited": "total", "limited_events": 2, "dry_run": True, "firewalls": {"fw1": "up", "fw2": "unreachable"},
    "output": {"lost": 3}, "ledger": {"lost": 0}, "limits": {"total": {"in_use": 4100, "of": 5000}},
}  # fmt: skip


def test_what_was_told_is_counted() -> None:
    metrics = Metrics()
    tell(metrics)
    found = samples(metrics.render(STATUS))
    name = "intrusion_response_"
    expected = {
        ("events_accepted_total",): 1, ("events_repeated_total",): 1,
        ("events_refused_total", "path"): 2, ("events_refused_total", "tls"): 0,
        ("verdicts_total", "blocked"): 1, ("verdicts_total", "failed"): 0, ("queue",): 7, ("latency_seconds_count",): 2,
        ("latency_seconds_bucket", "0.0025"): 0, ("latency_seconds_bucket", "0.005"): 1, ("latency_seconds_bucket", "30.0"): 1,
        ("firewall_up", "fw1"): 1, ("firewall_up", "fw2"): 0, ("ledger_errors_total",): 1,
        ("lost", "output"): 3, ("lost", "ledger"): 0, ("limited",): 1, ("limited_events",): 2,
        ("dry_run",): 1, ("limit", "total"): 5000, ("limit_in_use", "total"): 4100,
    }  # fmt: skip
    assert {key: found[(name + key[0], *key[1:])] for key in expected} == expected
    assert len([key for key in found if key[0] == f"{name}events_refused_total"]) == len(REASONS)
    assert len([key for key in found if key[0] == f"{name}verdicts_total"]) == len(VERDICTS)


def test_two_responders_in_a_process_count_for_themselves() -> None:
    one, two = Metrics(), Metrics()
    one.accepted.inc()
    assert samples(one.render({})) != samples(two.render({}))


def test_nothing_is_needed_where_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "HAS_PROMETHEUS", False)
    metrics = Metrics()
    tell(metrics)
    assert metrics.render(STATUS) is None


def test_health_and_metrics_are_served() -> None:
    status: dict[str, Any] = {"healthy": True, "waiting": 0}
    metrics = Metrics()

    async def story() -> None:
        monitor = Monitor(MonitorSettings(port=0), metrics, lambda: status)
        host, port = await monitor.start()
        assert host == "127.0.0.1"
        url = f"http://{host}:{port}"
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{url}/healthz") as answer:
                assert (answer.status, await answer.json()) == (200, {"healthy": True, "waiting": 0})
                assert answer.headers["Server"] == "intrusion.response"
            status.update(healthy=False, firewalls={"fw1": "down"})
            async with client.get(f"{url}/healthz") as answer:
                assert (answer.status, await answer.json()) == (503, status)
            async with client.get(f"{url}/status") as answer:
                assert (answer.status, await answer.json()) == (200, status)
            metrics.accepted.inc()
            async with client.get(f"{url}/metrics") as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                assert samples(await answer.read())[("intrusion_response_events_accepted_total",)] == 1
            async with client.post(f"{url}/metrics") as answer:
                assert answer.status == 405
            with pytest.raises(CannotListen, match=rf"^The monitor cannot listen on 127\.0\.0\.1 port {port}: Address already in use\.$"):
                await Monitor(MonitorSettings(port=port), metrics, dict).start()
            await monitor.stop()
            await monitor.stop()
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get(f"{url}/healthz")

    asyncio.run(story())


def test_the_webhook_counts_in_the_registry() -> None:
    metrics = Metrics()

    async def story(stand: Stand) -> None:
        stand.webhook._metrics = metrics
        await stand.post()
        await stand.post(path="/wrong")
        found = samples(metrics.render({}))
        assert found[("intrusion_response_events_refused_total", "path")] == 1

    run(story)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:9105", 200), ("localhost:1", 200), ("LOCALHOST", 200), ("[::1]:9105", 200), ("192.0.2.1", 200),
        ("monitor.example.com", 200), ("attacker.example.com", 421), ("attacker.example.com:9105", 421), ("", 421),
        ("127.0.0.1.example.com", 421), ("localhost.example.com", 421),
    ],
)  # fmt: skip
def test_a_web_page_cannot_read_the_monitor(host: str, status: int) -> None:
    """A page whose own name leads to this machine (DNS rebinding) has that name in Host."""

    async def story() -> None:
        monitor = Monitor(MonitorSettings(port=0, names=("Monitor.example.com",)), Metrics(), lambda: {"healthy": True})
        address = await monitor.start()
        async with aiohttp.ClientSession() as client:
            for path in ("healthz", "metrics", "status"):
                async with client.get("http://{}:{}/{}".format(*address, path), headers={"Host": host}) as answer:
                    assert answer.status == status
        await monitor.stop()

    asyncio.run(story())
