# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two services remember."""
from __future__ import annotations

import ipaddress
import math
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .clock import Clock
from .switches import Settings

TOKEN_LIFE = 14 * 24 * 3600
SUPPORTED_OS = ("redhat5", "redhat6", "windows2008", "windows2012")


def fold(alias: str, server: str) -> tuple[str, str]:
    """Key of a server: neither alias nor name is case-sensitive in the v2 API."""
    return alias.upper(), server.upper()


@dataclass
class User:
    username: str
    password: str
    alias: str
    location: str
    roles: list[str]


@dataclass
class Server:
    name: str
    alias: str
    os: str
    status: str = "active"

    @property
    def supported(self) -> bool:
        return self.os.lower().startswith(SUPPORTED_OS)


@dataclass
class Agent:
    """``state``: absent, installing, installed or uninstalling; ``due``: when that ends, None for never."""

    state: str = "absent"
    due: float | None = None
    installs: int = 0
    repeated_installs: int = 0
    uninstalls: int = 0


@dataclass
class Destinations:
    """The list of one server, and the list that reads still see after a delayed write."""

    items: list[dict[str, Any]] = field(default_factory=list)
    stale: list[dict[str, Any]] | None = None
    stale_reads: int = 0


@dataclass
class Entry:
    """A blacklist entry; ``ttl`` is the configured time, ``expires`` None for never (ttl 0)."""

    host: str
    service: str
    ttl: int
    created: float
    expires: float | None
    alert_type: str = "REST"
    rule_name: str = ""
    description: str = ""

    def remaining(self, now: float) -> int:
        """Whole seconds left, 0 for an entry without end."""
        # The small amount absorbs the rounding of large epoch numbers.
        return 0 if self.expires is None else max(0, math.ceil(self.expires - now - 1e-3))

    def alive(self, now: float) -> bool:
        return self.expires is None or self.remaining(now) > 0


class Blacklist:
    """Entries in the order in which they came, found by (host, service), and looked through for old ones only when there may be some."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[int, Entry] = {}
        self._by_key: dict[tuple[str, str], list[Entry]] = {}
        self._soonest = math.inf
        for entry in entries:
            self.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Entry) -> None:
        self._entries[id(entry)] = entry
        self._by_key.setdefault((entry.host, entry.service), []).append(entry)
        self.touch(entry)

    def touch(self, entry: Entry) -> None:
        """Take note of an entry's new end."""
        if entry.expires is not None:
            self._soonest = min(self._soonest, entry.expires)

    def of(self, host: str, service: str) -> list[Entry]:
        return list(self._by_key.get((host, service), ()))

    def remove(self, entry: Entry) -> None:
        del self._entries[id(entry)]
        key = entry.host, entry.service
        self._by_key[key] = [other for other in self._by_key[key] if other is not entry]

    def expire(self, now: float) -> None:
        if now < self._soonest - 0.01:
            return
        for entry in [entry for entry in self if not entry.alive(now)]:
            self.remove(entry)
        self._soonest = min((entry.expires for entry in self if entry.expires is not None), default=math.inf)


@dataclass
class FirewallUser:
    username: str
    password: str
    access: str = "read_write"


class Firewall:
    """One cOS Core device with its own list, services, users and switches."""

    def __init__(self, name: str, clock: Clock, start: dict[str, str]) -> None:
        self.name = name
        self.clock = clock
        self.switches = Settings("cos", start)
        self.clear()

    def clear(self) -> None:
        self.switches.reset()
        self.entries = Blacklist()
        self.services: set[str] = set()
        self.alert_types: set[str] = set()
        self.whitelist: list[ipaddress.IPv4Network] = []
        self.users: dict[str, FirewallUser] = {}
        self.about: dict[str, Any] = {}
        self.ha: dict[str, Any] = {}
        self.closed_established: list[str] = []

    def expire(self) -> None:
        self.entries.expire(self.clock.now())

    def snapshot(self) -> Blacklist:
        return Blacklist(deepcopy(list(self.entries)))

    def as_dict(self) -> dict[str, Any]:
        self.expire()
        now = self.clock.now()
        return {
            "entries": [{**vars(entry), "remaining": entry.remaining(now)} for entry in self.entries],
            "services": sorted(self.services), "alert_types": sorted(self.alert_types),
            "whitelist": [str(network) for network in self.whitelist],
            "users": {user.username: user.access for user in self.users.values()},
            "about": self.about, "ha": self.ha, "closed_established": list(self.closed_established),
            "switches": self.switches.as_dict(),
        }


class Clc:
    """Accounts, users, tokens and servers of the cloud, shared by login and IPS."""

    def __init__(self, clock: Clock, start: dict[str, str]) -> None:
        self.clock = clock
        self.switches = Settings("clc", start)
        self.clear()

    def clear(self) -> None:
        self.switches.reset()
        self.parents: dict[str, str | None] = {}
        self.users: dict[str, User] = {}
        self.servers: dict[tuple[str, str], Server] = {}
        self.tokens: dict[str, tuple[str, float]] = {}

    def issue_token(self, user: User) -> str:
        """An opaque token of three segments, about as long as the recorded ones (516 characters)."""
        token = ".".join(("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9", secrets.token_urlsafe(324), secrets.token_urlsafe(32)))
        self.tokens[token] = (user.username, self.clock.now() + TOKEN_LIFE)
        return token

    def user_of(self, token: str | None) -> User | None:
        username, expires = self.tokens.get(token or "", ("", 0.0))
        return self.users.get(username) if self.clock.now() < expires else None

    def reaches(self, user: User, alias: str) -> bool:
        """Permissions flow down only: the own account and its descendants."""
        seen: set[str] = set()
        current: str | None = alias.upper()
        while current and current in self.parents and current not in seen:
            if current == user.alias.upper():
                return True
            seen.add(current)
            current = self.parents[current]
        return False


class Ips:
    """Agents and destinations."""

    def __init__(self, clc: Clc, start: dict[str, str], agent_root: Path | None = None) -> None:
        self.clc = clc
        self.agent_root = agent_root
        self.switches = Settings("ips", start)
        self.clear()

    def clear(self) -> None:
        self.switches.reset()
        self.agents: dict[tuple[str, str], Agent] = {}
        self.destinations: dict[tuple[str, str], Destinations] = {}

    def agent(self, key: tuple[str, str]) -> Agent:
        """The agent of a known server, its state brought up to the clock."""
        agent = self.agents.setdefault(key, Agent())
        if agent.due is not None and agent.due <= self.clc.clock.now():
            self.settle(key)
        return agent

    def settle(self, key: tuple[str, str]) -> None:
        """Complete a transition that is under way."""
        agent = self.agents[key]
        done = {"installing": "installed", "uninstalling": "absent"}
        agent.state, agent.due = done.get(agent.state, agent.state), None

    def agent_file(self, key: tuple[str, str]) -> Path | None:
        """Where the agent's program is on the host, below the agent root."""
        if self.agent_root is None:
            return None
        return self.agent_root / self.clc.servers[key].name / "opt" / "ds_agent" / "ds_agent"

    def place_file(self, key: tuple[str, str], present: bool) -> None:
        """Make the agent's program appear on, or vanish from, the host."""
        path = self.agent_file(key)
        if path is None:
            return
        if present:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\nexit 0\n")
            path.chmod(0o755)
        elif path.exists():
            path.unlink()
            with suppress(OSError):  # what else is there is not the emulator's
                path.parent.rmdir()

    def snapshot(self) -> dict[tuple[str, str], Destinations]:
        return deepcopy(self.destinations)

    def as_list(self) -> list[dict[str, Any]]:
        return [{
            "name": server.name, "alias": server.alias, "os": server.os, "status": server.status,
            "agent": vars(self.agent(key)).copy(),
            "destinations": deepcopy(self.destinations[key].items) if key in self.destinations else [],
        } for key, server in self.clc.servers.items()]
