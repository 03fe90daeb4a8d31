# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The webhook: accepts posts over HTTP, checks the cheap refusals first, and acknowledges what is durably recorded.

A request must satisfy everything that is configured (addresses, client certificate, path secret, signature).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from ....module_utils._events.body import InvalidEvent
from ....module_utils._events.event import Found
from ....module_utils._events.reader import Reader
from ..configuration import Configuration
from ..inbox import NotRecorded
from ..monitor import Metrics
from .auth import Credentials
from .limits import Rates, Refused
from .listener import Connection, Listener
from .tls import Certificates

with suppress(ImportError):
    from aiohttp import web

LOG = logging.getLogger("intrusion.response")

#: Seconds after which a sender may try again after a 503.
RETRY_AFTER = 1.0

#: Takes the content of a post and whether it is a test; returns the answer once all of it is durably recorded. Raises Refused
#: and NotRecorded.
Take = Callable[[Found, bool], Awaitable[dict[str, Any]]]
#: Reads the posts of the tool for tests.
TESTS = Reader()


class Webhook:
    """An HTTP server for events; an asynchronous context manager.

    Raises:
        InvalidInput: the settings are unsafe, or the certificate cannot be used.
        CannotListen: (at the start) the address is not available.
    """

    def __init__(self, settings: Configuration, take: Take, metrics: Metrics) -> None:
        settings.refuse_to_be_open()
        self.address = ("", 0)
        self._settings = settings
        self._reader = settings.reader()
        self._take = take
        self._metrics = metrics
        self._credentials = Credentials(settings)
        self._rates = Rates(settings.limits)
        certificates = None if settings.tls is None else Certificates(settings.tls)
        self._listener = Listener(
            "The webhook", settings.limits, self._answer, metrics.refused, allow_from=settings.allow_from, certificates=certificates
        )

    async def __aenter__(self) -> Webhook:
        self.address = await self._listener.start(self._settings.host, self._settings.port)
        return self

    async def __aexit__(self, *_unused: object) -> None:
        await self.stop()

    async def stop(self, grace: float = 5.0) -> None:
        """Stop listening, and give requests under way that many seconds to finish."""
        await self._listener.stop(grace)

    def use(self, settings: Configuration) -> None:
        """Apply new settings; connections stay open."""
        self._settings = settings
        self._reader = settings.reader()
        self._credentials.use(settings)
        self._rates.use(settings.limits)
        self._listener.limits, self._listener.allow_from = settings.limits, settings.allow_from

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> web.Response:
        try:
            return web.json_response(await self._receive(request, connection))
        except Refused as error:
            refused = error
        except InvalidEvent as error:
            refused = Refused("malformed", 400, str(error))
        except NotRecorded:
            refused = Refused("not_recorded", 503, "the event could not be recorded", retry_after=RETRY_AFTER)
        except Exception as error:  # a bug must neither reach the sender nor end the connection without an answer
            LOG.error("A request failed: %s.", type(error).__name__, exc_info=error)
            refused = Refused("error", 500, "internal error")
        self._metrics.refused(refused.reason, connection.peer)
        response = web.Response(status=refused.status)
        if refused.text is not None:
            response = web.json_response({"error": refused.text}, status=refused.status)
        response.headers.update(refused.headers)
        if refused.retry_after is not None:
            response.headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after)))
        if refused.close:
            response.force_close()
        return response

    async def _receive(self, request: web.BaseRequest, connection: Connection) -> dict[str, Any]:
        credentials, limits = self._credentials, self._settings.limits
        self._rates.count_source(connection.peer)
        credentials.check_path(request.rel_url.raw_path)
        if request.method != "POST":
            raise Refused("method", 405, "only POST", headers={"Allow": "POST"})
        if (request.content_length or 0) > limits.body:
            raise _too_large(limits.body)
        signature = credentials.signature(request.headers)
        if signature is None:
            self._believe(connection)
        body = await self._body(request)
        if signature is not None:
            credentials.check_signature(signature, body)
            self._believe(connection)
            credentials.refuse_used(signature)
        is_test = credentials.is_test(request.headers, body)
        found = (TESTS if is_test else self._reader).body(_unpacked(request, body, limits.body), time.time())
        answer = await self._take(found, is_test)
        if signature is not None:
            credentials.remember(signature)
        return answer

    def _believe(self, connection: Connection) -> None:
        connection.proven = True
        self._rates.count()

    async def _body(self, request: web.BaseRequest) -> bytes:
        limits = self._settings.limits
        try:
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # otherwise aiohttp believes that the answer has begun
            reading = _read(request, limits.body)
            if request.content.is_eof():  # all of it has already arrived: no timer needed
                return await reading
            return await asyncio.wait_for(reading, limits.body_timeout)
        except asyncio.TimeoutError:
            raise Refused("timeout", 408, "the body took too long", close=True) from None
        except (ConnectionError, web.PayloadAccessError, web.RequestPayloadError):
            raise Refused("http", 400, "the body is incomplete", close=True) from None


def _too_large(most: int) -> Refused:
    return Refused("too_large", 413, f"more than {most} bytes", close=True)


async def _read(request: web.BaseRequest, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def _unpacked(request: web.BaseRequest, body: bytes, most: int) -> bytes:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise Refused("malformed", 415, "the only supported Content-Encoding is gzip")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        content = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise InvalidEvent("The body is not gzip.") from None
    if len(content) > most:
        raise _too_large(most)
    if not unpacker.eof:
        raise InvalidEvent("The gzip body is incomplete.")
    return content
