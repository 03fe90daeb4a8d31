# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A webhook on loopback, somebody who takes its events, and a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.monitor import Metrics
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.limits import REASONS
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.server import Webhook

from ..conftest import BODY, Taker

SECRET = "first-secret-0123456789"
OTHER = "other-secret-0123456789"
KEY = "signing-key-of-a-relay"
QUICK = {"body_timeout": 0.3}


class Counts(Metrics):
    """Metrics that can be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []

    def refused(self, reason: str, peer: str | None) -> None:
        assert reason in REASONS
        super().refused(reason, peer)
        self.reasons.append(reason)


class Stand:
    """A webhook, whoever takes its events, and a client."""

    def __init__(self, webhook: Webhook, taker: Taker, counts: Counts, client: aiohttp.ClientSession) -> None:
        self.webhook, self.taker, self.counts, self.client = webhook, taker, counts, client

    async def post(self, body: Any = BODY, path: str = f"/ips/{SECRET}", **more: Any) -> tuple[int, str]:
        host, port = self.webhook.address
        async with self.client.post(f"http://{host}:{port}{path}", data=body, **more) as answer:
            return answer.status, await answer.text()

    async def raw(self, *parts: bytes, pause: float = 0.0, until_closed: bool = True) -> bytes:
        """Send the parts, and return what comes back."""
        reader, writer = await asyncio.open_connection(*self.webhook.address)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await asyncio.wait_for(reader.read() if until_closed else reader.readuntil(b"\r\n\r\n"), 30)
        except (ConnectionError, asyncio.IncompleteReadError):
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def standing(**arguments: Any) -> AsyncIterator[Stand]:
    given = {"port": 0, "path_secrets": [SECRET], "state_dir": "/nowhere", **arguments}
    taker, counts = Taker(), Counts()
    async with Webhook(Configuration.from_args(given, {}), taker.take, counts) as webhook, aiohttp.ClientSession() as client:
        yield Stand(webhook, taker, counts, client)


def run(story: Callable[[Stand], Awaitable[None]], **arguments: Any) -> None:
    async def main() -> None:
        async with standing(**arguments) as stand:
            await story(stand)

    asyncio.run(main())
