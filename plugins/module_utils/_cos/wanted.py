# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state of a blacklist: of one entry, of many entries, and of those to be purged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .._core.errors import InvalidInput
from .._core.options import LONGEST_NAME, LONGEST_TTL, integer_between, parse_ipv4
from .._core.text import clean
from .._ledger.record import firewall_name
from .blacklist import ALL_SERVICES, DEFAULT_TTL, OWNED, Entry, Key, normal_alert_type, parse_service, parse_text

#: An entry may be listed with this many seconds more or fewer than requested, because of rounding and the duration of a request.
TTL_TOLERANCE = 2
TEXTS = ("rule_name", "description")
#: Options that a task may set for all its entries, and those that it can only set for all of them.
SHARED = ("service", "state", "ttl", "renew_below", "rule_name", "description", "close_established", "event", "event_rule")
FIXED = ("every_service", "stored_mismatch", "match_rule_name")


@dataclass(frozen=True)
class Wanted:
    """A validated request for one entry; None means "not given", and is never a difference.

    event and event_rule say what led to it, and are only used for the record.
    """

    host: str
    service: str = ALL_SERVICES
    state: str = "present"
    ttl: Optional[int] = None
    renew_below: Optional[int] = None
    rule_name: Optional[str] = None
    description: Optional[str] = None
    close_established: Optional[bool] = None
    every_service: bool = False
    stored_mismatch: str = "fail"
    match_rule_name: bool = False
    event: Optional[str] = None
    event_rule: Optional[str] = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Wanted:
        """Validate module options; raises InvalidInput before anything is sent."""
        ttl, renew_below = params["ttl"], params["renew_below"]
        if ttl is not None:
            integer_between("ttl", ttl, 1, LONGEST_TTL)
        if renew_below is not None:
            integer_between("renew_below", renew_below, 1, LONGEST_TTL)
            if renew_below >= (ttl or DEFAULT_TTL):
                raise InvalidInput(
                    f"renew_below ({renew_below}) must be less than ttl ({ttl or f'{DEFAULT_TTL}, the default'}); "
                    "otherwise the entry would be renewed in every run."
                )
        if params["every_service"] and params["state"] != "absent":
            raise InvalidInput("every_service requires state: absent. To block every service, use service: all_services.")
        if params["match_rule_name"] and (params["state"] != "absent" or params["rule_name"] is None):
            raise InvalidInput("match_rule_name requires state: absent and rule_name.")
        return cls(
            host=parse_ipv4("host", params["host"]),
            service=parse_service("service", params["service"]),
            rule_name=parse_text("rule_name", params["rule_name"]),
            description=parse_text("description", params["description"]),
            event=clean(params["event"], LONGEST_NAME) or None,
            event_rule=clean(params["event_rule"], LONGEST_NAME) or None,
            **{name: params[name] for name in ("state", "ttl", "renew_below", "close_established", *FIXED)},
        )

    @classmethod
    def many_from_params(cls, params: Mapping[str, Any]) -> tuple[Wanted, ...]:
        """Validate the options of a task with many entries; raises InvalidInput, which names the position of the invalid one."""
        if params["hosts"] is None and params["entries"] is None:
            raise InvalidInput("One of hosts and entries is required; it may be an empty list.")
        common = {name: params[name] for name in SHARED + FIXED}
        plain = [(f"hosts[{index}]", {"host": host}) for index, host in enumerate(params["hosts"] or ())]
        detailed = [(f"entries[{index}]", given) for index, given in enumerate(params["entries"] or ())]
        wanted: dict[Key, tuple[str, Wanted]] = {}
        for name, given in plain + detailed:
            try:
                _refuse_foreign(given, params["api_url"])
                one = cls.from_params({**common, **{key: value for key, value in given.items() if value is not None}})
            except InvalidInput as error:
                raise InvalidInput(f"{name}: {error.message}") from None
            key = (one.host, "every service") if one.every_service else one.key
            first, _other = wanted.setdefault(key, (name, one))
            if first != name:
                raise InvalidInput(f"{first} and {name} are both {one.host} with {key[1]}.")
        return tuple(one for _name, one in wanted.values())

    @property
    def key(self) -> Key:
        """What identifies the entry."""
        return self.host, self.service

    def differences(self, entry: Entry) -> tuple[str, ...]:
        """Return the names of the fields in which a listed entry differs from the desired state.

        A listed ttl below the desired one is not a difference: it may be an older, shorter one, or simply time passing. One above it
        is, whether the firewall lists remaining or configured time (cos-core-api.md 6.3).
        """
        names = []
        if entry.ttl is not None:
            if self.ttl is not None and entry.ttl > self.ttl + TTL_TOLERANCE:
                names.append("ttl")
            elif self.renew_below is not None and entry.ttl < self.renew_below:
                names.append("renewal")
        names.extend(name for name in TEXTS if getattr(self, name) not in (None, getattr(entry, name)))
        return tuple(names)

    def over(self, entry: Optional[Entry]) -> Entry:
        """Return the entry that results from writing this over an existing one; fields that are not given stay as they are."""
        if entry is None:
            return Entry(*self.key, self.ttl or DEFAULT_TTL, OWNED, self.rule_name or "", self.description or "")
        ttl = self.ttl if self.ttl is not None else entry.ttl
        if self.ttl is None and "renewal" in self.differences(entry):
            ttl = DEFAULT_TTL
        texts = {name: getattr(self, name) if getattr(self, name) is not None else getattr(entry, name) for name in TEXTS}
        return entry._replace(ttl=ttl, **texts)

    def leaves(self, entry: Entry) -> bool:
        """Whether an entry must stay because of a different rule_name; unsafe characters, which the ledger replaces, are ignored."""
        return self.match_rule_name and clean(entry.rule_name) != clean(self.rule_name)


@dataclass(frozen=True)
class Limit:
    """How many entries may be purged: a number, or a percentage (rounded up) of the marked ones."""

    amount: int
    percent: bool

    @classmethod
    def parse(cls, name: str, value: str) -> Limit:
        """Read "20" or "10%"; raises InvalidInput for anything else."""
        found = re.fullmatch(r"(\d+)\s*(%?)", value.strip())
        if not found or (found[2] and int(found[1]) > 100):
            raise InvalidInput(f"{name} must be a number such as 20 or a percentage such as 10%; got {value[:80]!r}.")
        return cls(int(found[1]), bool(found[2]))

    def allows(self, count: int, total: int) -> bool:
        """Whether count of total entries may be purged."""
        return count <= (math.ceil(total * self.amount / 100) if self.percent else self.amount)

    def __str__(self) -> str:
        return f"{self.amount}{'%' if self.percent else ''}"


@dataclass(frozen=True)
class Purge:
    """Which entries to remove that are not requested: those whose rule_name begins with a mark, up to a limit."""

    mark: str
    limit: Limit

    @classmethod
    def from_params(cls, params: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Optional[Purge]:
        """Validate module options, including against the entries that stay; None if nothing is to be purged; raises InvalidInput."""
        limit = Limit.parse("purge_limit", params["purge_limit"])
        mark = parse_text("purge_mark", params["purge_mark"]) or parse_text("rule_name", params["rule_name"]) or ""
        if not params["purge"]:
            return None
        if not mark:
            raise InvalidInput("purge requires purge_mark or rule_name: only entries whose rule_name begins with it are removed.")
        for one in wanted:
            if one.state == "present" and not (one.rule_name or "").startswith(mark):
                unknown = f"with purge, rule_name must begin with {mark!r}; otherwise the next purge would not recognize the entry."
                raise InvalidInput(f"{one.host} ({one.service}): {unknown}")
        return cls(mark, limit)


def _refuse_foreign(given: Mapping[str, Any], api_url: str) -> None:
    """Raise InvalidInput for an entry that was listed or recorded but cannot be written here."""
    alert_type = normal_alert_type(given.get("alert_type"))
    if alert_type not in ("", OWNED):
        raise InvalidInput(f"alert_type is {alert_type}; only {OWNED} entries can be written. Filter the listing.")
    recorded = given.get("firewall")
    if recorded and firewall_name(recorded) != firewall_name(api_url):
        raise InvalidInput(f"the entry was recorded for another firewall ({firewall_name(recorded)}).")
