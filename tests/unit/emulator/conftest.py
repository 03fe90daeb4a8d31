# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One emulator for the conformance tests, and a client that sends exactly what it is told."""
from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator.testing import Handle, running_emulator

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """Requests to a running emulator, with nothing added but Host, Content-Length and what is given."""

    def __init__(self, handle: Handle) -> None:
        self.emulator = handle
        self.tls = ssl.create_default_context(cafile=handle.ca_path)
        self._token: tuple[int, str] | None = None

    def send(self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None,
             timeout: float = 10) -> Answer:
        parts = urlsplit(url)
        if parts.scheme == "https":
            connection: Any = http.client.HTTPSConnection(parts.hostname, parts.port, context=self.tls, timeout=timeout)
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def control(self, method: str, path: str, body: Any = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        return self.send(method, f"{self.emulator.control_url}/{path}", data)

    # CLC and IPS

    def login(self, username: str = "ips-admin", password: str | None = None, **headers: str) -> Answer:
        known = {user["username"]: user["password"] for user in self.emulator.users}
        body = json.dumps({"username": username, "password": known[username] if password is None else password})
        return self.send("POST", self.emulator.clc_url + "/v2/authentication/login", body.encode(), {**JSON, **headers})

    def token(self, username: str = "ips-admin") -> str:
        return self.login(username).json()["bearerToken"]

    def ips(self, method: str, path: str, body: Any = None, token: str | None = None,
            headers: dict[str, str] | None = None) -> Answer:
        """``body`` is JSON unless it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {token or self.token()}", **(JSON if headers is None else headers)}
        return self.send(method, f"{self.emulator.ips_url}/{path}", data, sent)

    def app(self, method: str, host: str = "VA1ACMEWEB01", alias: str = "ACME") -> Answer:
        return self.ips(method, "app/", {"hostName": host, "accountAlias": alias})

    def put(self, destinations: Any, host: str = "VA1ACMEWEB01") -> Answer:
        return self.ips("PUT", f"notifications/ACME/{host}", destinations)

    def get(self, host: str = "VA1ACMEWEB01") -> Answer:
        return self.ips("GET", f"notifications/ACME/{host}")

    # cOS Core

    def cos(self, method: str, query: str = "", body: str | None = None, firewall: int = 0, path: str | None = None,
            user: str | None = "blocker", headers: dict[str, str] | None = None) -> Answer:
        known = {one["username"]: one["password"] for one in self.emulator.firewall_users}
        sent = dict((FORM if body is not None else {}) if headers is None else headers)
        if user:
            credentials = base64.b64encode(f"{user}:{known.get(user, 'wrong')}".encode()).decode()
            sent["Authorization"] = f"Basic {credentials}"
        url = self.emulator.firewalls[firewall].api_url + (path or "/api/oper/blacklist") + query
        return self.send(method, url, None if body is None else body.encode(), sent)

    def entries(self, query: str = "", firewall: int = 0) -> list[dict[str, Any]]:
        return self.cos("GET", query, firewall=firewall).json()["blacklist_hosts"]


@pytest.fixture(scope="session")
def _running() -> Iterator[Api]:
    with running_emulator(("fw1", "fw2"), frozen_clock=True, delivery_pause=0.01) as handle:
        yield Api(handle)


@pytest.fixture()
def api(_running: Api) -> Api:
    """The emulator at its start, with a frozen clock and empty blacklists."""
    _running.emulator.reset()
    for firewall in _running.emulator.firewalls:
        _running.emulator.seed({"firewalls": {firewall.name: {"entries": []}}})
    return _running


@pytest.fixture()
def api_class() -> type[Api]:
    """For tests that start an emulator of their own."""
    return Api
