# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls: JSON over HTTP below ``/_emulator/``, never journaled."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from .wire import Reply, Req, json_reply
from .world import World

PREFIX = "/_emulator/"


async def handle(world: World, req: Req) -> Reply:
    """Answer one control request; bad input is a 400 with a message."""
    name = req.path[len(PREFIX):].strip("/")
    routes = _routes(world, {key: values[-1] for key, values in parse_qs(req.query).items()})
    methods = {method: function for (method, route), function in routes.items() if route == name}
    if not methods:
        return json_reply(404, {"message": f"there is no control {name!r}"})
    if req.method not in methods:
        return json_reply(405, {"message": f"{name} takes {', '.join(methods)}"}, Allow=", ".join(methods))
    try:
        value = methods[req.method](json.loads(req.body) if req.body else {})
        return json_reply(200, await value if hasattr(value, "__await__") else value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return json_reply(400, {"message": str(error)})


def _routes(world: World, query: dict[str, str]) -> dict[tuple[str, str], Callable[[Any], Any]]:
    def select_journal(_unused: Any) -> Any:
        writes = {"true": True, "false": False}.get(query.get("writes", "").lower())
        return world.journal.select(query.get("service"), query.get("firewall"), writes)

    def set_clock(given: dict[str, Any]) -> Any:
        if set(given) - {"advance", "now", "frozen"}:
            raise ValueError("the clock takes advance, now and frozen")
        if "frozen" in given:
            world.clock.freeze(bool(given["frozen"]))
        if "now" in given:
            world.clock.set_now(given["now"])
        world.clock.advance(given.get("advance", 0))
        return world.clock.as_dict()

    def done(function: Callable[[], Any]) -> dict[str, Any]:
        function()
        return {"ok": True}

    return {
        ("GET", "health"): lambda _unused: {"ok": True},
        ("POST", "reset"): lambda given: done(lambda: world.reset(given.get("seed"), given.get("switches"))),
        ("POST", "seed"): lambda given: done(lambda: world.seed(given)),
        ("GET", "state"): lambda _unused: world.state(),
        ("GET", "journal"): select_journal,
        ("DELETE", "journal"): lambda _unused: done(world.journal.clear),
        ("GET", "switches"): lambda _unused: world.get_switches(),
        ("PATCH", "switches"): lambda given: done(lambda: world.set_switches(given, query.get("firewall"))),
        ("GET", "settings"): lambda _unused: dict(world.settings),
        ("PATCH", "settings"): lambda given: done(lambda: world.set_settings(given)),
        ("POST", "faults"): lambda given: done(lambda: world.faults.add(given)),
        ("DELETE", "faults"): lambda _unused: done(world.faults.clear),
        ("GET", "clock"): lambda _unused: world.clock.as_dict(),
        ("POST", "clock"): set_clock,
        ("POST", "tokens/revoke"): lambda given: {"revoked": world.revoke_tokens(given.get("username"))},
        ("POST", "events"): lambda given: world.raise_event(
            given["server"], given.get("alias"), **given.get("event", {})),
        ("GET", "deliveries"): lambda _unused: world.delivery.settled(float(query.get("wait", 0))),
    }
