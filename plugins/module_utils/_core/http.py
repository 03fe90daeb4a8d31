# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to the network: urllib3 with checked TLS, bounded time, honest retries and no leaks.

* Nothing is taken from ~/.netrc, which would replace a bearer token silently, and there are no cookies.
* No redirect is followed: a redirected write would lose its body, and credentials must not travel to another host.
* A request whose answer was lost is repeated only when the caller says that repeating is harmless.
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
#: Values in an answer; 100,000 entries with a dozen members each have room, and the costliest answer takes some 250 MB.
MOST_VALUES = 2_000_000
#: Digits of an integer; beyond, Python takes long to read one, or refuses.
MOST_DIGITS = 40
EXAMPLE = "https://192.0.2.1"
RETRY_STATUSES = (429, 500, 502, 503, 504)
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0


@dataclass(frozen=True)
class Endpoint:
    """Where a service is and how to talk to it; times in seconds."""

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
        """Make one from connection options; option names the one that holds the address."""
        names = ("validate_certs", "ca_path", "allow_http", "use_proxy", "timeout", "retries")
        endpoint = cls(url=params[option].strip().rstrip("/"), option=option, **{name: params[name] for name in names})
        endpoint.check()
        return endpoint

    def check(self) -> None:
        """Raise InvalidInput for an address that is not a usable http(s) URL, or not a safe one."""
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            usable = usable and not re.search(r"[\s\x00-\x1f\x7f]", self.url)
        except ValueError:
            usable = False
        if not usable:
            bare = self.url.count(":") > 2 and "[" not in self.url
            hint = "An IPv6 address needs brackets there, as in https://[2001:db8::1]." if bare else None
            raise InvalidInput(f"{self.option} must be a URL such as {EXAMPLE}; got something else.", hint=hint)
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
        """Whether the service is spoken to over TLS."""
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
        """Whether the address cannot leave this machine."""
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
        """The body as text, undecodable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON, integers too long to be one as text; raises ValueError when it is none, or too costly to read."""
        if len(self.body) > MOST_VALUES and sum(self.body.count(mark) for mark in b"[{,") > MOST_VALUES:
            raise ValueError("too many values")
        try:
            return json.loads(self.body, parse_int=lambda digits: int(digits) if len(digits) <= MOST_DIGITS else digits)
        except RecursionError:
            raise ValueError("nested too deeply") from None


@functools.lru_cache(maxsize=8)
def tls_context(validate_certs: bool, ca_path: Optional[str]) -> ssl.SSLContext:
    """Return the TLS settings, made once per process: the system's trust store, or only the given CA file or directory."""
    try:
        if ca_path is None:
            context = ssl.create_default_context()
        elif os.path.isdir(ca_path):
            context = ssl.create_default_context(capath=ca_path)
        else:
            context = ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError):
        raise InvalidInput(f"ca_path {ca_path} cannot be read as a file of CA certificates in PEM form.") from None
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Transport:
    """Requests to one service over kept connections.

    Args:
        endpoint: the service.
        redactor: removes secrets from texts of errors.
        auth: (user name, password) for HTTP Basic, sent with every request; None for none.
        read_only: refuse every write (the second lock of check mode).
        connections: kept connections, for callers that use several threads.
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
            raise InvalidInput(f"{endpoint.option} must be a URL such as {EXAMPLE}; got something else.") from None

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
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
        """Send one request, repeat it where that is harmless, and return the answer, whatever its status below 300 or above 399.

        Args:
            method: HTTP method.
            path: appended to the endpoint's URL, already encoded.
            query: already encoded, without the question mark.
            body: sent as it is.
            headers: in addition to the transport's own.
            write: whether this changes something; by default all methods but GET do.
            repeatable: whether a request that may have arrived may be sent again; by default a GET may.

        Raises:
            ReadOnlyViolation, Unreachable, CertificateRejected, TimeoutUnknown, BadResponse, RedirectRefused, RateLimited.
        """
        read = method == "GET"
        write = not read if write is None else write
        repeatable = read if repeatable is None else repeatable
        if write and self._read_only:
            raise ReadOnlyViolation(f"{method} {path} was refused: check mode must not write. This is a defect, please report it.")
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
        """Return the answer, or the failure after which the request may be sent again; raise any other."""
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
        """Pause before a caller's own repetition number attempt (from 0)."""
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
        """Tell a connection that was never made from one that was lost: only then is it certain that nothing was sent."""
        late = isinstance(error, (NoAnswer, EmptyPoolError, socket.timeout))
        if deadline.connecting and self._proxy is not None:
            return Unreachable(f"{place}: the proxy refused, or did not answer.")
        if deadline.connecting:
            what = f"no connection within {deadline.seconds:.3g} s" if late else "the connection was closed at once"
            return Unreachable(f"{place}: {what}.")
        if late:
            return TimeoutUnknown(f"{place}: no complete answer within {deadline.seconds:.3g} s.")
        if isinstance(error, DecodeError):
            return BadResponse(f"{place}: the answer cannot be unpacked.")
        hint = None if self.endpoint.uses_tls else "If the service speaks TLS on this port, its address begins with https://."
        return TimeoutUnknown(f"{place}: the connection was lost before a complete answer came.", hint=hint)

    def _tls_failure(self, place: str, error: Exception, deadline: Deadline) -> IntrusionResponseError:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text or "certificate verify failed" in text:
            return CertificateRejected(
                f"{place}: the server's certificate was not accepted.",
                hint="Give the CA with ca_path; validate_certs: false is for laboratories only.",
            )
        if not deadline.connecting:
            return TimeoutUnknown(f"{place}: the TLS connection failed.")
        return Unreachable(
            f"{place}: no TLS connection could be made.",
            hint=f"Check that the service speaks TLS on the port that {self.endpoint.option} names.",
        )

    def _place(self, method: str, target: str) -> str:
        return self._redact(f"{method} {self.endpoint.url}{target.partition('?')[0]}")
