#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install or remove the agent on many servers and set where their events go, in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ips_servers
short_description: Protect many servers with the CLC Intrusion Prevention Service in one task
version_added: 1.0.0
description:
  - Installs or removes the agent of the CenturyLink Cloud (CLC) Intrusion Prevention Service (IPS) on many servers, and sets where
    their events go, in one task.
  - For each server, it does what M(intrusion.response.ips_agent) and then M(intrusion.response.ips_notification) do, with the same rules
    and the same receipts, but with one login and persistent connections. Writes are read back in rounds, so that the task waits once for
    all servers instead of once for each.
  - Every server has a result of its own. If one fails, the others are still processed; the task itself fails at the end and
    says which servers failed.
  - All servers are validated before the first request. If one is invalid, the task fails and nothing is done.
  - If several requests in a row get no answer at all, in spite of O(retries), the remaining servers fail without a request.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes
  - intrusion.response.attributes.actiongroup_ips
  - intrusion.response.ips
  - intrusion.response.ips.destinations
attributes:
  idempotent:
    support: partial
    details:
      - Without any evidence of an agent, every run sends the request again and reports a change. Keep O(state_dir), or set
        O(servers[].installed).
options:
  servers:
    description:
      - The servers, each a name or a mapping with options of its own. A name is short for a mapping with only O(servers[].server_name),
        and a string is a comma-separated list of names.
      - Each server may be given only once, regardless of case.
    type: list
    elements: dict
    required: true
    suboptions:
      server_name:
        description:
          - Name of the server as the service knows it, such as V(VA1ACMEWEB01). The module ignores its case but preserves it.
        type: str
        required: true
      account_alias:
        description: Alias of the account that owns the server. Defaults to the task's O(account_alias).
        type: str
      state:
        description: Whether the server should be protected. Defaults to the task's O(state).
        type: str
        choices: [present, absent]
      manage:
        description: What to manage for the server. Defaults to the task's O(manage).
        type: list
        elements: str
        choices: [agent, destinations]
      installed:
        description: Whether an agent was found on the server itself, as O(intrusion.response.ips_agent#module:installed).
        type: bool
      detection:
        description: Which other evidence of an agent to use. Defaults to the task's O(detection).
        type: list
        elements: str
        choices: [receipt, api]
      check_server:
        description: Whether to check first that the server exists. Defaults to the task's O(check_server).
        type: bool
      destinations:
        description: The destinations. Defaults to the task's O(destinations).
        type: list
        elements: dict
        suboptions:
          type:
            description: Kind of destination.
            type: str
            required: true
            choices: [syslog, email, webhook, slack]
          url:
            description:
              - Where to post. Required for O(servers[].destinations[].type=webhook) and O(servers[].destinations[].type=slack).
              - Treated as a secret. Results and diffs show only the scheme, the host and a short digest.
            type: str
          email_address:
            description: One address. Required for O(servers[].destinations[].type=email).
            type: str
          syslog:
            description: The syslog server. Required for O(servers[].destinations[].type=syslog).
            type: dict
            suboptions:
              ip_address:
                description: IP address of the server.
                type: str
                required: true
              udp_port:
                description: UDP port, from V(1) to V(65535).
                type: int
                required: true
              facility:
                description: Facility, as a number from V(16) to V(23) or a name from V(local0) to V(local7).
                type: str
                required: true
      purge:
        description: Whether to remove every destination that is not given. Defaults to the task's O(purge).
        type: bool
      verify_timeout:
        description:
          - How many seconds to wait until the service shows what was written. Defaults to the task's O(verify_timeout).
        type: int
  state:
    description:
      - V(present) installs the agent, then adds the destinations. A syslog server that differs only in its facility is updated.
      - V(absent) removes the agent, then all destinations. The task's O(destinations) apply only to servers with V(present).
    type: str
    choices: [present, absent]
    default: present
  manage:
    description: What to manage, the agent, the destinations, or both. The rest is left alone.
    type: list
    elements: str
    choices: [agent, destinations]
    default: [agent, destinations]
  detection:
    description:
      - Which evidence of an agent to use besides O(servers[].installed), in this order, as in
        O(intrusion.response.ips_agent#module:detection).
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
  purge:
    description: Remove every destination that is not given. If O(destinations) is empty, all are removed.
    type: bool
    default: false
  verify_timeout:
    description:
      - How many seconds to wait until the service shows what was written, since it may queue writes. V(0) skips the check.
      - If the service shows something that is neither what was written nor what was there before, the server fails at once
        (C(stored_differently)).
    type: int
    default: 30
  on_error:
    description:
      - V(continue) processes every server.
      - V(stop) starts no further servers after the first failure. They fail with C(not_attempted); work that is under way is
        finished.
    type: str
    choices: [continue, stop]
    default: continue
  concurrency:
    description:
      - How many servers to work on at a time, from V(1) to V(64). If answers come fast, servers are processed one after the other, which
        is then faster.
    type: int
    default: 8
notes:
  - The service charges for an agent from its installation until its successful removal. Deleting the server does not end the charge;
    remove the agent first.
  - The task neither waits for the agents themselves nor checks the servers. The role P(intrusion.response.protect#role) does both.
seealso:
  - module: intrusion.response.ips_agent
  - module: intrusion.response.ips_notification
  - module: intrusion.response.ips_notification_info
  - ref: ansible_collections.intrusion.response.protect_role
    description: For the servers of an inventory.
"""

EXAMPLES = r"""
- name: Protect some servers
  intrusion.response.ips_servers:
    servers: [VA1ACMEWEB01, VA1ACMEWEB02]
    destinations:
      - type: webhook
        url: "{{ ips_webhook_url }}"
    username: "{{ clc_username }}"
    password: "{{ clc_password }}"

- name: Protect a server of a sub-account, and remove the protection of another
  intrusion.response.ips_servers:
    destinations:
      - type: email
        email_address: secops@example.com
    servers:
      - server_name: VA1ACMEWEB01
        account_alias: ACME
        installed: true
      - server_name: VA1ACMEDB01
        state: absent

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_servers -a "servers=VA1ACMEWEB01,VA1ACMEWEB02"
#
# In an AWX job template, launch the playbook intrusion.response.onboard for the servers of an inventory; see the collection's README.
"""

RETURN = r"""
servers:
  description: A result for each of O(servers), in the order given.
  returned: if the options are valid
  type: list
  elements: dict
  contains:
    server_name:
      description: The server's name, as given.
      type: str
      sample: VA1ACMEWEB01
    account_alias:
      description: The account. Null if it was not given and no request was needed.
      type: str
      sample: ACME
    changed:
      description: Whether anything changed, or may have changed before a failure.
      type: bool
      sample: true
    agent:
      description: What is known about the agent after the task, and how. Null if it was left alone or failed.
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
          description: As RV(intrusion.response.ips_agent#module:agent.state).
          type: str
          sample: install_accepted
        evidence:
          description: What the decision is based on, one of V(host), V(receipt), V(api), V(answer) and V(none).
          type: str
          sample: none
    agent_changed:
      description: Whether the installation or removal of the agent was requested, even if that may have failed.
      type: bool
      sample: true
    destinations:
      description:
        - All destinations of the server after the task, as read back. In check mode, and if they are not read back, as predicted. Null
          if they were left alone or failed.
      type: list
      elements: dict
      contains:
        type:
          description: Kind of destination. An unknown kind is returned as the service names it.
          type: str
          sample: webhook
        url:
          description: Scheme, host and a short digest of the URL.
          returned: for webhook and slack
          type: str
          sample: https://hooks.example.com/********#5d41402a
        email_address:
          description: The address.
          returned: for email
          type: str
          sample: secops@example.com
        syslog:
          description: The syslog server.
          returned: for syslog
          type: dict
          contains:
            ip_address:
              description: IP address of the server.
              type: str
              sample: 192.0.2.10
            udp_port:
              description: UDP port.
              type: int
              sample: 514
            facility:
              description: Facility number.
              type: int
              sample: 16
    destinations_changed:
      description: Whether the destinations changed, or may have changed before a failure.
      type: bool
      sample: true
    warnings:
      description: Warnings about this server. The task itself shows only some of all servers' warnings.
      type: list
      elements: str
      sample: []
    failed:
      description: Whether the server failed.
      type: bool
      sample: false
    code:
      description: Code of the failure, otherwise null.
      type: str
      sample: not_permitted
    http_status:
      description: HTTP status of the answer that caused the failure, otherwise null.
      type: int
      sample: 403
    retryable:
      description: Whether the server may succeed if the task is run again. Null if it did not fail.
      type: bool
      sample: false
    hint:
      description: What to do about the failure, otherwise null.
      type: str
      sample: The user may not act on this account; check account_alias.
    msg:
      description: What failed, in one line that ends with the hint. Otherwise null.
      type: str
      sample: POST /app/ was answered with 403. The user may not act on this account; check account_alias.
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
from ansible_collections.intrusion.response.plugins.module_utils._ips import fleet
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import IpsClient
from ansible_collections.intrusion.response.plugins.module_utils._ips.destination import DESTINATION_OPTIONS

SERVER_SPEC = {
    "server_name": {"type": "str", "required": True},
    "account_alias": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"]},
    "manage": {"type": "list", "elements": "str", "choices": ["agent", "destinations"]},
    "installed": {"type": "bool"},
    "detection": {"type": "list", "elements": "str", "choices": ["receipt", "api"]},
    "check_server": {"type": "bool"},
    "destinations": {"type": "list", "elements": "dict", "options": DESTINATION_OPTIONS},
    "purge": {"type": "bool"},
    "verify_timeout": {"type": "int"},
}
ARGUMENT_SPEC = {
    "servers": {"type": "list", "elements": "dict", "options": SERVER_SPEC, "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "manage": {"type": "list", "elements": "str", "choices": ["agent", "destinations"], "default": ["agent", "destinations"]},
    "detection": {"type": "list", "elements": "str", "choices": ["receipt", "api"], "default": ["receipt", "api"]},
    "check_server": {"type": "bool", "default": False},
    "destinations": {"type": "list", "elements": "dict", "options": DESTINATION_OPTIONS, "default": []},
    "purge": {"type": "bool", "default": False},
    "verify_timeout": {"type": "int", "default": 30},
    "on_error": {"type": "str", "choices": ["continue", "stop"], "default": "continue"},
    "concurrency": {"type": "int", "default": 8},
    **connection_spec(IPS_CONNECTION),
}
CONSTRAINTS = {"shorthand": {"servers": "server_name"}}


def run(call: Call) -> dict[str, object]:
    """Bring many servers to the desired state."""
    request = fleet.Request.from_params(call.params)
    with IpsClient.for_accounts(call) as client:
        result = fleet.ensure(client, request, check_mode=call.check_mode)
    for message in fleet.quoted(result["servers"]):
        call.warn(message)
    return result


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC, **CONSTRAINTS)


if __name__ == "__main__":
    main()
