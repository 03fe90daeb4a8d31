# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of urllib3 with one deadline for each request, which the other side cannot delay.

A socket's timeout restarts with each byte. A server that sends one now and then, in a header, in the size of a chunk or as
repeated "100 Continue", could make a client wait forever. Here, each wait is limited to the remaining time of the request. Only
the system's resolver takes as long as it is configured to.
"""

from __future__ import annotations

import functools
import gc
import io
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Optional
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

try:
    # An import creates no garbage, and with Ansible's heap, a full garbage collection takes as long as the import itself.
    _threshold = gc.get_threshold()
    gc.set_threshold(0)
    from http.client import HTTPConnection as PlainConnection
    from http.client import HTTPException, HTTPResponse, IncompleteRead

    from urllib3 import HTTPResponse as Unpacked
    from urllib3 import PoolManager, ProxyManager, disable_warnings
    from urllib3 import __version__ as urllib3_version  # type: ignore[attr-defined]
    from urllib3.connection import CertificateError, HTTPConnection  # type: ignore[attr-defined]
    from urllib3.exceptions import HTTPError, InsecureRequestWarning, ProtocolError
    from urllib3.util import make_headers
except ImportError:
    REQUESTS_IMPORT_ERROR: Optional[str] = traceback.format_exc()
    HTTPResponse = object  # type: ignore[assignment, misc]
else:
    REQUESTS_IMPORT_ERROR = None
finally:
    gc.set_threshold(*_threshold)  # pylint: disable=used-before-assignment

from .errors import BadResponse, InvalidInput, Unreachable

#: Bytes per second at which an answer must arrive to be read beyond its timeout: 100,000 blacklist entries, 18 MB, over 256 kbit/s.
SLOWEST = 32 * 1024
#: Bytes of an answer, before and after decompression: enough for 100,000 entries of 600 bytes each.
LONGEST = 64 * 1024 * 1024
#: How exact a deadline is, as a fraction of its seconds.
TOLERANCE = 0.01
ANSWER_TOO_LONG = f"the answer is larger than {LONGEST // 1024**2} MiB."

_under_way = threading.local()


class Deadline:
    """When a request ends.

    Each byte that arrives extends the deadline by the time of a byte at the slowest accepted rate, but never beyond the given
    time from now. So a dripping answer is cut off, a long answer that keeps flowing is read completely, and no answer stalls for longer
    than the given time.

    Attributes:
        seconds: the given time.
        connecting: whether there is no connection yet, so that the request has certainly not been sent.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.connecting = True
        self._end = time.monotonic() + seconds
        self._received = 0

    def left(self) -> float:
        """Return the seconds that are left; raises TimeoutError (socket.timeout) if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        return left

    def limit(self, sock: Any) -> None:
        """Let operations of a socket wait no longer than this; raises like left."""
        left, current = self.left(), sock.gettimeout()
        # Each change is a system call, during which other threads get their turn, and so costs more than it seems.
        if current is None or abs(current - left) > TOLERANCE * self.seconds:
            sock.settimeout(left)

    def arrived(self, size: int) -> None:
        """Count bytes that have arrived; raises BadResponse if the answer is too long."""
        self._received += size
        if self._received > LONGEST:
            raise BadResponse(ANSWER_TOO_LONG)
        self._end = max(self._end, min(self._end + size / SLOWEST, time.monotonic() + self.seconds))

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Make this the deadline for what this thread sends."""
        _under_way.deadline = self
        try:
            yield
        finally:
            del _under_way.deadline


class _Reader(io.RawIOBase):
    """Reads what arrives on a socket until the deadline."""

    def __init__(self, raw: Any, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline: Deadline = _under_way.deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        self._deadline.limit(self._sock)
        size: Optional[int] = self._raw.readinto(buffer)
        self._deadline.arrived(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))


class _Timed:
    """Mixed into a connection of urllib3."""

    response_class = _Response
    sock: Optional[socket.socket]
    _pieces: Optional[list[bytes]] = None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _under_way.deadline.connecting = False

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        """Send head and body in one piece."""
        self._pieces: Optional[list[bytes]] = []
        try:
            super().endheaders(*args, **kwargs)  # type: ignore[misc]
        finally:
            pieces, self._pieces = self._pieces, None
        self.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        if self._pieces is not None:
            self._pieces.append(data)
            return
        if self.sock is not None:
            _under_way.deadline.limit(self.sock)
        super().send(data)  # type: ignore[misc]


class _TimedSocks(_Timed):
    """Mixed into a connection through a SOCKS proxy."""

    def _new_conn(self) -> socket.socket:
        self.timeout = _under_way.deadline.left()
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        sock.settimeout(_under_way.deadline.left())
        return sock


class _TimedDirect(_Timed):
    """Mixed into any other connection; the addresses of a name share the time, whereas urllib3 would give each of them all of it."""

    _dns_host: str
    port: int
    socket_options: Any

    def _new_conn(self) -> socket.socket:
        deadline: Deadline = _under_way.deadline
        try:
            addresses = socket.getaddrinfo(self._dns_host.strip("[]"), self.port, 0, socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Unreachable("the name cannot be resolved.") from None
        reason = "connection refused or no route."
        for number, (family, kind, protocol, _name, address) in enumerate(addresses):
            with ExitStack() as stack, suppress(OSError):
                sock = stack.enter_context(socket.socket(family, kind, protocol))
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                try:
                    sock.settimeout(deadline.left() / (len(addresses) - number))
                    sock.connect(address)
                    sock.settimeout(deadline.left())
                except socket.timeout:
                    reason = f"no connection within {deadline.seconds:.3g} s."
                    continue
                stack.pop_all()
                return sock
        raise Unreachable(reason)


@functools.lru_cache(maxsize=8)
def _timed(pool: Any) -> Any:
    """Return this connection pool class with connections that respect the deadline."""
    mixin = _TimedDirect if pool.ConnectionCls._new_conn is HTTPConnection._new_conn else _TimedSocks
    connection = type(f"Timed{pool.ConnectionCls.__name__}", (mixin, pool.ConnectionCls), {})
    return type(f"Timed{pool.__name__}", (pool,), {"ConnectionCls": connection})


def environment_proxy(url: str) -> Optional[str]:
    """Return the proxy that the environment sets for a URL, or None, by the rules of requests, which accepts networks in NO_PROXY."""
    proxies = getproxies_environment()
    if not proxies:
        return None
    # Imported only if needed, since the import takes longer than a request. Unlike requests, this never asks the operating system.
    from requests.utils import select_proxy, should_bypass_proxies

    return None if should_bypass_proxies(url, no_proxy=None) else select_proxy(url, proxies) or None


class Connections:
    """Persistent connections to one service: urllib3 opens and keeps them, but http.client uses them, at half the cost.

    Args:
        url: URL of the service.
        context: TLS settings, None for a service without TLS.
        proxy: URL of a proxy (http, the default, or https, socks4, socks4a, socks5, socks5h), with credentials if it needs them.
        most: maximum number of connections, all of which are kept.

    Raises:
        InvalidInput: the proxy cannot be used.
        ValueError: the URL cannot be used.
    """

    def __init__(self, url: str, context: Optional[ssl.SSLContext], proxy: Optional[str], most: int) -> None:
        self._pool = _pool(url, context, proxy, most)
        # A forwarding proxy gets the whole URL, all others only the path.
        is_forwarded = self._pool.proxy is not None and context is None
        self._tunnels = self._pool.proxy is not None and context is not None
        self._root = url if is_forwarded else urlsplit(url).path
        self._headers = dict(self._pool.proxy_headers) if is_forwarded else {}

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def exchange(
        self, method: str, target: str, body: Optional[bytes], headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return the status of the answer, its headers by lower-case names, and its decompressed body.

        Raises:
            BadResponse, Unreachable: as documented there.
            HTTPError, OSError: any other failure; for TLS, ssl.SSLError.
            ValueError: the request cannot be sent.
        """
        with deadline.in_force():
            connection: Any = self._pool._get_conn(deadline.left())
            try:
                if connection.sock is not None:
                    deadline.connecting = False
                else:
                    if self._tunnels:
                        self._pool._prepare_proxy(connection)
                    self._pool._validate_conn(connection)
                PlainConnection.request(connection, method, f"{self._root}{target}", body, {**headers, **self._headers})
                with PlainConnection.getresponse(connection) as response:
                    return response.status, *_read(response)
            except BaseException as error:
                connection.close()
                connection = None
                if isinstance(error, HTTPException):
                    raise ProtocolError(str(error)) from None
                if isinstance(error, CertificateError):  # in urllib3 1, it is not an ssl.SSLError
                    raise ssl.SSLError(str(error)) from None
                raise
            finally:
                self._pool._put_conn(connection)


def _read(response: HTTPResponse) -> tuple[dict[str, str], bytes]:
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = b"".join(iter(lambda: response.read(65536), b""))
    if response.length:
        raise IncompleteRead(body, response.length)
    if headers.get("content-encoding", "identity") == "identity":
        return headers, body
    unpacked = Unpacked(io.BytesIO(body), headers, preload_content=False)
    parts, size = [], 0
    while part := unpacked.read(65536, decode_content=True):
        parts.append(part)
        size += len(part)
        if size > LONGEST:
            raise BadResponse(ANSWER_TOO_LONG)
    return headers, b"".join(parts)


def _pool(url: str, context: Optional[ssl.SSLContext], proxy: Optional[str], connections: int) -> Any:
    settings: dict[str, Any] = {"maxsize": connections, "block": True}
    if context is not None:
        if urllib3_version.startswith("1."):
            context.check_hostname = False  # urllib3 1 does that itself, and omits the name that Python would need for an address
        if context.verify_mode == ssl.CERT_NONE:
            disable_warnings(InsecureRequestWarning)  # the caller warns once, instead of for each request
        settings.update(ssl_context=context, cert_reqs=context.verify_mode)
    try:
        manager = _proxy_manager(proxy, settings) if proxy else PoolManager(**settings)
    except ImportError:
        raise InvalidInput(
            "The environment sets a SOCKS proxy, which needs the Python package PySocks.",
            hint="Install it (requests[socks]), add the service to NO_PROXY, or set use_proxy: false.",
        ) from None
    except (ValueError, HTTPError):
        raise InvalidInput(
            "The proxy set in the environment must be a URL such as http://192.0.2.3:3128.",
            hint="Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or set use_proxy: false.",
        ) from None
    manager.pool_classes_by_scheme = {scheme: _timed(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}
    return manager.connection_from_url(url)


def _proxy_manager(proxy: str, settings: dict[str, Any]) -> PoolManager:
    from requests.utils import get_auth_from_url, prepend_scheme_if_needed

    proxy = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    user, password = get_auth_from_url(proxy)
    if proxy.lower().startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy, username=user or None, password=password or None, **settings)
    return ProxyManager(proxy, proxy_headers=make_headers(proxy_basic_auth=f"{user}:{password}") if user else None, **settings)
