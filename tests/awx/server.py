# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWX API over HTTP, in a thread of the test."""

from __future__ import annotations

import asyncio
import base64
import binascii
import copy
import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from .catalogue import JOBS, KINDS, UNIFIED
from .jobs import Jobs, Run
from .store import API, HIDDEN, Refused, Store

TOKEN = "canary-controller-token-8Vb1"
HEADERS = {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.2.dev0"}
LAUNCHED = ("job_templates", "workflow_job_templates")


class Controller:
    """A context manager: an AWX that holds nothing but the user admin and the organization Default.

    Args:
        sources: the directory of each project, by its URL, or by its path where it is a manual one.
        run: what runs a job; without it, jobs succeed at once.
        first: the first number of a collection, where it is not 1.

    Attributes:
        log: each request, as (method, path, body, status).
        launched: the answer to each launch.
    """

    def __init__(self, sources: Mapping[str, Path] | None = None, run: Run | None = None, first: Mapping[str, int] | None = None) -> None:
        self.store = Store(sources or {}, first)
        self.jobs = Jobs(self.store, run)
        self.tokens = {TOKEN: 1}
        self.numbers = itertools.count(1)
        self.log: list[tuple[str, str, Any, int]] = []
        self.launched: list[dict[str, Any]] = []

    def __enter__(self) -> Controller:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_unused: object) -> None:
        self.call(self.runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def _start(self) -> None:
        application = web.Application(middlewares=[web.normalize_path_middleware()])
        application.router.add_route("*", API + "/{rest:.*}", self._handle)
        self.runner = web.AppRunner(application)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    def writes(self) -> list[tuple[str, str, Any, int]]:
        """Return the requests that wrote something, but for tokens."""
        return [entry for entry in self.log if entry[0] != "GET" and "/tokens/" not in entry[1]]

    def named(self, collection: str, name: str) -> dict[str, Any]:
        """Return the one object of that name, as it is held."""
        found, = self.store.find(collection, {"username" if collection == "users" else "name": name})
        return found

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        try:
            status, answer = self.serve(request.method, request.path, dict(request.query), body, request.headers.get("Authorization", ""))
        except Refused as refused:
            status, answer = refused.status, refused.body
        self.log.append((request.method, request.path_qs, body, status))
        if answer is None:
            return web.Response(status=status, headers=HEADERS)
        return web.json_response(answer, status=status, headers=HEADERS)

    def _user(self, authorization: str) -> int:
        scheme, _space, secret = authorization.partition(" ")
        if scheme == "Bearer" and secret in self.tokens:
            return self.tokens[secret]
        try:
            name, _colon, password = base64.b64decode(secret).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name = password = ""
        found = [one["id"] for one in self.store.objects["users"].values() if (one["username"], one["password"]) == (name, password)]
        if scheme != "Basic" or not found:
            raise Refused({"detail": "Authentication credentials were not provided."}, 401)
        return int(found[0])

    def serve(self, method: str, path: str, query: Mapping[str, str], body: Any, authorization: str) -> tuple[int, Any]:
        """Answer a request with its status and body; raises Refused."""
        collection, number, sub = ([*path.removeprefix(API).strip("/").split("/"), "", ""])[:3]
        if collection in ("ping", "config"):
            return 200, {"version": "24.6.2.dev0"}
        user = self._user(authorization)
        if collection == "tokens":
            return self._token(method, user, number, body)
        if collection not in (*KINDS, *JOBS, UNIFIED, "roles"):
            raise Refused({"detail": "The requested resource could not be found."}, 404)
        if method != "GET":
            self._permit(user, collection, number, sub)
        if not number:
            return self._collection(method, user, collection, query, body)
        if not number.isdigit():
            raise Refused({"detail": "Not found."}, 404)
        return self._sub(method, user, collection, int(number), sub, body) if sub else self._object(method, collection, int(number), body)

    def _token(self, method: str, user: int, number: str, body: Any) -> tuple[int, Any]:
        if method == "DELETE":
            return 204, None
        made = next(self.numbers)
        token = f"token-{made}"
        self.tokens[token] = user
        return 201, {
            "id": made, "type": "o_auth2_access_token", "url": f"{API}/tokens/{made}/", "related": {"user": f"{API}/users/{user}/"},
            "summary_fields": {"user": {"id": user}}, "created": "", "modified": "", "description": body["description"], "user": user,
            "token": token, "refresh_token": None, "application": body["application"], "expires": "", "scope": body["scope"],
        }

    def _permit(self, user: int, collection: str, number: str, sub: str) -> None:
        """Let a superuser do everything, and others what the roles of their teams and their own allow."""
        held = self.store.objects["users"][user]
        if held["is_superuser"]:
            return
        teams = [owner for role, (kind, owner, name) in self.store.roles.items()
                 if (kind, name) == ("teams", "member_role") and user in self.store.links["roles", role, "users"]]
        if sub in ("approve", "deny"):
            workflow = self.store.get("workflow_jobs", self.store.get("workflow_approvals", int(number))["workflow_job"])
            wanted = ("workflow_job_templates", workflow["template"], "approval_role")
        elif sub == "relaunch":
            wanted = ("job_templates", self.store.get("jobs", int(number))["template"], "execute_role")
        else:
            wanted = (collection, int(number or 0), "execute_role" if sub == "launch" else "admin_role")
        for role, what in self.store.roles.items():
            people, groups = (self.store.links["roles", role, name] for name in ("users", "teams"))
            if what == wanted and (user in people or set(teams) & set(groups)):
                return
        raise Refused({"detail": "You do not have permission to perform this action."}, 403)

    def _collection(self, method: str, user: int, collection: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        if method == "GET":
            return 200, self._list(collection, self.store.find(collection, query))
        return 201, self.shown(collection, self.store.create(collection, body, user))

    def _object(self, method: str, collection: str, number: int, body: Any) -> tuple[int, Any]:
        if method == "DELETE":
            self.store.delete(collection, number)
            return 204, None
        if collection == "projects" and method == "GET":
            self.store.get(collection, number)
        if collection == "project_updates":
            update = self.store.get(collection, number)
            self.store.get("projects", update["project"])["status"] = update["status"]
        held = self.store.get(collection, number) if method == "GET" else self.store.patch(collection, number, body)
        return 200, self.shown(self.store.place(collection, number), held)

    def _sub(self, method: str, user: int, collection: str, number: int, sub: str, body: Any) -> tuple[int, Any]:
        held = self.store.roles[number] if collection == "roles" else self.store.get(collection, number)
        if sub == "survey_spec":
            if method == "POST":
                self.store.set_survey(number, body)
                return 200, None
            return 200, self.store.surveys.get(number, {})
        if sub == "playbooks":
            return 200, self.store.playbooks(held)
        if sub == "launch":
            self.launched.append(self.jobs.launch(collection, number, body or {}, user))
            return 201, self.launched[-1]
        if sub == "relaunch":
            return 201, self.jobs.relaunch(number, (body or {}).get("hosts", "all"), user)
        if sub in ("approve", "deny"):
            self.jobs.decide(number, sub == "approve", user)
            return 204, None
        if sub == "create_approval_template":
            made = self.store.create("workflow_approval_templates", body, user, workflow=held["workflow_job_template"])
            held["unified_job_template"] = made["id"]
            return 201, self.shown("workflow_approval_templates", made)
        if (collection, sub) == ("organizations", "users") and method == "POST" and "username" in body:
            made = self.store.create("users", body, user)
            self.store.links[collection, number, sub].append(made["id"])
            return 201, self.shown("users", made)
        return self._linked(method, collection, number, sub, body)

    def _linked(self, method: str, collection: str, number: int, sub: str, body: Any) -> tuple[int, Any]:
        target = sub if collection == "roles" else KINDS[collection].lists.get(sub)
        if target is None:
            raise Refused({"detail": "Not found."}, 404)
        linked = self.store.links[collection, number, sub]
        if method == "GET":
            return 200, self._list(target, [self.store.get(target, one) for one in linked])
        other = self.store.get(target, body["id"])
        if body.get("disassociate"):
            linked.remove(other["id"])
        elif target == "credentials" and sub == "credentials" and any(
            self.store.get(target, one)["credential_type"] == other["credential_type"] for one in linked if one != other["id"]
        ):
            raise Refused({"error": "Cannot assign multiple credentials of one type."})
        elif collection == "workflow_job_template_nodes" and sub.endswith("_nodes") and other["workflow_job_template"] is None:
            raise Refused({"detail": "Not found."}, 404)
        elif other["id"] not in linked:
            linked.append(other["id"])
        return 204, None

    def _list(self, collection: str, found: list[dict[str, Any]]) -> dict[str, Any]:
        shown = [self.shown(self.store.place(collection, one["id"]), one) for one in found]
        return {"count": len(found), "next": None, "previous": None, "results": shown}

    def shown(self, collection: str, held: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object as the API shows it: no secrets, with links and summaries."""
        if collection in JOBS:
            visible = {name: value for name, value in held.items() if not name.startswith("_")}
            return {**visible, "url": f"{API}/{collection}/{held['id']}/"}
        kind, number, url = KINDS[collection], held["id"], f"{API}/{collection}/{held['id']}/"
        fields = copy.deepcopy({name: held[name] for name in kind.fields})
        related = {name: f"{url}{name}/" for name in kind.lists}
        user = {"id": 1, "username": "admin", "first_name": "", "last_name": ""}
        summary: dict[str, Any] = {} if collection in ("workflow_job_template_nodes", "users") else {"created_by": user}
        for name, referred in kind.refers.items():
            other = held[name]
            if other is not None:
                place = self.store.place(referred, other)
                related[name] = f"{API}/{place}/{other}/"
                summary[name] = {part: self.store.get(place, other)[part] for part in ("id", "name", "description")}
        if kind.roles:
            summary["object_roles"] = {
                name: {"id": role, "name": kind.roles[name]} for role, (place, owner, name) in self.store.roles.items()
                if (place, owner) == (collection, number)
            }
        if collection in LAUNCHED:
            related |= {"survey_spec": f"{url}survey_spec/", "launch": f"{url}launch/"}
            summary["labels"] = {"count": 0, "results": []}
        if collection == "job_templates":
            summary["credentials"] = [{"id": one} for one in self.store.links[collection, number, "credentials"]]
        if collection == "projects" and held["scm_type"]:
            update = {"id": held["update"], "status": held["status"], "failed": False}
            summary |= {"current_update": update, "current_job": update} if held["status"] == "pending" else {"last_update": update}
        if collection == "credentials":
            inputs = self.store.get("credential_types", held["credential_type"])["inputs"].get("fields", [])
            secret = {one["id"] for one in inputs if one.get("secret")}
            fields["inputs"] = {name: HIDDEN if name in secret else value for name, value in held["inputs"].items()}
        if collection == "notification_templates":
            settings = fields["notification_configuration"]
            settings.update({name: HIDDEN for name in ("password", "token") if settings.get(name)})
        if collection == "users":
            fields["password"] = HIDDEN
        if collection == "workflow_job_template_nodes":
            fields |= {name: list(self.store.links[collection, number, name]) for name in kind.lists if name.endswith("_nodes")}
        return {"id": number, "type": kind.type, "url": url, "related": related, "summary_fields": summary, "created": held["created"],
                "modified": held["modified"], **fields}
