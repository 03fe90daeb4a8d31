# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role protect did to all servers, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: protect_summary
short_description: Summarize what the role protect did to all servers
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns the lines of the summary with which the role P(intrusion.response.protect#role) ends, from the C(protect_result) of its
    servers.
options:
  _input:
    description:
      - The variables of all hosts, C(hostvars).
    type: dict
    required: true
  batch:
    description:
      - The hosts that are still in the play, or in its batch, C(ansible_play_batch).
    type: list
    elements: str
    required: true
  out:
    description:
      - The hosts that failed in this play, including before the role.
    type: list
    elements: str
    required: true
  check_mode:
    description:
      - Whether nothing was done.
    type: bool
    default: false
  entry:
    description:
      - The entry point of the role. V(main) should set destinations, so it warns about servers without any; V(report) shows
        the destinations of each server.
    type: str
    default: main
  play:
    description:
      - Identifies the play, here and in the results of its hosts. The results of other plays are ignored.
    type: str
  run:
    description:
      - The number of this run of the role in the play, with a strategy that keeps all hosts at the same task, such as C(linear). A
        host without a result with that number is left out.
      - Without it, hosts that have run the role less often than others are waited for.
    type: int
"""

EXAMPLES = r"""
- name: Show what was done
  ansible.builtin.debug:
    msg: "{{ hostvars | intrusion.response.protect_summary(ansible_play_batch, [], ansible_check_mode) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The lines. Empty while a server may still be under way, as with the strategy C(free).
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any, Optional

from ansible_collections.intrusion.response.plugins.filter.destination_lines import destination_lines
from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean

NOBODY = "WARNING: protect_destinations is empty, and unless they have destinations already, nobody is notified of attacks on"


def protect_summary(
    hostvars: Mapping[str, Any],
    batch: list[str],
    out: list[str],
    check_mode: bool = False,
    entry: str = "main",
    play: Optional[str] = None,
    run: Optional[int] = None,
) -> list[str]:
    """Return the lines; the servers come in the order of batch, then of out."""
    found = {host: result_of(hostvars, host, play) for host in dict.fromkeys([*batch, *out])}
    this = run or max((one.get("run", 0) for one in found.values()), default=0)
    if run is None and any(found[host].get("run", 0) < this and not found[host].get("skipped") for host in batch):
        return []
    # A host whose task did not begin has no number. Under run_once, one result is everybody's.
    once = {id(one): (host, one) for host, one in found.items() if one and not one.get("skipped") and one.get("run", this) == this}
    results = [one if "run" in one else _failed(host, one) for host, one in once.values()]
    failed = [one for one in results if one["code"]]
    groups = {
        "Agent changed": [one for one in results if one["agent_changed"]],
        "Agent unchanged": [one for one in results if one["agent"] and not one["agent_changed"]],
        "Could not be checked": [one for one in results if one["unseen"]],
        "Destinations changed": [one for one in results if one["destinations_changed"]],
        "Destinations unchanged": [one for one in results if one["destinations"] is not None and not one["destinations_changed"]],
        NOBODY: [one for one in results if entry == "main" and one["destinations"] is None and not one["code"]],
    }
    lines = ["Check mode: nothing was written. This is what would happen:"] if check_mode else []
    for title, members in groups.items():
        if members:
            lines.append(f"{title} ({len(members)}): {', '.join(clean(one['server_name']) for one in members)}")
    if entry == "report":
        lines = [f"{clean(one['server_name'])}: {_where(one['destinations'])}" for one in results if not one["code"]]
    left = [host for host in out if not found[host]]
    if left:
        lines.append(f"Failed before the role ({len(left)}): {', '.join(clean(host) for host in left)}")
    if failed:
        lines.append(f"Failed ({len(failed)})")
    return lines + [f"{clean(one['server_name'])}: {clean(one['code'])}: {clean(one['reason'])}" for one in failed]


def told(hostvars: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """Return what tasks registered for a host, from Ansible's own store, since hostvars would also compute all other variables."""
    kept = getattr(getattr(hostvars, "_variable_manager", None), "_nonpersistent_fact_cache", None)
    found: Mapping[str, Any] = hostvars[host] if kept is None else kept.get(host, {})
    return found


def result_of(hostvars: Mapping[str, Any], host: str, play: Optional[str]) -> Mapping[str, Any]:
    """Return what the role registered for a host in a play."""
    result: Mapping[str, Any] = told(hostvars, host).get("protect_result") or {}
    return result if result.get("play", play) == play else {}


def _failed(host: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a host whose task did not begin, because its connection cannot be set up."""
    reason = str(result.get("msg") or "No reason was given.").splitlines()[0]
    return {
        "server_name": host, "agent": None, "agent_changed": False, "unseen": False, "destinations": None, "destinations_changed": False,
        "reason": reason, "code": "host",
    }  # fmt: skip


def _where(destinations: list[Mapping[str, Any]]) -> str:
    return ", ".join(destination_lines(destinations)) or "nowhere"


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"protect_summary": protect_summary}
