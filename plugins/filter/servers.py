# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a play."""

from __future__ import annotations

DOCUMENTATION = r"""
name: servers
short_description: Select the servers of a play
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns the host pattern for the C(hosts) of a play on servers, as the playbooks of this collection use it.
  - Fails if no host would take part, for example because of C(--limit), where Ansible itself would do nothing and succeed.
  - Fails if an extra variable is one of the role P(intrusion.response.protect#role) without its prefix, such as C(destinations), and
    warns if one is spelled almost like a variable of this collection.
options:
  _input:
    description:
      - A host pattern. If it is empty, all hosts except C(localhost) and the group C(firewalls).
    type: str
    required: true
  needed:
    description:
      - Whether a host is required even if the pattern is empty.
    type: bool
    default: true
  named:
    description:
      - Whether an empty pattern is refused.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Protect the servers
  hosts: "{{ protect_target | default('') | intrusion.response.servers }}"
  gather_facts: false
  roles:
    - role: intrusion.response.protect
"""

RETURN = r"""
_value:
  description: The host pattern.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible import context as cli
from ansible.errors import AnsibleFilterError
from ansible_collections.intrusion.response.plugins.plugin_utils._play import Kind, hosts_taking_part
from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def servers(context: Context, pattern: str, needed: bool = True, named: bool = False) -> str:
    """Return the host pattern; raises AnsibleFilterError if no host would take part, or none is given."""
    default = "all:!localhost:!firewalls" if "firewalls" in context["groups"] else "all:!localhost"
    kind = Kind("protect", "server", default)
    if named and not pattern and not cli.CLIARGS.get("syntax"):
        raise AnsibleFilterError(
            f"Specify which servers, for example with -e {kind.target}=VA1ACMEWEB03, or -e {kind.target}=all:!firewalls for all."
        )
    return hosts_taking_part(context["groups"], context.get("ansible_limit"), kind, pattern, needed=needed)


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"servers": servers}
