# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger holds: records of writes, and what can be told from records alone."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional
from urllib.parse import urlsplit

from .._core.clock import utc_text
from .._core.errors import InvalidInput
from .._core.options import LONGEST_NAME
from .._core.text import clean

LARGEST_INTEGER = 2**53
#: Seconds that an address may be exempt from blocking.
LONGEST_EXEMPTION = 30 * 86400
#: Seconds over which new addresses are counted, by one responder or by all that share a ledger.
WINDOW = 60.0


#: Most records of a run have the same texts.
_clean = functools.lru_cache(maxsize=1024)(clean)
#: How long texts may be; those of entries are compared with what is listed, and so not cut.
_BOUNDS: dict[str, Optional[int]] = {
    **dict.fromkeys(("origin", "user", "job", "event", "event_rule", "overridden"), LONGEST_NAME),
    **dict.fromkeys(("rule_name", "description")),
}


class Record(NamedTuple):
    """One write to one blacklist entry of one firewall, as far as it was known when this was recorded.

    Records are only ever added. A write that is recorded before it is sent has a second record afterwards, which supersedes the first.

    Attributes:
        at: when it was done, seconds since the epoch.
        action: block, renew, update or unblock.
        outcome: ok (the entry is listed, or gone, afterwards), failed, or unknown (it may have taken effect all the same).
        ttl: seconds from then on, None when unknown; of an unblock, how long the address is exempt from blocking, None for not at all.
        rule_name: as listed afterwards, or as sent where that is not known; of an unblock, as it was listed before.
        code: code of the failure; together with ok, the entry stands, but was stored differently.
        origin: what did it: the name of a module, or responder.
        event: id of the IPS event that led to it.
        event_rule: name of the IPS rule that raised the event.
        overridden: why the address was protected, where the user had that overridden.
        write: names the write among all; of several records with the same, only the last counts. None where there is just one.
        id: number in the ledger, given by it.
    """

    at: float
    action: str
    outcome: str
    address: str
    service: str
    firewall: str
    ttl: Optional[int] = None
    rule_name: str = ""
    description: str = ""
    code: Optional[str] = None
    origin: str = ""
    user: Optional[str] = None
    job: Optional[str] = None
    event: Optional[str] = None
    event_rule: Optional[str] = None
    overridden: Optional[str] = None
    write: Optional[str] = None
    id: Optional[int] = None

    @property
    def ends(self) -> Optional[float]:
        """When the entry expires; None when that is not known, and for an unblock."""
        return None if self.ttl is None or self.action == "unblock" else self.at + min(self.ttl, LARGEST_INTEGER)

    def cleaned(self) -> Record:
        """Return it as it is kept, and read from older ledgers: texts on one line, names no longer than options may be."""
        texts = {name: (getattr(self, name), longest) for name, longest in _BOUNDS.items()}
        cleaned: dict[str, Any] = {name: _clean(text, longest) for name, (text, longest) in texts.items() if text}
        return self._replace(**cleaned)


class Standing(NamedTuple):
    """A block that was recorded and neither taken back nor expired.

    Attributes:
        began: the record that put the address on the blacklist, which tells why it is there; a renewal is no reason.
        last: the latest record of the same entry, which tells what is listed and for how long.
    """

    began: Record
    last: Record


@dataclass(frozen=True)
class Filter:
    """Which records are meant; what is None or empty does not matter.

    Attributes:
        rule_name: the rule of the entry or of the event, A to Z in either case; may hold the wildcards * and ?, and [...] for sets.
        since, until: seconds since the epoch; from since on, and before until.
    """

    event: Optional[str] = None
    rule_name: Optional[str] = None
    addresses: tuple[str, ...] = ()
    firewall: Optional[str] = None
    since: Optional[float] = None
    until: Optional[float] = None
    actions: tuple[str, ...] = ()
    origin: Optional[str] = None


def standing(records: Iterable[Record], now: float) -> list[Standing]:
    """Return the blocks that stand after these records, which are final and in the order in which they were made.

    What was only renewed or changed had begun otherwise, so it is not ours. A block that may have failed counts as standing,
    and an unblock that may have failed as not done: asking the firewall once more does no harm.
    """
    lives: dict[tuple[str, str, str], Standing] = {}
    for record in records:
        key = (record.firewall, record.address, record.service)
        if record.action == "unblock":
            if record.outcome == "ok":
                lives.pop(key, None)
        elif record.outcome != "failed" and (record.action == "block" or key in lives):
            lives[key] = Standing(record if record.action == "block" else lives[key].began, record)
    found = [life for life in lives.values() if life.last.ends is None or life.last.ends > now]
    return sorted(found, key=lambda life: (life.began.at, life.began.id or 0))


def offences(records: Iterable[Record]) -> int:
    """Return how many events have led to a block, after these records of one address, which are final and in the order of time.

    Blocks without an event count one by one, on the firewall that has most. Renewals do not count, nor do blocks that were
    taken back: all that had time left when their entry was unblocked, and the latest before that, which renewals prolong.
    """
    blocks: list[Record] = []
    entries: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        entry = entries.setdefault((record.firewall, record.service), [])
        if record.action == "block" and record.outcome != "failed":
            entry.append(record)
        elif record.action == "unblock" and record.outcome == "ok":
            blocks += [block for block in entry[:-1] if block.ends is not None and block.ends < record.at]
            entry.clear()
    blocks += [block for entry in entries.values() for block in entry]
    done = [block for block in blocks if block.outcome == "ok"]
    alone = Counter(block.firewall for block in done if block.event is None)
    return len({block.event for block in done} - {None}) + max(alone.values(), default=0)


def exempt_until(records: Iterable[Record], now: float) -> Optional[float]:
    """Return until when the address of these records, in the order of time, must not be blocked: the latest exemption counts."""
    ends = [record.at + record.ttl for record in records if record.action == "unblock" and record.ttl is not None]
    return ends[-1] if ends and ends[-1] > now else None


def exempt_reason(records: Iterable[Record], now: float) -> Optional[str]:
    """Return why the address of these records must not be blocked, None where it may be."""
    until = exempt_until(records, now)
    return None if until is None else f"it is exempt from blocking until {utc_text(until)}, by the ledger"


def firewall_name(url: str) -> str:
    """Return the address of a firewall in the one form in which the ledger knows it: no credentials, default ports left out."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        port = None
        parts = urlsplit("")
    if not parts.hostname:
        raise InvalidInput("The address of a firewall must be a URL such as https://192.0.2.1; got something else.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"https": 443, "http": 80}.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"
