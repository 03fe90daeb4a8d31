# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses by which an inventory knows its hosts."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any


def inventory_addresses(task_vars: dict[str, Any]) -> list[str]:
    """Return the IPv4 addresses by which the inventory knows its hosts: their names, ansible_host and ansible_ssh_host."""
    hostvars = task_vars.get("hostvars")
    found: dict[str, None] = {}
    for host in (task_vars.get("groups") or {}).get("all", ()):
        # Reading raw variables is much cheaper than having them all templated, which only an expression needs.
        raw = {} if hostvars is None else hostvars.raw_get(host)
        for name in ("ansible_host", "ansible_ssh_host", None):
            address = host if name is None else raw.get(name)
            if hostvars is not None and name is not None and "{{" in str(address):
                address = hostvars[host].get(name)
            try:
                found[str(IPv4Address(str(address)))] = None
            except ValueError:
                continue
    return list(found)
