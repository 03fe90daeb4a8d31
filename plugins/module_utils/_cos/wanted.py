# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of one blacklist entry, and how a listed entry compares with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .._core.errors import InvalidInput
from .._core.options import integer_between, parse_name
from .blacklist import ALL_SERVICES, DEFAULT_TTL, LONGEST_TTL, OWNED, Entry, Key, parse_host, parse_service, parse_text

#: An entry may be listed with this many seconds more than were asked for: rounding and the time a request takes.
TTL_TOLERANCE = 2
TEXTS = ("rule_name", "description")


@dataclass(frozen=True)
class Wanted:
    """A validated request for one entry; None stands for "not given", and is then never a difference.

    What led to it, event and event_rule, is only recorded.
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
    text_mismatch: str = "fail"
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
                    f"renew_below ({renew_below}) must be less than ttl ({ttl or f'{DEFAULT_TTL}, the default'}): "
                    "the entry would be renewed at every run."
                )
        if params["every_service"] and params["state"] != "absent":
            raise InvalidInput("every_service goes with state: absent. To block every service, use service: all_services.")
        if params["match_rule_name"] and (params["state"] != "absent" or params["rule_name"] is None):
            raise InvalidInput("match_rule_name goes with state: absent, and needs rule_name.")
        return cls(
            host=parse_host("host", params["host"]),
            service=parse_service("service", params["service"]),
            state=params["state"],
            ttl=ttl,
            renew_below=renew_below,
            rule_name=parse_text("rule_name", params["rule_name"]),
            description=parse_text("description", params["description"]),
            close_established=params["close_established"],
            every_service=params["every_service"],
            text_mismatch=params["text_mismatch"],
            match_rule_name=params["match_rule_name"],
            event=parse_name("event", params["event"]),
            event_rule=parse_name("event_rule", params["event_rule"]),
        )

    @property
    def key(self) -> Key:
        """What identifies the entry."""
        return self.host, self.service

    def differences(self, entry: Entry) -> tuple[str, ...]:
        """Return the names of the fields in which a listed entry is not what is wanted.

        A listed ttl below the wanted one is none: it may be an older, shorter one, or simply time passing. One above it is,
        whether the firewall lists remaining or configured time.
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
        """Return the entry that results from writing this over an existing one: what is not given stays as it is."""
        if entry is None:
            return Entry(*self.key, self.ttl or DEFAULT_TTL, OWNED, self.rule_name or "", self.description or "")
        ttl = self.ttl if self.ttl is not None else entry.ttl
        if self.ttl is None and "renewal" in self.differences(entry):
            ttl = DEFAULT_TTL
        texts = {name: getattr(self, name) if getattr(self, name) is not None else getattr(entry, name) for name in TEXTS}
        return entry._replace(ttl=ttl, **texts)
