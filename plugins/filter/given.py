# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that variables give."""

from __future__ import annotations

DOCUMENTATION = r"""
name: given
short_description: Collect the options that are set as variables
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns those of the given options for which a variable with the prefix is set, as arguments for a task.
  - An empty variable counts as not set, since an AWX survey leaves unanswered questions empty.
options:
  _input:
    description:
      - Names of options.
    type: list
    elements: str
    required: true
  prefix:
    description:
      - The prefix of the variables' names, before an underscore.
    type: str
    required: true
"""

EXAMPLES = r"""
# {'username': 'blocker', 'timeout': 5} with cos_username: blocker, cos_password: "" and cos_timeout: 5
- name: Use the connection settings from the inventory
  intrusion.response.cos_blacklist_entry_info:
  module_defaults:
    intrusion.response.cos_blacklist_entry_info: "{{ ['username', 'password', 'timeout'] | intrusion.response.given('cos') }}"
"""

RETURN = r"""
_value:
  description: The options that are set, with their values.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context


@pass_context
def given(context: Context, names: list[str], prefix: str) -> dict[str, Any]:
    """Return the options that are set; raises the error of a variable whose own template fails."""
    values = {name: context.resolve(f"{prefix}_{name}") for name in names if f"{prefix}_{name}" in context}
    for value in values.values():
        if isinstance(value, Undefined):
            str(value)  # raises with the name of what is missing
    return {name: value for name, value in values.items() if value is not None and value != ""}


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"given": given}
