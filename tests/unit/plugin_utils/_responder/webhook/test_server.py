# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The webhook over real connections: what it takes and from whom, and that secrets stay inside."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.inbox import NotRecorded
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook import auth as auth_module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.limits import Refused
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.listener import CannotListen
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.server import Webhook

from ..conftest import BODY, Taker, request, sign
from .stand import KEY, OTHER, SECRET, Counts, Stand, run, standing


def test_an_event_is_taken_and_a_repeated_one_is_known() -> None:
    async def story(stand: Stand) -> None:
        status, text = await stand.post()
        event = stand.taker.events[0]
        assert (status, json.loads(text)) == (200, {"ids": [event.id], "new": 1, "known": 0, "ignored": 0})
        assert event.attacker == "203.0.113.7"
        status, text = await stand.post()
        assert (status, json.loads(text)) == (200, {"ids": [event.id], "new": 0, "known": 1, "ignored": 0})
        assert not stand.counts.reasons

    run(story)


def test_secrets_can_be_rotated_and_wrong_is_like_missing() -> None:
    async def story(stand: Stand) -> None:
        assert (await stand.post(path=f"/ips/{OTHER}"))[0] == 200
        assert (await stand.post(path=f"/ips/{SECRET}?x=1"))[0] == 200
        answers = set()
        wrong = ["/", "/ips", "/ips/", f"/ips/{SECRET}/", f"/ips/{SECRET}x", f"/ips/{SECRET[:-1]}", f"/{SECRET}", "/ips/%00", "/ips/\u00e9"]
        for path in wrong:
            host, port = stand.webhook.address
            async with stand.client.post(f"http://{host}:{port}{path}", data=BODY) as answer:
                headers = {name: value for name, value in answer.headers.items() if name != "Date"}
                answers.add((answer.status, await answer.text(), str(sorted(headers.items()))))
        assert len(answers) == 1
        assert next(iter(answers))[:2] == (404, "")
        assert stand.counts.reasons == ["path"] * len(wrong)

    run(story, path_secrets=[SECRET, OTHER])


def test_without_a_path_secret_the_path_is_plain() -> None:
    async def story(stand: Stand) -> None:
        assert (await stand.post(path="/ips"))[0] == 200
        assert (await stand.post(path="/"))[0] == 404

    run(story, path_secrets=None)


def test_only_posts_are_taken() -> None:
    async def story(stand: Stand) -> None:
        url = "http://{}:{}/ips/".format(*stand.webhook.address)
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
            async with stand.client.request(method, url + SECRET) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            async with stand.client.request(method, url + OTHER) as answer:
                assert (answer.status, "Allow" in answer.headers) == (404, False)

    run(story)


def test_the_software_is_not_named() -> None:
    async def story(stand: Stand) -> None:
        for data in (request(f"/ips/{SECRET}", Connection="close"), request("/nowhere"), b"nonsense\r\n\r\n"):
            answer = (await stand.raw(data)).lower()
            assert answer.startswith(b"http/1.") and b"python" not in answer and b"aiohttp" not in answer

    run(story)


def test_connections_are_kept_and_requests_may_queue_on_them() -> None:
    async def story(stand: Stand) -> None:
        reader, writer = await asyncio.open_connection(*stand.webhook.address)
        for _turn in range(3):
            writer.write(request(f"/ips/{SECRET}") * 2)
            for _answer in range(2):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                await reader.readexactly(length)
        writer.close()
        assert len(stand.taker.events) == 6

    run(story)


@pytest.mark.parametrize(("allowed", "status"), [(["127.0.0.1"], 200), (["127.0.0.0/8", "2001:db8::/32"], 200), (["192.0.2.0/24"], None)])
def test_strangers_are_turned_away_before_a_word(allowed: list[str], status: int | None) -> None:
    async def story(stand: Stand) -> None:
        if status is None:
            assert await stand.raw(request(f"/ips/{SECRET}", X_Forwarded_For="192.0.2.1")) == b""
            assert stand.counts.reasons == ["source"]
        else:
            assert (await stand.post())[0] == status

    run(story, allow_from=allowed)


def test_signed_requests_of_a_relay() -> None:
    async def story(stand: Stand) -> None:
        now = int(time.time())
        good = sign(KEY, now, BODY)
        assert (await stand.post(headers=good))[0] == 200
        assert (await stand.post(headers=sign(f"{KEY}-2", now, BODY)))[0] == 200
        assert (await stand.post(headers={**good, "X-Signature-256": good["X-Signature-256"].upper().replace("SHA", "sha")}))[0] == 409
        assert (await stand.post(headers=sign(KEY, now - 1, BODY))) == (200, json.dumps({"ids": [stand.taker.events[0].id], "new": 0,
                                                                                         "known": 1, "ignored": 0}))
        wrong = [
            {}, {**good, "X-Timestamp": ""}, {**good, "X-Timestamp": str(now - 1)}, {"X-Timestamp": str(now)}, sign("wrong", now, BODY),
            sign(KEY, now, BODY + b" "), sign(KEY, now - 400, BODY), sign(KEY, now + 400, BODY), {**good, "X-Timestamp": f" {now}.0"},
            {**good, "X-Timestamp": "\u0661\u0662"}, {**good, "X-Timestamp": "9" * 500}, {**good, "X-Signature-256": "sha256="},
            {**good, "X-Signature-256": good["X-Signature-256"][7:]}, {**good, "X-Signature-256": "sha1=" + "0" * 40},
        ]  # fmt: skip
        for headers in wrong:
            status, text = await stand.post(headers=headers)
            assert status == 401, headers
            assert KEY not in text
        assert stand.counts.reasons == ["replayed", *["signature"] * len(wrong)]

    run(story, hmac_secrets=[KEY, f"{KEY}-2"])


def test_unsigned_requests_do_not_use_up_the_rate() -> None:
    async def story(stand: Stand) -> None:
        now = int(time.time())
        for _turn in range(3):
            assert (await stand.post())[0] == 401
            assert (await stand.post(headers=sign("wrong", now, BODY)))[0] == 401
        assert (await stand.post(headers=sign(KEY, now, BODY)))[0] == 200
        assert (await stand.post(headers=sign(KEY, now - 1, BODY)))[0] == 429

    run(story, hmac_secrets=[KEY], limits={"rate": 0.1, "burst": 1})


def test_a_relay_may_send_again_what_was_not_acknowledged() -> None:
    async def story(stand: Stand) -> None:
        headers = sign(KEY, int(time.time()), BODY)
        for failure, status in ((NotRecorded("full"), 503), (Refused("busy", 429, retry_after=1.0), 429), (None, 200), (None, 409)):
            stand.taker.failure = failure
            assert (await stand.post(path="/ips", headers=headers))[0] == status

    run(story, hmac_secrets=[KEY], path_secrets=None)


def test_remembered_signatures_are_bounded_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stand: Stand) -> None:
        now = int(time.time())
        for turn in range(6):
            assert (await stand.post(headers=sign(KEY, now - turn, BODY)))[0] == 200
        assert len(stand.webhook._credentials._signatures) == 4
        monkeypatch.setattr(auth_module.time, "time", lambda: now + 400.0)
        assert (await stand.post(headers=sign(KEY, now + 400, BODY)))[0] == 200
        assert len(stand.webhook._credentials._signatures) == 1

    monkeypatch.setattr(auth_module, "MOST_SIGNATURES", 4)
    run(story, hmac_secrets=[KEY])


@pytest.mark.parametrize(
    ("failure", "status", "after", "reason"),
    [
        (Refused("busy", 429, "too many events are waiting", retry_after=2.5), 429, "3", "busy"),
        (NotRecorded("disk"), 503, "1", "not_recorded"), (RuntimeError("defect"), 500, None, "error")],
)
def test_what_cannot_be_taken_is_the_senders_to_retry(failure: Exception, status: int, after: str | None, reason: str) -> None:
    async def story(stand: Stand) -> None:
        stand.taker.failure = failure
        async with stand.client.post("http://{}:{}/ips/{}".format(*stand.webhook.address, SECRET), data=BODY) as answer:
            assert (answer.status, answer.headers.get("Retry-After")) == (status, after)
            assert "disk" not in await answer.text()
        assert stand.counts.reasons == [reason]
        stand.taker.failure = None
        assert (await stand.post())[0] == 200

    run(story)


def test_stopping_finishes_what_is_under_way() -> None:
    async def main() -> None:
        async with standing() as stand:
            stand.taker.gate = asyncio.Event()
            idle = await asyncio.open_connection(*stand.webhook.address)
            under_way = asyncio.ensure_future(stand.raw(request(f"/ips/{SECRET}")))
            while not any(connection.busy for connection in stand.webhook._listener.connections):
                await asyncio.sleep(0.01)
            stopping = asyncio.ensure_future(stand.webhook.stop(30))
            assert await idle[0].read() == b""
            with pytest.raises(OSError):
                await asyncio.open_connection(*stand.webhook.address)
            assert not stopping.done()
            stand.taker.gate.set()
            answer = await under_way
            await stopping
            assert answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer.lower()
            idle[1].close()

    asyncio.run(main())


def test_stopping_does_not_wait_for_ever() -> None:
    async def main() -> None:
        async with standing() as stand:
            stand.taker.gate = asyncio.Event()
            under_way = asyncio.ensure_future(stand.raw(request(f"/ips/{SECRET}")))
            while not any(connection.busy for connection in stand.webhook._listener.connections):
                await asyncio.sleep(0.01)
            await asyncio.wait_for(stand.webhook.stop(0.1), 30)
            assert await under_way == b""

    asyncio.run(main())


def test_an_address_that_is_taken_is_said() -> None:
    async def story(stand: Stand) -> None:
        settings = dataclasses.replace(stand.webhook._settings, port=stand.webhook.address[1])
        with pytest.raises(CannotListen) as caught:
            await Webhook(settings, stand.taker.take, stand.counts).__aenter__()
        assert caught.value.message == f"The webhook cannot listen on 127.0.0.1 port {settings.port}: Address already in use."
        with pytest.raises(CannotListen, match=r"The webhook cannot listen on door\.invalid port \d+: "):
            await Webhook(dataclasses.replace(settings, host="door.invalid", allow_http=True), stand.taker.take, stand.counts).__aenter__()

    run(story)


def test_unsafe_settings_are_refused_here_too() -> None:
    with pytest.raises(InvalidInput, match="without authentication"):
        Webhook(Configuration(host="0.0.0.0"), Taker().take, Counts())


def test_secrets_stay_inside(caplog: pytest.LogCaptureFixture) -> None:
    async def story(stand: Stand) -> None:
        asyncio.get_running_loop().set_debug(True)
        answers = []
        for failure in (None, RuntimeError("defect"), NotRecorded(""), Refused("busy", 429)):
            stand.taker.failure = failure
            for body in (BODY, b"{", bytes(70000)):
                headers = sign(KEY, int(time.time()), body)
                answers.append(str(await stand.post(body, headers=headers)))
                answers.append(str(await stand.post(body, path=f"/ips/{SECRET}/{KEY}", headers=headers)))
        assert SECRET not in "".join(answers) and KEY not in "".join(answers)
        assert SECRET not in repr(stand.webhook._settings)

    with caplog.at_level(logging.DEBUG):
        run(story, hmac_secrets=[KEY])
    assert "Refused a request or connection from 127.0.0.1: wrong or missing secret in the URL." in caplog.text
    assert SECRET not in caplog.text and KEY not in caplog.text


def test_many_events_in_one_post_are_recorded_or_none_is_acknowledged() -> None:
    async def story(stand: Stand) -> None:
        posts = [{**json.loads(BODY), "rank": number} for number in range(3)]
        for body in (json.dumps(posts), "\n".join(map(json.dumps, posts)), json.dumps({"EventType": "PacketLog"})):
            status, text = await stand.post(body)
            assert status == 200
        assert json.loads(text) == {"ids": [], "new": 0, "known": 0, "ignored": 1}
        assert len(stand.taker.ids) == 3
        status, text = await stand.post(json.dumps([*posts, {**posts[0], "rank": 9}]))
        assert (json.loads(text)["new"], json.loads(text)["known"]) == (1, 3)
        before = list(stand.taker.events)
        for bad in (json.dumps([{**posts[0], "rank": 7}, {**posts[0], "hostName": 5}]), json.dumps([posts[0], 5]), "[]",
                    json.dumps([posts[0]] * 1001), json.dumps(posts)[:-1], json.dumps([{"fits": "nothing"}])):  # fmt: skip
            assert (await stand.post(bad))[0] == 400
        stand.taker.failure = NotRecorded("no")
        assert (await stand.post(json.dumps(posts)))[0] == 503
        assert stand.taker.events == before

    run(story, format="auto")
