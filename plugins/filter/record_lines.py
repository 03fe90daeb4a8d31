# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger holds, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: record_lines
short_description: Describe records of the ledger
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a line for each record that M(intrusion.response.response_ledger_info) returns, with when, what, where, by whom and why.
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
"""

EXAMPLES = r"""
# 2026-11-22T03:10:00Z 203.0.113.5 blocked on fw1 for 3600 s by alice: port scan
- name: Show who blocked what
  ansible.builtin.debug:
    msg: "{{ recorded | intrusion.response.record_lines({'https://192.0.2.1': 'fw1'}) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any, Optional

from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import firewall_name

#: What was done, and what was not.
WORDS = {
    "block": ("blocked", "NOT blocked"),
    "renew": ("renewed", "NOT renewed"),
    "update": ("updated", "NOT updated"),
    "unblock": ("unblocked", "NOT unblocked"),
}
#: How many characters of an event's id a line shows; undo accepts as many.
SHORT = 12


def record_lines(recorded: Mapping[str, Any], names: Optional[Mapping[str, str]] = None) -> list[str]:
    """Return a line for each record, newest first, and one that counts those that were left out."""
    known = {_key(url): name for url, name in (names or {}).items()}
    lines = [clean(_line(record, known)) for record in recorded["records"]]
    older = recorded["total"] - len(lines)
    return [*lines, f"and {older} older"] if older else lines


def _line(record: Mapping[str, Any], names: Mapping[str, str]) -> str:
    done, not_done = WORDS[record["action"]]
    word = {"ok": done, "failed": not_done}.get(record["outcome"], f"perhaps {done}")
    code = f" ({record['code']})" if record["code"] else ""
    service = "" if record["service"] == "all_services" else f" ({record['service']})"
    life = "" if record["ttl"] is None else f" for {record['ttl']} s"
    if record["ttl"] is not None and record["action"] == "unblock":
        word, code = "exempt from blocking", ""
    job = f" in job {record['job']}" if record["job"] else ""
    who = record["origin"] if record["origin"] == "responder" else record["user"] or record["origin"]
    event = f"event {record['event'][:SHORT]}" if record["event"] else ""
    texts = dict.fromkeys(text for text in (record["event_rule"], record["rule_name"], event or record["description"]) if text)
    why = f": {', '.join(texts)}" if texts else ""
    where = names.get(record["firewall"], record["firewall"])
    return f"{record['at'][:19]}Z {record['address']}{service} {word}{code} on {where}{life} by {who}{job}{why}"


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
