#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install or remove the CLC Intrusion Prevention Service agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ips_agent
short_description: Install or remove the CLC Intrusion Prevention Service agent
version_added: 1.0.0
description:
  - Asks the CenturyLink Cloud (CLC) Intrusion Prevention Service (IPS) to install its agent on a server, or to remove it.
  - The service cannot be asked whether an agent is installed, and it answers before the work is done. The module therefore decides
    on evidence, which it reports in RV(agent.evidence).
  - C(host) is what was found on the server itself, through O(installed) or at O(agent_path). It is considered first.
  - C(receipt) is the last request of this collection, kept in O(state_dir). It outweighs the host for 30 minutes, or until the host
    has shown its effect once, since work that is under way is not visible there yet. With O(state=absent), a requested installation
    outweighs a host without agent forever, so that an agent that arrives late is removed as well.
  - C(api) means that notification destinations are configured, so an agent was registered. Their absence proves nothing. If they
    cannot be read, the module continues without them and says so.
  - C(none) means that nothing is known. The module then sends the request and reports a change, unless the service answers that
    there was nothing to do (RV(agent.evidence=answer)).
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes
  - intrusion.response.attributes.actiongroup_ips
  - intrusion.response.ips
attributes:
  idempotent:
    support: partial
    details:
      - Without any evidence, every run sends the request again and reports a change. Keep O(state_dir), or set O(installed).
options:
  server_name:
    description:
      - Name of the server as the service knows it, such as V(VA1ACMEWEB01). The module ignores its case but preserves it.
    type: str
    required: true
    aliases: [host_name]
  state:
    description:
      - Whether the agent should be on the server.
    type: str
    choices: [present, absent]
    default: present
  installed:
    description:
      - Whether the agent was found on the server itself. This is the best evidence; only a receipt for work that is not visible there
        yet outweighs it. The service is not asked.
    type: bool
  agent_path:
    description:
      - Path of the agent on the machine where the module runs. If O(installed) is not given, the module checks this path
        and uses the result as evidence.
    type: path
  detection:
    description:
      - Which evidence to use besides that of the host, in this order. An empty list uses none, and so sends the request again even
        while an installation is under way.
      - V(api) can be wrong after a removal, since the service may keep the destinations of a server without an agent.
    type: list
    elements: str
    choices: [receipt, api]
    default: [receipt, api]
  check_server:
    description:
      - First ask the CLC v2 API whether the server exists, since the service may silently accept a mistyped name.
      - Not usable for servers outside CenturyLink Cloud.
    type: bool
    default: false
  wait:
    description:
      - After a change, wait until the agent appears at O(agent_path), or is gone from there. Requires O(agent_path).
      - If the path already looked as desired before the request, for example because an agent is removed before it was installed,
        there is nothing to wait for, and a warning says so.
    type: bool
    default: false
  wait_timeout:
    description:
      - How many seconds to wait.
    type: int
    default: 600
notes:
  - The service charges for an agent from its installation until its successful removal. Deleting the server does not end the charge;
    remove the agent first.
  - If the service knows of no agent to remove, but accepted an installation within the last 30 minutes, the task fails with
    C(not_verified), since the agent may still arrive. Run it again later.
  - A 404 that does not come from this API, such as a gateway's page, is a failure (C(wrong_service)), never "not installed". An empty 404
    cannot be distinguished from the service's own; it counts as such, with a warning.
  - The platform was shut down on 30 September 2023. The module follows the API as it was documented.
seealso:
  - module: intrusion.response.ips_notification
  - ref: ansible_collections.intrusion.response.protect_role
    description: Agents and destinations across an inventory.
"""

EXAMPLES = r"""
- name: Protect a server
  intrusion.response.ips_agent:
    server_name: VA1ACMEWEB01
    username: "{{ clc_username }}"
    password: "{{ clc_password }}"

- name: Protect a server of a sub-account, based on what is on the host
  intrusion.response.ips_agent:
    server_name: VA1ACMEWEB01
    account_alias: ACME
    installed: "{{ agent_file.stat.exists }}"
    token: "{{ clc_token }}"

- name: Remove the agent before the server is deleted
  intrusion.response.ips_agent:
    server_name: VA1ACMEWEB01
    state: absent

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_agent -a "server_name=VA1ACMEWEB01"
#
# In an AWX job template, the task only needs a credential that sets CLC_V2_API_USERNAME and CLC_V2_API_PASSWD; see the collection's
# README.
"""

RETURN = r"""
agent:
  description: What is known about the agent after the task, and on which evidence.
  returned: success
  type: dict
  contains:
    server_name:
      description: The server's name, as given.
      type: str
      sample: VA1ACMEWEB01
    account_alias:
      description: The account. Null if it was not given and no request was needed.
      type: str
      sample: ACME
    state:
      description:
        - V(installed) and V(not_installed) are based on the host or on an answer of the service.
        - V(install_accepted) and V(uninstall_accepted) mean that the service accepted the request, now or, with
          RV(agent.evidence=receipt), in an earlier run. The work on the server takes minutes after that.
        - V(registered) means that the service has destinations for the server.
      type: str
      sample: install_accepted
    evidence:
      description: What the decision is based on, one of V(host), V(receipt), V(api), V(answer) and V(none).
      type: str
      sample: none
code:
  description: Code of the failure, such as V(unreachable). It stays the same between releases; docs/failures.md lists all of them.
  returned: failure
  type: str
  sample: unreachable
http_status:
  description: HTTP status of the answer that caused the failure. Null if there was no answer.
  returned: failure
  type: int
  sample: 503
retryable:
  description: Whether the same task may succeed if it is run again.
  returned: failure
  type: bool
  sample: true
hint:
  description: What to do about the failure; C(msg) ends with it. Null if there is no advice.
  returned: failure
  type: str
  sample: Check the address, and that the service accepts connections from this machine.
"""

from ansible_collections.intrusion.response.plugins.module_utils._core.call import Call
from ansible_collections.intrusion.response.plugins.module_utils._core.module import connection_spec, run_module
from ansible_collections.intrusion.response.plugins.module_utils._core.options import IPS_CONNECTION
from ansible_collections.intrusion.response.plugins.module_utils._ips import agent
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import IpsClient

ARGUMENT_SPEC = {
    "server_name": {"type": "str", "required": True, "aliases": ["host_name"]},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "installed": {"type": "bool"},
    "agent_path": {"type": "path"},
    "detection": {"type": "list", "elements": "str", "choices": ["receipt", "api"], "default": ["receipt", "api"]},
    "check_server": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 600},
    **connection_spec(IPS_CONNECTION),
}
CONSTRAINTS = {"required_if": [("wait", True, ("agent_path",))]}


def run(call: Call) -> dict:
    """Bring the agent to the wanted state."""
    wanted = agent.Wanted.from_params(call.params)
    with IpsClient.from_call(call) as client:
        return agent.ensure(client, wanted, check_mode=call.check_mode).result()


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC, **CONSTRAINTS)


if __name__ == "__main__":
    main()
