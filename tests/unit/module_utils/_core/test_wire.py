# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a request is over, by a clock that the test moves, and through which proxy it goes."""

from __future__ import annotations

import base64
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core import wire
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import (
    BadResponse,
    InvalidInput,
    TimeoutUnknown,
    Unreachable,
)
from ansible_collections.intrusion.response.plugins.module_utils._core.http import Endpoint, Transport
from ansible_collections.intrusion.response.plugins.module_utils._core.redact import Redactor
from ansible_collections.intrusion.response.plugins.module_utils._core.wire import LONGEST, SLOWEST, Deadline

from emulator.testing import Handle


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(wire, "time", clock)
    return clock


def lasts(deadline: Deadline, clock: Clock, size: int, every: float, most: float) -> float:
    """Return for how many seconds a request lasts to which so many bytes arrive so often."""
    begun = clock.now
    try:
        while clock.now - begun < most:
            deadline.left()
            clock.now += every
            deadline.arrived(size)
    except socket.timeout:
        pass
    return clock.now - begun


@pytest.mark.parametrize(("size", "every"), [(0, 1.0), (1, 1.0), (25, 0.1), (SLOWEST // 4, 1.0)])
def test_a_drip_puts_it_off_by_little(clock: Clock, size: int, every: float) -> None:
    assert lasts(Deadline(10.0), clock, size, every, 3600.0) <= 15.0


def test_a_listing_of_100000_entries_gets_through_a_slow_link(clock: Clock) -> None:
    """18 MB over 320 kbit/s, after the service has thought about it."""
    deadline = Deadline(10.0)
    clock.now += 6.0
    assert lasts(deadline, clock, 40_000, 1.0, 450.0) >= 450.0


def test_it_is_never_further_away_than_the_time_given(clock: Clock) -> None:
    deadline = Deadline(10.0)
    deadline.arrived(LONGEST)
    assert deadline.left() == 10.0
    clock.now += 10.0
    with pytest.raises(socket.timeout):
        deadline.left()


def test_an_answer_has_a_size_at_most() -> None:
    deadline = Deadline(10.0)
    deadline.arrived(LONGEST)
    with pytest.raises(BadResponse, match="64 MiB"):
        deadline.arrived(1)


@pytest.mark.parametrize("part", ["header", "continue", "chunk", "body"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_an_answer_that_drips_is_not_waited_for(emulator: Handle, scheme: str, part: str) -> None:
    """Without a deadline for the whole, each of these is a good answer in the end."""
    emulator.reset()
    emulator.fault(kind="drip", part=part, seconds=0.02)
    firewall = emulator.firewalls[0]
    url = firewall.api_url if scheme == "https" else firewall.http_url
    with Transport(Endpoint(url, "api_url", ca_path=emulator.ca_path, timeout=0.4, retries=0), redactor=Redactor()) as slow:
        with pytest.raises(TimeoutUnknown, match="no complete answer within"):
            slow.send("GET", "/api/about")
        emulator.clear_faults()
        assert slow.send("GET", "/api/about").status in (200, 401), "the connection was closed, and is made anew"


def scripted(*parts: bytes, pause: float = 0.0, endless: bytes = b"") -> str:
    """Return the address of a server that answers its one request with these parts, then with the last one for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, suppress(OSError):
            connection, _address = listener.accept()
            with connection:
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
                while endless:
                    connection.sendall(endless)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_long_answer_that_flows_is_read_to_its_end() -> None:
    parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 655360\r\n\r\n", *[b"x" * 16384] * 40]
    endpoint = Endpoint(scripted(*parts, pause=0.05), "api_url", timeout=1.5, retries=0)
    assert len(Transport(endpoint, redactor=Redactor()).send("GET", "/").body) == 655360


def test_the_endless_is_cut_off_however_quickly_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LONGEST", 1024 * 1024)
    endless = {
        "continue": scripted(endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        "chunks": scripted(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", endless=b"1\r\nx\r\n" * 1000),
        "trailers": scripted(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", endless=b"A: b\r\n" * 1000),
    }
    for what, url in endless.items():
        with pytest.raises(BadResponse, match="MiB"):
            Transport(Endpoint(url, "api_url", retries=0), redactor=Redactor()).send("GET", f"/{what}")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "https://192.0.2.1", None),
        ({"HTTPS_PROXY": ""}, "https://192.0.2.1", None),
        ({"HTTPS_PROXY": "proxy.example.com:3128"}, "https://192.0.2.1", "proxy.example.com:3128"),
        ({"HTTP_PROXY": "http://proxy.example.com"}, "https://192.0.2.1", None),
        ({"ALL_PROXY": "socks5h://proxy.example.com:1080"}, "https://192.0.2.1", "socks5h://proxy.example.com:1080"),
        ({"HTTPS_PROXY": "http://p.example", "NO_PROXY": "192.0.2.0/24"}, "https://192.0.2.1:8443", None),
        ({"HTTPS_PROXY": "http://p.example", "NO_PROXY": "192.0.2.0/25"}, "https://192.0.2.200", "http://p.example"),
        ({"HTTPS_PROXY": "http://p.example", "no_proxy": "example.org, .example.com"}, "https://fw.example.com", None),
        ({"HTTPS_PROXY": "http://p.example", "NO_PROXY": "*"}, "https://192.0.2.1", None),
        ({"HTTPS_PROXY": "http://p.example", "NO_PROXY": "[2001:db8::1]"}, "https://[2001:db8::2]", "http://p.example"),
    ],
)
def test_the_proxy_that_the_environment_names(environment: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert wire.environment_proxy(url) == proxy


@pytest.mark.parametrize("proxy", ["gopher://proxy.example.com", "http://[::1", "http://proxy.example.com:port"])
def test_a_proxy_that_is_none(environment: pytest.MonkeyPatch, proxy: str) -> None:
    environment.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(InvalidInput, match="must be a URL") as caught:
        Transport(Endpoint("https://192.0.2.1", "api_url", use_proxy=True), redactor=Redactor())
    assert "use_proxy: false" in caught.value.hint


def test_a_socks_proxy_without_what_it_needs(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    environment.setitem(sys.modules, "urllib3.contrib.socks", None)
    with pytest.raises(InvalidInput, match="PySocks"):
        Transport(Endpoint("https://192.0.2.1", "api_url", use_proxy=True), redactor=Redactor())


class Proxy:
    """A proxy for one connection, as tunnel (CONNECT) or SOCKS5 with credentials; it notes what it was asked for."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self.port = self._listener.getsockname()[1]
        self.seen: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as client:
            first = client.recv(4096)
            self.seen.append(first)
            if first.startswith(b"\x05"):
                client.sendall(b"\x05\x02")
                self.seen.append(client.recv(4096))
                client.sendall(b"\x01\x00")
                request = client.recv(4096)
                self.seen.append(request)
                name = request[5 : 5 + request[4]].decode()
                target = (name, int.from_bytes(request[-2:], "big"))
                self._answer = b"\x05\x00\x00\x01" + bytes(6)
            else:
                host, _colon, port = first.split()[1].decode().rpartition(":")
                target = (host, int(port))
            client.sendall(self._answer)
            if b" 200 " in self._answer or self._answer.startswith(b"\x05"):
                with socket.create_connection(target) as server:
                    back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                    back.start()
                    self._copy(client, server)
                    back.join()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def firewall(emulator: Handle) -> Iterator[str]:
    emulator.reset()
    yield emulator.firewalls[0].api_url.replace("127.0.0.1", "localhost")


def about(url: str, emulator: Handle, **options) -> int:
    endpoint = Endpoint(url, "api_url", ca_path=emulator.ca_path, use_proxy=True, retries=0, **options)
    with Transport(endpoint, redactor=Redactor()) as transport:
        assert transport.send("GET", "/api/about").status == transport.send("GET", "/api/about").status
        return transport.send("GET", "/api/about").status


def test_through_a_tunnel(environment: pytest.MonkeyPatch, emulator: Handle, firewall: str) -> None:
    proxy = Proxy()
    environment.setenv("HTTPS_PROXY", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
    assert about(firewall, emulator) in (200, 401)
    (request,) = proxy.seen
    assert request.startswith(b"CONNECT localhost:") and base64.b64encode(b"user:p@ss") in request


def test_through_socks(environment: pytest.MonkeyPatch, emulator: Handle, firewall: str) -> None:
    pytest.importorskip("socks")
    proxy = Proxy()
    environment.setenv("ALL_PROXY", f"socks5h://user:pass@127.0.0.1:{proxy.port}")
    assert about(firewall, emulator) in (200, 401)
    assert proxy.seen[1] == b"\x01\x04user\x04pass" and b"localhost" in proxy.seen[2], "the proxy resolves the name"


def test_a_tunnel_that_is_refused_or_never_answered(environment: pytest.MonkeyPatch, emulator: Handle, firewall: str) -> None:
    for answer in (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"HTTP/1.1 100 Continue\r\n"):
        environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{Proxy(answer).port}")
        with pytest.raises(Unreachable, match="proxy"):
            about(firewall, emulator, timeout=0.5)
