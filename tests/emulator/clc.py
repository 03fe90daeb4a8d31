# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the CLC v2 API that IPS needs: login and Get Server."""
from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import parse_qsl

from .state import Clc, Server, fold
from .wire import Reply, Req, bearer_token, invented, json_reply

LOGIN_PATH = "/v2/authentication/login"
# API documentation, authentication overview.
BAD_CREDENTIALS = "We didn't recognize the username or password you entered. Please try again."
# Recorded answer of the v2 API.
NO_RESOURCE = "The requested resource does not exist."
NO_CACHE = {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1"}
V2_JSON = "application/json; charset=utf-8"


def handle(clc: Clc, req: Req) -> Reply:
    """Answer one v2 request."""
    if req.path.rstrip("/") == LOGIN_PATH:
        return _login(clc, req)
    parts = req.segments("/v2/")
    if len(parts) == 3 and parts[0] == "servers":
        return _get_server(clc, req, parts[1], parts[2])
    return json_reply(404, {"message": NO_RESOURCE}, V2_JSON)


def login_fields(req: Req, json_only: bool = False) -> dict[str, Any] | None:
    """The members of a login body with lower-case names, None if it cannot be read.

    JSON and form encoding are both documented, the latter by the PowerShell sample.
    """
    try:
        if req.content_type != "application/x-www-form-urlencoded":
            parsed: Any = json.loads(req.body)
        elif json_only:
            return None
        else:
            parsed = dict(parse_qsl(req.body.decode(), keep_blank_values=True))
    except ValueError:
        return None
    return {str(name).lower(): value for name, value in parsed.items()} if isinstance(parsed, dict) else None


def _login(clc: Clc, req: Req) -> Reply:
    if req.method != "POST":
        return json_reply(405, {"message": invented("The requested resource does not support this method.")},
                          V2_JSON, Allow="POST")
    fields = login_fields(req, clc.switches["login_body"] == "json_only")
    if fields is None:
        return json_reply(400, {"message": invented("The request is invalid.")}, V2_JSON)
    user = clc.users.get(str(fields.get("username")))
    if user is None or user.password != fields.get("password"):
        return json_reply(400, {"message": BAD_CREDENTIALS}, V2_JSON)
    reply = json_reply(200, {
        "userName": user.username, "accountAlias": user.alias, "locationAlias": user.location,
        "roles": user.roles, "bearerToken": clc.issue_token(user),
    }, V2_JSON)
    reply.headers.update(NO_CACHE)
    return _gzipped(reply, req)


def _gzipped(reply: Reply, req: Req) -> Reply:
    if "gzip" in req.headers.get("Accept-Encoding", "").lower():
        reply.body = gzip.compress(reply.body, 1)
        reply.headers["Content-Encoding"] = "gzip"
    return reply


def _get_server(clc: Clc, req: Req, alias: str, name: str) -> Reply:
    user = clc.user_of(bearer_token(req.headers.get("Authorization", "")))
    if user is None:
        return json_reply(401, {"message": invented("Authorization has been denied for this request.")}, V2_JSON)
    if req.method != "GET":
        return json_reply(405, {"message": invented("The requested resource does not support this method.")},
                          V2_JSON, Allow="GET")
    if not clc.reaches(user, alias):
        return json_reply(403, {"message": invented("Access is denied.")}, V2_JSON)
    server = clc.servers.get(fold(alias, name))
    # Recorded: Get Server answers 404 with an empty body.
    return json_reply(200, _entity(server), V2_JSON) if server else Reply(404)


def _entity(server: Server) -> dict[str, Any]:
    """The members of the recorded entity that a pre-check needs; identifiers come back in lower case."""
    ident, alias = server.name.lower(), server.alias.lower()
    return {
        "id": ident, "name": server.name.upper(), "locationId": server.name[:3].upper(),
        "os": server.os, "osType": server.os.replace("_64Bit", " 64-bit"), "status": server.status,
        "links": [{"rel": "self", "href": f"/v2/servers/{alias}/{ident}", "id": ident},
                  {"rel": "account", "href": f"/v2/accounts/{alias}", "id": alias}],
    }
