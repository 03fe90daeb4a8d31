# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of addresses, however it was written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: address_list
short_description: Convert addresses to a list
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a list of addresses or networks from a list, or from a string separated by commas, spaces or line breaks.
  - Duplicates are removed. Invalid addresses stay in the list, for the module to refuse.
options:
  _input:
    description:
      - A list or a string. A list may contain such strings.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Block the addresses of a survey's text area, one per line
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.1
    hosts: "{{ blacklist_addresses | intrusion.response.address_list }}"
"""

RETURN = r"""
_value:
  description: The addresses, in their order.
  type: list
  elements: str
"""

import re
from collections.abc import Callable
from typing import Any


def address_list(value: Any) -> list[str]:
    """Return the addresses of a list or a string; an empty list for None and an empty string."""
    parts = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return list(dict.fromkeys(address for part in parts for address in re.findall(r"[^,\s]+", str(part))))


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"address_list": address_list}
