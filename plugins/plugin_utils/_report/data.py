# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report says, computed from what was read. Texts from outside are cleaned here, and escaped in the template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Optional

from ...filter.destination_lines import destination_lines
from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.text import clean
from ...module_utils._ledger.record import Record, Standing, firewall_name
from .charts import Bar, Timeline, bars, peaks, remaining_life, timeline
from .story import Story, stories, who, why

#: How the responder describes an entry, see decide/policy.py: "IPS event <id>.<responder> on <host>: <rule>".
DETECTED = re.compile(r"(\S[^.:]{0,40}?) event [0-9a-f]{32}\.\w+ on (.+?): (.*)")
BY_HAND = "by hand"
#: Rows at most of a table on the past. What is blocked now is always complete.
MOST_ROWS = 10_000
TOP = 8
MINUTE = 60.0


@dataclass(frozen=True)
class Firewall:
    """What was read of one firewall.

    Attributes:
        name: in the inventory.
        url: its address.
        entries: as cos_blacklist_entry_info returns them; None where it could not be read.
        problem: why it could not be read.
    """

    name: str
    url: str
    entries: Optional[Sequence[Mapping[str, Any]]] = None
    problem: str = ""


@dataclass(frozen=True)
class Past:
    """What the ledger holds.

    Attributes:
        place: where it is.
        records: final ones from `since` on, in any order.
        standing: blocks that stand, as far as the ledger knows.
        problem: why there is nothing to be told.
        exempt: addresses that must not be blocked, as response_ledger_info returns them.
        shared: whether it has what was recorded on other machines, too.
    """

    place: str
    since: float
    records: Sequence[Record] = ()
    standing: Sequence[Standing] = ()
    problem: str = ""
    exempt: Sequence[Mapping[str, Any]] = ()
    shared: bool = False


@dataclass(frozen=True)
class Limit:
    """A limit of the responder, and how near it is or was."""

    name: str
    used: int
    of: Optional[int]
    when: str

    @property
    def share(self) -> float:
        """How much of it is used, 0 to 1."""
        return min(1.0, self.used / self.of) if self.of else 0.0


@dataclass
class Blocked:
    """What blocks one address for one service and reason, on one firewall or several.

    Attributes:
        rule: the event's rule, where the ledger or the description tells it, or the rule name of the entry.
        detail: more on why, in few words.
        description: of the entry, whole.
        ends, began: seconds since the epoch, None where that is not known.
        by: who blocked it, as far as the ledger knows.
    """

    address: str
    service: str
    source: str
    rule: str
    detail: str
    description: str
    firewalls: list[str]
    ends: Optional[float]
    began: Optional[float] = None
    by: str = ""

    @property
    def order(self) -> int:
        """Where the address comes among all."""
        try:
            return int(ip_network(self.address, strict=False).network_address)
        except ValueError:
            return 0


#: What the page says of an agent, by its state as the role protect returns it, and how that counts: True where one should be there.
AGENTS = {
    "install_accepted": ("installation accepted", True),
    "registered": ("registered: has destinations", True),
    "uninstall_accepted": ("removal accepted", False),
}
UNKNOWN_AGENT = ("not known", None)


@dataclass(frozen=True)
class Server:
    """Where the events of one server go, and what is known of its agent; `problem` where the destinations are not known."""

    name: str
    destinations: list[str]
    problem: str = ""
    agent: str = UNKNOWN_AGENT[0]
    has_agent: Optional[bool] = None


@dataclass(frozen=True)
class Report:
    """All that the page shows."""

    now: float
    since: float
    ledger: str
    ledger_shared: bool
    ledger_problem: str
    blocked: list[Blocked]
    entries: int
    life: list[Bar]
    firewalls: list[Firewall]
    by_firewall: list[Bar]
    timelines: list[Timeline]
    rules: list[Story]
    top_rules: list[Bar]
    addresses: list[Story]
    addresses_left_out: int
    servers: list[Server]
    limits: list[Limit]
    busiest: Optional[Timeline]
    exempt: list[Mapping[str, Any]]
    blocks: int
    undone: int
    failed: int

    @property
    def unread(self) -> list[Firewall]:
        """Firewalls that could not be read."""
        return [one for one in self.firewalls if one.entries is None]

    @property
    def hosts(self) -> int:
        """How many addresses are blocked."""
        return len({one.address for one in self.blocked})

    @property
    def silent(self) -> list[Server]:
        """Servers whose events nobody gets."""
        return [one for one in self.servers if not one.destinations and not one.problem]

    @property
    def unknown(self) -> list[Server]:
        """Servers that could not be read."""
        return [one for one in self.servers if one.problem]

    @property
    def agents(self) -> tuple[int, int, int]:
        """How many servers should have an agent, should have none, and are not known."""
        counts = Counter(one.has_agent for one in self.servers)
        return counts[True], counts[False], counts[None]

    @property
    def heard(self) -> list[Server]:
        """Servers whose events go somewhere."""
        return [one for one in self.servers if one.destinations]


def build(
    firewalls: Sequence[Firewall], servers: Sequence[Mapping[str, Any]], past: Past, limits: Mapping[str, Mapping[str, int]], now: float
) -> Report:
    """Compute the report.

    Args:
        servers: the results of the role protect, entry point report.
        limits: what the responder says of its limits, as /status gives it; empty where it was not asked.
        now: seconds since the epoch.
    """
    names = {_url(one.url): clean(one.name) for one in firewalls}
    records = sorted((record.cleaned() for record in past.records), key=lambda record: record.at)
    blocks = [record for record in records if record.action == "block" and record.outcome != "failed"]
    blocked = _blocked(firewalls, past.standing)
    addresses = stories(records, lambda record: record.address)
    listed = {one.address for one in blocked}
    for story in addresses:
        story.blocked = story.name in listed
    minutes = _minutes([record for record in blocks if record.origin == "responder"])
    rules = stories((record for record in records if record.action != "unblock"), why)
    span = (past.since, now)
    return Report(
        now=now,
        since=past.since,
        ledger=clean(past.place),
        ledger_shared=past.shared,
        ledger_problem=clean(past.problem),
        blocked=blocked,
        entries=sum(len(one.entries or ()) for one in firewalls),
        life=remaining_life([None if one.ends is None else one.ends - now for one in blocked]),
        firewalls=[Firewall(clean(one.name), _url(one.url), one.entries, clean(one.problem)) for one in firewalls],
        by_firewall=bars(Counter({clean(one.name): len(one.entries) for one in firewalls if one.entries is not None}), len(firewalls)),
        timelines=[
            timeline("rule", span, [(record.at, why(record)) for record in blocks]),
            timeline("detector", span, [(record.at, _detector(record)) for record in blocks]),
            timeline("firewall", span, [(record.at, names.get(record.firewall, record.firewall)) for record in blocks]),
        ],
        rules=rules,
        top_rules=bars(Counter({story.name: story.blocks for story in rules if story.blocks}), TOP),
        addresses=addresses[:MOST_ROWS],
        addresses_left_out=max(0, len(addresses) - MOST_ROWS),
        servers=[_server(one) for one in servers],
        limits=_limits(limits, max((count for _at, count in minutes), default=0)),
        busiest=peaks("busiest minute", span, minutes, limits.get("new_per_minute", {}).get("of")) if minutes else None,
        exempt=[{name: clean(value) for name, value in one.items()} for one in past.exempt],
        blocks=len(blocks),
        undone=sum(record.action == "unblock" and record.outcome == "ok" and record.ttl is None for record in records),
        failed=sum(record.outcome == "failed" for record in records),
    )


def _blocked(firewalls: Sequence[Firewall], standing: Iterable[Standing]) -> list[Blocked]:
    """Return what is listed, the same on several firewalls as one; what expires first comes first."""
    known = {(one.last.firewall, one.last.address, one.last.service): one.began.cleaned() for one in standing}
    found: dict[tuple[str, ...], Blocked] = {}
    for firewall in firewalls:
        for entry in firewall.entries or ():
            host, service, source, rule, text = (
                clean(entry[name]) for name in ("host", "service", "alert_type", "rule_name", "description")
            )
            key = (host, service, source, rule, text)
            ends = _seconds(entry.get("expires_at"))
            began = known.get((_url(firewall.url), host, service)) if source == "REST" else None
            row = found.get(key)
            if row is None:
                found[key] = row = Blocked(host, service, source, *_why(rule, text), text, [], ends)
            row.firewalls.append(clean(firewall.name))
            row.ends = ends if row.ends is None or ends is None else max(row.ends, ends)
            if began is not None and row.began is None:
                row.began, row.by = began.at, who(began)
                row.rule = began.event_rule or row.rule
    return sorted(found.values(), key=lambda row: (row.ends is None, row.ends or 0, row.order))


def _why(rule: str, description: str) -> tuple[str, str]:
    """Return rule and detail of an entry."""
    found = DETECTED.fullmatch(description)
    return (found[3], f"{found[1]}, on {found[2]}") if found else (rule, description)


def _limits(limits: Mapping[str, Mapping[str, int]], busiest: int) -> list[Limit]:
    """Return the limits now, and the most that any minute of the period saw."""
    words = {"new_per_minute": "New addresses in a minute", "total": "Addresses blocked by the responder"}
    found = [Limit(words.get(name, clean(name)), int(values["in_use"]), int(values["of"]), "now") for name, values in limits.items()]
    if busiest:
        found.append(Limit(words["new_per_minute"], busiest, limits.get("new_per_minute", {}).get("of"), "most in this period"))
    return found


def _minutes(blocks: Sequence[Record]) -> list[tuple[float, int]]:
    """Return when each block was, and how many addresses were blocked in the minute before it; blocks are in the order of time."""
    found, first = [], 0
    inside: Counter[str] = Counter()
    for record in blocks:
        inside[record.address] += 1
        while blocks[first].at <= record.at - MINUTE:
            inside[blocks[first].address] -= 1
            if not inside[blocks[first].address]:
                del inside[blocks[first].address]
            first += 1
        found.append((record.at, len(inside)))
    return found


def _server(result: Mapping[str, Any]) -> Server:
    name, agent = clean(result.get("server_name")), AGENTS.get((result.get("agent") or {}).get("state", ""), UNKNOWN_AGENT)
    if result.get("code") or result.get("destinations") is None:
        return Server(name, [], clean(result.get("reason") or result.get("msg") or "It was not read."), *agent)
    return Server(name, destination_lines(result["destinations"]), "", *agent)


def _detector(record: Record) -> str:
    """Return which detector led to a block, by the description that the responder gave the entry."""
    if not record.event:
        return BY_HAND
    named = DETECTED.match(record.description)
    return named[1] if named else "IPS"


def _url(url: str) -> str:
    """Return a firewall's address as the ledger has it, without credentials; nothing for what is none."""
    try:
        return clean(firewall_name(url))
    except InvalidInput:
        return ""


def _seconds(moment: Optional[str]) -> Optional[float]:
    return None if not moment else datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
