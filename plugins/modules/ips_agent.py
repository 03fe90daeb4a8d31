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
  - The service cannot be asked whether an agent is there, and it answers before the work is done. The module therefore decides
    on evidence and names it in RV(agent.evidence).
  - C(host), what was seen on the server itself, given with O(installed) or looked up at O(agent_path), speaks first.
  - C(receipt), what this collection last asked for, kept in O(state_dir), outweighs the host for 30 minutes, or until the host has
    shown it once, since what is under way does not show there yet. An installation that was asked for outweighs a host without
    agent for ever when O(state=absent), so that an agent that arrives late is removed, too.
  - C(api), notification destinations are configured, so an agent was registered. Having none proves nothing. Where they cannot be
    read, the module goes on without them and says so.
  - C(none), nothing is known. The module then acts and reports a change, except where the service answers that there was
    nothing to do (RV(agent.evidence=answer)).
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
      - Without any evidence, every run asks the service again and reports a change. Keep O(state_dir), or give O(installed).
options:
  server_name:
    description:
      - Name of the server as the service knows it, such as V(VA1ACMEWEB01). Case does not matter to the module, and is kept.
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
      - What was seen on the server itself. This is the best evidence there is; only a receipt of something that does not show there
        yet outweighs it. The service is not asked.
    type: bool
  agent_path:
    description:
      - Path of the agent on the machine where the module runs. When O(installed) is not given, the module looks there
        itself and takes what it sees as evidence.
    type: path
  detection:
    description:
      - Which evidence to use besides that of the host, in this order. An empty list uses none, and so asks the service again even
        while an installation is under way.
      - V(api) can be mistaken after a removal, since the service may keep the destinations of a server without an agent.
    type: list
    elements: str
    choices: [receipt, api]
    default: [receipt, api]
  check_server:
    description:
      - First ask the CLC v2 API whether there is such a server, since the service may accept a mistyped name silently.
      - Not for servers outside CenturyLink Cloud.
    type: bool
    default: false
  wait:
    description:
      - After a change, wait until the agent appears at, or is gone from, O(agent_path), which is needed for this.
      - When it looked there as wanted before the request, such as an agent that is removed before it has come, there is
        nothing to wait for. The task then says so in a warning.
    type: bool
    default: false
  wait_timeout:
    description:
      - How many seconds to wait.
    type: int
    default: 600
notes:
  - The service charges for an agent from its installation until its successful removal. Deleting the server does not end that;
    remove the agent first.
  - When the service knows no agent to remove, but accepted an installation within the last 30 minutes, the task fails with
    C(not_verified), since the agent may still arrive. Run it again later.
  - A 404 that is not of this API, such as a gateway's page, is a failure (C(wrong_service)) and never "not installed". An empty 404
    cannot be told apart; it counts, with a warning.
  - The platform was closed on 30 September 2023. The module speaks the API as it was documented.
seealso:
  - module: intrusion.response.ips_notification
  - ref: ansible_collections.intrusion.response.protect_role
    description: Agent and destinations over an inventory.
"""

EXAMPLES = r"""
- name: Protect a server
  intrusion.response.ips_agent:
    server_name: VA1ACMEWEB01
    username: "{{ clc_username }}"
    password: "{{ clc_password }}"

- name: Protect a server of a sub-account, knowing what is on the host
  intrusion.response.ips_agent:
    server_name: VA1ACMEWEB01
    account_alias: ACME
    installed: "{{ agent_file.stat.exists }}"
    token: "{{ clc_token }}"

- name: Take the agent off before the server is deleted
  intrusion.response.ips_agent:
    server_name: VA1ACMEWEB01
    state: absent

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_agent -a "server_name=VA1ACMEWEB01"
#
# In an AWX job template, a credential type that sets CLC_V2_API_USERNAME and CLC_V2_API_PASSWD is all that
# the task needs; see the collection's README.
"""

RETURN = r"""
agent:
  description: What is known of the agent after the task, and how it is known.
  returned: success
  type: dict
  contains:
    server_name:
      description: The server's name, as given.
      type: str
      sample: VA1ACMEWEB01
    account_alias:
      description: The account. Null when it was not given and nothing had to be asked.
      type: str
      sample: ACME
    state:
      description:
        - V(installed) and V(not_installed) are what the host, or an answer of the service, says.
        - V(install_accepted) and V(uninstall_accepted) say that the service took the request, now or, with
          RV(agent.evidence=receipt), at an earlier run. Work on the server goes on for minutes after that.
        - V(registered) says that the service has destinations for the server.
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
  description: HTTP status of the answer that led to the failure. Null when there was none.
  returned: failure
  type: int
  sample: 503
retryable:
  description: Whether the same task may succeed when it is run again.
  returned: failure
  type: bool
  sample: true
hint:
  description: What can be done about the failure, which is also the end of C(msg). Null when there is nothing to add.
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
