# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPS events: their form, and their delivery to real receivers on loopback."""
from __future__ import annotations

import base64
import email
import json
import os
import queue
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme
from aiosmtpd.controller import Controller

from emulator.testing import running_emulator
from tools.ports import free_port

SERVER = "VA1ACMEWEB01"
# The field list of the knowledge base, in its JSON types.
FIELDS = {
    "packetSize": int, "rank": int, "driverTime": int, "startTime": int, "endTime": int, "action": str, "data": str,
    "destinationIP": str, "destinationMAC": str, "destinationPort": str, "direction": str, "eventOrigin": str,
    "flags": str, "flow": str, "hostName": str, "iface": str, "protocol": str, "reason": str, "sourceIP": str,
    "sourceMAC": str, "sourcePort": str, "tags": str, "severity": str}
# Thu Aug 27 03:37:02 UTC 2015, the date of the one published event.
PUBLISHED = 1440646622


class Receiver:
    """An HTTP receiver that answers with the given statuses in turn, the last one again and again."""

    def __init__(self, *statuses: int, location: str | None = None, tls: bool = False) -> None:
        self.requests: queue.Queue[tuple[str, str, bytes]] = queue.Queue()
        answers = list(statuses)
        received = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put((self.path, self.headers["Content-Type"], body))
                self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_unused: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if tls:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            trustme.CA().issue_cert("another.example").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/hook/secret"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture()
def protected(api):
    """The emulator with an agent on the server."""
    api.emulator.seed({"agents": [{"server": SERVER}]})
    return api


def _set(api, *destinations):
    assert api.put(list(destinations)).status == 204


def _webhook(url):
    return {"typeCode": "WEBHOOK", "url": url}


def _one(api):
    (record,) = api.emulator.deliveries(wait=20)
    return record


def test_webhook_gets_the_flat_event(protected):
    with Receiver(200) as receiver:
        _set(protected, _webhook(receiver.url))
        protected.emulator.set_now(PUBLISHED)
        raised = protected.emulator.raise_event(SERVER.lower(), sourceIP="203.0.113.9", action="Detect Only: Reset")
        path, content_type, body = receiver.requests.get(timeout=20)
    event = json.loads(body)
    assert (path, content_type, event) == ("/hook/secret", "application/json", raised["event"])
    assert {name: type(value) for name, value in event.items()} == FIELDS
    assert (event["hostName"], event["sourceIP"], event["action"]) == (SERVER, "203.0.113.9", "Detect Only: Reset")
    assert event["driverTime"] == PUBLISHED * 1000
    assert base64.b64decode(event["data"]) == b"GET /../../../../etc/passwd HTTP/1.1\n"
    record = _one(protected)
    assert (record["type"], record["result"], [a["outcome"] for a in record["attempts"]]) == (
        "WEBHOOK", "delivered", ["200"])
    assert "secret" not in json.dumps(record)


def test_slack_text_is_as_captured(protected):
    event = {"sourceIP": "10.126.155.231", "hostName": "VA1SCDVMDC101", "data": base64.b64encode(b"GET /x").decode()}
    with Receiver(200) as receiver:
        _set(protected, {"typeCode": "SLACK", "url": receiver.url})
        protected.emulator.set_now(PUBLISHED)
        protected.emulator.raise_event(SERVER, **event)
        message = json.loads(receiver.requests.get(timeout=20)[2])
    assert message == {"username": "Client Security Bot", "icon_emoji": ":cop:", "text": (
        "An IPS Event has been caught by our AGENT on VA1SCDVMDC101\n"
        "On Thu Aug 27 03:37:02 UTC 2015\n"
        "Rule Name: Invalid Traversal\n"
        "Action Taken: Reset\n"
        "Source\tMAC: 6E:58:E3:7A:D3:1E\tIP: 10.126.155.231\tPort: 48478\n"
        "Destination\tMAC: 00:0C:29:F3:6D:AE\tIP: 10.126.155.23\tPort: 80\n"
        "Direction: Incoming\n"
        "Flow: Connection Flow\n"
        "Interface: 00:0C:29:F3:6D:AE\n"
        "Flags: ACK PSH DF=1\n"
        "Packet Size: 103\n"
        "Data: GET /x\n")}


@contextmanager
def _udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        yield receiver


@pytest.mark.parametrize("facility, priority, direction, member", [
    (16, b"<134>", "Incoming", b" in=103 "), (22, b"<182>", "Outgoing", b" out=103 "), (23, b"<190>", "Incoming", b" in=")])
def test_syslog_gets_cef_with_the_facility(protected, facility, priority, direction, member):
    with _udp() as receiver:
        settings = {"ipAddress": "127.0.0.1", "udpPort": receiver.getsockname()[1], "facility": facility}
        _set(protected, {"typeCode": "SYSLOG", "sysLogSettings": settings})
        protected.emulator.raise_event(SERVER, direction=direction, reason="a|b\\c", action="x=y")
        datagram = receiver.recv(65536)
    assert datagram.startswith(priority + b"CEF:0|Trend Micro|Deep Security")
    assert b"|a\\|b\\\\c|8|" in datagram
    for part in (member, b" src=203.0.113.5 ", b" act=x\\=y ", b" dpt=80 ", b" dvchost=" + SERVER.encode() + b" "):
        assert part in datagram
    assert b"\n" not in datagram
    assert _one(protected)["result"] == "delivered"


class _Mailbox:
    def __init__(self) -> None:
        self.messages: queue.Queue = queue.Queue()

    async def handle_DATA(self, server, session, envelope):
        self.messages.put((envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
        return "250 OK"


def test_email_goes_through_the_relay(protected):
    mailbox = _Mailbox()
    relay = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    relay.start()
    try:
        protected.emulator.settings(smtp=f"127.0.0.1:{relay.port}")
        _set(protected, {"typeCode": "EMAIL", "emailAddress": "secops@example.com"})
        protected.emulator.raise_event(SERVER)
        recipients, message = mailbox.messages.get(timeout=20)
    finally:
        relay.stop()
    assert recipients == ["secops@example.com"]
    assert "Rule Name: Invalid Traversal" in message.get_payload()
    assert _one(protected)["result"] == "delivered"


def test_email_is_captured_without_a_relay(protected):
    _set(protected, {"typeCode": "EMAIL", "emailAddress": "secops@example.com"})
    protected.emulator.raise_event(SERVER)
    record = _one(protected)
    assert (record["result"], record["attempts"]) == ("captured", [])
    assert "To: secops@example.com" in record["message"]


def test_retried_until_2xx(protected):
    with Receiver(500, 302, 404, 204, location="/elsewhere") as receiver:
        _set(protected, _webhook(receiver.url))
        protected.emulator.raise_event(SERVER)
        record = _one(protected)
        paths = [receiver.requests.get(timeout=20)[0] for _unused in range(4)]
    assert ([a["outcome"] for a in record["attempts"]], record["result"]) == (["500", "302", "404", "204"], "delivered")
    assert set(paths) == {"/hook/secret"}


def test_retries_are_bounded(protected):
    protected.emulator.settings(delivery_attempts=3)
    with Receiver(500) as receiver:
        _set(protected, _webhook(receiver.url))
        protected.emulator.raise_event(SERVER)
        record = _one(protected)
    assert (len(record["attempts"]), record["result"]) == (3, "failed")


def test_receiver_that_is_not_there(protected):
    protected.emulator.settings(delivery_attempts=2)
    _set(protected, _webhook(f"http://127.0.0.1:{free_port()}/hook"))
    protected.emulator.raise_event(SERVER)
    assert (len(_one(protected)["attempts"]), _one(protected)["result"]) == (2, "failed")


def test_certificate_of_a_receiver_is_not_checked(protected):
    with Receiver(200, tls=True) as receiver:
        _set(protected, _webhook(receiver.url))
        protected.emulator.raise_event(SERVER)
        assert _one(protected)["result"] == "delivered"


@pytest.mark.parametrize("destination", [
    _webhook("http://192.0.2.1/hook"), _webhook("https://hooks.example.com/ips"), _webhook("http://127.0.0.1.example/"),
    {"typeCode": "SLACK", "url": "http://[2001:db8::1]/"},
    {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "192.0.2.10", "udpPort": 514, "facility": 16}}])
def test_nothing_leaves_loopback(protected, destination):
    _set(protected, destination)
    protected.emulator.raise_event(SERVER)
    assert (_one(protected)["result"], _one(protected)["attempts"]) == ("refused: not loopback", [])


def test_foreign_relay_is_refused(protected):
    protected.emulator.settings(smtp="192.0.2.1:25")
    _set(protected, {"typeCode": "EMAIL", "emailAddress": "secops@example.com"})
    protected.emulator.raise_event(SERVER)
    assert _one(protected)["result"] == "refused: not loopback"


def test_unusable_destinations_fail_in_the_log(protected):
    protected.emulator.switch("ips.put_invalid", "accept")
    protected.emulator.settings(delivery_attempts=1)
    _set(protected, {"typeCode": "PAGER"}, {"typeCode": "SYSLOG"}, _webhook("nonsense"), _webhook("http://[x/"),
         {"typeCode": "SYSLOG", "sysLogSettings": {"ipAddress": "127.0.0.1"}})
    protected.emulator.raise_event(SERVER)
    assert [record["result"] for record in protected.emulator.deliveries(wait=20)] == ["failed"] * 5


def test_no_agent_no_event(api):
    _set(api, _webhook("http://127.0.0.1:9/hook"))
    assert api.emulator.raise_event(SERVER) == {"event": None, "deliveries": []}
    assert api.emulator.deliveries() == []


def test_event_by_control_with_all_destinations(protected):
    with Receiver(200) as receiver:
        _set(protected, _webhook(receiver.url), {"typeCode": "SLACK", "url": receiver.url})
        answer = protected.control("POST", "events", {"server": SERVER, "event": {"flow": "Reverse Flow"}})
        log = protected.control("GET", "deliveries?wait=20").json()
    assert answer.json()["event"]["flow"] == "Reverse Flow"
    assert [one["type"] for one in answer.json()["deliveries"]] == ["WEBHOOK", "SLACK"]
    assert [one["result"] for one in log] == ["delivered", "delivered"]


@pytest.mark.parametrize("fields", [{"sourceIp": "203.0.113.5"}, {"colour": "red"}])
def test_unknown_event_fields_are_refused(protected, fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        protected.emulator.raise_event(SERVER, **fields)


# The agent on the host

def _program(root):
    return root / SERVER / "opt" / "ds_agent" / "ds_agent"


def _until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_agent_appears_on_the_host_and_vanishes(api_class, tmp_path, delay):
    with running_emulator(agent_root=tmp_path, install_delay=delay) as handle:
        api = api_class(handle)
        assert api.app("POST").status == 204
        _until(lambda: os.access(_program(tmp_path), os.X_OK))
        assert handle.agent_state("ACME", SERVER) == "installed"
        assert api.app("DELETE").status == 204
        _until(lambda: not _program(tmp_path).exists())
        handle.seed({"agents": [{"server": SERVER}]})
        assert _program(tmp_path).exists()
        handle.reset()
        assert not _program(tmp_path).exists()


def test_unsupported_or_stuck_agent_never_appears(api_class, tmp_path):
    with running_emulator(agent_root=tmp_path) as handle:
        api = api_class(handle)
        handle.fault(kind="install_never_completes")
        assert [api.app("POST", host).status for host in (SERVER, "VA1ACMEUBU01")] == [204, 204]
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
