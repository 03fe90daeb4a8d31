# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that variables give."""

from __future__ import annotations

DOCUMENTATION = r"""
name: given
short_description: The options that variables give
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns those of the named options for which there is a variable with a prefix, as arguments for a task.
  - A variable that is empty counts as not given, as an AWX survey leaves it.
options:
  _input:
    description:
      - Names of options.
    type: list
    elements: str
    required: true
  prefix:
    description:
      - What the names of the variables begin with, before an underscore.
    type: str
    required: true
"""

EXAMPLES = r"""
# {'username': 'blocker', 'timeout': 5} with cos_username: blocker, cos_password: "" and cos_timeout: 5
- name: Hand over the connection settings that the inventory gives
  intrusion.response.cos_blacklist_entry_info:
  module_defaults:
    intrusion.response.cos_blacklist_entry_info: "{{ ['username', 'password', 'timeout'] | intrusion.response.given('cos') }}"
"""

RETURN = r"""
_value:
  description: The options that are given, with their values.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context


@pass_context
def given(context: Context, names: list[str], prefix: str) -> dict[str, Any]:
    """Return the given options; raises what a variable raises that itself is a template in error."""
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
