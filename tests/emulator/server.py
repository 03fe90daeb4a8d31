# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners: TLS on loopback, one write for each answer, faults and journal on the way."""
from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import time
import traceback
from typing import Any

import trustme
from aiohttp import web

from . import control
from .faults import GARBAGE, PIECES, Fault, drip
from .wire import Reply, Req
from .world import World

ADDRESS = "127.0.0.1"


class Emulator:
    """A :class:`World` on the network.

    CLC and IPS share a listener, each firewall has its own; each of them also listens on plain HTTP.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._authority = trustme.CA()
        self._runners: list[web.ServerRunner] = []
        self._urls: dict[str | None, dict[str, str]] = {}

    @property
    def ca_pem(self) -> bytes:
        return self._authority.cert_pem.bytes()

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(ADDRESS, "localhost", "::1").configure_cert(context)
        for firewall in (None, *self.world.firewalls):
            self._urls[firewall] = {}
            for scheme, tls in (("https", context), ("http", None)):
                port = await self._listen(firewall, scheme, tls)
                self._urls[firewall][scheme] = f"{scheme}://{ADDRESS}:{port}"

    async def _listen(self, firewall: str | None, scheme: str, tls: ssl.SSLContext | None) -> int:
        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            return await self._serve(firewall, scheme, request)

        runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        listener = socket.create_server((ADDRESS, 0), backlog=1024)
        await web.SockSite(runner, listener, ssl_context=tls).start()
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        self.world.ips_api.cancel_timers()
        await self.world.delivery.close()
        for runner in self._runners:
            await runner.cleanup()

    def addresses(self) -> dict[str, Any]:
        """The URLs, and the users of the seed, as the ready file shows them."""
        cloud = self._urls[None]
        return {
            "control_url": cloud["https"] + control.PREFIX.rstrip("/"), "clc_url": cloud["https"],
            "ips_url": cloud["https"] + "/ips/api", "http_url": cloud["http"],
            "firewalls": [{"name": name, "api_url": urls["https"], "http_url": urls["http"]}
                          for name, urls in self._urls.items() if name is not None],
            "users": [{"username": user.username, "password": user.password, "alias": user.alias}
                      for user in self.world.clc.users.values()],
            "firewall_users": [{"username": user.username, "password": user.password, "access": user.access}
                               for firewall in list(self.world.firewalls.values())[:1]
                               for user in firewall.users.values()],
        }

    async def _serve(self, firewall: str | None, scheme: str, request: web.BaseRequest) -> web.StreamResponse:
        path, _unused, query = request.raw_path.partition("?")
        req = Req(request.method, path, query, request.headers, await request.read())
        try:
            if firewall is None and path.startswith(control.PREFIX):
                return _response(await control.handle(self.world, req))
            return await self._exchange(firewall, scheme, request, req)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            raise

    async def _exchange(self, firewall: str | None, scheme: str, request: web.BaseRequest,
                        req: Req) -> web.StreamResponse:
        world = self.world
        service = "cos" if firewall else "ips" if req.path.startswith("/ips/") else "clc"
        record = world.journal.open(service, firewall, req)
        fault = world.faults.choose(service, firewall, req)
        generation = world.generation
        wait = world.settings["latency_ms"] / 1000 + (fault.seconds if fault and fault.kind == "delay" else 0)
        if wait:
            await asyncio.sleep(wait)
        if world.generation != generation:
            # A request from before a reset must not reach the state after it.
            return _drop(request)
        if fault is not None:
            record["fault"] = fault.kind
            return await self._struck(firewall, service, scheme, request, req, record, fault)
        return _send(record, self._apply(service, firewall, req, record))

    def _apply(self, service: str, firewall: str | None, req: Req, record: dict[str, Any],
               fault: Fault | None = None) -> Reply:
        record["applied"] = True
        return self.world.answer(service, firewall, req, fault)

    async def _struck(self, firewall: str | None, service: str, scheme: str, request: web.BaseRequest, req: Req,
                      record: dict[str, Any], fault: Fault) -> web.StreamResponse:
        kind = fault.kind
        if kind == "drop_before":
            return _drop(request)
        if kind == "redirect":
            location = self._location(firewall, fault.to, req, scheme)
            return _send(record, Reply(fault.status or 307, b"", {"Location": location}))
        if kind == "status" and not fault.commit:
            return _send(record, fault.answer())
        if kind == "install_never_completes":
            req = Req(req.method, req.path, req.query, req.headers, req.body, frozenset((kind,)))
        reply = self._apply(service, firewall, req, record, fault)
        if kind == "drop_after":
            return _drop(request)
        if kind == "drop_mid":
            return await _drop_mid(request, reply)
        if kind == "drip":
            return await _drip(request, drip(fault.part, reply), fault.seconds)
        if kind == "delay_after":
            await asyncio.sleep(fault.seconds)
        elif kind == "status":
            reply = fault.answer()
        elif kind == "truncate":
            reply = Reply(reply.status, reply.body[:len(reply.body) // 2], reply.headers)
        elif kind == "garbage":
            body = GARBAGE if fault.body is None else fault.body
            reply = Reply(fault.status or 200, body.encode(),
                          {"Content-Type": fault.content_type or "application/json"})
        return _send(record, reply)

    def _location(self, firewall: str | None, to: str, req: Req, scheme: str) -> str:
        target = req.path + (f"?{req.query}" if req.query else "")
        if to == "https":
            return self._urls[firewall]["https"] + target
        if to == "foreign":
            # Another host name, yet still this machine: whoever follows shows up in the journal.
            return self._urls[firewall][scheme].replace(ADDRESS, "localhost") + target
        return to


def _send(record: dict[str, Any], reply: Reply) -> web.Response:
    record["status"], record["answered"] = reply.status, time.monotonic()
    return _response(reply)


def _response(reply: Reply) -> web.Response:
    response = web.Response(status=reply.status, body=reply.body or None, headers=reply.headers)
    if "Content-Type" not in reply.headers:
        # aiohttp would announce application/octet-stream for nothing.
        response.headers.pop("Content-Type", None)
    return response


def _drop(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _drip(request: web.BaseRequest, parts: tuple[bytes, bytes, bytes], seconds: float) -> web.StreamResponse:
    """Write past the server's own framing, until all is sent or nobody listens any more."""
    begin, piece, rest = parts
    if request.transport is not None:
        request.transport.write(begin)
    for _unused in range(PIECES):
        await asyncio.sleep(seconds)
        if request.transport is None or request.transport.is_closing():
            break
        request.transport.write(piece)
    if request.transport is not None:
        request.transport.write(rest)
        request.transport.close()
    return web.Response()


async def _drop_mid(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Promise the whole body, send half of it."""
    body = reply.body or b" " * 64
    response = web.StreamResponse(status=reply.status if reply.body else 200, headers=reply.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[:len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
