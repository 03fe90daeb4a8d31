# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only way to the network: urllib3 with verified TLS, bounded time, safe retries and no leaked secrets.

* Nothing is read from ~/.netrc, which would silently replace a bearer token, and there are no cookies.
* No redirect is followed: a redirected write would lose its body, and credentials must not go to another host.
* A request whose answer was lost is repeated only if the caller says that this is safe.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import os
import random
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Optional, Union
from urllib.parse import urlsplit

with suppress(ImportError):
    from urllib3.exceptions import DecodeError, EmptyPoolError, HTTPError
    from urllib3.exceptions import TimeoutError as NoAnswer

from .errors import (
    BadResponse,
    CertificateRejected,
    IntrusionResponseError,
    InvalidInput,
    RateLimited,
    ReadOnlyViolation,
    RedirectRefused,
    TimeoutUnknown,
    Unreachable,
)
from .redact import Redactor
from .wire import Connections, Deadline, environment_proxy

VERSION = "1.0.0"
USER_AGENT = f"intrusion.response/{VERSION}"
#: Values in an answer: enough for 100,000 entries with a dozen members each; the costliest answer takes about 250 MB of memory.
MOST_VALUES = 2_000_000
#: Digits of an integer; longer ones take Python long to parse, or are refused.
MOST_DIGITS = 40
EXAMPLE = "https://192.0.2.1"
RETRY_STATUSES = (429, 500, 502, 503, 504)
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0


@dataclass(frozen=True)
class Endpoint:
    """The address of a service and how to talk to it; times in seconds."""

    url: str
    option: str
    validate_certs: bool = True
    ca_path: Optional[str] = None
    allow_http: bool = False
    use_proxy: bool = False
    timeout: float = 30.0
    retries: int = 3

    @classmethod
    def from_options(cls, option: str, params: Mapping[str, Any]) -> Endpoint:
        """Create one from connection options; option is the name of the one with the URL."""
        names = ("validate_certs", "ca_path", "allow_http", "use_proxy", "timeout", "retries")
        endpoint = cls(url=params[option].strip().rstrip("/"), option=option, **{name: params[name] for name in names})
        endpoint.check()
        return endpoint

    def check(self) -> None:
        """Raise InvalidInput if the URL is not a usable http(s) URL, or not a safe one."""
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            usable = usable and not re.search(r"[\s\x00-\x1f\x7f]", self.url)
        except ValueError:
            usable = False
        if not usable:
            bare = self.url.count(":") > 2 and "[" not in self.url
            hint = "An IPv6 address needs brackets, as in https://[2001:db8::1]." if bare else None
            raise InvalidInput(f"{self.option} must be a URL such as {EXAMPLE}.", hint=hint)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InvalidInput(f"{self.option} must not contain credentials, a query or a fragment.")
        if parts.scheme == "http" and not self.allow_http and not self.is_loopback:
            raise InvalidInput(
                f"{self.option} uses plain http, which would send credentials in clear text. Use https, or set allow_http: true."
            )
        if self.validate_certs and self.ca_path and self.uses_tls:
            tls_context(True, self.ca_path)

    @property
    def uses_tls(self) -> bool:
        """Whether the service is reached over TLS."""
        return self.url.lower().startswith("https:")

    @property
    def host(self) -> str:
        """The host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The TCP port."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_loopback(self) -> bool:
        """Whether requests to the address stay on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, with undecodable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON, with too long integers as strings; raises ValueError if it is not JSON, or too costly to parse."""
        if len(self.body) > MOST_VALUES and sum(self.body.count(mark) for mark in b"[{,") > MOST_VALUES:
            raise ValueError("too many values")
        try:
            return json.loads(self.body, parse_int=lambda digits: int(digits) if len(digits) <= MOST_DIGITS else digits)
        except RecursionError:
            raise ValueError("nested too deeply") from None


@functools.lru_cache(maxsize=8)
def tls_context(validate_certs: bool, ca_path: Optional[str]) -> ssl.SSLContext:
    """Return the TLS settings, created once per process: with the system's trust store, or only the given CA file or directory."""
    try:
        if ca_path is None:
            context = ssl.create_default_context()
        elif os.path.isdir(ca_path):
            context = ssl.create_default_context(capath=ca_path)
        else:
            context = ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError):
        raise InvalidInput(f"ca_path {ca_path} cannot be read as a file of CA certificates in PEM format.") from None
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Transport:
    """Requests to one service over persistent connections.

    Args:
        endpoint: the service.
        redactor: removes secrets from error messages.
        auth: (user name, password) for HTTP Basic, sent with every request; None for no authentication.
        read_only: refuse every write (the second lock of check mode).
        connections: number of persistent connections, for callers that use several threads.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        redactor: Redactor,
        auth: Optional[tuple[str, str]] = None,
        read_only: bool = False,
        connections: int = 1,
    ) -> None:
        self.endpoint = endpoint
        self._redact = redactor
        self._read_only = read_only
        self._headers = {"User-Agent": USER_AGENT}
        if auth is not None:
            token = base64.b64encode(":".join(auth).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
            redactor.add(token)
        context = tls_context(endpoint.validate_certs, endpoint.ca_path) if endpoint.uses_tls else None
        self._proxy = environment_proxy(endpoint.url) if endpoint.use_proxy else None
        try:
            self._connections = Connections(endpoint.url, context, self._proxy, connections)
        except ValueError:
            raise InvalidInput(f"{endpoint.option} must be a URL such as {EXAMPLE}.") from None

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Union[bytes, None] = None,
        headers: Optional[Mapping[str, str]] = None,
        write: Optional[bool] = None,
        repeatable: Optional[bool] = None,
    ) -> Reply:
        """Send a request, repeat it if that is safe, and return the answer with any status except a redirect.

        Args:
            method: HTTP method.
            path: appended to the endpoint's URL, already encoded.
            query: already encoded, without the question mark.
            body: sent unchanged.
            headers: in addition to the transport's own.
            write: whether this changes something; by default true for all methods except GET.
            repeatable: whether a request that may have arrived may be sent again; by default only a GET.

        Raises:
            ReadOnlyViolation, Unreachable, CertificateRejected, TimeoutUnknown, BadResponse, RedirectRefused, RateLimited.
        """
        read = method == "GET"
        write = not read if write is None else write
        repeatable = read if repeatable is None else repeatable
        if write and self._read_only:
            raise ReadOnlyViolation(f"{method} {path} was refused: check mode must not write. This is a bug; please report it.")
        target = f"{path}?{query}" if query else path
        deadline = time.monotonic() + self.endpoint.timeout * (self.endpoint.retries + 1)
        for attempt in itertools.count():
            outcome = self._attempt(method, target, body, headers, deadline, repeatable)
            if isinstance(outcome, Reply) and not self._ask_again(outcome, repeatable):
                return outcome
            pause = self._pause(attempt, outcome)
            if attempt >= self.endpoint.retries or time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
        if isinstance(outcome, IntrusionResponseError):
            raise outcome
        if outcome.status == 429:
            raise RateLimited(f"{self._place(method, target)} answered 429 (too many requests){self._asked(outcome)}.", http_status=429)
        return outcome

    def _attempt(
        self, method: str, target: str, body: Optional[bytes], headers: Optional[Mapping[str, str]], end: float, repeatable: bool
    ) -> Union[Reply, IntrusionResponseError]:
        """Return the answer, or a failure after which the request may be sent again; raise any other failure."""
        try:
            return self._once(method, target, body, headers, end)
        except Unreachable as error:
            return error
        except (TimeoutUnknown, BadResponse) as error:
            if repeatable:
                return error
            raise

    @staticmethod
    def _ask_again(reply: Reply, repeatable: bool) -> bool:
        if repeatable:
            return reply.status in RETRY_STATUSES
        return reply.status in (429, 503) and "retry-after" in reply.headers

    @staticmethod
    def _pause(attempt: int, outcome: Union[Reply, IntrusionResponseError, None] = None) -> float:
        if isinstance(outcome, Reply):
            try:
                return max(0.0, float(outcome.headers.get("retry-after", "")))
            except ValueError:
                pass
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt) * random.uniform(0.5, 1.0)

    def wait(self, attempt: int) -> None:
        """Pause before a caller's own retry number attempt (from 0)."""
        time.sleep(self._pause(attempt))

    @staticmethod
    def _asked(reply: Reply) -> str:
        after = reply.headers.get("retry-after", "")
        return f" and asked for a pause of {after} s" if after.isdigit() else ""

    def _once(self, method: str, target: str, body: Optional[bytes], headers: Optional[Mapping[str, str]], end: float) -> Reply:
        place = self._place(method, target)
        deadline = Deadline(max(0.001, min(self.endpoint.timeout, end - time.monotonic())))
        try:
            reply = Reply(*self._connections.exchange(method, target, body, {**self._headers, **(headers or {})}, deadline))
        except Unreachable as error:
            raise Unreachable(f"{place}: {'the proxy: ' if self._proxy else ''}{error.message}") from None
        except BadResponse as error:
            raise BadResponse(f"{place}: {error.message}") from None
        except ssl.SSLError as error:
            raise self._tls_failure(place, error, deadline) from None
        except (HTTPError, OSError) as error:
            raise self._failure(place, error, deadline) from None
        except ValueError as error:
            raise InvalidInput(f"{place} could not be sent ({type(error).__name__}).") from None
        if 300 <= reply.status < 400 and reply.status != 304:
            where = ""
            with suppress(ValueError):
                location = urlsplit(reply.headers.get("location", ""))
                where = f" to {location.scheme}://{location.hostname}" if location.hostname else ""
            raise RedirectRefused(
                f"{place} answered with a redirect ({reply.status}){where}, which is not followed.",
                http_status=reply.status,
                hint=f"Set {self.endpoint.option} to the final address.",
            )
        return reply

    def _failure(self, place: str, error: Exception, deadline: Deadline) -> IntrusionResponseError:
        """Distinguish a connection that was never made, so that certainly nothing was sent, from one that was lost."""
        late = isinstance(error, (NoAnswer, EmptyPoolError, socket.timeout))
        if deadline.connecting and self._proxy is not None:
            return Unreachable(f"{place}: the proxy refused, or did not answer.")
        if deadline.connecting:
            what = f"no connection within {deadline.seconds:.3g} s" if late else "the connection was closed at once"
            return Unreachable(f"{place}: {what}.")
        if late:
            return TimeoutUnknown(f"{place}: no complete answer within {deadline.seconds:.3g} s.")
        if isinstance(error, DecodeError):
            return BadResponse(f"{place}: the answer cannot be decompressed.")
        hint = None if self.endpoint.uses_tls else "If the service uses TLS on this port, its URL must begin with https://."
        return TimeoutUnknown(f"{place}: the connection was lost before a complete answer came.", hint=hint)

    def _tls_failure(self, place: str, error: Exception, deadline: Deadline) -> IntrusionResponseError:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text or "certificate verify failed" in text:
            return CertificateRejected(
                f"{place}: the server's certificate was not accepted.",
                hint="Set ca_path to the CA certificate; use validate_certs: false only in a lab.",
            )
        if not deadline.connecting:
            return TimeoutUnknown(f"{place}: the TLS connection failed.")
        return Unreachable(
            f"{place}: no TLS connection could be made.",
            hint=f"Check that the service uses TLS on the port given in {self.endpoint.option}.",
        )

    def _place(self, method: str, target: str) -> str:
        return self._redact(f"{method} {self.endpoint.url}{target.partition('?')[0]}")
