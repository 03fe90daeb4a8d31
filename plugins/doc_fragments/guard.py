# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the guard that keeps an operator from blocking the wrong address."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment intrusion.response.guard."""

    DOCUMENTATION = r"""
options:
  never_block:
    description:
      - IPv4 addresses and networks that are never blocked, such as your own servers and management networks.
      - Those in the environment variable E(INTRUSION_RESPONSE_NEVER_BLOCK), separated by commas or spaces, are added to
        these, they are not replaced by them.
      - In a play, the addresses by which the inventory knows its hosts are added, too.
      - Loopback, multicast, unspecified and broadcast addresses, the firewall's own address and the address from which this
        machine reaches the firewall are always protected.
    type: list
    elements: str
    default: []
  allow_protected:
    description:
      - Block the address even though it is protected. Meant for a single task.
      - The result says which protection was overridden.
    type: bool
    default: false
"""
