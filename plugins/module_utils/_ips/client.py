# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API of the CLC Intrusion Prevention Service: five operations, and Get Server of the CLC v2 API.

"notifications" in the plural, the destinations as a bare JSON array, and the body of the DELETE that removes an agent follow the
released CLC Go client; the slash in app/ follows the documentation (ips-api.md 11, numbers 1 to 4 and 10).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Callable, Optional, Union
from urllib.parse import quote

from .._core.call import Call
from .._core.each import Progress, each, say_nothing
from .._core.errors import BadResponse, IntrusionResponseError, NotFound, TimeoutUnknown, Unreachable, WrongService, failure_for
from .._core.http import Endpoint, Reply, Transport
from .._core.options import check_connection
from .._core.redact import Redactor, mask_urls
from .._core.state import StateDir
from .login import GivenToken, PasswordLogin, check_account, clc_endpoint, login_from_params

# What a service may answer in other words than these counts as a failure, which is looked at; the other way round it would be believed.
ALREADY = re.compile(r"already\s+(been\s+)?(installed|exists|present|protected|registered)", re.IGNORECASE)
MISSING = re.compile(
    r"\b(agent|policy|server|host)\b.*\bnot\s+(be\s+)?found|not\s+installed|\bno\s+(such\s+)?(agent|policy)\b", re.IGNORECASE
)
#: What errors of this API mention. A 404 without any of these words comes from something in front of it, or in its place.
NAMES = re.compile(r"\b(agent|policy|policies|server|destination|notification|account|tenant)s?\b", re.IGNORECASE)
#: What a gateway or a framework without such a route mentions. It may repeat the requested path, or say "on the server".
ROUTING = re.compile(r"\b(ur[il]|route|path|resource|page)s?\b", re.IGNORECASE)
#: What CLC v2 says about an unknown server, if anything (recorded, ips-api.md 5.1).
NO_RESOURCE = re.compile(r"\bresource does not exist", re.IGNORECASE)
#: Texts that say no more than the status.
BARE = re.compile(r"(http )?(error )?(404)?\W*(not found)?\W*", re.IGNORECASE)
#: The path of agents: as documented, and as in the released client. A redirect from one to the other would lose the body.
APP_PATHS = ("/app/", "/app")
#: How many requests in a row, each with all its retries, may get no answer before the rest are given up.
SILENT = 3
HINTS = {
    401: "The token is missing, expired or revoked.",
    403: "The user may not act on this account; check account_alias.",
    404: "Check ips_url.",
}


class IpsClient:
    """One account's view of the service; views of other accounts share its connections and its login."""

    def __init__(
        self,
        transport: Transport,
        servers: Transport,
        login: Union[GivenToken, PasswordLogin],
        state: StateDir,
        redactor: Redactor,
        warn: Callable[[str], None],
        concurrency: int = 1,
        progress: Progress = say_nothing,
    ) -> None:
        self.state = state
        self.warn = warn
        self.url = transport.endpoint.url
        self._account_alias: Optional[str] = None
        self._concurrency = concurrency
        self._progress = progress
        self._transport = transport
        self._servers = servers
        self._login = login
        self._redact = redactor
        # Shared by all views
        self._app_paths = list(APP_PATHS)
        self._unanswered: list[IntrusionResponseError] = []

    @classmethod
    def from_call(cls, call: Call) -> IpsClient:
        """Create one from connection options; raises InvalidInput for invalid settings."""
        check_account(call.params)
        return cls.for_accounts(call).of_account(call.params["account_alias"], call.warn)

    @classmethod
    def for_accounts(cls, call: Call) -> IpsClient:
        """Create one like from_call, for views of several accounts."""
        params = call.params
        check_connection(call)
        redactor = Redactor([params["token"], params["password"]])
        endpoint = Endpoint.from_options("ips_url", params)
        state = StateDir.from_option(params["state_dir"], call.warn)
        clc = clc_endpoint(params)
        login = login_from_params(params, clc, state, redactor)
        concurrency = params.get("concurrency") or 1
        transport = Transport(endpoint, redactor=redactor, read_only=call.check_mode, connections=concurrency)
        servers = Transport(clc, redactor=redactor, read_only=True, connections=concurrency)
        return cls(transport, servers, login, state, redactor, call.warn, concurrency, call.progress)

    def of_account(self, account_alias: Optional[str], warn: Callable[[str], None]) -> IpsClient:
        """Return the view of an account (None for that of the login), whose warnings go to warn."""
        view = copy.copy(self)
        view._account_alias = account_alias
        view.warn = warn
        return view

    def __enter__(self) -> IpsClient:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._transport.close()
        self._servers.close()

    @property
    def account_alias(self) -> str:
        """The account acted on; may log in to determine the home account."""
        return self._account_alias or self._login.home_alias

    def each(self, function: Callable[[Any], None], items: Iterable[Any], requests: int) -> None:
        """Call function, which must not raise and sends about that many requests, for every item, over the available connections."""
        each(function, list(items), self._progress, concurrency=self._concurrency, requests=requests)

    def install(self, server_name: str) -> bool:
        """Request an agent; return False if the service says that there is one already.

        Repeated only if it certainly did not arrive: the effect of a second installation is not documented.
        """
        return self._agent("POST", server_name)

    def uninstall(self, server_name: str) -> bool:
        """Request the agent's removal; return False if the service says that there is none."""
        return self._agent("DELETE", server_name)

    def destinations(self, server_name: str) -> list[dict[str, Any]]:
        """Return the raw destinations; [], null, an empty answer and a 404 of this API all mean none (ips-api.md 3.3).

        The list may also be wrapped in an object, under the name of the parameter in the guide (ips-api.md 11, number 4).

        Raises:
            WrongService, BadResponse, and whatever the transport raises.
        """
        place, path = self._notifications("GET", server_name)
        reply = self._send("GET", path)
        if self._says_there_is_none(place, reply) or reply.status == 204 or (reply.status == 200 and not reply.body.strip()):
            return []
        self._expect_success(place, reply)
        try:
            answer = reply.json()
        except ValueError:
            answer = ""
        if isinstance(answer, dict):
            answer = answer.get("notificationDestinations", answer)
        if answer is None:
            return []
        if not isinstance(answer, list) or not all(isinstance(element, dict) and element.get("typeCode") for element in answer):
            raise BadResponse(f"{place}: the answer is not a list of destinations.", http_status=reply.status, hint=HINTS[404])
        return answer

    def replace_destinations(self, server_name: str, destinations: list[dict[str, Any]]) -> None:
        """Replace the whole list; this is safe to repeat."""
        place, path = self._notifications("PUT", server_name)
        self._expect_success(place, self._send("PUT", path, body=json.dumps(destinations).encode(), repeatable=True))

    def delete_destinations(self, server_name: str) -> None:
        """Remove all destinations; having none (404) is success as well."""
        place, path = self._notifications("DELETE", server_name)
        reply = self._send("DELETE", path, repeatable=True)
        if not self._says_there_is_none(place, reply):
            self._expect_success(place, reply)

    def check_server(self, server_name: str) -> None:
        """Raise NotFound if the CLC v2 API knows no such server in the account."""
        path = f"/v2/servers/{quote(self.account_alias, safe='')}/{quote(server_name, safe='')}"
        reply = self._send("GET", path, transport=self._servers)
        if reply.status == 404:
            if not (_is_empty(reply) or of_this_api(reply) or NO_RESOURCE.search(error_text(reply))):
                raise self._wrong_service(f"GET {path}", reply, "clc_url")
            raise NotFound(
                f"CLC has no server {server_name} in account {self.account_alias}.",
                http_status=404,
                hint="Servers outside CenturyLink Cloud need check_server: false.",
            )
        self._expect_success(f"GET {path}", reply, "clc_url")

    def wait(self, attempt: int) -> None:
        """Pause before retry number attempt (from 0) of a read."""
        self._transport.wait(attempt)

    def _agent(self, method: str, server_name: str) -> bool:
        body = json.dumps({"hostName": server_name, "accountAlias": self.account_alias}).encode()
        path, reply = self._app(method, body)
        place = f"{method} {path}"
        if method == "POST" and (reply.status == 409 or (reply.status == 400 and ALREADY.search(reply.text))):
            return False
        if method == "DELETE" and (
            self._says_there_is_none(place, reply) or (reply.status == 400 and MISSING.search(reply.text))
        ):
            return False
        self._expect_success(place, reply)
        return True

    def _app(self, method: str, body: bytes) -> tuple[str, Reply]:
        """Send to the path that is served, and remember it; return it with its answer, or of two 404s one that may be the service's."""
        told = []
        for path in tuple(self._app_paths):
            reply = self._send(method, path, body=body)
            if reply.status not in (404, 405) or of_this_api(reply):
                self._app_paths[:] = [path]
                return path, reply
            told.append((path, reply))  # nothing was done, and the path may not be served
        return next((one for one in told if _is_empty(one[1])), told[0])

    def _says_there_is_none(self, place: str, reply: Reply) -> bool:
        """Whether this is a 404 of this API, for a missing object; raises WrongService if the 404 comes from something else."""
        if reply.status != 404:
            return False
        if _is_empty(reply):
            self.warn(
                f"{place} was answered with an empty 404. This was taken to mean \"there is none\", but a wrong ips_url can look the same."
            )
        elif not of_this_api(reply):
            raise self._wrong_service(place, reply, "ips_url")
        return True

    @staticmethod
    def _wrong_service(place: str, reply: Reply, option: str) -> WrongService:
        what = "an HTML page" if _is_html(reply) else "something that does not come from this API"
        return WrongService(
            f"{place} was answered with {reply.status} and {what}, so nothing is known.",
            http_status=reply.status,
            hint=f"Check {option} for a typing error, or for a gateway that answers in its place.",
        )

    def _notifications(self, method: str, server_name: str) -> tuple[str, str]:
        path = f"/notifications/{quote(self.account_alias, safe='')}/{quote(server_name, safe='')}"
        return f"{method} {path}", path

    def _send(self, method: str, path: str, *, transport: Optional[Transport] = None, **request: Any) -> Reply:
        transport = transport or self._transport
        while True:
            token = self._login.token()
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json, text/plain",
            }
            if len(self._unanswered) >= SILENT:
                raise Unreachable(
                    f"{method} {path} was not sent, since the {SILENT} requests before it got no answer. {self._unanswered[-1].message}"
                )
            try:
                reply = transport.send(method, path, headers=headers, **request)
            except (TimeoutUnknown, Unreachable) as error:
                self._unanswered.append(error)
                raise
            self._unanswered.clear()
            if reply.status not in (401, 403) or not self._login.renew(token, reply.status):
                return reply

    def _expect_success(self, place: str, reply: Reply, option: str = "ips_url") -> None:
        success = 200 <= reply.status < 300
        stranger = reply.status == 404 and option == "ips_url" and not of_this_api(reply) and not _is_empty(reply)
        if stranger or (_is_html(reply) and (success or reply.status == 404)):
            raise self._wrong_service(place, reply, option)
        if success:
            return
        text = mask_urls(self._redact(error_text(reply)))[:300]
        said = f"{place} was answered with {reply.status}" + (f": {text}" if text else "")
        raise failure_for(reply.status)(f"{said}.", http_status=reply.status, hint=HINTS.get(reply.status))


def _is_html(reply: Reply) -> bool:
    return "html" in reply.headers.get("content-type", "").lower() or reply.body.lstrip()[:1] == b"<"


def of_this_api(reply: Reply) -> bool:
    """Whether an error mentions an object of this API, and not merely the requested path."""
    text = re.sub(r"\S*/\S*", " ", error_text(reply))
    return not _is_html(reply) and bool(NAMES.search(text)) and not ROUTING.search(text)


def _is_empty(reply: Reply) -> bool:
    """Whether an error says nothing but its status."""
    return not _is_html(reply) and reply.body.lstrip()[:1] not in (b"{", b"[") and bool(BARE.fullmatch(reply.text.strip()))


def error_text(reply: Reply) -> str:
    """Return the message of an error, which may be JSON (message, modelState, error, a list of those), text or missing."""
    try:
        answer = reply.json()
    except ValueError:
        text = reply.text
        return "" if "<" in text[:200] else " ".join(text.split()).rstrip(".")
    elements = answer if isinstance(answer, list) else [answer]
    found = []
    for element in elements:
        named = isinstance(element, dict)
        said = next((element[name] for name in ("message", "modelState", "error") if element.get(name)), "") if named else element
        found.append(said if isinstance(said, str) else json.dumps(said))
    return " ".join("; ".join(text for text in found if text).split()).rstrip(".")
