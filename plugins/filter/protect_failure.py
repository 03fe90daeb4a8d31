# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the role protect failed for a server."""

from __future__ import annotations

DOCUMENTATION = r"""
name: protect_failure
short_description: Why the role protect failed for a server
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns the reason of a failure in one line, and its code, from the result of the task that failed.
options:
  _input:
    description:
      - The result of the task that failed, C(ansible_failed_result).
    type: dict
    required: true
  waited:
    description:
      - What was seen while waiting for the agent. Empty where that was not tried.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say why it failed
  ansible.builtin.debug:
    msg: "{{ (ansible_failed_result | intrusion.response.protect_failure({})).reason }}"
"""

RETURN = r"""
_value:
  description:
    - The keys C(reason) and C(code). The code is that of the module, V(invalid_input) where a variable could not be used, or V(host) when
      the server could not be looked at.
  type: dict
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean

#: What is still seen on the host when the time to wait is over: what was asked for, and how the agent is.
SEEN = {"present": ("removal", "there"), "absent": ("installation", "missing")}
#: What Ansible puts before the message of a filter.
FILTER = re.compile(r"^.*The filter plugin '[\w.]+' failed: ", re.DOTALL)


def protect_failure(result: Mapping[str, Any], waited: Mapping[str, Any]) -> dict[str, str]:
    """Return reason and code."""
    message = str(result.get("msg") or "No reason was given.")
    if waited.get("state"):
        asked, seen = SEEN.get(waited["state"], ("request", "out of sight"))
        reason = f"The service accepted the {asked}, but the agent was still {seen} when the time to wait was over."
        return {"reason": reason, "code": "host"}
    if result.get("state") == "unknown":
        return {"reason": f"The host could not be looked at for the agent: {clean(result.get('reason'))}", "code": "host"}
    if result.get("code"):
        return {"reason": clean(message.splitlines()[0]), "code": str(result["code"])}
    refused = FILTER.sub("", message)
    return {"reason": clean(refused.splitlines()[0]), "code": "host" if refused == message else "invalid_input"}


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"protect_failure": protect_failure}
