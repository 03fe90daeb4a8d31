# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections in great numbers: everybody has a bound, gives way, and those who are known are answered all the while."""

from __future__ import annotations

import asyncio
import errno
import logging
import subprocess
import sys
from typing import Any

import aiohttp
import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.monitor import LIMITS, Metrics, Monitor, MonitorSettings
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook import listener as module

from ..conftest import request
from .stand import SECRET, Stand, run

#: Opens connections as fast as it can and says nothing on them, from an address of this machine.
FLOOD = """
import socket, sys
host, port, source, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
kept = []
for number in range(count):
    one = socket.socket()
    one.bind((source, 0))
    one.settimeout(20)
    try:
        one.connect((host, port))
    except OSError:
        continue
    kept.append(one)
    if len(kept) > 300:
        kept.pop(0).close()
"""


def flood(address: tuple[str, int], count: int, source: str = "127.0.0.2") -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", FLOOD, address[0], str(address[1]), source, str(count)])


def test_a_flood_of_connections_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stand: Stand) -> None:
        monitor = Monitor(MonitorSettings(port=0), Metrics(), lambda: {"healthy": True})
        health = "http://{}:{}/healthz".format(*await monitor.start())
        reader, writer = await asyncio.open_connection(*stand.webhook.address)  # who has proven himself, on a kept connection
        most = answered = 0
        process = flood(stand.webhook.address, 5000)
        while process.poll() is None:
            writer.write(request(f"/ips/{SECRET}"))
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
            async with stand.client.get(health) as answer:
                assert answer.status == 200
            answered += 1
            most = max(most, len(stand.webhook._listener.connections))
            await asyncio.sleep(0.01)
        assert answered and most <= 40
        assert (await stand.post())[0] == 200, "and newcomers"
        while len(stand.webhook._listener.connections) > 2:  # nothing stays open
            await asyncio.sleep(0.01)
        writer.close()
        await monitor.stop()
        assert {"connections_per_source"} <= set(stand.counts.reasons) <= {"connections_per_source", "connections", "timeout"}

    with caplog.at_level(logging.DEBUG):
        run(story, limits={"connections": 40, "body_timeout": 1})
    assert len([record for record in caplog.records if record.name == "intrusion.response"]) < 10, "the log stays short"


def test_the_monitor_has_a_bound_of_its_own() -> None:
    async def story() -> None:
        metrics = Metrics()
        monitor = Monitor(MonitorSettings(port=0), metrics, lambda: {"healthy": True})
        address = await monitor.start()
        idle = [await asyncio.open_connection(*address) for _turn in range(3 * LIMITS.connections)]
        await asyncio.sleep(0.1)
        assert len(monitor._listener.connections) <= LIMITS.connections_per_source
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0))
        async with aiohttp.ClientSession(connector=connector) as other, other.get("http://{}:{}/healthz".format(*address)) as answer:
            assert answer.status == 200
        for _reader, writer in idle:
            writer.close()
        await monitor.stop()

    asyncio.run(story())


def test_where_no_descriptors_are_left_the_loop_goes_on(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NO_DESCRIPTORS", 0.0)
    failures = iter([OSError(errno.EMFILE, "Too many open files")] * 500)

    async def story(stand: Stand) -> None:
        loop = asyncio.get_running_loop()
        accept = loop.sock_accept

        async def failing(listening: Any) -> Any:
            for failure in failures:
                raise failure
            return await accept(listening)

        monkeypatch.setattr(loop, "sock_accept", failing)
        assert (await stand.post())[0] == 200  # lets the listener come round
        assert (await stand.post(path="/wrong"))[0] == 404
        assert stand.counts.reasons.count("descriptors") == 500

    run(story)
    assert caplog.text.count("no file descriptors left") == 1


def test_who_has_the_secret_cannot_hold_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", -1.0)

    async def story(stand: Stand) -> None:
        kept = []
        for _turn in range(4):
            reader, writer = await asyncio.open_connection(*stand.webhook.address)
            writer.write(request(f"/ips/{SECRET}"))
            await reader.readuntil(b"}")
            kept.append((reader, writer))
        kept[0][1].write(request(f"/ips/{SECRET}"))
        await kept[0][0].readuntil(b"}")
        assert (await stand.post())[0] == 200
        assert await kept[1][0].read() == b"", "the one that was idle for longest gave way"
        kept[0][1].write(request(f"/ips/{SECRET}"))
        assert (await kept[0][0].readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        for _reader, writer in kept:
            writer.close()

    run(story, limits={"connections": 4, "connections_per_source": 9})


def test_an_address_has_its_share() -> None:
    async def story(stand: Stand) -> None:
        idle = [await asyncio.open_connection(*stand.webhook.address) for _turn in range(4)]
        while len(stand.webhook._listener.connections) < 2:
            await asyncio.sleep(0.01)
        assert await idle[3][0].read() == b""
        assert set(stand.counts.reasons) == {"connections_per_source"}
        url = "http://{}:{}/ips/{}".format(*stand.webhook.address, SECRET)
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=connector) as other, other.post(url, data=b"{}") as answer:
            assert answer.status == 400
        for _reader, writer in idle:
            writer.close()

    run(story, limits={"connections": 4})
