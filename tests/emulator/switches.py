# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every behaviour that the published documents leave open, as a named switch.

The table is declarative: the first value is the default, the rest are deviations that a client has to
survive. Switches with a ``pattern`` also take other values of that form (a count, for example).
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


class UnknownSwitch(ValueError):
    """A switch or a value that is not in the table."""


@dataclass(frozen=True)
class Switch:
    """One open question: ``values[0]`` is the reading followed by default."""

    name: str
    values: tuple[str, ...]
    meaning: str
    pattern: str | None = None

    @property
    def default(self) -> str:
        return self.values[0]

    def check(self, value: object) -> str:
        """Return the value as text, or raise :class:`UnknownSwitch`."""
        text = str(value)
        if text in self.values or (self.pattern and re.fullmatch(self.pattern, text)):
            return text
        accepted = ", ".join(repr(v) for v in self.values)
        form = f" or the form {self.pattern}" if self.pattern else ""
        raise UnknownSwitch(f"{self.name} accepts {accepted}{form}, not {text!r}")


_TABLE = (
    Switch("clc.login_body", ("json_or_form", "json_only"), "encodings that the login accepts"),
    Switch("ips.bad_token", ("401", "403"), "no, malformed, unknown or expired token"),
    Switch("ips.error_body", ("text", "json", "empty"), "form of an error's body"),
    Switch("ips.accepted", ("204", "200", "202"), "install or uninstall, well formed"),
    Switch("ips.reinstall", ("204", "400", "409"), "install when installed; 204 has no new effect"),
    Switch("ips.uninstall_absent", ("204", "400", "404"), "uninstall when absent"),
    Switch("ips.unknown_server", ("204", "400", "404"), "a server the account does not have; 204 has no effect"),
    Switch("ips.unsupported_os", ("204", "400"), "204: accepted, the agent never becomes installed"),
    Switch("ips.write_visibility", ("immediate", "delayed"),
           "delayed: the next two reads of that server are stale (delayed:N for N)", r"delayed:\d+"),
    Switch("ips.put_object", ("400", "accept"), "PUT of a single object or of a notificationDestinations wrapper"),
    Switch("ips.put_invalid", ("400", "accept"),
           "unknown typeCode, missing per-type property, facility or port out of range"),
    Switch("ips.put_empty", ("204", "400"), "PUT of an empty array"),
    Switch("ips.quoted_integers", ("accept", "400"), "numbers sent as strings; stored as integers"),
    Switch("ips.irrelevant", ("accept", "echo"), "properties the type does not use: dropped, or shown by GET"),
    Switch("ips.unknown_properties", ("ignore", "400", "keep"), "properties outside the documented model; keep: stored and listed"),
    Switch("ips.second_destination", ("accept", "400", "keep_last"), "two SYSLOG or two WEBHOOK destinations"),
    Switch("ips.get_shape", ("nulls", "omit", "empty"), "how GET shows unset properties"),
    Switch("ips.get_order", ("kept", "reversed"), "order of the destinations in GET"),
    Switch("ips.get_none", ("[]", "null", "204", "404"), "GET when nothing is configured"),
    Switch("ips.delete_none", ("204", "404"), "DELETE of destinations when there are none"),
    Switch("ips.uninstall_destinations", ("keep", "clear"), "what an uninstall does to the destinations"),
    Switch("ips.get_wrapper", ("bare", "wrapped"), "GET shows a list, or an object with the list in notificationDestinations"),
    Switch("ips.normalise", ("no", "yes"), "yes: e-mail addresses are stored in lower case, URLs with a slash at the end"),
    Switch("ips.notifications", ("served", "500"), "500: every request for destinations fails"),
    Switch("ips.app_path", ("both", "slash", "bare"), "whether agents are at /app/, at /app, or at both"),
    Switch("ips.no_route", ("text", "html", "json", "server", "echo", "empty"),
           "the 404 of a path that is not served, as a gateway in front may word it: with the word server, or with the path"),
    Switch("ips.singular_path", ("404", "alias"), "/notification/ in place of /notifications/"),
    Switch("ips.app_read", ("405", "404"), "GET or PUT on app"),
    Switch("ips.content_type", ("415", "accept"), "missing or wrong Content-Type on a write with a body"),
    Switch("cos.ttl_in_list", ("remaining", "configured"), "which time a listing shows"),
    Switch("cos.ttl_json_type", ("string", "number"), "JSON type of ttl in replies"),
    Switch("cos.repost", ("renew_all", "renew_ttl_only", "ignore", "duplicate", "reject_400"),
           "POST of a (host, service) that the API already listed"),
    Switch("cos.renew_can_shorten", ("yes", "no"), "whether a renewal may shorten the remaining time"),
    Switch("cos.delete_missing", ("404", "200"), "DELETE of an entry that is not there"),
    Switch("cos.delete_foreign", ("404", "403", "400"), "DELETE of an entry the API did not add"),
    Switch("cos.longest_ttl", ("none", "200"), "seconds that an entry lives at most; a longer ttl is cut without a word", r"\d+"),
    Switch("cos.host_in_list", ("address", "network"), "an address in a listing; network: with /32"),
    Switch("cos.own_alert_type", ("REST", "rest"), "alert_type of the API's entries in a listing", r"[A-Za-z]+"),
    Switch("cos.all_services_in_list", ("", "all_services"), "all services in a listing", r"[A-Za-z_]+"),
    Switch("cos.all_services_in_reply", ("all_services", ""), "all services in the reply to POST"),
    Switch("cos.empty_text", ("-", ""), "an empty rule_name or description in replies"),
    Switch("cos.error_http_status", ("mirror", "always_200"),
           "HTTP status of an API error; the Basic challenge stays a real 401"),
    Switch("cos.auth", ("basic", "none"), "whether the management object asks for credentials"),
    Switch("cos.access", ("read_write", "read_only"), "access level; read_only answers writes with 403"),
    Switch("cos.count", ("length", "total"), "blacklist_count: entries that match, or all of them"),
    Switch("cos.list_order", ("insertion", "reversed"), "order of a listing"),
    Switch("cos.list_cap", ("none", "2"), "entries at most in a listing; the count tells how many match", r"\d+"),
    Switch("cos.whitelist", ("silent", "400"), "POST of a whitelisted host; silent: success, not listed"),
    Switch("cos.text_limit", ("none", "truncate:8", "reject:8"), "length limit of the texts", r"(truncate|reject):\d+"),
    Switch("cos.ttl_zero", ("400", "infinite", "default_300"), "meaning of ttl=0"),
    Switch("cos.capacity", ("none", "2:400", "2:500", "2:silent"),
           "entries at most, then the answer to a new one", r"\d+:(400|500|silent)"),
)

TABLE: dict[str, Switch] = {switch.name: switch for switch in _TABLE}


def deviations() -> list[tuple[str, str]]:
    """Every (switch, value) pair that is not a default: the test matrix."""
    return [(s.name, value) for s in _TABLE for value in s.values[1:]]


def check(given: Mapping[str, object]) -> dict[str, str]:
    """Validate switch assignments.

    :raises UnknownSwitch: for a name or a value outside the table; nothing is applied then.
    """
    checked = {}
    for name, value in given.items():
        if name not in TABLE:
            raise UnknownSwitch(f"there is no switch {name!r}; there are {', '.join(TABLE)}")
        checked[name] = TABLE[name].check(value)
    return checked


class Settings:
    """The switch positions of one service (``clc``, ``ips``) or of one firewall (``cos``)."""

    def __init__(self, service: str, start: Mapping[str, str] | None = None) -> None:
        prefix = service + "."
        self._start = {n[len(prefix):]: s.default for n, s in TABLE.items() if n.startswith(prefix)}
        self._start.update({n[len(prefix):]: v for n, v in (start or {}).items() if n.startswith(prefix)})
        self._now = dict(self._start)
        self.service = service

    def __getitem__(self, name: str) -> str:
        return self._now[name]

    def set(self, given: Mapping[str, str]) -> None:
        """Apply checked assignments; those of other services are skipped."""
        for name, value in given.items():
            service, _unused, short = name.partition(".")
            if service == self.service:
                self._now[short] = value

    def reset(self) -> None:
        self._now = dict(self._start)

    def as_dict(self) -> dict[str, str]:
        return {f"{self.service}.{name}": value for name, value in self._now.items()}
