# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the ledger, for people and for undo."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Callable, Optional

from .._core.clock import utc_text
from .._core.errors import InvalidInput
from .._core.options import LONGEST_TTL, parse_ipv4, parse_name, refuse_control_characters
from .._core.text import clean
from .record import LONGEST_EXEMPTION, Filter, Record, Standing, firewall_name
from .store import Ledger

UNITS = {"s": 1, "": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
#: How many characters of an event's id are enough if only one event begins with them.
ENOUGH = 12
#: How the responder names an event in the description of an entry: "IPS event <id>.<responder> on <host>: <rule>".
LISTED_EVENT = re.compile(r"(?:IPS event )?([0-9a-f]{32})\.\w+(?: on .*)?")


@dataclass(frozen=True)
class Query:
    """A validated query."""

    filter: Filter
    limit: int
    now: float

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Query:
        """Validate module options; raises InvalidInput."""
        now = time.time()
        since, until, last = (params[name] for name in ("since", "until", "last"))
        if last is not None and (since is not None or until is not None):
            raise InvalidInput("last cannot be combined with since or until.")
        if params["limit"] < 0:
            raise InvalidInput(f"limit must be 0 (for all) or more; got {params['limit']}.")
        found = Filter(
            event=parse_event(params["event"]),
            rule_name=parse_name("rule_name", params["rule_name"]),
            addresses=tuple(parse_ipv4("addresses", address) for address in params["addresses"]),
            firewall=None if params["firewall"] is None else firewall_name(params["firewall"]),
            since=parse_time("since", since) if last is None else now - parse_span("last", last),
            until=parse_time("until", until),
            actions=tuple(params["action"]),
            origin=parse_name("origin", params["origin"]),
        )
        if found.since is not None and found.until is not None and found.since >= found.until:
            raise InvalidInput("since must be before until.")
        return cls(found, params["limit"], now)


def report(ledger: Ledger, query: Query, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return module return values; raises LedgerUnusable."""
    if not ledger.enabled:
        raise InvalidInput("ledger must be a file or a database to be read, but ledger is none.")
    there = ledger.is_there()
    if not there:
        warn(f"There is no ledger {ledger.place}. Nothing has been recorded here yet, or it was recorded elsewhere.")
    wanted = replace(query.filter, event=whole_event(ledger, query.filter.event))
    records, total = ledger.find(wanted, query.limit)
    standing = [found for found in ledger.standing(replace(wanted, actions=()), query.now) if _can_be_taken_back(found.last, warn)]
    return {
        "changed": False,
        "ledger": ledger.place,
        "shared": ledger.path is None,
        "exists": there,
        "records": [shown_record(record) for record in records],
        "total": total,
        "standing": [shown_standing(found, query.now) for found in standing[-query.limit :]],
        "standing_total": len(standing),
        "exempt": exempt(ledger, query.filter, query.now),
    }


def exempt(ledger: Ledger, wanted: Filter, now: float) -> list[dict[str, Any]]:
    """Return the exempt addresses among those selected, with the end of the exemption and who made it; raises LedgerUnusable."""
    records, _total = ledger.find(Filter(addresses=wanted.addresses, actions=("unblock",), since=now - LONGEST_EXEMPTION))
    return exemptions(records, now)


def exemptions(unblocks: Iterable[Record], now: float) -> list[dict[str, Any]]:
    """Return the addresses that must not be blocked after these unblocks, newest first, with until when and who said so."""
    latest: dict[str, Record] = {}
    for record in unblocks:
        if record.ttl is not None:
            latest.setdefault(record.address, record.cleaned())
    return [
        {"host": host, "until": utc_text(record.at + (record.ttl or 0)), "user": record.user, "at": utc_text(record.at, "milliseconds")}
        for host, record in sorted(latest.items())
        if record.at + (record.ttl or 0) > now
    ]


def whole_event(ledger: Ledger, event: Optional[str]) -> Optional[str]:
    """Return the id of the only event with this beginning, or event unchanged; raises InvalidInput if there are several."""
    found = [] if event is None else ledger.events(event, 2)
    if event is None or event in found or len(event) < ENOUGH or not found:
        return event
    if len(found) > 1:
        raise InvalidInput(f"event must identify a single event, but several begin with {event!r}, such as {found[0]} and {found[1]}.")
    return found[0]


def _can_be_taken_back(record: Record, warn: Callable[[str], None]) -> bool:
    """Whether a module would accept the record's entry; an entry that no release has written causes a warning."""
    try:
        parse_ipv4("address", record.address)
        refuse_control_characters("service", record.service)
    except InvalidInput:
        warn(f"Record {record.id} is not about a valid blacklist entry ({clean(record.address, ENOUGH)}); it is not counted as standing.")
        return False
    return True


def shown_record(record: Record) -> dict[str, Any]:
    """Return a record as a dictionary, with the time as text, and without the link to superseded records."""
    fields = {name: value for name, value in record.cleaned()._asdict().items() if name not in ("id", "write")}
    return {"id": record.id, **fields, "at": utc_text(record.at, "milliseconds")}


def shown_standing(found: Standing, now: float) -> dict[str, Any]:
    """Return a standing block in a form that cos_blacklist_entries accepts."""
    began, last = found.began.cleaned(), found.last.cleaned()
    ends = last.ends
    return {
        "host": last.address,
        "service": last.service,
        "ttl": None if ends is None else min(max(1, math.ceil(ends - now)), LONGEST_TTL),
        "rule_name": last.rule_name,
        "description": last.description,
        "firewall": last.firewall,
        "event": began.event,
        "event_rule": began.event_rule,
        "at": utc_text(began.at, "milliseconds"),
        "expires_at": utc_text(ends, "milliseconds"),
    }


def parse_time(name: str, value: Optional[str]) -> Optional[float]:
    """Return seconds since the epoch from a number or from ISO 8601 (UTC without a time zone); raises InvalidInput."""
    text = (value or "").strip()
    if not text:
        return None
    try:
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
            return float(text)
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} must be a time such as 2026-11-22T03:10:00Z, or seconds since the epoch; got {text[:80]!r}.") from None


def parse_event(value: Optional[str]) -> Optional[str]:
    """Return an event's id, also from an entry's description or its beginning; None if empty; raises InvalidInput."""
    name = parse_name("event", value)
    listed = LISTED_EVENT.fullmatch(name or "")
    return listed[1] if listed else name


def parse_span(name: str, value: str) -> float:
    """Return seconds from a number of minutes, or a number with a unit; raises InvalidInput."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhdw]?)", value.strip())
    if not found or float(found[1]) == 0:
        raise InvalidInput(f"{name} must be a number of minutes, or a duration such as 90m, 2h or 1d; got {value[:80]!r}.")
    return float(found[1]) * UNITS[found[2]]
