# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door and the hostile: floods, slow senders, too much, and what is neither HTTP nor JSON."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from dataclasses import replace

import aiohttp
import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook import limits as limits_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook import listener as listener_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.limits import Bucket
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import BODY, POST, request
from .stand import QUICK, SECRET, Stand, run

LINE = f"POST /ips/{SECRET}".encode()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"text"', b"{", b'{"sourceIP": NaN}', b'{"rank": Infinity}', b'{"rank": 1' + b"0" * 5000 + b"}",
        b'{"hostName": "\xff\xfe"}', b"\xef\xbb\xbf\xef\xbb\xbf{}", b"[" * 60000, b'{"a":' * 10000 + b"1" + b"}" * 10000,
        b'{"sourceIP": 5}', b'{"sourceIP": {"a": 1}}', b'{"direction": []}', b'{"rank": []}', b'{"sourcePort": {}}',
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)  # fmt: skip
def test_malformed_bodies_are_refused_and_harm_nothing(body: bytes) -> None:
    async def story(stand: Stand) -> None:
        status, text = await stand.post(body)
        assert status == 400 and set(json.loads(text)) == {"error"}
        assert stand.counts.reasons == ["malformed"] and not stand.taker.events
        assert (await stand.post())[0] == 200

    run(story)


@given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(sorted(POST)), st.none() | st.integers() | st.text() | st.lists(st.text()))
       .map(lambda post: json.dumps(post).encode()))  # fmt: skip
def test_no_body_is_fatal(body: bytes) -> None:
    async def story(stand: Stand) -> None:
        assert (await stand.post(body))[0] in (200, 400)
        assert "error" not in stand.counts.reasons

    run(story)


def test_compressed_bodies_are_unpacked_within_bounds() -> None:
    async def story(stand: Stand) -> None:
        packed = {"Content-Encoding": "gzip"}
        assert (await stand.post(gzip.compress(BODY), headers=packed))[0] == 200
        for body, status in (
            (b"\x1f\x8b\x08\x00" + bytes(100), 400), (gzip.compress(BODY)[:-9], 400), (BODY, 400), (gzip.compress(bytes(50_000_000)), 413),
            (gzip.compress(b" " * 65537), 413),
        ):
            assert (await stand.post(body, headers=packed))[0] == status
        assert (await stand.post(BODY, headers={"Content-Encoding": "br"}))[0] == 415
        assert len(stand.taker.events) == 1

    run(story, limits={"body": 65536})


async def pour(stand: Stand, head: bytes, piece: bytes, count: int) -> tuple[bytes, int]:
    """Send a head and then pieces until the door has had enough; return the answer and how many pieces went out."""
    reader, writer = await asyncio.open_connection(*stand.webhook.address)
    sent = 0
    try:
        writer.write(head)
        for _turn in range(count):
            writer.write(piece)
            await writer.drain()
            sent += 1
    except ConnectionError:
        pass
    try:
        answer = await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        answer = b""
    writer.close()
    return answer, sent


def test_a_body_of_100_mb_is_refused_without_reading_it_all() -> None:
    async def story(stand: Stand) -> None:
        piece = bytes(1 << 20)
        head = request(f"/ips/{SECRET}", b"", 100 * len(piece))
        assert (await stand.raw(head)).startswith(b"HTTP/1.1 413 ")
        _answer, sent = await pour(stand, head, piece, 100)
        assert sent < 50
        assert set(stand.counts.reasons) == {"too_large"} and not stand.taker.events

    run(story)


def test_a_body_just_too_large_gets_its_answer() -> None:
    async def story(stand: Stand) -> None:
        assert (await stand.post(bytes(70000)))[0] == 413
        assert (await stand.post(bytes(1000)))[0] == 400
        assert (await stand.post(b" " * (65536 - len(BODY)) + BODY))[0] == 200

    run(story, limits={"body": 65536})


def test_a_chunked_body_is_cut_at_the_limit() -> None:
    async def story(stand: Stand) -> None:
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        head = LINE + b" HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: chunked\r\n\r\n"
        _answer, sent = await pour(stand, head, piece, 1600)
        assert sent < 800
        assert stand.counts.reasons == ["too_large"] and not stand.taker.events
        chunked = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (BODY[:100], BODY[100:])) + b"0\r\n\r\n"
        assert b" 200 " in await stand.raw(head + chunked, until_closed=False)

    run(story)


@pytest.mark.parametrize(
    ("parts", "status", "reason"),
    [
        ([b""], None, "timeout"),
        ([b"POST"], None, "timeout"),
        ([b"POST /ips/x HTTP/1.1\r\n", *(f"X-{n}: 1\r\n".encode() for n in range(100))], None, "timeout"),
        ([request(f"/ips/{SECRET}", b"", 100)], 408, "timeout"),
        ([request(f"/ips/{SECRET}", b"", 100), *([b"{"] * 90)], 408, "timeout"),
        ([LINE + b" HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: chunked\r\n\r\n", *([b"1\r\n{\r\n"] * 90)], 408, "timeout"),
    ],
    ids=["nothing", "word", "headers", "no body", "slow body", "slow chunks"],
)  # fmt: skip
def test_the_slow_are_cut(parts: list[bytes], status: int | None, reason: str) -> None:
    async def story(stand: Stand) -> None:
        answer = await asyncio.wait_for(stand.raw(*parts, pause=0.02), 30)
        # Whoever is still sending when the connection goes may miss the answer.
        assert not answer or (status is not None and answer.startswith(f"HTTP/1.1 {status} ".encode()))
        assert stand.counts.reasons == [reason] and not stand.taker.events
        assert (await stand.post())[0] == 200

    run(story, limits=QUICK)


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", LINE + b" HTTP/9\r\n\r\n", LINE + b" HTTP/1.1\r\nContent-Length: x\r\n\r\n",
     LINE + b" HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n",
     LINE + b" HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     LINE + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    ids=["tls", "version", "length", "header", "smuggling", "chunk"],
)  # fmt: skip
def test_what_is_no_http_is_refused_without_echo(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def story(stand: Stand) -> None:
        answer = await stand.raw(data)
        assert answer.startswith(b"HTTP/1.") and answer.split()[1] == b"400"
        assert SECRET.encode() not in answer
        assert stand.counts.reasons == ["http"] and not stand.taker.events

    with caplog.at_level(logging.DEBUG):
        run(story)
    assert SECRET not in caplog.text


def test_half_a_body_is_no_event() -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address)
        writer.write(request(f"/ips/{SECRET}")[:-10])
        await writer.drain()
        writer.close()
        assert await reader.read() == b""
        while not stand.counts.reasons:
            await asyncio.sleep(0.01)
        assert stand.counts.reasons == ["http"] and not stand.taker.events

    run(story)


def test_who_asks_before_sending_is_told_to_go_on() -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address)
        head = request(f"/ips/{SECRET}", b"", len(BODY), Expect="100-continue")
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(BODY)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        refused = request("/ips/wrong", b"", len(BODY), Expect="100-continue")
        assert (await stand.raw(refused)).startswith(b"HTTP/1.1 404 ")

    run(story)


def test_a_flood_is_told_to_wait() -> None:
    async def story(stand: Stand) -> None:
        assert (await stand.post(path="/wrong"))[0] == 404  # does not count
        statuses = [(await stand.post())[0] for _turn in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        answer = await stand.raw(request(f"/ips/{SECRET}", Connection="close"))
        assert b"Retry-After: 10\r\n" in answer or b"Retry-After: 9\r\n" in answer
        assert stand.counts.reasons == ["path", "rate", "rate", "rate"]

    run(story, limits={"rate": 0.1, "burst": 3})


def test_a_flood_from_one_source_is_its_own_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stand: Stand) -> None:
        assert [(await stand.post(path="/wrong"))[0] for _turn in range(3)] == [404, 429, 429]
        url = "http://{}:{}/ips/{}".format(*stand.webhook.address, SECRET)
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(connector=connector) as other, other.post(url, data=BODY) as answer:
            assert answer.status == 200
        # The memory is bounded: a source that was pushed out starts anew.
        assert len(stand.webhook._rates._sources) == 1
        assert (await stand.post())[0] == 200

    monkeypatch.setattr(limits_module, "MOST_SOURCES", 1)
    run(story, limits={"rate_per_source": 0.1})


@given(st.floats(0.1, 1000), st.integers(1, 50), st.lists(st.floats(0, 5), max_size=60))
def test_a_bucket_never_lets_more_through_than_it_may(rate: float, burst: int, pauses: list[float]) -> None:
    bucket, now, taken = Bucket(rate, burst), 100.0, 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        taken += wait == 0
        assert wait == 0 or bucket.take(now + wait * 1.001 + 1e-6) == 0
        if wait:
            taken += 1
            now += wait * 1.001 + 1e-6
        assert taken <= burst + rate * (now - 100.0) + 1e-3


async def open_idle(stand: Stand, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    connections = [await asyncio.open_connection(*stand.webhook.address) for _turn in range(count)]
    while len(stand.webhook._listener.connections) < count:
        await asyncio.sleep(0.01)
    return connections


def test_connections_are_limited() -> None:
    async def story(stand: Stand) -> None:
        idle = await open_idle(stand, 2)
        assert await stand.raw(request(f"/ips/{SECRET}")) == b""
        assert stand.counts.reasons == ["connections"]
        idle[0][1].close()
        while len(stand.webhook._listener.connections) > 1:
            await asyncio.sleep(0.01)
        assert (await stand.post())[0] == 200
        idle[1][1].close()

    run(story, limits={"connections": 2, "connections_per_source": 3})


def test_too_many_connections_push_out_those_that_showed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address)
        writer.write(request(f"/ips/{SECRET}"))
        await reader.readuntil(b"}")
        idle = await open_idle(stand, 2)
        assert (await stand.post())[0] == 200
        assert await idle[0][0].read() == b""  # the oldest that showed nothing
        writer.write(request(f"/ips/{SECRET}"))
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        for _reader, other in (*idle, (reader, writer)):
            other.close()

    monkeypatch.setattr(listener_module, "GRACE", -1.0)
    run(story, limits={"connections": 3, "connections_per_source": 9})


HEADERS = [
    b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Connection: Upgrade",
    b"Upgrade: websocket", b"Upgrade: h2c", b"Expect: 100-continue", b"Host: a", b"Content-Encoding: deflate", b": x",
    b" folded", b"X-Timestamp: 1", b"Content-Type: multipart/form-data", b"Cookie: \xff\x00", b"Range: bytes=0-",
]  # fmt: skip


@given(
    st.sampled_from([b"POST", b"POST", b"POST", b"GET", b"CONNECT", b"HEAD", b"P\x00ST", b""]),
    st.sampled_from([LINE[5:], LINE[5:], LINE[5:], b"/", b"*", b"http://a" + LINE[5:], LINE[5:] + b"?%zz", b"//", b"/%", b"\xff", b"a:b"]),
    st.lists(st.sampled_from(HEADERS), max_size=3),
    st.sampled_from([b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", BODY]) | st.binary(max_size=40),
)
@settings(max_examples=60)
def test_no_request_is_fatal(method: bytes, target: bytes, headers: list[bytes], body: bytes) -> None:
    async def story(stand: Stand) -> None:
        await stand.raw(b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: webhook", *headers, b"Connection: close", b"", body]))
        assert "error" not in stand.counts.reasons
        given = stand.webhook._settings
        stand.webhook.use(replace(given, limits=replace(given.limits, body_timeout=10.0)))
        assert (await stand.post())[0] == 200

    run(story, limits={"body_timeout": 0.05})
