# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of writes, and what can be derived from records alone."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
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


#: Cached, since most records of a run have the same texts.
_clean = functools.lru_cache(maxsize=1024)(clean)
#: How long texts may be; those of entries are compared with the listing, and so are not truncated.
_BOUNDS: dict[str, Optional[int]] = {
    **dict.fromkeys(("origin", "user", "job", "event", "event_rule", "overridden"), LONGEST_NAME),
    **dict.fromkeys(("rule_name", "description")),
}


class Record(NamedTuple):
    """One write to one blacklist entry of one firewall, as far as known at the time of recording.

    Records are only ever added. A write that is recorded before it is sent gets a second record afterwards, which supersedes the first.

    Attributes:
        at: time of the write, seconds since the epoch.
        action: block, renew, update or unblock.
        outcome: ok (the entry is listed, or gone, afterwards), failed, or unknown (the write may have taken effect).
        ttl: seconds from then on, None if unknown; for an unblock, how long the address is exempt from blocking, None if it is not.
        rule_name: as listed afterwards, or as sent if that is unknown; for an unblock, as listed before.
        code: code of the failure; with ok, the entry stands, but was stored differently.
        origin: what made the change: the name of a module, or responder.
        event: id of the IPS event that led to it.
        event_rule: name of the IPS rule that raised the event.
        overridden: why the address was protected, if the user overrode that.
        write: identifies the write; of several records with the same value, only the last counts. None if there is only one.
        id: number in the ledger, assigned by it.
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
        """When the entry expires; None if that is unknown, and for an unblock."""
        return None if self.ttl is None or self.action == "unblock" else self.at + min(self.ttl, LARGEST_INTEGER)

    def cleaned(self) -> Record:
        """Return it in the form for writing, and for reading older ledgers: texts on one line, names no longer than options may be."""
        texts = {name: (getattr(self, name), longest) for name, longest in _BOUNDS.items()}
        cleaned: dict[str, Any] = {name: _clean(text, longest) for name, (text, longest) in texts.items() if text}
        return self._replace(**cleaned)


class Standing(NamedTuple):
    """A recorded block that was neither removed nor has expired.

    Attributes:
        began: the record of the first block, which says why the address is blocked; a renewal is not a reason.
        last: the latest record of the same entry, which says what is listed and for how long.
    """

    began: Record
    last: Record


@dataclass(frozen=True)
class Filter:
    """Which records to select; None or empty means any.

    Attributes:
        rule_name: the rule of the entry or of the event, regardless of the case of A to Z; may contain the wildcards *, ? and [...].
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

    An entry that was only renewed or changed was made by somebody else, so it is not ours. A block that may have failed counts as
    standing, and an unblock that may have failed as not done, since asking the firewall again does no harm.
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
    """Return how many events led to a block, according to these records of one address, which are final and in order of time.

    Blocks without an event count one by one, on the firewall that has the most. Renewals do not count, nor do blocks that were
    removed: those with time left when their entry was unblocked, and the latest one before that, which renewals extend.
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


class Past(NamedTuple):
    """What happened to an address; epoch times.

    Attributes:
        offences: how many events led to a block.
        exempt_until: the end of its latest exemption from blocking, if there is one.
        taken_off: when it was last taken off a blacklist, if it was.
    """

    offences: int = 0
    exempt_until: Optional[float] = None
    taken_off: Optional[float] = None

    @classmethod
    def of(cls, records: Sequence[Record], since: float, besides: Optional[str] = None) -> Past:
        """Summarise records of one address, which are final and in order of time.

        Args:
            since: epoch time from which offences count.
            besides: an event that does not count, since an event is no earlier offence of itself.
        """
        counted = offences(one for one in records if one.at >= since and (besides is None or one.event != besides))
        unblocks = [one for one in records if one.action == "unblock"]
        ends = [one.at + one.ttl for one in unblocks if one.ttl is not None]
        done = [one.at for one in unblocks if one.outcome != "failed"]
        return cls(counted, ends[-1] if ends else None, done[-1] if done else None)

    def why_exempt(self, now: float) -> Optional[str]:
        """Return why the address must not be blocked, or None."""
        if self.exempt_until is None or self.exempt_until <= now:
            return None
        return f"it is exempt from blocking until {utc_text(self.exempt_until)}, according to the ledger"


def firewall_name(url: str) -> str:
    """Return the URL of a firewall in the form in which the ledger stores it: without credentials and default ports."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        port = None
        parts = urlsplit("")
    if not parts.hostname:
        raise InvalidInput("The address of a firewall must be a URL such as https://192.0.2.1.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"https": 443, "http": 80}.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"
