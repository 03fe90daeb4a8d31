# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found out about a firewall, for people."""

from __future__ import annotations

DOCUMENTATION = r"""
name: question_lines
short_description: Describe how a firewall behaves
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a line for the firewall and one for each question of a result of M(intrusion.response.cos_blacklist_probe), with its answer.
options:
  _input:
    description:
      - The registered result of the task.
    type: dict
    required: true
"""

EXAMPLES = r"""
# Which time does the listing show? The remaining time: expires_at and renew_below work as documented. (ttl_in_list: remaining)
- name: Show how the firewall behaves
  ansible.builtin.debug:
    msg: "{{ found | intrusion.response.question_lines }}"
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


def question_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the lines."""
    device = ", ".join(str(value) for value in result["device"].values() if value)
    lines = [f"{row['question']} {row['means']} ({row['name']}: {row['answer'] or 'empty'})" for row in result["questions"]]
    return [clean(line) for line in [device, *lines]]


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"question_lines": question_lines}
