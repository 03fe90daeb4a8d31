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
      - IPv4 addresses and networks that are never blocked, such as your own servers and management networks. IPv4-mapped IPv6
        notation (V(::ffff:192.0.2.1)) is accepted. Other IPv6 networks protect nothing, since only IPv4 addresses can be blocked,
        and cause a warning.
      - Those in the environment variable E(INTRUSION_RESPONSE_NEVER_BLOCK), separated by commas or spaces, are protected in
        addition to these.
      - The addresses of the inventory's hosts (their names, C(ansible_host) and similar variables) are protected as well. They
        are determined once per play, and only if something is to be blocked. If a template or a vaulted value cannot be read, a
        warning names the host, and its address is not protected. Host names are not resolved.
      - Loopback, multicast, unspecified and broadcast addresses, the firewall's own address and all addresses of the machine on
        which the module runs (in a container, those of the container) are always protected.
    type: list
    elements: str
    default: []
  allow_protected:
    description:
      - Block the address even though it is protected. Intended for a single task.
      - The result says which protection was overridden.
    type: bool
    default: false
"""
