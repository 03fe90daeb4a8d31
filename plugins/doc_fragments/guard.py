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
      - IPv4 addresses and networks that are never blocked, such as your own servers and management networks. They may be written
        as IPv6 writes them (V(::ffff:192.0.2.1)). Other IPv6 networks protect nothing, since only IPv4 addresses can be blocked,
        and are warned of.
      - Those in the environment variable E(INTRUSION_RESPONSE_NEVER_BLOCK), separated by commas or spaces, are added to
        these, they are not replaced by them.
      - The addresses by which the inventory knows its hosts (their names, C(ansible_host) and the like) are protected, too. They
        are found once a play, and only where something is blocked. Where a template or a vaulted value cannot be read, a warning
        names the host, and its address is not protected. Host names are not looked up.
      - Loopback, multicast, unspecified and broadcast addresses, the firewall's own address and all addresses of the machine on
        which the module runs (in a container those of the container) are always protected.
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
