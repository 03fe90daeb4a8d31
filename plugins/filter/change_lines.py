# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to a blacklist, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: change_lines
short_description: Describe what was done to a blacklist
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a line for each address of a result of M(intrusion.response.cos_blacklist_entries), with what was done, until when,
    and why. For a firewall that failed, returns one line with its name and the reason.
options:
  _input:
    description:
      - The registered result of the task.
    type: dict
    required: true
  firewall:
    description:
      - Name of the firewall, for the line about its failure.
    type: str
    required: true
  check_mode:
    description:
      - Whether nothing was done, so that the lines say what would have been.
    type: bool
    default: false
  taken_back:
    description:
      - RV(intrusion.response.response_ledger_info#module:standing) from before the entries were removed, to say why they were there.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
# 203.0.113.5: blocked until 2026-11-22T04:10:00Z, port scan
- name: Show what was done
  ansible.builtin.debug:
    msg: "{{ blocked | intrusion.response.change_lines(inventory_hostname, ansible_check_mode) }}"
"""

RETURN = r"""
_value:
  description: The lines. Empty if the task was skipped.
  type: list
  elements: str
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean

#: What was done, and what would be done in check mode.
WORDS = {
    "added": ("blocked", "would be blocked"),
    "renewed": ("renewed", "would be renewed"),
    "updated": ("updated", "would be updated"),
    "removed": ("removed", "would be removed"),
    "protected": ("NOT blocked", "would NOT be blocked"),
    "failed": ("FAILED", "would FAIL"),
}


def change_lines(
    result: Mapping[str, Any], firewall: str, check_mode: bool = False, taken_back: Iterable[Mapping[str, Any]] = ()
) -> list[str]:
    """Return a line for each address, or one that says why the firewall failed."""
    entries = result.get("entries") or []
    if not entries and result.get("failed"):
        code = f" ({clean(result['code'])})" if result.get("code") else ""
        return [f"{clean(firewall)} FAILED{code}: {clean(result.get('msg'))}"]
    before = {(one["host"], one["service"]): one for one in taken_back}
    return [_line(entry, check_mode, before.get((entry["host"], entry["service"]))) for entry in entries]


def _line(row: Mapping[str, Any], check_mode: bool, before: Any) -> str:
    entry = row.get("entry")
    if row["action"] == "unchanged":
        words = "unchanged, blocked" if entry else "unchanged, not blocked"
    else:
        words = WORDS[row["action"]][check_mode]
    service = "" if row["service"] == "all_services" else f" ({row['service']})"
    end = f" until {row['expires_at']}" if row.get("expires_at") else ""
    texts = [f"{row['host']}{service}: {words}{end}"]
    if row.get("msg"):
        texts.append(row["msg"])
    else:
        why = ", ".join(text for text in _why(entry or before or {}) if text)
        texts += [f"it was blocked for: {why}" if row["action"] == "removed" else why] if why else []
    return clean(", ".join(texts))


def _why(entry: Mapping[str, Any]) -> list[str]:
    return [entry["rule_name"], entry["description"], f"event {entry['event']}" if entry.get("event") else ""] if entry else []


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"change_lines": change_lines}
