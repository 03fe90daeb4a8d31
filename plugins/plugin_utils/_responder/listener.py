# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: who may open one, for how long it may say nothing, and TLS.

Sockets are accepted here, not by asyncio's server, so that strangers are turned away before a TLS handshake and that handshakes
count as connections. For slow headers aiohttp has only the time limit of idle connections, which has to be long (and its older
releases start that one only after the first request), so the first request's headers have a limit of their own here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Any, Optional

from ...module_utils._core.errors import InvalidInput
from .monitor import SERVER
from .settings import CannotListen, DoorSettings, TlsSettings

try:
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler
except ImportError:
    HAS_AIOHTTP = False
    RequestHandler = object  # type: ignore[assignment, misc]
else:
    HAS_AIOHTTP = True

LOG = logging.getLogger("intrusion.response")

#: Seconds between two requests on a kept connection.
LONGEST_IDLE = 30.0
#: Seconds after which a connection that has shown no credentials yet has to give way to a new one when there are too many.
GRACE = 1.0
#: An address with more than one part in so many of all connections gives way to one with fewer at once.
CROWD = 8
BACKLOG = 1024
CERTIFICATE_CHECK = 1.0


class Connection(RequestHandler):
    """One connection: aiohttp's protocol, quiet about what goes wrong.

    aiohttp would log malformed requests, and answer with parts of them, where the path can hold a secret.

    Attributes:
        proven: whether a request on it had the right credentials.
        requests: under way on it, 0 or 1.
    """

    __slots__ = ("_deadline", "_listener", "opening", "proven", "requests", "since", "wire")

    def __init__(self, listener: Listener, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server, loop=loop, keepalive_timeout=LONGEST_IDLE, access_log=None, lingering_time=0, auto_decompress=False  # type: ignore[arg-type]
        )
        self._listener = listener
        self._deadline: Optional[asyncio.TimerHandle] = None
        self.opening: Optional[asyncio.Task[None]] = None
        self.proven = False
        self.requests = 0
        self.since = loop.time()
        self.wire: Optional[asyncio.BaseTransport] = None  # which aiohttp forgets as soon as it begins to close it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the first request's headers their time."""
        self.wire = transport
        self._deadline = self._loop.call_later(self._listener.settings.limits.body_timeout, self._too_slow)
        super().connection_made(transport)

    def connection_lost(self, exc: Optional[BaseException]) -> None:
        """Leave the list of connections."""
        self.in_time()
        self._listener.forget(self)
        super().connection_lost(exc)

    def in_time(self) -> None:
        """Note that the first request's headers are there."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def abort(self) -> None:
        """Cut the connection, or its opening."""
        if self.opening is not None and not self.opening.done():
            self.opening.cancel()
        if isinstance(self.wire, asyncio.WriteTransport):
            self.wire.abort()

    def handle_error(self, request: web.BaseRequest, status: int = 500, *_args: Any, **_kw: Any) -> web.StreamResponse:
        """Answer what is no HTTP, without a word of it."""
        self._listener.refused("http" if status < 500 else "error", request.remote)
        response = web.Response(status=status, headers={"Server": SERVER})
        response.force_close()
        return response

    def log_exception(self, *_args: Any, **kw: Any) -> None:
        """Say what kind of exception it was; its text could hold parts of the request."""
        LOG.error("A connection failed: %s.", type(kw.get("exc_info")).__name__)

    def _too_slow(self) -> None:
        self._listener.refused("timeout", self._listener.peer(self))
        self.abort()


class Listener:
    """Accepts connections for a handler of requests.

    Args:
        handler: answers a request; it must not raise.
        refused: told the reason and the address of everybody who is turned away.

    Raises:
        InvalidInput: the certificate cannot be used.
        CannotListen: (at the start) the address cannot be had.
    """

    def __init__(
        self,
        settings: DoorSettings,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        refused: Callable[[str, Optional[str]], None],
    ) -> None:
        self.settings = settings
        self.refused = refused
        self._handler = handler
        self._certificates = None if settings.tls is None else Certificates(settings.tls)
        self._connections: dict[Connection, str] = {}
        self._socket: Optional[socket.socket] = None
        self._accepting: Optional[asyncio.Task[None]] = None

    async def start(self) -> tuple[str, int]:
        """Start to accept; return the address."""
        loop = asyncio.get_running_loop()
        host, port = self.settings.host, self.settings.port
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _type, _protocol, _name, address = min(found, key=lambda info: info[0] != socket.AF_INET)
            dual = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
            self._socket = socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual)
        except OSError as error:
            raise CannotListen.at("The door", host, port, error) from None
        self._socket.setblocking(False)
        self._server = web.Server(self._handler)
        self._accepting = loop.create_task(self._accept(self._socket))
        name = self._socket.getsockname()
        return name[0], name[1]

    async def stop(self, grace: float) -> None:
        """Accept no more, let requests under way finish for that many seconds, cut the rest."""
        if self._accepting is None or self._socket is None:
            return
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._socket.close()
        self._accepting = self._socket = None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        while True:
            for connection in [connection for connection in self._connections if not connection.requests]:
                connection.abort()
            if not self._connections or loop.time() >= deadline:
                break
            await asyncio.sleep(0.01)
        await self._server.shutdown(0.1)

    @property
    def stopping(self) -> bool:
        """Whether no more connections are accepted."""
        return self._accepting is None

    def peer(self, connection: Connection) -> Optional[str]:
        """Return the address at the other end."""
        return self._connections.get(connection)

    def forget(self, connection: Connection) -> None:
        """Leave out a connection that has ended."""
        self._connections.pop(connection, None)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:  # such as no more descriptors
                LOG.warning("Cannot accept a connection: %s.", error.strerror or type(error).__name__)
                await asyncio.sleep(0.1)
                continue
            peer = plain_address(address[0])
            reason = self._objection(peer)
            if reason is not None:
                accepted.close()
                self.refused(reason, peer)
                continue
            connection = Connection(self, self._server, loop)
            self._connections[connection] = peer
            connection.opening = loop.create_task(self._open(connection, accepted))

    def _objection(self, peer: str) -> Optional[str]:
        allowed = self.settings.allow_from
        if allowed and not any(ip_address(peer) in network for network in allowed):
            return "source"
        if len(self._connections) < self.settings.limits.connections:
            return None
        latest = asyncio.get_running_loop().time() - GRACE
        unproven = [connection for connection in self._connections if not connection.proven]  # the oldest first
        held = Counter(self._connections[connection] for connection in unproven)
        # Whoever opens many connections gives way to others, however quick they are.
        least = max(1, self.settings.limits.connections // CROWD)
        victim = next((one for one in unproven if one.since <= latest), None)
        victim = victim or next((one for one in unproven if held[self._connections[one]] > max(least, held[peer])), None)
        if victim is None:
            return "connections"
        self.refused("connections", self._connections[victim])
        self.forget(victim)
        victim.abort()
        return None

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        context = None if self._certificates is None else self._certificates.context(loop.time())
        limits: dict[str, Any] = {}
        if context is not None:
            limits["ssl_handshake_timeout"] = self.settings.limits.body_timeout
            if sys.version_info >= (3, 11):  # otherwise 30 s for a peer that does not take leave
                limits["ssl_shutdown_timeout"] = self.settings.limits.body_timeout
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted, ssl=context, **limits)
        except OSError:  # of TLS, too
            self.refused("tls", self.peer(connection))
            self.forget(connection)
            accepted.close()
        except asyncio.CancelledError:
            self.forget(connection)
            accepted.close()
            raise


class Certificates:
    """The TLS context; a new one when the files have changed, which connections already open do not notice.

    Raises:
        InvalidInput: a file cannot be used.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._files = [path for path in (settings.cert_file, settings.key_file, settings.client_ca_file) if path]
        self._stamp = self._look()
        self._next = 0.0
        self._context = self._load()

    def context(self, now: float) -> ssl.SSLContext:
        """Return the context for a new connection; now is a monotonic time in seconds."""
        if now >= self._next:
            self._next = now + CERTIFICATE_CHECK
            stamp = self._look()
            if stamp != self._stamp:
                try:
                    self._context = self._load()
                    LOG.info("The door's certificate was loaded anew.")
                except InvalidInput as error:  # half written, perhaps: the next change counts
                    LOG.warning("The door's certificate has changed. %s The old one stays.", error.message)
                self._stamp = stamp
        return self._context

    def _look(self) -> list[tuple[int, ...]]:
        stamps: list[tuple[int, ...]] = []
        for path in self._files:
            stamps.append(())
            with suppress(OSError):
                found = os.stat(path)
                stamps[-1] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return stamps

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        settings = self._settings
        try:
            # A password that is no password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except (OSError, ValueError) as error:
            if settings.key_file and _holds_certificate(settings.cert_file):
                raise _unusable("key_file", settings.key_file, error) from None
            raise _unusable("cert_file", settings.cert_file, error) from None
        if settings.client_ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(settings.client_ca_file)
            except (OSError, ValueError) as error:
                raise _unusable("client_ca_file", settings.client_ca_file, error) from None
        return context


def plain_address(text: str) -> str:
    """Return a peer's address without a zone, and an IPv4 one that came over an IPv6 socket as what it is."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _holds_certificate(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except (OSError, ValueError):
        return False
    return True


def _unusable(name: str, path: str, error: Exception) -> InvalidInput:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not in PEM form, or its key has a password").replace("_", " ").lower()
    else:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not usable"
    return InvalidInput(f"tls.{name}: {path} cannot be used: {reason}.")
