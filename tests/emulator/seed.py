# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds: the world that an emulator starts from."""
from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from . import destinations
from .cos import ALL_SERVICES, OWNED
from .state import Agent, Blacklist, Clc, Destinations, Entry, Firewall, FirewallUser, Ips, Server, User, fold
from .switches import Settings

ROLES = ["ServerAdmin", "AccountAdmin"]
LINUX = "redHat6_64Bit"
AGENT_STATES = ("absent", "installing", "installed", "uninstalling")

DEFAULT: dict[str, Any] = {
    "accounts": [{"alias": "ROOT"}, {"alias": "ACME", "parent": "ROOT"}, {"alias": "OTHR", "parent": "ROOT"}],
    "users": [
        {"username": "ips-admin", "password": "canary-ips-admin-7Qx2", "alias": "ACME"},
        {"username": "root-admin", "password": "canary-root-admin-9Lk4", "alias": "ROOT"},
    ],
    "servers": [
        *({"name": f"VA1ACMEWEB0{number}", "alias": "ACME", "os": LINUX} for number in range(1, 9)),
        {"name": "VA1ACMEWIN01", "alias": "ACME", "os": "windows2012R2DataCenter_64Bit"},
        {"name": "VA1ACMEUBU01", "alias": "ACME", "os": "ubuntu14_64Bit"},
        {"name": "VA1OTHRWEB01", "alias": "OTHR", "os": LINUX},
        {"name": "VA1ROOTADM01", "alias": "ROOT", "os": LINUX},
    ],
    "agents": [],
    "destinations": [],
    "tokens": [],
    "firewalls": {
        "*": {
            "services": ["http", "https", "http-all", "ssh", "dns-all", "all_tcp", "all_udp"],
            # All but REST are invented: the guide does not list the spellings.
            "alert_types": [OWNED, "IDP", "THRESHOLD", "BOTNET", "DOS", "SCANNER", "CLI"],
            "whitelist": ["192.0.2.250/32"],
            "users": [
                {"username": "blocker", "password": "canary-blocker-5Tz8", "access": "read_write"},
                {"username": "audit", "password": "canary-audit-3Wm6", "access": "read_only"},
            ],
            "entries": [
                {"host": "198.51.100.0/24", "ttl": 86400, "alert_type": "THRESHOLD", "rule_name": "flood"},
                {"host": "192.0.2.66", "service": "http-all", "ttl": 86400, "alert_type": "IDP"},
            ],
            "about": {
                "version": "15.00.03.00-41234", "version_numbers": [15, 0, 3, 0, 41234], "buildtype": "Release",
                "vendor": "Clavister", "product": "cOS Core", "model": "NetWall 340",
            },
            "ha": {"enabled": False},
        },
    },
}


class BadSeed(ValueError):
    """A seed that does not describe a world."""


def read(path: Path) -> dict[str, Any]:
    """Read a seed file, JSON or YAML."""
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise BadSeed(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise BadSeed(f"{path.name} has to hold an object")
    return document


def compose(*documents: Mapping[str, Any] | None) -> dict[str, Any]:
    """Later documents replace whole sections of earlier ones, starting from the default."""
    composed = dict(DEFAULT)
    for document in documents:
        unknown = set(document or {}) - set(DEFAULT)
        if unknown:
            raise BadSeed(f"unknown sections {sorted(unknown)}; there are {sorted(DEFAULT)}")
        composed.update(document or {})
    return composed


def load(document: Mapping[str, Any], clc: Clc, ips: Ips, firewalls: Mapping[str, Firewall]) -> None:
    """Add a document to the state; what has the same key is replaced.

    :raises BadSeed: for unknown sections, missing members or references to nothing.
    """
    compose(document)
    try:
        _cloud(document, clc, ips)
        sections = document.get("firewalls", {})
        for name in set(sections) - {"*"} - set(firewalls):
            raise BadSeed(f"there is no firewall {name!r}; there are {sorted(firewalls)}")
        for name, firewall in firewalls.items():
            given = {**sections.get("*", {}), **sections.get(name, {})}
            if given:
                _firewall(firewall, given)
    except BadSeed:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSeed(f"seed is not usable: {error!r}") from error


def _cloud(document: Mapping[str, Any], clc: Clc, ips: Ips) -> None:
    for given in document.get("accounts", ()):
        clc.parents[given["alias"].upper()] = (given.get("parent") or "").upper() or None
    for given in document.get("users", ()):
        clc.users[given["username"]] = User(given["username"], given["password"], given["alias"],
                                            given.get("location", "VA1"), list(given.get("roles", ROLES)))
    for given in document.get("servers", ()):
        if "/" in given["name"] or given["name"] in ("", ".", ".."):
            raise BadSeed(f"{given['name']!r} is not a server name")
        server = Server(given["name"], given["alias"], given.get("os", LINUX), given.get("status", "active"))
        clc.servers[fold(server.alias, server.name)] = server
    for given in document.get("agents", ()):
        key = _server_key(clc, given)
        ips.agents[key] = Agent(state=given.get("state", "installed"))
        if ips.agents[key].state not in AGENT_STATES:
            raise BadSeed(f"the state of an agent is one of {', '.join(AGENT_STATES)}")
        ips.place_file(key, ips.agents[key].state == "installed")
    for given in document.get("destinations", ()):
        items = destinations.parse(given["destinations"], Settings("ips"))
        ips.destinations[_server_key(clc, given)] = Destinations(items)
    for given in document.get("tokens", ()):
        clc.tokens[given["token"]] = (given["username"], clc.clock.now() + float(given.get("life", 14 * 86400)))


def _server_key(clc: Clc, given: Mapping[str, Any]) -> tuple[str, str]:
    """Key of the server that ``server`` (and ``alias``, when two accounts have it) names."""
    matches = [key for key in clc.servers
               if key[1] == given["server"].upper() and given.get("alias", key[0]).upper() == key[0]]
    if len(matches) != 1:
        raise BadSeed(f"{given['server']!r} names {len(matches)} servers")
    return matches[0]


def _firewall(firewall: Firewall, given: Mapping[str, Any]) -> None:
    known = {"services", "alert_types", "whitelist", "users", "entries", "about", "ha"}
    if set(given) - known:
        raise BadSeed(f"unknown members {sorted(set(given) - known)} of a firewall; there are {sorted(known)}")
    if "services" in given:
        firewall.services = {ALL_SERVICES, *given["services"]}
    if "alert_types" in given:
        firewall.alert_types = {OWNED, *given["alert_types"]}
    if "whitelist" in given:
        firewall.whitelist = [ipaddress.IPv4Network(network) for network in given["whitelist"]]
    if "users" in given:
        firewall.users = {u["username"]: FirewallUser(u["username"], u["password"], u.get("access", "read_write"))
                          for u in given["users"]}
    if "entries" in given:
        firewall.entries = Blacklist(_entry(entry, firewall.clock.now()) for entry in given["entries"])
    if "about" in given:
        firewall.about = {"device_name": firewall.name, **given["about"]}
    if "ha" in given:
        firewall.ha = dict(given["ha"])


def _entry(given: Mapping[str, Any], now: float) -> Entry:
    """A listed entry; ``configured`` is its original time when only ``ttl`` seconds are left."""
    left = int(given.get("ttl", 300))
    return Entry(given["host"], given.get("service") or ALL_SERVICES, int(given.get("configured", left)), now,
                 now + left, given.get("alert_type", OWNED), given.get("rule_name", ""), given.get("description", ""))
