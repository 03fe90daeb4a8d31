# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URL of a firewall whose address is known."""

from __future__ import annotations

DOCUMENTATION = r"""
name: firewall_url
short_description: Build the URL of a firewall from its address
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns the C(https) URL for a host name or an address. An IPv6 address is put in brackets.
options:
  _input:
    description:
      - A host name or an address, such as C(ansible_host).
    type: str
    required: true
"""

EXAMPLES = r"""
# https://[2001:db8::1]
- name: Read the blacklist of a firewall by its address in the inventory
  intrusion.response.cos_blacklist_entry_info:
    api_url: "{{ ansible_host | default(inventory_hostname) | intrusion.response.firewall_url }}"
"""

RETURN = r"""
_value:
  description: The URL.
  type: str
"""

from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any


def firewall_url(address: str) -> str:
    """Return the URL for a host name or an address."""
    host = str(address).strip()
    try:
        return f"https://[{IPv6Address(host.strip('[]'))}]"
    except ValueError:
        return f"https://{host}"


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"firewall_url": firewall_url}
