# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which events lead to a block, of which address, and with which entry. Everything here is pure."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Optional

from ....module_utils._core.errors import InvalidInput
from ....module_utils._core.options import CONTROL_CHARACTERS, LONGEST_TTL, Network
from ....module_utils._cos.blacklist import ALL_SERVICES, parse_service
from ....module_utils._cos.guard import Guard
from ....module_utils._events.ends import Home, private_name
from ....module_utils._events.event import Event
from ....module_utils._events.fields import SEVERITIES
from ....module_utils._events.formats import clc_ips, deep_security_json
from ..settings import setting

LOG = logging.getLogger("intrusion.response")

DIRECTIONS = ("incoming", "outgoing")
FLOWS = ("connection", "reverse")
#: Formats whose valid events always have a direction and a flow; in others, they are optional.
PACKETS = (clc_ips.NAME, deep_security_json.NAME)
#: Actions of known detectors, including old releases; others are possible.
ACTIONS = ("reset", "block", "insert", "replace", "delete", "log only", "deny", "allowed", "blocked", "ban")
LONGEST_TEXT = 120
LONGEST_MARK = 40


def _mark(text: str) -> Optional[str]:
    if len(text) > LONGEST_MARK or plain(text) != text or text == "-":
        return f"must be plain ASCII text of at most {LONGEST_MARK} characters."
    return None


@dataclass(frozen=True)
class Policy:
    """The section `respond.policy`; an empty list of directions, flows, severities, actions or rules means all."""

    directions: tuple[str, ...] = setting("words", "Directions that lead to a block.", ("incoming",), choices=DIRECTIONS)
    flows: tuple[str, ...] = setting("words", "Flows that lead to a block.", ("connection",), choices=FLOWS)
    severities: tuple[str, ...] = setting("words", "Severities that lead to a block.", (), choices=SEVERITIES, shown="all")
    actions: tuple[str, ...] = setting("words", "Actions of the agent that lead to a block.", (), shown="all")
    rules: tuple[str, ...] = setting("texts", "Patterns of rule names and ids that lead to a block, regardless of case.", (), shown="all")
    exclude_rules: tuple[str, ...] = setting("texts", "Patterns of rule names and ids that never lead to a block.", ())
    home_networks: tuple[Network, ...] = setting(
        "networks", "Our own addresses, in addition to `never_block`; never an attacker's.", (), shown="the private and reserved ones"
    )
    private: tuple[Network, ...] = setting("networks", "Private and reserved networks that may be blocked nevertheless.", ())
    service: str = setting("text", "The firewall's service that is blocked.", ALL_SERVICES)
    ttl: int = setting("integer", "Seconds of a first block, if the detector does not set them.", 3600, low=2, high=LONGEST_TTL)
    renew_below: int = setting("integer", "An entry with fewer seconds left is renewed.", low=1, high=LONGEST_TTL, shown="half the ttl")
    rule_name: str = setting("text", "The beginning of the entries' rule names, followed by the rule's name.", "IPS", objection=_mark)
    close_established: bool = setting("boolean", "Whether to also close the address's open connections.", True)

    def completed(self, _environ: Mapping[str, str]) -> Policy:
        renew_below = self.ttl // 2 if self.renew_below is None else self.renew_below
        if renew_below >= self.ttl:
            raise InvalidInput(f"renew_below must be less than ttl ({self.ttl}), or every event would renew the entry; got {renew_below}.")
        for action in sorted(set(self.actions).difference(ACTIONS)):
            LOG.warning("respond.policy.actions contains %r, which no IPS is known to send; known are %s.", action, ", ".join(ACTIONS))
        return replace(self, renew_below=renew_below, service=parse_service("service", self.service))

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
        return _compiled(self.rules), _compiled(self.exclude_rules)

    def objection(self, event: Event) -> Optional[str]:
        """Return why an event does not lead to a block, or None, regardless of the guard and the limits."""
        is_packet = event.format in PACKETS
        for name, value, allowed, is_needed in (
            ("direction", event.direction, self.directions, is_packet),
            ("flow", event.flow, self.flows, is_packet),
            ("severity", event.severity, self.severities, True),
            ("action", event.action, self.actions, True),
        ):
            if allowed and value not in allowed and (value or is_needed):
                return f"{name} {value}" if value else f"no {name} given"
        names = [name for name in (event.reason, event.rule_id) if name] or [""]
        rules, excluded = self._patterns
        if rules and not _matches(names, rules):
            return "the rule is not among respond.policy.rules"
        if _matches(names, excluded):
            return "the rule is excluded"
        return event.attacker_reason if event.attacker is None else self.private_reason(event.attacker)

    def private_reason(self, address: str) -> Optional[str]:
        """Return the reason if an address is not blocked because it is private, reserved or ours, else None."""
        name = private_name(address)
        if name is not None and not any(IPv4Address(address) in allowed for allowed in self.private):
            return f"{name} address"
        return "address of our own networks" if self.home_networks and self._ours.has(address) else None

    def home(self, never_block: Iterable[IPv4Network]) -> Home:
        """Return our own addresses, by which formats determine the attacker; those in `private` may still be an attacker's."""
        return Home(self.home_networks or None, never_block, self.private)

    @cached_property
    def _ours(self) -> Home:
        return self.home(())

    def decide(self, event: Event, guard: Guard) -> tuple[str, Optional[str], Optional[str]]:
        """Return what an event leads to (block, ignored or protected), the reason and the code, regardless of the limits."""
        reason = self.objection(event)
        if reason is not None or event.attacker is None:
            return "ignored", reason, None
        protected = guard.reason(event.attacker)
        return ("protected", protected, "protected_address") if protected else ("block", None, None)

    def entry_rule_name(self, event: Event) -> str:
        """Return the rule_name of the entry: the mark and the rule."""
        rule = plain(event.reason or "")
        return f"{self.rule_name}: {rule}"[:LONGEST_TEXT].rstrip() if rule else self.rule_name

    def marked(self, rule_name: str) -> bool:
        """Whether an entry with this rule_name belongs to the responder."""
        return rule_name == self.rule_name or rule_name.startswith(f"{self.rule_name}:")


def entry_description(event: Event, instance: str) -> str:
    """Return the description of the entry, which identifies its event, and the responder that wrote it."""
    text = f"IPS event {event.id}.{instance} on {event.host_name or 'unknown'}: {event.reason or 'unknown'}"
    return plain(text)[:LONGEST_TEXT].rstrip()


def event_in(description: str, instance: Optional[str] = None) -> Optional[str]:
    """Return the id of the event for which this responder, or any, wrote an entry with this description, or None."""
    found = re.match(r"IPS event ([0-9a-f]{32})\.(\w+) ", description)
    return found[1] if found and instance in (None, found[2]) else None


def plain(text: str) -> str:
    """Return text in ASCII on one line, since it is not documented how a firewall treats anything else."""
    return " ".join(CONTROL_CHARACTERS.sub(" ", text).encode("ascii", "replace").decode().split())


def _compiled(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(fnmatch.translate(text), re.IGNORECASE) for text in texts)


def _matches(names: Iterable[str], patterns: Iterable[re.Pattern[str]]) -> bool:
    return any(pattern.match(name) for pattern in patterns for name in names)
