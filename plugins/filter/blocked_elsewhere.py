# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks that stand on firewalls outside a play."""

from __future__ import annotations

DOCUMENTATION = r"""
name: blocked_elsewhere
short_description: Count the standing blocks on firewalls outside a play
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a line that counts the standing blocks on firewalls outside a play, and names these firewalls.
options:
  _input:
    description:
      - RV(intrusion.response.response_ledger_info#module:standing) for all firewalls.
    type: list
    elements: dict
    required: true
  urls:
    description:
      - The URLs of the play's firewalls, as in O(intrusion.response.cos_blacklist_entries#module:api_url).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
# 3 blocks still stand on firewalls that are not in this play: https://192.0.2.2
- name: Name what was not undone
  ansible.builtin.debug:
    msg: "{{ recorded.standing | intrusion.response.blocked_elsewhere(['https://192.0.2.1']) }}"
"""

RETURN = r"""
_value:
  description: The line. Empty if there are no such blocks.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import firewall_name


def blocked_elsewhere(standing: list[Mapping[str, Any]], urls: list[str]) -> str:
    """Return the line; firewalls are compared in the form in which the ledger stores them."""
    here = {firewall_name(url) for url in urls}
    others = [one["firewall"] for one in standing if one["firewall"] not in here]
    if not others:
        return ""
    number = "1 block still stands" if len(others) == 1 else f"{len(others)} blocks still stand"
    return f"{number} on firewalls that are not in this play: {', '.join(clean(name) for name in sorted(set(others)))}"


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"blocked_elsewhere": blocked_elsewhere}
