# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewalls of a play."""

from __future__ import annotations

DOCUMENTATION = r"""
name: firewalls
short_description: Select the firewalls of a play
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns the host pattern for the C(hosts) of a play on firewalls, as the playbooks of this collection use it.
  - Fails if no host would take part, for example because of C(--limit), where Ansible itself would do nothing and succeed.
  - Fails if an extra variable is one of the role P(intrusion.response.blacklist#role) without its prefix, such as C(ttl), and warns if
    one is spelled almost like a variable of this collection.
options:
  _input:
    description:
      - A host pattern. If it is empty, the group C(firewalls), or C(localhost) if there is no such group.
    type: str
    required: true
  needed:
    description:
      - Whether a host is required even if the pattern is empty.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Block an attacker
  hosts: "{{ blacklist_target | default('') | intrusion.response.firewalls }}"
  gather_facts: false
  tasks:
    - name: Block the address
      ansible.builtin.import_role:
        name: intrusion.response.blacklist
        tasks_from: block
      vars:
        blacklist_addresses: 203.0.113.5
"""

RETURN = r"""
_value:
  description: The host pattern.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.intrusion.response.plugins.plugin_utils._play import Kind, hosts_taking_part
from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def firewalls(context: Context, pattern: str, needed: bool = True) -> str:
    """Return the host pattern; raises AnsibleFilterError if no host would take part."""
    default = "firewalls" if "firewalls" in context["groups"] else "localhost"
    kind = Kind("blacklist", "firewall", default)
    return hosts_taking_part(context["groups"], context.get("ansible_limit"), kind, pattern, needed=needed)


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"firewalls": firewalls}
