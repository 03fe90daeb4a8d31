# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did to the firewalls, for programs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: job_result
short_description: Summarize what a run did to the firewalls, for programs
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns what M(intrusion.response.cos_blacklist_entries) did on all firewalls of a play, for M(ansible.builtin.set_stats). AWX passes
    it to the next node of a workflow, to notifications and to rulebooks.
options:
  _input:
    description:
      - The variables of all hosts, C(hostvars). Only C(blacklist_result) is used.
    type: dict
    required: true
  hosts:
    description:
      - The firewalls of the play.
    type: list
    elements: str
    required: true
  action:
    description:
      - What the play does.
    type: str
    required: true
  event:
    description:
      - Id of the IPS event that led to it.
    type: str
    default: ""
  check_mode:
    description:
      - Whether nothing was done, so that the result says what would have been.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Report what was done
  ansible.builtin.set_stats:
    data:
      intrusion_response_result: "{{ hostvars | intrusion.response.job_result(ansible_play_hosts_all, 'block') }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: What was done.
  type: dict
  contains:
    action:
      description: What the play does.
      type: str
      sample: block
    event:
      description: Id of the IPS event that led to it. Empty if none was given.
      type: str
      sample: 5d41402abc4b2a76b9719d911017c592
    check_mode:
      description: Whether nothing was done.
      type: bool
      sample: false
    ok:
      description: Whether all firewalls succeeded.
      type: bool
      sample: false
    changed:
      description: Whether anything changed.
      type: bool
      sample: true
    addresses:
      description: The addresses, at most 1000.
      type: list
      elements: str
      sample: [203.0.113.5]
    ends:
      description: When the block of each address expires, in UTC, as the latest time on all firewalls. Addresses without one are left out.
      type: dict
      sample: {203.0.113.5: "2026-11-22T04:10:00Z"}
    firewalls:
      description: The firewalls that succeeded.
      type: list
      elements: str
      sample: [fw1]
    failed:
      description: The other firewalls, each with the code of its failure.
      type: dict
      sample: {fw2: unreachable}
"""

from collections.abc import Callable, Mapping
from typing import Any

#: A job's result is kept in a database, and passed on as a variable.
MOST = 1000


def job_result(
    hostvars: Mapping[str, Any], hosts: list[str], action: str, event: str = "", check_mode: bool = False
) -> dict[str, Any]:
    """Return what was done; a firewall that left the play before its task counts as failed."""
    results = {host: hostvars[host].get("blacklist_result") for host in hosts}
    ends: dict[str, str] = {}
    addresses: dict[str, None] = {}
    for row in (row for result in results.values() for row in (result or {}).get("entries") or []):
        addresses[row["host"]] = None
        if row.get("expires_at"):
            ends[row["host"]] = max(ends.get(row["host"], ""), row["expires_at"])
    shown = list(addresses)[:MOST]
    failed = {
        host: "not_attempted" if result is None else result.get("code") or "failed"
        for host, result in results.items() if result is None or result.get("failed")
    }
    return {
        "action": action,
        "event": str(event or ""),
        "check_mode": check_mode,
        "ok": not failed,
        "changed": any((result or {}).get("changed", False) for result in results.values()),
        "addresses": shown,
        "ends": {address: ends[address] for address in shown if address in ends},
        "firewalls": [host for host in hosts if host not in failed],
        "failed": failed,
    }


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"job_result": job_result}
