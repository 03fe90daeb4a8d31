# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport, against a small server of its own: what is sent, what is repeated, and what is never leaked."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core import http, wire
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import (
    BadResponse,
    CertificateRejected,
    InvalidInput,
    ReadOnlyViolation,
    RedirectRefused,
    TimeoutUnknown,
    Unreachable,
)
from ansible_collections.intrusion.response.plugins.module_utils._core.http import Endpoint, Transport
from ansible_collections.intrusion.response.plugins.module_utils._core.redact import Redactor

from emulator.testing import Handle


class Recorder(ThreadingHTTPServer):
    """Answers with a list of (status, headers, body), the last of them for ever."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = [(200, {}, b"{}")]
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request, client_address) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers
        status, headers, text = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = handle_request

    def log_message(self, *_args) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.001)
    with Recorder() as recorder:
        thread = threading.Thread(target=recorder.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield recorder
        recorder.shutdown()
        thread.join()


def transport(server: Recorder, *, retries: int = 2, use_proxy: bool = False, **options) -> Transport:
    return Transport(Endpoint(server.url, "api_url", timeout=2, retries=retries, use_proxy=use_proxy), redactor=Redactor(), **options)


def test_netrc_never_replaces_a_token(server: Recorder, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login intruder password netrc-password\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    transport(server).send("GET", "/", headers={"Authorization": "Bearer the-token"})
    transport(server, auth=("blocker", "pass:wörd")).send("GET", "/")
    transport(server).send("GET", "/")
    sent = [headers.get("Authorization") for _method, _path, headers, _body in server.requests]
    assert sent == ["Bearer the-token", "Basic YmxvY2tlcjpwYXNzOnfDtnJk", None]


def test_the_environment_is_ignored_unless_asked_for(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert transport(server).send("GET", "/").status == 200
        with pytest.raises(Unreachable, match="proxy"):
            transport(server, retries=0, use_proxy=True).send("GET", "/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert transport(server, use_proxy=True).send("GET", "/").status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server: Recorder, method: str, status: int) -> None:
    server.answers = [(status, {"Location": "https://elsewhere.example.com/secret-path"}, b"")]
    with pytest.raises(RedirectRefused) as caught:
        transport(server).send(method, "/x", body=b"b", headers={"Authorization": "Bearer t"})
    assert "https://elsewhere.example.com" in caught.value.message and "secret-path" not in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["http://[", "", "//", "\x1b[31m"])
def test_a_redirect_to_nowhere(server: Recorder, location: str) -> None:
    server.answers = [(302, {"Location": location}, b"")]
    with pytest.raises(RedirectRefused, match=r"redirect \(302\), which"):
        transport(server).send("GET", "/x")


@pytest.mark.parametrize("after", ["nan", "-1", "soon", "1e-400"])
def test_a_pause_that_is_none(server: Recorder, after: str) -> None:
    server.answers = [(429, {"Retry-After": after}, b""), (200, {}, b"")]
    assert transport(server).send("GET", "/").status == 200


def test_the_second_lock(server: Recorder) -> None:
    locked = transport(server, read_only=True)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        with pytest.raises(ReadOnlyViolation):
            locked.send(method, "/")
    assert locked.send("GET", "/").status == 200
    assert locked.send("POST", "/login", write=False).status == 200
    assert [request[0] for request in server.requests] == ["GET", "POST"]


@pytest.mark.parametrize(
    ("method", "repeatable", "status", "headers", "times"),
    [
        ("GET", None, 500, {}, 3),
        ("GET", None, 503, {}, 3),
        ("GET", None, 429, {"Retry-After": "0"}, 3),
        ("GET", None, 404, {}, 1),
        ("GET", None, 400, {}, 1),
        ("PUT", True, 502, {}, 3),
        ("POST", None, 500, {}, 1),
        ("POST", None, 503, {}, 1),
        ("POST", None, 503, {"Retry-After": "0"}, 3),
        ("POST", None, 429, {"Retry-After": "0"}, 3),
        ("POST", None, 429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 3),
    ],
)
def test_what_is_sent_again(server: Recorder, method, repeatable, status, headers, times) -> None:
    server.answers = [(status, headers, b"")]
    try:
        assert transport(server).send(method, "/", repeatable=repeatable).status == status
    except http.RateLimited:
        assert status == 429
    assert len(server.requests) == times


@pytest.mark.parametrize(("method", "times"), [("GET", 3), ("POST", 1)])
def test_a_lost_answer_is_asked_for_again_only_where_harmless(server: Recorder, method: str, times: int) -> None:
    server.answers = [(0, {}, b"")]
    with pytest.raises(TimeoutUnknown):
        transport(server).send(method, "/", body=b"x")
    assert len(server.requests) == times


def test_an_answer_cut_short_is_not_an_answer(server: Recorder) -> None:
    server.answers = [(200, {"Content-Length": "100", "Connection": "close"}, b'{"error":false}')]
    with pytest.raises(TimeoutUnknown):
        transport(server, retries=0).send("GET", "/")


def test_what_is_unpacked_is_measured(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LONGEST", 1024 * 1024)
    server.answers = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 1024 * 1024 * 8))]
    with pytest.raises(BadResponse, match="MiB"):
        transport(server, retries=0).send("GET", "/")
    server.answers = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b"good"))]
    assert transport(server).send("GET", "/").text == "good"
    server.answers = [(200, {"Content-Encoding": "gzip"}, b"no gzip")]
    with pytest.raises(BadResponse, match="decompressed"):
        transport(server, retries=0).send("GET", "/")


def test_an_endless_answer_is_cut_off(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LONGEST", 1024)
    server.answers = [(200, {}, b"x" * 2048)]
    with pytest.raises(BadResponse):
        transport(server, retries=0).send("GET", "/")


def test_connections_are_kept(server: Recorder) -> None:
    with transport(server) as kept:
        for _unused in range(5):
            kept.send("GET", "/")
    assert server.connections == 1


def test_a_deeply_nested_answer_is_no_crash(server: Recorder) -> None:
    server.answers = [(200, {}, b"[" * 200_000)]
    with pytest.raises(ValueError, match=r"."):
        transport(server).send("GET", "/").json()


@pytest.mark.parametrize("body", [b"[" + b"[]," * 2_000_000 + b"0]", b"[" + b'{"a":1},' * 1_500_000 + b"0]"])
def test_an_answer_that_costs_too_much_to_read_is_no_crash(body: bytes) -> None:
    with pytest.raises(ValueError, match="too many"):
        http.Reply(200, {}, body).json()


def test_integers_without_end() -> None:
    reply = http.Reply(200, {}, b'{"ttl": 1%s, "next": [1%s, -7, 1.5]}' % (b"0" * 400, b"0" * 400_000))
    assert reply.json() == {"ttl": "1" + "0" * 400, "next": ["1" + "0" * 400_000, -7, 1.5]}


def test_tls_where_there_is_none(server: Recorder) -> None:
    """Nothing was sent, so nothing is unknown."""
    url = server.url.replace("http:", "https:")
    with pytest.raises(Unreachable, match="no TLS connection") as caught:
        Transport(Endpoint(url, "api_url", retries=0), redactor=Redactor()).send("POST", "/", body=b"x")
    assert "api_url" in caught.value.hint and not server.requests


def test_a_certificate_for_another_name(emulator: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    here = socket.getaddrinfo("127.0.0.1", Endpoint(emulator.firewalls[0].api_url, "x").port, 0, socket.SOCK_STREAM)
    monkeypatch.setattr(wire.socket, "getaddrinfo", lambda *_unused: here)
    options = {"ca_path": emulator.ca_path, "retries": 0}
    with pytest.raises(CertificateRejected):
        Transport(Endpoint("https://fw.example.com", "api_url", **options), redactor=Redactor()).send("GET", "/api/about")
    assert Transport(Endpoint("https://localhost", "api_url", **options), redactor=Redactor()).send("GET", "/api/about").status


def test_no_tls_where_there_should_be(emulator: Handle) -> None:
    url = emulator.firewalls[0].api_url.replace("https:", "http:")
    with pytest.raises(TimeoutUnknown) as caught:
        Transport(Endpoint(url, "api_url", retries=0), redactor=Redactor()).send("POST", "/", body=b"x")
    assert "https://" in caught.value.hint


def test_a_port_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unreachable, match="no connection within"):
            Transport(Endpoint(f"https://127.0.0.1:{port}", "x", timeout=0.3, retries=0), redactor=Redactor()).send("POST", "/")
        with pytest.raises(TimeoutUnknown, match="no complete answer"):
            Transport(Endpoint(f"http://127.0.0.1:{port}", "x", timeout=0.3, retries=0), redactor=Redactor()).send("POST", "/")


def test_the_addresses_of_a_name_are_tried_in_turn(server: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    good = socket.getaddrinfo("127.0.0.1", server.server_port, 0, socket.SOCK_STREAM)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        bad = socket.getaddrinfo(*closed.getsockname(), 0, socket.SOCK_STREAM)
        monkeypatch.setattr(wire.socket, "getaddrinfo", lambda *_unused: [*bad, *good])
        assert transport(server).send("GET", "/").status == 200
        monkeypatch.setattr(wire.socket, "getaddrinfo", lambda *_unused: bad)
        with pytest.raises(Unreachable, match="refused or no route"):
            transport(server, retries=0).send("GET", "/")


def test_who_waits_for_a_connection_does_not_wait_for_ever() -> None:
    """All are in use, and the transport is closed meanwhile, so that none comes back."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", "x", timeout=0.5, retries=0)
        shared = Transport(endpoint, redactor=Redactor())
        failures: list[Exception] = []

        def ask() -> None:
            try:
                shared.send("GET", "/")
            except (Unreachable, TimeoutUnknown) as error:
                failures.append(error)

        askers = [threading.Thread(target=ask, daemon=True) for _unused in range(3)]
        for asker in askers:
            asker.start()
        shared.close()
        for asker in askers:
            asker.join(30)
        assert len(failures) == 3


def test_a_name_that_cannot_be_resolved() -> None:
    for host in ("no-such-host.invalid", "x" * 80 + ".invalid"):
        with pytest.raises(Unreachable, match="cannot be resolved"):
            Transport(Endpoint(f"https://{host}", "x", retries=0), redactor=Redactor()).send("GET", "/")


def test_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "address_family", socket.AF_INET6)
    try:
        recorder = Recorder("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with recorder:
        threading.Thread(target=recorder.serve_forever, args=(0.01,), daemon=True).start()
        endpoint = Endpoint(f"http://[::1]:{recorder.server_port}", "api_url")
        endpoint.check()
        assert Transport(endpoint, redactor=Redactor()).send("GET", "/").status == 200
        assert recorder.requests[0][2]["Host"] == f"[::1]:{recorder.server_port}"
        recorder.shutdown()


@pytest.mark.parametrize("url", ["https://2001:db8::1", "https://fe80::1:8443/x"])
def test_ipv6_without_brackets(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Endpoint(url, "api_url").check()
    assert "https://[2001:db8::1]" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["", "192.0.2.1", "ftp://192.0.2.1", "https://", "https://192.0.2.1:0", "https://[::1", "https://a:b@c", "https://a/?q"]
)
def test_unusable_addresses(url: str) -> None:
    with pytest.raises(InvalidInput, match="api_url"):
        Endpoint(url, "api_url").check()


@pytest.mark.parametrize("url", ["https://two words", "https://192.0.2.1\x7f", "https://[::1]x:443"])
def test_addresses_that_only_look_usable(url: str) -> None:
    with pytest.raises(InvalidInput, match="api_url"):
        Endpoint(url, "api_url").check()
        Transport(Endpoint(url, "api_url"), redactor=Redactor()).send("GET", "/")


@pytest.mark.parametrize(("url", "allowed"), [("http://127.0.0.1", True), ("http://localhost:80", True), ("http://192.0.2.1", False)])
def test_plain_http(url: str, allowed: bool) -> None:
    if allowed:
        Endpoint(url, "api_url").check()
    else:
        with pytest.raises(InvalidInput, match="allow_http"):
            Endpoint(url, "api_url").check()
        Endpoint(url, "api_url", allow_http=True).check()


def test_plain_http_to_a_name_that_only_looks_like_loopback() -> None:
    with pytest.raises(InvalidInput, match="allow_http"):
        Endpoint("http://127.0.0.1.example.com", "api_url").check()
