# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IPS API: agent install and uninstall, notification destinations.

Facts from the knowledge base article "IPS - RESTful API" and from the released Go client; whatever they
leave open is a switch. The texts of all errors are invented.
"""
from __future__ import annotations

import asyncio
import json
from typing import Any

from . import destinations
from .state import Agent, Destinations, Ips, Server, fold
from .wire import Reply, Req, bearer_token, invented, json_reply, text_reply

PREFIX = "/ips/api/"
DEFAULT_STALE_READS = 2


class _Refused(Exception):
    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class IpsApi:
    """Answers IPS requests on a state.

    :param install_delay: seconds that an install or an uninstall takes, 0 for at once.
    """

    def __init__(self, ips: Ips, install_delay: float = 0.0) -> None:
        self.ips = ips
        self.install_delay = install_delay
        self.timers: set[asyncio.TimerHandle] = set()

    def handle(self, req: Req) -> Reply:
        """Answer one request."""
        try:
            return self._route(req)
        except _Refused as refused:
            return self._error(refused)

    def _error(self, refused: _Refused) -> Reply:
        form = self.ips.switches["error_body"]
        text = str(refused)
        if form == "json":
            reply = json_reply(refused.status, {"message": text})
        else:
            reply = text_reply(refused.status, text) if form == "text" else Reply(refused.status)
        reply.headers.update(refused.headers)
        return reply

    def _route(self, req: Req) -> Reply:
        user = self.ips.clc.user_of(bearer_token(req.headers.get("Authorization", "")))
        if user is None:
            raise _Refused(int(self.ips.switches["bad_token"]), invented("The token is missing or not valid."))
        parts = req.segments(PREFIX)
        plural = ("notifications", "notification") if self.ips.switches["singular_path"] == "alias" \
            else ("notifications",)
        if parts == ["app"] and self.ips.switches["app_path"] in ("both", "slash" if req.path.endswith("/") else "bare"):
            return self._app(req, user)
        if len(parts) == 3 and parts[0] in plural and parts[1] and parts[2]:
            self._reach(user, parts[1])
            if self.ips.switches["notifications"] == "500":
                raise _Refused(500, invented("No exception message provided."))
            return self._notifications(req, parts[1], parts[2])
        return self._no_route(req)

    def _no_route(self, req: Req) -> Reply:
        """What says that nothing is served here need not be this service: a gateway in front of it has words of its own."""
        form = self.ips.switches["no_route"]
        if form == "html":
            return Reply(404, b"<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>", {"Content-Type": "text/html"})
        if form == "json":
            return json_reply(404, {"timestamp": 1440646622000, "status": 404, "error": "Not Found", "path": req.path})
        if form == "server":
            return json_reply(404, {"message": "The requested URL was not found on the server."})
        if form == "echo":
            return json_reply(404, {"message": f"Route {req.method}:{req.path} not found", "error": "Not Found", "statusCode": 404})
        return Reply(404) if form == "empty" else text_reply(404, invented("There is no such resource."))

    def _reach(self, user: Any, alias: str) -> None:
        if not self.ips.clc.reaches(user, alias):
            raise _Refused(403, invented(f"Not authorised for account {alias}."))

    def _json(self, req: Req) -> Any:
        """The body of a write. JAX-RS answers a body of another type with 415."""
        if req.body and req.content_type != "application/json" and self.ips.switches["content_type"] == "415":
            raise _Refused(415, invented("Unsupported Media Type"))
        try:
            return json.loads(req.body)
        except ValueError:
            raise _Refused(400, invented("The body is not JSON.")) from None

    def _server(self, alias: str, name: str) -> Server | None:
        """The server, None for an unknown one that is accepted without effect."""
        server = self.ips.clc.servers.get(fold(alias, name))
        if server is None and self.ips.switches["unknown_server"] != "204":
            raise _Refused(int(self.ips.switches["unknown_server"]), invented("The server is unknown."))
        return server

    # Agents

    def _app(self, req: Req, user: Any) -> Reply:
        if req.method not in ("POST", "DELETE"):
            status = int(self.ips.switches["app_read"])
            raise _Refused(status, invented("Method Not Allowed"), **({"Allow": "POST, DELETE"} if status == 405 else {}))
        body = self._json(req)
        host, alias = (body.get("hostName"), body.get("accountAlias")) if isinstance(body, dict) else (None, None)
        if not (isinstance(host, str) and host and isinstance(alias, str) and alias):
            raise _Refused(400, invented("hostName and accountAlias are needed."))
        self._reach(user, alias)
        server = self._server(alias, host)
        if server is not None:
            key = fold(alias, host)
            if req.method == "POST":
                self._install(key, server, "install_never_completes" in req.flags)
            else:
                self._uninstall(key)
        return Reply(int(self.ips.switches["accepted"]))

    def _install(self, key: tuple[str, str], server: Server, stuck: bool) -> None:
        agent = self.ips.agent(key)
        if agent.state in ("installed", "installing"):
            agent.repeated_installs += 1
            status = int(self.ips.switches["reinstall"])
            if status != 204:
                raise _Refused(status, invented("The agent is already installed."))
            return
        if not server.supported and self.ips.switches["unsupported_os"] != "204":
            raise _Refused(400, invented("The operating system is not supported."))
        agent.installs += 1
        self._begin(key, agent, "installing", stuck or not server.supported)

    def _uninstall(self, key: tuple[str, str]) -> None:
        agent = self.ips.agent(key)
        if agent.state in ("absent", "uninstalling"):
            status = int(self.ips.switches["uninstall_absent"])
            if status != 204:
                raise _Refused(status, invented("The agent was not found, it is not installed."))
            return
        agent.uninstalls += 1
        if self.ips.switches["uninstall_destinations"] == "clear":
            self.ips.destinations.pop(key, None)
        self._begin(key, agent, "uninstalling", False)

    def _begin(self, key: tuple[str, str], agent: Agent, state: str, stuck: bool) -> None:
        agent.state = state
        agent.due = None if stuck else self.ips.clc.clock.now() + self.install_delay
        if stuck:
            return
        if self.ips.agent_root is not None and self.install_delay > 0:
            # A host changes in real time, whatever the emulator's clock says.
            timer = asyncio.get_running_loop().call_later(self.install_delay, self._arrive, key, agent, state)
            self.timers.add(timer)
        elif self.install_delay <= 0:
            self._arrive(key, agent, state)

    def _arrive(self, key: tuple[str, str], agent: Agent, state: str) -> None:
        due = agent.state == state or (state, agent.state) in (("installing", "installed"), ("uninstalling", "absent"))
        if self.ips.agents.get(key) is agent and due:
            self.ips.settle(key)
            self.ips.place_file(key, state == "installing")

    def cancel_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    # Destinations

    def _notifications(self, req: Req, alias: str, name: str) -> Reply:
        if req.method not in ("GET", "PUT", "DELETE"):
            raise _Refused(405, invented("Method Not Allowed"), Allow="GET, PUT, DELETE")
        if req.method == "PUT":
            body = self._json(req)
            try:
                items = destinations.parse(body, self.ips.switches)
            except destinations.Rejected as rejected:
                raise _Refused(400, str(rejected)) from None
            if self._server(alias, name) is not None:
                self._store(fold(alias, name), items)
            return Reply(204)
        server = self._server(alias, name)
        held = self.ips.destinations.get(fold(alias, name)) if server else None
        if req.method == "GET":
            return self._show(held)
        if not (held and held.items) and self.ips.switches["delete_none"] == "404":
            raise _Refused(404, invented("There are no destinations."))
        if held:
            self._store(fold(alias, name), [])
        return Reply(204)

    def _store(self, key: tuple[str, str], items: list[dict[str, Any]]) -> None:
        held = self.ips.destinations.setdefault(key, Destinations())
        visibility, _unused, reads = self.ips.switches["write_visibility"].partition(":")
        if visibility == "delayed":
            held.stale = held.items if held.stale is None else held.stale
            held.stale_reads = int(reads or DEFAULT_STALE_READS)
        held.items = items

    def _show(self, held: Destinations | None) -> Reply:
        items = held.items if held else []
        if held and held.stale is not None:
            if held.stale_reads > 0:
                held.stale_reads -= 1
                items = held.stale
            else:
                held.stale = None
        if items:
            return json_reply(200, destinations.render(items, self.ips.switches))
        none = self.ips.switches["get_none"]
        if none == "404":
            raise _Refused(404, invented("There are no destinations."))
        return Reply(204) if none == "204" else Reply(200, none.encode(), {"Content-Type": "application/json"})
