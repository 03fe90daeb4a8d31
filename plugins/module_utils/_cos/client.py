# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API of Clavister cOS Core: URLs, bodies and answers of the blacklist and of the device itself."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Callable, Optional
from urllib.parse import quote

from .._core.call import Call
from .._core.each import AT_ONCE, Progress, each, say_nothing
from .._core.errors import BadResponse, InvalidInput, Unreachable, WrongService, failure_for
from .._core.http import Endpoint, Reply, Transport
from .._core.options import check_connection
from .._core.redact import Redactor, mask_urls

BLACKLIST = "/api/oper/blacklist"
CHECK_URL = "Check api_url: it is the root URL of the firewall's management address, without /api."
HINTS = {
    401: "Credentials are missing or were rejected.",
    403: "The user or the REST management object may have read-only access, or an administrator may be logged in.",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class CosClient:
    """One firewall.

    Bodies are form encoded with spaces as %20. A DELETE has its parameters in the query, but still the form's content
    type (REST guide 15.00, chapters 1 and 5). Every answer is a JSON object with the member "error".
    """

    def __init__(
        self, endpoint: Endpoint, transport: Transport, redactor: Redactor, concurrency: int = 1, progress: Progress = say_nothing
    ) -> None:
        self.endpoint = endpoint
        self._concurrency = concurrency
        self._progress = progress
        self._transport = transport
        self._redact = redactor

    @classmethod
    def from_call(cls, call: Call) -> CosClient:
        """Create one from connection options; raises InvalidInput for invalid settings."""
        params = call.params
        check_connection(call)
        if ":" in (params["username"] or ""):
            raise InvalidInput("username must not contain a colon, which HTTP Basic authentication does not allow.")
        endpoint = Endpoint.from_options("api_url", params)
        redactor = Redactor([params["password"]])
        auth = (params["username"], params["password"] or "") if params["username"] else None
        concurrency = params.get("concurrency") or 1
        transport = Transport(endpoint, redactor=redactor, auth=auth, read_only=call.check_mode, connections=concurrency)
        return cls(endpoint, transport, redactor, concurrency, call.progress)

    @classmethod
    def anonymous(cls, call: Call) -> CosClient:
        """Create one without credentials, to find out how the firewall reacts."""
        return cls.from_call(replace(call, params={**call.params, "username": None, "password": None}))

    def __enter__(self) -> CosClient:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._transport.close()

    @property
    def attempts(self) -> int:
        """How often a write may be sent if the listing shows that it had no effect."""
        return self.endpoint.retries + 1

    def wait(self, attempt: int) -> None:
        """Pause before retry number attempt (from 0) of a write."""
        self._transport.wait(attempt)

    def each(self, function: Callable[[Any], None], items: Iterable[Any], fast: float = AT_ONCE) -> None:
        """Call function, which must not raise, for every item, over the available connections; fast is as for the function each."""
        each(function, list(items), self._progress, concurrency=self._concurrency, fast=fast)

    def blacklist(self) -> dict[str, Any]:
        """Return the answer that lists the whole blacklist, with blacklist_count and blacklist_hosts."""
        return self._call("GET", BLACKLIST)

    def blacklist_of(self, alert_type: str) -> dict[str, Any]:
        """Return the answer that lists the entries from one source; its count may be that of all entries."""
        return self._call("GET", BLACKLIST, query=_encode({"alert_type": alert_type}))

    def add(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Add an entry; fields has host, and the other fields only to override the firewall's defaults.

        If the answer is lost, the request is not repeated: that is up to the caller, who can read the blacklist.
        """
        answer = self._call("POST", BLACKLIST, body=_encode(fields).encode(), headers=FORM)
        if not isinstance(answer.get("blacklist_entry"), dict):
            raise BadResponse(f"POST {BLACKLIST}: the answer does not confirm an entry.")
        return answer

    def remove(self, fields: Mapping[str, str]) -> None:
        """Remove the entry for exactly this host and service (without a service, the one for all services)."""
        self._call("DELETE", BLACKLIST, query=_encode(fields), headers=FORM)

    def about(self) -> dict[str, Any]:
        """Return version, vendor, product, model and device_name of the device."""
        return self._call("GET", "/api/about")

    def high_availability(self) -> dict[str, Any]:
        """Return whether high availability is enabled, and its status."""
        return self._call("GET", "/api/oper/ha")

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            reply = self._transport.send(method, path, **request)
        except Unreachable as error:
            error.hint = error.hint or (
                "Check the address, and that the firewall's REST management object is enabled on that interface "
                "and accepts connections from this machine."
            )
            raise
        return self._answer(f"{method} {path}", reply)

    def _answer(self, place: str, reply: Reply) -> dict[str, Any]:
        try:
            answer = reply.json()
        except ValueError:
            answer = None
        answer = answer if isinstance(answer, dict) else {}
        code = reply.status
        if code == 404 and "error" not in answer:  # every error of this API has that member (cos-core-api.md 1.4)
            raise WrongService(
                f"{place} was answered with 404 and something that does not come from this API, so nothing is known.",
                http_status=code,
                hint=CHECK_URL,
            )
        if code < 400 and answer.get("error") is False:
            return answer
        if code < 400:
            if answer.get("error") is not True:
                raise BadResponse(f"{place}: the answer does not come from a cOS Core firewall.", http_status=code, hint=CHECK_URL)
            stated = str(answer.get("error_code"))
            code = int(stated) if re.fullmatch(r"[45]\d\d", stated, re.ASCII) else 0
        text = mask_urls(self._redact(str(answer.get("error_message") or "")))[:200]
        said = f"{code or 'an error without a code'}{': ' if text else ''}{text}"
        raise failure_for(code)(f"{place} was answered with {said}.", http_status=reply.status, hint=HINTS.get(code))


#: The same texts go to many firewalls, or with many addresses to one.
_quoted = functools.lru_cache(maxsize=4096)(functools.partial(quote, safe=""))


def _encode(fields: Mapping[str, str]) -> str:
    return "&".join(f"{name}={_quoted(value)}" for name, value in fields.items())
