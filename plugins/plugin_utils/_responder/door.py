# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door: takes the IPS's posts over HTTP, cheap refusals first, and acknowledges what is durably recorded.

The IPS can only post to a URL, so a secret in the path is its credential. A relay can sign:

    X-Timestamp: <epoch seconds>
    X-Signature-256: sha256=<hex of HMAC-SHA256 over "<timestamp>.<body>">

Whatever is configured (allowlist, client certificate, path secret, signature) must all be right. The very same signed request,
once acknowledged, is refused with 409 for as long as its timestamp is good; a relay that missed the answer signs the event again
with the time of then, and learns that it was recorded ("new": false). What was not acknowledged may be sent again as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import math
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional, Protocol

from ...module_utils._core.errors import InvalidInput
from ...module_utils._ips.event import Event, InvalidEvent, parse_body
from .intake import NotRecorded
from .listener import HAS_AIOHTTP, Connection, Listener
from .monitor import REASONS, SERVER, Metrics
from .settings import DoorSettings

with suppress(ImportError):
    from aiohttp import web

LOG = logging.getLogger("intrusion.response")

PATH = "/ips"
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
#: Seconds after which a sender may try again, when the answer is 503.
RETRY_AFTER = 1.0
#: Most sources whose rate is watched, and most signatures that are remembered; the oldest are forgotten first.
MOST_SOURCES = 10_000
MOST_SIGNATURES = 200_000
#: How much of a refused body is read and thrown away, so that the sender gets to see the answer: bytes, seconds.
LINGER_BYTES = 1 << 20
LINGER_SECONDS = 0.5
#: Seconds between two messages in the log about refusals for one reason.
LOG_PAUSE = 60.0


class Busy(Exception):
    """No more events can be taken just now; retry_after is in seconds."""

    def __init__(self, retry_after: float = 1.0) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


class Sink(Protocol):
    """Whoever takes the events."""

    async def accept(self, event: Event, post: Mapping[str, Any]) -> bool:
        """Return True for a new event, False for one that was recorded before; only when it is durably recorded.

        Raises:
            Busy: too many events wait.
            NotRecorded: it could not be recorded.
        """


class Door:
    """An HTTP server for events.

    Raises:
        InvalidInput: aiohttp is not there, the settings are not safe, or the certificate cannot be used.
        CannotListen: (at the start) the address cannot be had.
    """

    def __init__(self, settings: DoorSettings, sink: Sink, metrics: Metrics) -> None:
        if not HAS_AIOHTTP:
            raise InvalidInput("The event source needs the Python package aiohttp.")
        settings.refuse_open_door()
        self.address = ("", 0)
        self._settings = settings
        self._sink = sink
        self._metrics = metrics
        self._listener = Listener(settings, self._handle, self._refused)
        limits = settings.limits
        self._rate = Bucket(limits.rate, limits.burst)
        self._sources: OrderedDict[str, Bucket] = OrderedDict()
        self._paths = [_digest(f"{PATH}/{secret}") for secret in settings.path_secrets] or [_digest(PATH)]
        self._keys = [secret.encode() for secret in settings.hmac_secrets]
        self._signatures: OrderedDict[bytes, float] = OrderedDict()
        self._recording: set[asyncio.Task[bool]] = set()
        self._said: dict[str, tuple[float, int]] = {}

    async def start(self) -> tuple[str, int]:
        """Start to listen; return the address."""
        self.address = await self._listener.start()
        return self.address

    async def stop(self, grace: float = 5.0) -> None:
        """Stop to listen, and let requests under way finish for that many seconds."""
        await self._listener.stop(grace)

    async def __aenter__(self) -> Door:
        await self.start()
        return self

    async def __aexit__(self, *_unused: object) -> None:
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, Connection):
            raise TypeError("not a connection of the listener")
        connection.in_time()
        connection.requests += 1
        try:
            response = await self._answer(request, connection)
            if self._listener.stopping:
                response.force_close()
            if not request.content.is_eof():
                response.force_close()
                with suppress(ConnectionError):
                    await response.prepare(request)
                    await response.write_eof()
                    await _discard(request)
            return response
        finally:
            connection.requests -= 1

    async def _answer(self, request: web.BaseRequest, connection: Connection) -> web.Response:
        peer = self._listener.peer(connection)
        try:
            return await self._take(request, connection, peer or "")
        except _Refusal as refusal:
            reason, answer = refusal.reason, refusal
        except InvalidEvent as error:
            reason, answer = "malformed", _Refusal("malformed", 400, str(error))
        except Busy as busy:
            reason, answer = "busy", _Refusal("busy", 429, "too many events wait", retry_after=busy.retry_after)
        except NotRecorded:
            reason, answer = "not_recorded", _Refusal("not_recorded", 503, "the event could not be recorded", retry_after=RETRY_AFTER)
        except Exception as error:  # a defect must not reach the sender, nor end the connection without an answer
            LOG.error("A request failed: %s.", type(error).__name__, exc_info=error)
            reason, answer = "error", _Refusal("error", 500, "internal error")
        self._refused(reason, peer)
        return answer.response()

    async def _take(self, request: web.BaseRequest, connection: Connection, peer: str) -> web.Response:
        limits = self._settings.limits
        self._check_source(peer)
        if not _is_one_of(_digest(request.rel_url.raw_path), self._paths):
            raise _Refusal("path", 404, close=True)
        if request.method != "POST":
            raise _Refusal("method", 405, "only POST", headers={"Allow": "POST"})
        if (request.content_length or 0) > limits.body:
            raise _Refusal("too_large", 413, f"more than {limits.body} bytes", close=True)
        signature = self._signature(request) if self._keys else None
        if signature is None:
            self._believe(connection)
        body = await self._body(request)
        used = None
        if signature is not None:
            used = signature.check(body, self._keys)
            self._believe(connection)
            self._refuse_used(used)
        post = parse_body(body)
        event = Event.from_post(post, time.time())
        new = await self._record(event, post)
        if used is not None and signature is not None:
            self._remember(used, signature.time + self._settings.replay_window)
        self._metrics.accepted(new)
        return _json_answer(200, {"id": event.id, "new": new})

    def _check_source(self, peer: str) -> None:
        rate = self._settings.limits.rate_per_source
        if rate is None:
            return
        bucket = self._sources.pop(peer, None) or Bucket(rate, max(1, int(rate * 10)))
        self._sources[peer] = bucket
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)
        pause = bucket.take(time.monotonic())
        if pause:
            raise _Refusal("rate", 429, "too many requests", retry_after=pause)

    def _believe(self, connection: Connection) -> None:
        """Note that the credentials are right, and count the request: strangers must not use up the rate of the others."""
        connection.proven = True
        pause = self._rate.take(time.monotonic())
        if pause:
            raise _Refusal("rate", 429, "too many requests", retry_after=pause)

    def _signature(self, request: web.BaseRequest) -> _Signature:
        """Return the signature of a request; what can be told without the body is checked here."""
        timestamp = request.headers.get("X-Timestamp", "")
        given = SIGNATURE.fullmatch(request.headers.get("X-Signature-256", ""))
        if not given or not TIMESTAMP.fullmatch(timestamp):
            raise _Refusal("signature", 401, "X-Timestamp and X-Signature-256 are required", close=True)
        if abs(time.time() - int(timestamp)) > self._settings.replay_window:
            raise _Refusal("signature", 401, "the timestamp is too far from now", close=True)
        return _Signature(timestamp, bytes.fromhex(given[1]))

    async def _body(self, request: web.BaseRequest) -> bytes:
        try:
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0  # or aiohttp believes that the answer has begun
            reading = _read(request, self._settings.limits.body)
            if request.content.is_eof():  # all of it has come already: no timer needed
                return await reading
            return await asyncio.wait_for(reading, self._settings.limits.body_timeout)
        except asyncio.TimeoutError:
            raise _Refusal("timeout", 408, "the body took too long", close=True) from None
        except (ConnectionError, web.PayloadAccessError, web.RequestPayloadError):
            raise _Refusal("http", 400, "the body is not complete", close=True) from None

    async def _record(self, event: Event, post: Mapping[str, Any]) -> bool:
        """Hand the event over; a disk that hangs must not keep the connections from others."""
        task = asyncio.ensure_future(self._sink.accept(event, post))
        self._recording.add(task)
        task.add_done_callback(self._recorded)
        done, _pending = await asyncio.wait({task}, timeout=self._settings.limits.body_timeout)
        if not done:
            raise NotRecorded("It takes too long.")
        return task.result()

    def _recorded(self, task: asyncio.Task[bool]) -> None:
        self._recording.discard(task)
        if not task.cancelled():
            task.exception()  # or asyncio complains when nobody waits for it any more

    def _refuse_used(self, signature: bytes) -> None:
        now = time.time()
        while self._signatures and next(iter(self._signatures.values())) < now:
            self._signatures.popitem(last=False)
        if signature in self._signatures:
            raise _Refusal("replayed", 409, "this request was acknowledged before; sign the event again to repeat it")

    def _remember(self, signature: bytes, until: float) -> None:
        self._signatures[signature] = until
        if len(self._signatures) > MOST_SIGNATURES:
            self._signatures.popitem(last=False)

    def _refused(self, reason: str, peer: Optional[str]) -> None:
        self._metrics.refused(reason)
        now = time.monotonic()
        since, unsaid = self._said.get(reason, (-math.inf, 0))
        if now - since < LOG_PAUSE:
            self._said[reason] = (since, unsaid + 1)
            return
        self._said[reason] = (now, 0)
        more = f" (and {unsaid} more since the last such message)" if unsaid else ""
        LOG.warning("Refused a request or connection from %s: %s%s.", peer or "somebody", REASONS[reason], more)


class Bucket:
    """A token bucket: so many a second in the long run, and a burst after a quiet time."""

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._then = -math.inf

    def take(self, now: float) -> float:
        """Take one and return 0, or return the seconds until there is one; now is a monotonic time in seconds."""
        self._left = min(self._burst, self._left + max(0.0, now - self._then) * self._rate)
        self._then = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._rate


@dataclass(frozen=True)
class _Signature:
    timestamp: str
    given: bytes

    @property
    def time(self) -> int:
        return int(self.timestamp)

    def check(self, body: bytes, keys: list[bytes]) -> bytes:
        """Return the signature if it is that of the body with one of the keys."""
        message = self.timestamp.encode() + b"." + body
        if not _is_one_of(self.given, [hmac.new(key, message, hashlib.sha256).digest() for key in keys]):
            raise _Refusal("signature", 401, "the signature is wrong", close=True)
        return self.given


class _Refusal(Exception):
    """Ends the handling of a request; the text is for its sender."""

    def __init__(
        self,
        reason: str,
        status: int,
        text: Optional[str] = None,
        *,
        headers: Optional[dict[str, str]] = None,
        retry_after: Optional[float] = None,
        close: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self._status = status
        self._text = text
        self._headers = headers or {}
        if retry_after is not None:
            self._headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
        self._close = close

    def response(self) -> web.Response:
        """Return the answer."""
        response = _json_answer(self._status, None if self._text is None else {"error": self._text}, self._headers)
        if self._close:
            response.force_close()
        return response


def _json_answer(status: int, content: Optional[dict[str, Any]], headers: Optional[dict[str, str]] = None) -> web.Response:
    named = {"Server": SERVER, **(headers or {})}
    if content is None:
        return web.Response(status=status, headers=named)
    return web.json_response(content, status=status, headers=named)


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode(errors="surrogateescape")).digest()


def _is_one_of(given: bytes, right: list[bytes]) -> bool:
    """Compare with all of them, in a time that does not tell which, or how much of it, is right."""
    found = False
    for candidate in right:
        found |= hmac.compare_digest(given, candidate)
    return found


async def _read(request: web.BaseRequest, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            raise _Refusal("too_large", 413, f"more than {most} bytes", close=True)
    return bytes(body)


async def _discard(request: web.BaseRequest) -> None:
    async def read() -> None:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > LINGER_BYTES:
                break

    with suppress(asyncio.TimeoutError, Exception):
        await asyncio.wait_for(read(), LINGER_SECONDS)
