# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivery of events to a server's destinations: real traffic, to loopback only."""
from __future__ import annotations

import asyncio
import ipaddress
import smtplib
from collections.abc import Awaitable, Callable, Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from . import events
from .clock import Clock
from .wire import dumps

NOT_LOOPBACK = "refused: not loopback"
SENDER = "ips@client-security.example"


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, told without asking a name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class Delivery:
    """Sends events and keeps the log of deliveries.

    A log record holds ``id, at, server, type, target, attempts, result``: ``target`` names host and port only
    (paths are secrets), ``attempts`` a list of ``{at, outcome}``, ``result`` one of pending, delivered, failed, captured
    or ``refused: not loopback``. A captured e-mail (no relay is set) keeps its ``message``.

    A delivery is repeated until it succeeds (HTTP: a 2xx answer), ``delivery_attempts`` times at most with
    ``delivery_pause`` seconds between; certificates of receivers are not checked (whether the service did is not
    documented).
    """

    def __init__(self, clock: Clock, settings: dict[str, Any]) -> None:
        self._clock = clock
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self.log: list[dict[str, Any]] = []

    def clear(self) -> None:
        """Forget the log and give up what is under way."""
        for task in self._tasks:
            task.cancel()
        self.log = []

    async def close(self) -> None:
        self.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settled(self, timeout: float) -> list[dict[str, Any]]:
        """The log, once nothing is pending or the time (seconds) is over."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout)
        return self.records()

    def records(self) -> list[dict[str, Any]]:
        return [{**record, "attempts": [dict(attempt) for attempt in record["attempts"]]} for record in self.log]

    def raise_event(self, server: str, destinations: list[dict[str, Any]],
                    overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Start the deliveries of one event and return it with their records."""
        event = events.build(server, self._clock.now(), overrides)
        records = [self._start(event, item) for item in destinations]
        return {"event": event, "deliveries": [dict(record) for record in records]}

    def _start(self, event: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
        host, port, send = self._plan(event, item)
        record: dict[str, Any] = {
            "id": len(self.log) + 1, "at": self._clock.now(), "server": event["hostName"], "type": item["typeCode"],
            "target": f"{host}:{port}" if host else None, "attempts": [], "result": "pending",
        }
        self.log.append(record)
        if item["typeCode"] == "EMAIL" and not host:
            record.update(result="captured", target=item["emailAddress"], message=_message(event, item).as_string())
        elif send is None or not host:
            record["result"] = "failed"
        elif not is_loopback(host):
            record["result"] = NOT_LOOPBACK
        else:
            task = asyncio.get_running_loop().create_task(self._deliver(record, send))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return record

    def _plan(self, event: dict[str, Any],
              item: dict[str, Any]) -> tuple[str | None, int | None, Callable[[], Awaitable[str]] | None]:
        """Host, port and the function that sends once and returns an outcome."""
        code = item["typeCode"]
        if code in ("WEBHOOK", "SLACK"):
            body = dumps(event if code == "WEBHOOK" else events.slack(event))
            try:
                parts = urlsplit(item["url"] or "")
                port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
            except ValueError:
                return None, None, None
            return parts.hostname, port, lambda: self._post(item["url"], body)
        settings = item["sysLogSettings"]
        if code == "SYSLOG" and settings and settings["udpPort"]:
            datagram = events.syslog(event, settings["facility"] or 0)
            return settings["ipAddress"], settings["udpPort"], lambda: self._datagram(settings, datagram)
        if code == "EMAIL" and self._settings["smtp"]:
            host, _unused, port = self._settings["smtp"].rpartition(":")
            return host, int(port), lambda: self._mail(host, int(port), _message(event, item))
        return None, None, None

    async def _deliver(self, record: dict[str, Any], send: Callable[[], Awaitable[str]]) -> None:
        for number in range(self._settings["delivery_attempts"]):
            if number:
                await asyncio.sleep(self._settings["delivery_pause"])
            attempt: dict[str, Any] = {"at": self._clock.now(), "outcome": "pending"}
            record["attempts"].append(attempt)
            try:
                attempt["outcome"] = await asyncio.wait_for(send(), self._settings["delivery_timeout"])
            except Exception as error:  # whatever goes wrong is what the log has to say
                attempt["outcome"] = type(error).__name__
            if attempt["outcome"].startswith(("2", "sent")):
                record["result"] = "delivered"
                return
        record["result"] = "failed"

    async def _post(self, url: str, body: bytes) -> str:
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession() as session, session.post(
                url, data=body, headers=headers, ssl=False, allow_redirects=False) as answer:
            return str(answer.status)

    async def _datagram(self, settings: dict[str, Any], datagram: bytes) -> str:
        loop = asyncio.get_running_loop()
        address = (settings["ipAddress"], settings["udpPort"])
        transport, _unused = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
        transport.sendto(datagram)
        transport.close()
        return "sent"

    async def _mail(self, host: str, port: int, message: EmailMessage) -> str:
        def send() -> str:
            with smtplib.SMTP(host, port, "localhost", self._settings["delivery_timeout"]) as relay:
                relay.send_message(message)
            return "sent"

        return await asyncio.get_running_loop().run_in_executor(None, send)


def _message(event: dict[str, Any], item: dict[str, Any]) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, item["emailAddress"], events.subject(event)
    message.set_content(events.text(event))
    return message
