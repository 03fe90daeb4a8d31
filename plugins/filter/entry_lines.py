# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listed blacklist entries, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: entry_lines
short_description: Describe listed blacklist entries
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a line for each entry that M(intrusion.response.cos_blacklist_entry_info) lists, with address, service, source, end, and reason.
options:
  _input:
    description:
      - RV(intrusion.response.cos_blacklist_entry_info#module:entries).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
# 203.0.113.5, all_services, REST, until 2026-11-22T03:10:00Z, port scan
- name: Show the blacklist
  ansible.builtin.debug:
    msg: "{{ blacklist.entries | intrusion.response.entry_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean


def entry_lines(entries: list[Mapping[str, Any]]) -> list[str]:
    """Return a line for each entry."""
    return [", ".join(clean(part) for part in _parts(entry) if part) for entry in entries]


def _parts(entry: Mapping[str, Any]) -> list[Any]:
    end = f"until {entry['expires_at']}" if entry.get("expires_at") else "no known end"
    return [entry["host"], entry["service"], entry["alert_type"], end, entry["rule_name"], entry["description"]]


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"entry_lines": entry_lines}
