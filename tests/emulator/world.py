# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole emulator without its listeners: state, journal, faults, controls."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import clc as clc_api
from . import cos as cos_api
from . import seed as seeds
from . import switches
from .clock import Clock
from .delivery import Delivery
from .faults import Fault, Faults
from .ips import IpsApi
from .journal import Journal
from .state import Clc, Firewall, Ips, fold
from .wire import Reply, Req

SETTINGS: dict[str, Any] = {
    "latency_ms": 0.0,
    "install_delay": 0.0,
    "delivery_attempts": 5,
    "delivery_pause": 0.2,
    "delivery_timeout": 5.0,
    "smtp": "",
}


class World:
    """Both services, and everything a test can do to them.

    :param firewalls: names of the firewalls.
    :param seed: sections that replace those of the default seed.
    :param switch: switch positions to start from, and to return to on :meth:`reset`.
    :param agent_root: where the agents' files appear, see :meth:`Ips.agent_file`.
    :param settings: start values of :data:`SETTINGS`; times in seconds but for ``latency_ms``.

    All methods have to be called in the event loop's thread.
    """

    def __init__(self, firewalls: Iterable[str] = ("fw1",), seed: Mapping[str, Any] | None = None,
                 switch: Mapping[str, object] | None = None, agent_root: Path | None = None,
                 frozen_clock: bool = False, **settings: Any) -> None:
        start = switches.check(switch or {})
        self._seed = dict(seed or {})
        self._start_settings = {**SETTINGS, **_known_settings(settings)}
        self.settings = dict(self._start_settings)
        self.clock = Clock(frozen_clock)
        self.clc = Clc(self.clock, start)
        self.ips = Ips(self.clc, start, agent_root)
        self.ips_api = IpsApi(self.ips)
        self.firewalls = {name: Firewall(name, self.clock, start) for name in firewalls}
        self.journal = Journal(self.clock)
        self.faults = Faults()
        self.delivery = Delivery(self.clock, self.settings)
        self.generation = 0
        self.reset()

    # Controls

    def reset(self, seed: Mapping[str, Any] | None = None, switch: Mapping[str, object] | None = None) -> None:
        """Back to the start; ``seed`` replaces sections of the start seed, ``switch`` moves switches."""
        document, moved = seeds.compose(self._seed, seed), switches.check(switch or {})
        self.generation += 1
        self.clock.reset()
        self.ips_api.cancel_timers()
        self.ips.clear()
        self._place_files()
        self.clc.clear()
        for firewall in self.firewalls.values():
            firewall.clear()
        self.journal.clear()
        self.faults.clear()
        self.delivery.clear()
        self.set_settings(self._start_settings)
        seeds.load(document, self.clc, self.ips, self.firewalls)
        self._place_files()
        self.set_switches(moved)

    def _place_files(self) -> None:
        for key in self.clc.servers:
            self.ips.place_file(key, key in self.ips.agents and self.ips.agents[key].state == "installed")

    def seed(self, document: Mapping[str, Any]) -> None:
        """Add to the state."""
        seeds.load(document, self.clc, self.ips, self.firewalls)

    def set_switches(self, given: Mapping[str, object], firewall: str | None = None) -> None:
        """Move switches; those of cOS Core on one firewall, or on all."""
        checked = switches.check(given)
        for one in self._chosen(firewall):
            one.switches.set(checked)
        self.clc.switches.set(checked)
        self.ips.switches.set(checked)

    def get_switches(self) -> dict[str, Any]:
        return {**self.clc.switches.as_dict(), **self.ips.switches.as_dict(),
                "firewalls": {name: firewall.switches.as_dict() for name, firewall in self.firewalls.items()}}

    def _chosen(self, firewall: str | None) -> list[Firewall]:
        if firewall is None:
            return list(self.firewalls.values())
        if firewall not in self.firewalls:
            raise ValueError(f"there is no firewall {firewall!r}; there are {', '.join(self.firewalls)}")
        return [self.firewalls[firewall]]

    def set_settings(self, given: Mapping[str, Any]) -> None:
        """Change :data:`SETTINGS`; an unknown name is a ValueError."""
        self.settings.update(_known_settings(given))
        self.ips_api.install_delay = float(self.settings["install_delay"])

    def revoke_tokens(self, username: str | None = None) -> int:
        """Make tokens invalid, of one user or all; returns how many."""
        gone = [token for token, (owner, _unused) in self.clc.tokens.items() if username in (None, owner)]
        for token in gone:
            del self.clc.tokens[token]
        return len(gone)

    def raise_event(self, server: str, alias: str | None = None, **overrides: Any) -> dict[str, Any]:
        """An event happens on a server: ``{"event": ..., "deliveries": [...]}``.

        Both are empty if no agent is installed there.

        :raises ValueError: for a server that is unknown or not unique.
        """
        keys = [key for key in self.clc.servers if key[1] == server.upper() and (alias or key[0]).upper() == key[0]]
        if len(keys) != 1:
            raise ValueError(f"{server!r} names {len(keys)} servers")
        if self.ips.agent(keys[0]).state != "installed":
            return {"event": None, "deliveries": []}
        held = self.ips.destinations.get(keys[0])
        return self.delivery.raise_event(self.clc.servers[keys[0]].name, held.items if held else [], overrides)

    def state(self) -> dict[str, Any]:
        return {
            "clock": self.clock.as_dict(), "settings": dict(self.settings), "accounts": dict(self.clc.parents),
            "users": {user.username: user.alias for user in self.clc.users.values()},
            "tokens": len(self.clc.tokens), "servers": self.ips.as_list(),
            "firewalls": {name: firewall.as_dict() for name, firewall in self.firewalls.items()},
        }

    def agent_state(self, alias: str, server: str) -> str:
        return self.ips.agent(fold(alias, server)).state

    # The wire

    def answer(self, service: str, firewall: str | None, req: Req, fault: Fault | None = None) -> Reply:
        """Apply a request and answer it. Reads struck by a stale fault see the older state."""
        if req.method not in ("GET", "HEAD") and service != "clc":
            holder = self.firewalls[firewall] if firewall else self.ips
            self.faults.before_write(service, firewall, holder.snapshot)
        if fault is not None and fault.kind == "stale":
            return self._answer_stale(service, firewall, req, fault.before[2])
        return self._answer(service, firewall, req)

    def _answer_stale(self, service: str, firewall: str | None, req: Req, before: Any) -> Reply:
        holder, name = (self.firewalls[firewall], "entries") if firewall else (self.ips, "destinations")
        current = getattr(holder, name)
        setattr(holder, name, before)
        try:
            return self._answer(service, firewall, req)
        finally:
            setattr(holder, name, current)

    def _answer(self, service: str, firewall: str | None, req: Req) -> Reply:
        if firewall is not None:
            return cos_api.handle(self.firewalls[firewall], req)
        return self.ips_api.handle(req) if service == "ips" else clc_api.handle(self.clc, req)


def _known_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(given) - set(SETTINGS)
    if unknown:
        raise ValueError(f"unknown settings {sorted(unknown)}; there are {sorted(SETTINGS)}")
    return {name: str(value or "") if name == "smtp" else type(SETTINGS[name])(value) for name, value in given.items()}
