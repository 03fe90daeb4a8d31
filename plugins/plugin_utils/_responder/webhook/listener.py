# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: who may open one, which are dropped for new ones, how long one may be silent, and TLS.

Sockets are accepted here, not by asyncio's server, so that strangers are rejected before a TLS handshake, and handshakes
count as connections. For slow headers, aiohttp only has the timeout of idle connections, which has to be long (and which older
releases start only after the first request), so the first request's headers have their own timeout here.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Any, Optional

from ....module_utils._core.errors import IntrusionResponseError
from ....module_utils._core.options import Network
from .limits import WebhookLimits
from .tls import Certificates

try:
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler
except ImportError:
    HAS_AIOHTTP = False
    RequestHandler = object  # type: ignore[assignment, misc]
else:
    HAS_AIOHTTP = True

SERVER = "intrusion.response"
#: Seconds between two requests on a persistent connection.
LONGEST_IDLE = 30.0
#: Seconds after which a connection without credentials, or without another request, may be dropped for a new one.
GRACE = 1.0
#: An address with more than this fraction (1/n) of all connections may lose one at once to an address with fewer.
CROWD = 8
BACKLOG = 1024
#: After how many connections the loop gets its turn, and for how long if they were rejected or cannot be accepted.
AT_ONCE, TURNED_AWAY, NO_DESCRIPTORS = 16, 0.002, 0.1
#: How much of a refused body is read and discarded: bytes, seconds.
LINGER_BYTES, LINGER_SECONDS = 1 << 20, 0.5

TellRefusal = Callable[[str, Optional[str]], None]


class CannotListen(IntrusionResponseError):
    """The address is not available at the moment; another process may use it, or the network may not be up yet."""

    code = "cannot_listen"


class Connection(RequestHandler):
    """One connection: aiohttp's protocol, without its logging of failures.

    aiohttp would log malformed requests, and answer with parts of them, although the path may contain a secret.

    Attributes:
        peer: the address at the other end.
        proven: whether a request on it had valid credentials.
        busy: whether a request is under way on it.
        since: monotonic time of its opening, or of its latest request.
        opening: the handshake.
    """

    __slots__ = ("_deadline", "_listener", "busy", "opening", "peer", "proven", "since", "wire")

    def __init__(self, listener: Listener, server: web.Server, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        super().__init__(
            server, loop=loop, keepalive_timeout=LONGEST_IDLE, access_log=None, lingering_time=0, auto_decompress=False  # type: ignore[arg-type]
        )
        self._listener = listener
        self._deadline: Optional[asyncio.TimerHandle] = None
        self.opening: Optional[asyncio.Task[None]] = None
        self.peer = peer
        self.proven = self.busy = False
        self.since = loop.time()
        self.wire: Any = None  # the transport, which aiohttp drops as soon as it starts closing it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timeout of the first request's headers."""
        self.wire = transport
        self._deadline = self._loop.call_later(self._listener.limits.body_timeout, self._too_slow)
        super().connection_made(transport)

    def connection_lost(self, exc: Optional[BaseException]) -> None:
        """Remove it from the list of connections."""
        self.in_time()
        self._listener.forget(self)
        super().connection_lost(exc)

    def in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def abort(self) -> None:
        if self.opening is not None:
            self.opening.cancel()
        if self.wire is not None:
            self.wire.abort()

    def handle_error(self, request: web.BaseRequest, status: int = 500, *_args: Any, **_kw: Any) -> web.StreamResponse:
        """Answer malformed HTTP, without quoting it."""
        self._listener.refused("http" if status < 500 else "error", request.remote)
        response = web.Response(status=status, headers={"Server": SERVER})
        response.force_close()
        return response

    def log_exception(self, *_args: Any, **_kw: Any) -> None:
        """Count an exception, whose text could contain parts of the request."""
        self._listener.refused("error", self.peer)

    def _too_slow(self) -> None:
        self._listener.refused("timeout", self.peer)
        self.abort()


class Listener:
    """Accepts connections for a handler of requests.

    Args:
        what: the name of the listener ("The webhook").
        handler: answers a request on a connection; it must not raise.
        refused: called with the reason and the address of everybody who is rejected.

    Attributes:
        limits, allow_from: how many connections, how slow, and from where; can be replaced at any time.
        connections: the open ones; the least recently used comes first.

    Raises:
        CannotListen: (at the start) the address is not available.
    """

    def __init__(
        self,
        what: str,
        limits: WebhookLimits,
        handler: Callable[[web.BaseRequest, Connection], Awaitable[web.Response]],
        refused: TellRefusal,
        allow_from: tuple[Network, ...] = (),
        certificates: Optional[Certificates] = None,
    ) -> None:
        self.limits = limits
        self.allow_from = allow_from
        self.refused = refused
        self.connections: OrderedDict[Connection, None] = OrderedDict()
        self._what = what
        self._handler = handler
        self._certificates = certificates
        self._held: Counter[str] = Counter()
        self._accepting: Optional[asyncio.Task[None]] = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _type, _protocol, _name, address = min(found, key=lambda info: info[0] != socket.AF_INET)
            dual = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
            self._socket = socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual)
        except OSError as error:  # socket errors repeat the address, so only the reason is used
            reason = os.strerror(error.errno) if error.errno and not isinstance(error, socket.gaierror) else error.strerror
            raise CannotListen(f"{self._what} cannot listen on {host} port {port}: {reason or error}.") from None
        self._socket.setblocking(False)
        self._server = web.Server(self._serve)
        self._accepting = loop.create_task(self._accept())
        name = self._socket.getsockname()
        return name[0], name[1]

    async def stop(self, grace: float) -> None:
        """Accept no more, give requests under way that many seconds to finish, and cut off the rest."""
        if self._accepting is None:
            return
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._accepting = None
        self._socket.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        while self.connections:
            is_over = loop.time() >= deadline
            for connection in list(self.connections):
                if is_over or not connection.busy:
                    connection.abort()
            if is_over:
                break
            await asyncio.sleep(0.01)
        await self._server.shutdown(0.1)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection: Any = request.protocol
        connection.in_time()
        connection.busy = True
        try:
            response = await self._handler(request, connection)
            response.headers["Server"] = SERVER
            if self._accepting is None:
                response.force_close()
            if not request.content.is_eof():  # read the rest for a moment, so that the sender gets to see the answer
                response.force_close()
                with suppress(asyncio.TimeoutError, ConnectionError, web.PayloadAccessError, web.RequestPayloadError):
                    await response.prepare(request)
                    await response.write_eof()
                    await asyncio.wait_for(_discard(request), LINGER_SECONDS)
            return response
        finally:
            connection.busy = False
            connection.since = asyncio.get_running_loop().time()
            if connection in self.connections:
                self.connections.move_to_end(connection)

    def forget(self, connection: Connection) -> None:
        if connection in self.connections:
            del self.connections[connection]
            self._held[connection.peer] -= 1
            if not self._held[connection.peer]:
                del self._held[connection.peer]

    async def _accept(self) -> None:
        """Accept connections forever. If more are waiting, accepting one does not yield, so the loop gets its turn here."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        for number in itertools.count(1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(pause)
                pause = 0.0
            try:
                accepted, address = await loop.sock_accept(self._socket)
            except OSError:  # such as no file descriptors left
                self.refused("descriptors", None)
                await asyncio.sleep(NO_DESCRIPTORS)
                continue
            peer = plain_address(address[0])
            reason = self._objection(peer)
            if reason is not None:
                accepted.close()
                self.refused(reason, peer)
                pause = TURNED_AWAY
                continue
            connection = Connection(self, self._server, loop, peer)
            self.connections[connection] = None
            self._held[peer] += 1
            connection.opening = loop.create_task(self._open(connection, accepted))

    def _objection(self, peer: str) -> Optional[str]:
        if self.allow_from and not any(ip_address(peer) in network for network in self.allow_from):
            return "source"
        if self._held[peer] >= (self.limits.connections_per_source or self.limits.connections):
            return "connections_per_source"
        if len(self.connections) < self.limits.connections:
            return None
        victim = self._victim(peer)
        if victim is None:
            return "connections"
        self.refused("connections", victim.peer)
        self.forget(victim)
        victim.abort()
        return None

    def _victim(self, peer: str) -> Optional[Connection]:
        """Return the connection to drop for a new one: a silent one, one of many from an address, or the longest idle one."""
        latest = asyncio.get_running_loop().time() - GRACE
        least = max(self.limits.connections // CROWD, self._held[peer], 1)
        quiet = list(itertools.takewhile(lambda one: one.since <= latest, self.connections))
        candidates = itertools.chain(
            (one for one in quiet if not one.proven),
            (one for one in self.connections if not one.proven and self._held[one.peer] > least),
            (one for one in quiet if not one.busy),
        )
        return next(candidates, None)

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        timeouts: dict[str, Any] = {}
        if self._certificates is not None:
            timeouts["ssl_handshake_timeout"] = self.limits.body_timeout
            if sys.version_info >= (3, 11):  # otherwise 30 s for a peer that does not close
                timeouts["ssl_shutdown_timeout"] = self.limits.body_timeout
        try:
            context = None if self._certificates is None else await asyncio.to_thread(self._certificates.context)
            await loop.connect_accepted_socket(lambda: connection, accepted, ssl=context, **timeouts)
        except (OSError, asyncio.CancelledError) as error:  # of TLS, too
            self.forget(connection)
            accepted.close()
            if not isinstance(error, OSError):
                raise
            self.refused("tls", connection.peer)


async def _discard(request: web.BaseRequest) -> None:
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > LINGER_BYTES:
            break


def plain_address(text: str) -> str:
    """Return a peer's address without a zone, and an IPv4-mapped address as plain IPv4."""
    with suppress(ValueError):
        address = ip_address(text.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return str(mapped or address)
    return text


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address; a name other than localhost counts as reachable by others."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_objection(host: str) -> Optional[str]:
    """Return what is wrong with an address or host name."""
    try:
        host.encode("idna")
    except UnicodeError:
        return "must be an address or a host name."
    return None
