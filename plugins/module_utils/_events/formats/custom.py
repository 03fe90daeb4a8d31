# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user-defined format: paths into the object, fixed texts and tables of values. Nothing is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from ..._core.options import LONGEST_TTL
from .. import fields
from ..body import checked, identity
from ..ends import Ends, named, one_of, the_strange_one
from ..event import Event, Found, Ignored, Seen

NAME = "custom"
TEXTS = ("detector", "host_name", "reason", "rule_id", "protocol", "source_ip", "destination_ip")
WORDS = ("action", "severity", "direction")
PORTS = ("source_port", "destination_port")
DATES = ("started_at", "ended_at")
FIELDS = ("attacker", *TEXTS, *WORDS, *PORTS, *DATES, "ttl")
ADDRESSES = ("attacker", "source_ip", "destination_ip")
WAYS = ("path", "text", "table", "otherwise")
TTLS = range(1, LONGEST_TTL + 1)
PACKET = {"incoming": "source", "outgoing": "destination"}


class Value(NamedTuple):
    """Where a value comes from: a path, optionally translated by a table, or a fixed text."""

    path: Optional[str] = None
    text: Optional[str] = None
    table: Optional[Mapping[str, str]] = None
    otherwise: Optional[str] = None

    def of(self, post: Mapping[str, Any]) -> Any:
        """Return the value from an object, or None."""
        found = self.text if self.path is None else at(post, self.path)
        return found if self.table is None else self.table.get(_key(found), self.otherwise)


class Custom:
    """A user's description of the objects of a detector.

    Args:
        given: for each of FIELDS a path (a string), or an object with `path` and optionally `table` and `otherwise`, or with `text`; and
            `only`, the values, by path, that an object must have to be an event.

    Raises:
        ValueError: something is invalid; the message names it.
    """

    NAME = NAME

    def __init__(self, given: Mapping[str, Any]) -> None:
        if not isinstance(given, Mapping):
            raise ValueError("must be an object.")
        only = given.get("only") or {}
        if not isinstance(only, Mapping):
            raise ValueError("only must be an object.")
        self._values = {name: _value(name, how) for name, how in given.items() if name != "only"}
        if "attacker" not in given and not {"source_ip", "destination_ip"} <= given.keys():
            raise ValueError("requires attacker, or source_ip and destination_ip.")
        lists = {path: wanted if isinstance(wanted, (list, tuple)) else [wanted] for path, wanted in only.items()}
        self._only = {path: frozenset(map(_key, wanted)) for path, wanted in lists.items()}

    def recognises(self, post: Mapping[str, Any]) -> bool:
        """Return whether an object is an event with an address."""
        return self._is_meant(post) and any(self._values[name].of(post) is not None for name in ADDRESSES if name in self._values)

    def _is_meant(self, post: Mapping[str, Any]) -> bool:
        return all(_key(at(post, path)) in wanted for path, wanted in self._only.items())

    def read(self, post: Mapping[str, Any], seen: Seen) -> Found:
        """Return the event of an object, or why it is ignored; raises InvalidEvent if a value has a wrong type."""
        post = checked(post)
        if not self._is_meant(post):
            return [Ignored("other_type")]
        got = {name: value.of(post) for name, value in self._values.items()}
        values: dict[str, Any] = {name: fields.code(got, name) for name in TEXTS}
        values.update((name, fields.word(got, name)) for name in WORDS)
        values.update((name, fields.number(got, name, fields.PORTS)) for name in PORTS)
        values["ttl"] = fields.number(got, "ttl", TTLS)
        ends = Ends(values["source_ip"], values["destination_ip"])
        which = PACKET.get(values["direction"] or "")
        if "attacker" in self._values:
            attacker = named(fields.text(got, "attacker"), seen.home)
        else:
            attacker = one_of(ends, which, seen.home) if which else the_strange_one(ends, seen.home)
        values.update((name, fields.date(got, name)) for name in DATES)
        values["detector"] = values["detector"] or NAME
        return [Event(identity(post), seen.at, NAME, attacker=attacker[0], attacker_reason=attacker[1], other=dict(post), **values)]


def at(post: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path such as `data.client.address` or `decisions.0.value`; a name may itself contain dots."""
    if path in post:
        return post[path]
    value: Any = post
    for name in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(name: str, how: Any) -> Value:
    if name not in FIELDS:
        raise ValueError(f"has an unknown field {name!r}; supported are {', '.join(FIELDS)} and only.")
    if isinstance(how, str) and how:
        return Value(path=how)
    if not isinstance(how, Mapping) or not how or not set(how) <= set(WAYS) or ("path" in how) == ("text" in how):
        raise ValueError(f"{name} must be a path, or an object with path (and optionally table and otherwise), or with text.")
    table = how.get("table")
    if table is not None and not (isinstance(table, Mapping) and all(isinstance(one, (str, int)) for one in table.values())):
        raise ValueError(f"{name}.table must be an object of strings.")
    for way in ("path", "text", "otherwise"):
        if how.get(way) is not None and not isinstance(how[way], str):
            raise ValueError(f"{name}.{way} must be a string.")
    texts = None if table is None else {_key(key): str(one) for key, one in table.items()}
    return Value(how.get("path"), how.get("text"), texts, how.get("otherwise"))
