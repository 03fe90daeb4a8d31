# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS at the door: versions, client certificates, handshakes that go nowhere, and certificates that are replaced."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.listener import plain_address

from ..conftest import BODY, request
from .stand import QUICK, SECRET, Stand, run


class Authority:
    """A throw-away authority, and the door's files from it."""

    def __init__(self, directory: Path) -> None:
        self.ca = trustme.CA()
        self.directory = directory
        self.files = {name: str(directory / f"{name}.pem") for name in ("cert_file", "key_file", "client_ca_file")}
        self.ca.cert_pem.write_to_path(self.files["client_ca_file"])
        self.issue()

    def issue(self) -> None:
        """Write a new certificate for the door."""
        leaf = self.ca.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_pem.write_to_path(self.files["key_file"])
        leaf.cert_chain_pems[0].write_to_path(self.files["cert_file"])

    def tls(self, *names: str) -> dict[str, str]:
        return {name: self.files[name] for name in names}

    def client(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def status(stand: Stand, context: ssl.SSLContext) -> int | str:
    """Post an event on a connection of its own; return the status, or the kind of failure."""
    url = "https://{}:{}/ips/{}".format(*stand.webhook.address, SECRET)
    try:
        async with aiohttp.ClientSession() as client, client.post(url, data=BODY, ssl=context) as answer:
            return answer.status
    except (aiohttp.ClientError, OSError) as error:
        return type(error).__name__


def test_events_come_over_tls(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        assert await status(stand, authority.client()) == 200
        assert await status(stand, ssl.create_default_context()) == "ClientConnectorCertificateError"
        assert (await stand.raw(request(f"/ips/{SECRET}"))) == b""
        while len(stand.counts.reasons) < 2:
            await asyncio.sleep(0.01)
        assert set(stand.counts.reasons) == {"tls"} and len(stand.taker.events) == 1

    run(story, tls=authority.tls("cert_file", "key_file"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_of_tls_are_refused(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        context = authority.client()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        assert isinstance(await status(stand, context), str)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await status(stand, context) == 200

    run(story, tls=authority.tls("cert_file", "key_file"))


def test_client_certificates_are_required(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        stranger = trustme.CA().issue_cert("relay.example.com")
        assert isinstance(await status(stand, authority.client()), str)
        assert isinstance(await status(stand, authority.client(stranger)), str)
        assert not stand.taker.events and set(stand.counts.reasons) == {"tls"}
        assert await status(stand, authority.client(authority.ca.issue_cert("relay.example.com"))) == 200

    run(story, tls=authority.tls("cert_file", "key_file", "client_ca_file"))


def test_handshakes_that_go_nowhere_are_connections_and_are_cut(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address)
        writer.write(b"\x16\x03\x01")
        while not stand.webhook._listener.connections:
            await asyncio.sleep(0.01)
        assert isinstance(await status(stand, authority.client()), str)
        assert stand.counts.reasons[:1] == ["connections"]
        assert await reader.read() == b""
        writer.close()
        assert stand.counts.reasons == ["connections", "tls"]
        assert await status(stand, authority.client()) == 200

    run(story, tls=authority.tls("cert_file", "key_file"), limits={**QUICK, "connections": 1, "connections_per_source": 2})


def test_stopping_cuts_handshakes(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address)
        while not stand.webhook._listener.connections:
            await asyncio.sleep(0.01)
        await stand.webhook.stop(0)
        assert await reader.read() == b""
        writer.close()
        assert not stand.webhook._listener.connections

    run(story, tls=authority.tls("cert_file", "key_file"))


def test_slow_headers_are_cut_over_tls(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address, ssl=authority.client())
        writer.write(b"POST /")
        assert await reader.read() == b""
        writer.close()
        assert stand.counts.reasons == ["timeout"]

    run(story, tls=authority.tls("cert_file", "key_file"), limits=QUICK)


def test_who_does_not_take_leave_is_cut(authority: Authority) -> None:
    async def story(stand: Stand) -> None:
        plain = socket.create_connection(stand.webhook.address)
        wrapped = await asyncio.to_thread(authority.client().wrap_socket, plain, server_hostname="127.0.0.1")
        wrapped.sendall(request("/ips"))  # not signed, so the door closes after its answer, which nobody reads

        async def until_cut() -> None:
            while not stand.counts.reasons or stand.webhook._listener.connections:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(until_cut(), 20)
        assert stand.counts.reasons == ["signature"]
        wrapped.close()

    run(story, tls=authority.tls("cert_file", "key_file"), limits=QUICK, path_secrets=None, hmac_secrets=[SECRET])


def touch(paths: list[str], when: int) -> None:
    for path in paths:
        os.utime(path, (when, when))


def test_a_new_certificate_is_taken_without_a_restart(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serial(stand: Stand) -> Any:
        reader, writer = await asyncio.open_connection(*stand.webhook.address, ssl=authority.client())
        found = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        assert await reader.read() == b""
        return found

    async def story(stand: Stand) -> None:
        first = await serial(stand)
        pems = {name: Path(authority.files[name]).read_bytes() for name in ("cert_file", "key_file")}
        authority.issue()
        new = {name: Path(authority.files[name]).read_bytes() for name in pems}
        Path(authority.files["key_file"]).write_bytes(pems["key_file"])  # the certificate is new, its key not yet
        touch(list(authority.files.values()), 1_000_000_000)
        assert await serial(stand) == first
        Path(authority.files["key_file"]).write_bytes(new["key_file"])
        assert await serial(stand) != first
        Path(authority.files["cert_file"]).unlink()
        assert await status(stand, authority.client()) == 200

    run(story, tls=authority.tls("cert_file", "key_file"))


@pytest.mark.parametrize("damage", ["missing", "missing key", "garbage", "foreign key", "encrypted key", "authority"])
def test_unusable_certificates_are_said_before_anything_is_opened(authority: Authority, damage: str) -> None:
    files, guilty = authority.files, "key_file"
    if damage == "missing":
        os.unlink(files["cert_file"])
        guilty = "cert_file"
    elif damage == "missing key":
        os.unlink(files["key_file"])
    elif damage == "garbage":
        Path(files["cert_file"]).write_text("no certificate")
        guilty = "cert_file"
    elif damage == "foreign key":
        trustme.CA().issue_cert("a.example.com").private_key_pem.write_to_path(files["key_file"])
    elif damage == "encrypted key":
        Path(files["key_file"]).write_text(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQI\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
    else:
        Path(files["client_ca_file"]).write_text("nobody")
        guilty = "client_ca_file"

    async def story(_stand: Stand) -> None:
        raise AssertionError("the door must not open")

    with pytest.raises(InvalidInput, match=rf"^tls\.{guilty}: \S*{guilty}\.pem cannot be used: \w"):
        run(story, tls=authority.tls("cert_file", "key_file", "client_ca_file"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("2001:db8::1", "2001:db8::1")],
)
def test_addresses_of_peers_are_plain(text: str, expected: str) -> None:
    assert plain_address(text) == expected
