# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations of events, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: destination_lines
short_description: Describe the destinations of events
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a line for each destination that M(intrusion.response.ips_notification_info) returns.
options:
  _input:
    description:
      - RV(intrusion.response.ips_notification_info#module:destinations).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
# syslog 192.0.2.10:514 facility 16
- name: Show where the events go
  ansible.builtin.debug:
    msg: "{{ events.destinations | intrusion.response.destination_lines }}"
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


def destination_lines(destinations: list[Mapping[str, Any]]) -> list[str]:
    """Return a line for each destination."""
    return [clean(f"{one['type']} {_where(one)}") for one in destinations]


def _where(destination: Mapping[str, Any]) -> str:
    syslog = destination.get("syslog")
    if syslog:
        return f"{syslog['ip_address']}:{syslog['udp_port']} facility {syslog['facility']}"
    return str(destination.get("url") or destination.get("email_address") or "")


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"destination_lines": destination_lines}
