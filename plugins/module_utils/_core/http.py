# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to the network: requests with checked TLS, bounded time, honest retries and no leaks.

What differs from a session of requests, which is passed over for its adapter, and why:

* Nothing is taken from ~/.netrc, which would replace a bearer token silently, and there are no cookies.
* No redirect is followed: a redirected write would lose its body, and credentials must not travel to another host.
* A request whose answer was lost is repeated only when the caller says that repeating is harmless.
"""

from __future__ import annotations

import base64
import functools
import gc
import itertools
import json
import os
import random
import ssl
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Optional, Union
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

try:
    # What an import makes is no garbage, and beside Ansible's heap a full collection on the way takes as long as the import.
    _threshold = gc.get_threshold()
    gc.set_threshold(0)
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Timeout, disable_warnings
    from urllib3.exceptions import HTTPError, InsecureRequestWarning, ReadTimeoutError
except ImportError:
    REQUESTS_IMPORT_ERROR: Optional[str] = traceback.format_exc()
    HTTPAdapter = object  # type: ignore[assignment, misc]
else:
    REQUESTS_IMPORT_ERROR = None
finally:
    gc.set_threshold(*_threshold)  # pylint: disable=used-before-assignment

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

VERSION = "1.0.0"
USER_AGENT = f"intrusion.response/{VERSION}"
MAX_BODY = 256 * 1024 * 1024
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
        except ValueError:
            usable = False
        if not usable:
            raise InvalidInput(f"{self.option} must be a URL such as https://192.0.2.1; got something else.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise InvalidInput(f"{self.option} must not contain credentials, a query or a fragment.")
        if parts.scheme == "http" and not self.allow_http and not self.is_loopback:
            raise InvalidInput(
                f"{self.option} uses plain http, which would send credentials in clear text. Use https, or set allow_http: true."
            )
        if self.validate_certs and self.ca_path and parts.scheme == "https":
            tls_context(True, self.ca_path)

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
        """The body as JSON; raises ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def environment_proxies(endpoint: Endpoint) -> dict[str, str]:
    """Return the proxies that environment variables name for a service; unlike requests, without asking the operating system."""
    proxies = getproxies_environment()
    return {} if proxy_bypass_environment(f"{endpoint.host}:{endpoint.port}", proxies) else proxies


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


class _Adapter(HTTPAdapter):  # type: ignore[misc, valid-type, unused-ignore]
    """Uses our TLS context only; requests would load its own bundle for every connection."""

    def __init__(self, context: Optional[ssl.SSLContext], connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=1, pool_maxsize=connections, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> Any:
        return super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002  the signature is that of requests
        verified = self._context is None or self._context.verify_mode != ssl.CERT_NONE
        conn.cert_reqs = "CERT_REQUIRED" if verified else "CERT_NONE"
        conn.ca_certs = conn.ca_cert_dir = None


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
        if not endpoint.validate_certs:
            # The user asked for it in so many words; a warning for each request would only bury other messages.
            disable_warnings(InsecureRequestWarning)
        self._proxies = environment_proxies(endpoint) if endpoint.use_proxy else {}
        context = tls_context(endpoint.validate_certs, endpoint.ca_path) if endpoint.url.startswith("https:") else None
        self._adapter = _Adapter(context, connections)

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

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
        url = f"{self.endpoint.url}{path}" + (f"?{query}" if query else "")
        deadline = time.monotonic() + self.endpoint.timeout * (self.endpoint.retries + 1)
        for attempt in itertools.count():
            outcome = self._attempt(method, url, body, headers, deadline, repeatable)
            if isinstance(outcome, Reply) and not self._ask_again(outcome, repeatable):
                return outcome
            pause = self._pause(attempt, outcome)
            if attempt >= self.endpoint.retries or time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
        if isinstance(outcome, IntrusionResponseError):
            raise outcome
        if outcome.status == 429:
            raise RateLimited(f"{self._place(method, url)} answered 429 (too many requests){self._asked(outcome)}.", http_status=429)
        return outcome

    def _attempt(
        self, method: str, url: str, body: Optional[bytes], headers: Optional[Mapping[str, str]], deadline: float, repeatable: bool
    ) -> Union[Reply, IntrusionResponseError]:
        """Return the answer, or the failure after which the request may be sent again; raise any other."""
        try:
            return self._once(method, url, body, headers, deadline)
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

    def _once(self, method: str, url: str, body: Optional[bytes], headers: Optional[Mapping[str, str]], deadline: float) -> Reply:
        place = self._place(method, url)
        timeout = max(0.001, min(self.endpoint.timeout, deadline - time.monotonic()))
        end = time.monotonic() + timeout
        try:
            request = requests.Request(method, url, data=body, headers={**self._headers, **(headers or {})}).prepare()
            with self._adapter.send(
                request,
                stream=True,
                timeout=Timeout(total=timeout),  # type: ignore[arg-type]
                verify=self.endpoint.validate_certs,
                proxies=self._proxies,
            ) as response:
                parts = []
                size = 0
                # A plain read waits until it has all that was asked for, each byte of which may take the whole timeout.
                take = getattr(response.raw, "read1", response.raw.read)
                while part := take(65536, decode_content=True):
                    parts.append(part)
                    size += len(part)
                    if size > MAX_BODY:
                        raise BadResponse(f"{place} answered with more than {MAX_BODY // 1024**2} MiB.", http_status=response.status_code)
                    if time.monotonic() > end:
                        raise TimeoutUnknown(f"{place} did not finish its answer within {timeout:g} s.")
                answer = {name.lower(): value for name, value in response.headers.items()}
                reply = Reply(response.status_code, answer, b"".join(parts))
        except requests.exceptions.SSLError as error:
            raise self._tls_failure(place, error) from None
        except requests.exceptions.ConnectTimeout:
            raise Unreachable(f"{place}: no connection within {timeout:g} s.") from None
        except requests.exceptions.ProxyError:
            raise Unreachable(f"{place}: the proxy refused or could not be reached.") from None
        except requests.exceptions.Timeout:
            raise TimeoutUnknown(f"{place}: no answer within {timeout:g} s.") from None
        except requests.exceptions.ConnectionError as error:
            raise self._connection_failure(place, error) from None
        except ReadTimeoutError:
            raise TimeoutUnknown(f"{place} did not finish its answer within {timeout:g} s.") from None
        except HTTPError:
            raise TimeoutUnknown(f"{place}: the connection was lost in the middle of the answer.") from None
        except (requests.exceptions.RequestException, ValueError) as error:
            raise InvalidInput(f"{place} could not be sent ({type(error).__name__}).") from None
        if 300 <= reply.status < 400 and reply.status != 304:
            target = urlsplit(reply.headers.get("location", ""))
            where = f" to {target.scheme}://{target.hostname}" if target.hostname else ""
            raise RedirectRefused(
                f"{place} answered with a redirect ({reply.status}){where}, which is not followed.",
                http_status=reply.status,
                hint=f"Set {self.endpoint.option} to the final address.",
            )
        return reply

    def _connection_failure(self, place: str, error: Exception) -> IntrusionResponseError:
        """Tell a connection that was never made from one that was lost: only then is it certain that nothing was sent."""
        cause = error.args[0] if error.args else None
        reason = getattr(cause, "reason", cause)
        if type(reason).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"):
            unresolved = type(reason).__name__ == "NameResolutionError" or "name resolution" in str(reason).lower()
            return Unreachable(f"{place}: {'the name cannot be resolved' if unresolved else 'connection refused or no route'}.")
        if "timed out" in str(reason).lower():
            return TimeoutUnknown(f"{place}: no answer in time.")
        return TimeoutUnknown(f"{place}: the connection was lost before a complete answer came.")

    def _tls_failure(self, place: str, error: Exception) -> IntrusionResponseError:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text or "certificate verify failed" in text:
            return CertificateRejected(
                f"{place}: the server's certificate was not accepted.",
                hint="Give the CA with ca_path; validate_certs: false is for laboratories only.",
            )
        return TimeoutUnknown(f"{place}: the TLS connection failed.")

    def _place(self, method: str, url: str) -> str:
        return self._redact(f"{method} {url.split('?', 1)[0]}")
