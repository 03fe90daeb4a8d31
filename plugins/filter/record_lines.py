# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger holds, for people: a table by address."""

from __future__ import annotations

DOCUMENTATION = r"""
name: record_lines
short_description: Show records of the ledger as a table
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns the lines of a table with a row for each block that the records of M(intrusion.response.response_ledger_info) tell of, with
    its address, when it began, when it ends or ended and how, where, by whom and why. Rows of one address stand together, those of the
    address that was worked on last come first. The same block on several firewalls is one row.
  - A block that failed has a row, and so has an exemption. No line is longer than 100 characters, so that the output of a task
    fits into 120 columns.
options:
  _input:
    description:
      - The registered result of the task.
    type: dict
    required: true
  names:
    description:
      - Names of firewalls, by URL.
    type: dict
    default: {}
  told:
    description:
      - RV(intrusion.response.response_ledger_info#module:records) with everything of these addresses, to say how a block began and
        ended if the records that were asked for do not tell. Only blocks that these tell of are shown.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
# Address      Begin (UTC)       End (UTC)               Where     By (job)  Why
# 203.0.113.5  2026-11-22 03:10  until 2026-11-22 04:10  fw1, fw2  alice     port scan
- name: Show who blocked what
  ansible.builtin.debug:
    msg: "{{ recorded | intrusion.response.record_lines({'https://192.0.2.1': 'fw1', 'https://192.0.2.2': 'fw2'}) }}"
"""

RETURN = r"""
_value:
  description: The lines. Empty if there are no records.
  type: list
  elements: str
"""

import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Optional

from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean
from ansible_collections.intrusion.response.plugins.module_utils._ledger.query import parse_time
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Record, firewall_name
from ansible_collections.intrusion.response.plugins.plugin_utils._report.story import Life, stories, who

#: How many characters of an event's id a row shows; undo accepts as many.
SHORT = 12
#: How wide each column may be at most; the last gets what the others leave of a line.
COLUMNS = {"Address": 18, "Begin (UTC)": 16, "End (UTC)": 22, "Where": 16, "By (job)": 14, "Why": 60}
LONGEST = 100
GAP = "  "
#: How many firewalls a row names.
NAMED = 4


def record_lines(
    recorded: Mapping[str, Any], names: Optional[Mapping[str, str]] = None, told: Iterable[Mapping[str, Any]] = ()
) -> list[str]:
    """Return the table, and a line that counts the records that were left out."""
    known = {_key(url): name for url, name in (names or {}).items()}
    chosen = {record["id"] for record in recorded["records"]}
    every = {record["id"]: _record(record) for record in (*told, *recorded["records"])}
    found = sorted(stories((every[number] for number in sorted(every)), lambda record: record.address), key=lambda one: -one.last)
    lives = [life for story in found for life in reversed(story.lives) if any(record.id in chosen for record in life.records)]
    rows: dict[tuple[str, ...], list[str]] = {}
    now = time.time()
    for life in lives:
        places = rows.setdefault(_cells(life, now), [])
        where = known.get(life.records[0].firewall, life.records[0].firewall)
        if where not in places:
            places.append(where)
    lines = _table([(*cells[:3], _places(places), *cells[3:]) for cells, places in rows.items()]) if rows else []
    older = recorded["total"] - len(chosen)
    return [*lines, f"and {older} older records"] if older else lines


def _record(shown: Mapping[str, Any]) -> Record:
    fields = {name: shown[name] for name in Record._fields if name in shown}
    return Record(**{**fields, "at": parse_time("at", shown["at"])}).cleaned()


def _cells(life: Life, now: float) -> tuple[str, ...]:
    """Return address, begin, end, by whom and why."""
    first = life.records[0]
    service = "" if first.service == "all_services" else f" ({first.service})"
    begin = _moment(first.at)
    if life.began is None and life.last is not None:
        begin = f"before {begin}"
    elif life.began is None and first.action == "unblock" and first.ttl is None:
        begin = "not known"
    began = life.began or first
    event = f"event {began.event[:SHORT]}" if began.event else ""
    texts = dict.fromkeys(text for text in (began.event_rule, began.rule_name, event or began.description) if text)
    return f"{first.address}{service}", begin, _end(life, now), _by(began), ", ".join(texts)


def _end(life: Life, now: float) -> str:
    first, last, ended = life.records[0], life.last, life.ended
    if first.action == "unblock" and first.ttl is not None:
        return f"exempt until {_moment(first.at + first.ttl)}"
    failed = life.records[-1] if life.records[-1].outcome != "ok" else None
    code = f" ({failed.code})" if failed and failed.code else ""
    if ended is not None:
        return f"{_moment(ended.at)} removed by {_by(ended)}"
    if last is None:
        return f"{'perhaps' if first.outcome == 'unknown' else 'NOT'} {'blocked' if first.action == 'block' else 'removed'}{code}"
    ends = "no known end" if last.ends is None else f"{'until ' if last.ends > now else ''}{_moment(last.ends)}"
    renewed = sum(record.action == "renew" and record.outcome == "ok" for record in life.records)
    words = [f"perhaps {ends}" if last.outcome == "unknown" else ends]
    if renewed:
        words.append("renewed" if renewed == 1 else f"renewed {renewed} times")
    if failed is not None and failed is not last:
        action = {"unblock": "removed", "renew": "renewed", "update": "updated"}[failed.action]
        words.append(f"{'perhaps' if failed.outcome == 'unknown' else 'NOT'} {action}{code}")
    return ", ".join(words)


def _by(record: Record) -> str:
    return f"{who(record)} ({record.job})" if record.job else who(record)


def _places(names: list[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return ", ".join(shown[:NAMED]) + more


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [min(most, max(len(cell) for cell in column)) for most, column in zip(COLUMNS.values(), zip(COLUMNS, *cells))]
    widths[-1] = min(widths[-1], LONGEST - sum(widths[:-1]) - len(GAP) * (len(widths) - 1))
    lines = []
    for row in [list(COLUMNS), *cells]:
        columns = [textwrap.wrap(cell, width) for cell, width in zip(row, widths)]
        for number in range(max(len(column) for column in columns)):
            parts = [(column[number] if number < len(column) else "").ljust(width) for column, width in zip(columns, widths)]
            lines.append(GAP.join(parts).rstrip())
    return lines


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(min(seconds, 253402300799), timezone.utc).strftime("%Y-%m-%d %H:%M")


def _key(url: str) -> str:
    try:
        return firewall_name(url)
    except InvalidInput:
        return ""


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"record_lines": record_lines}
