#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read where the events of servers go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ips_notification_info
short_description: Read where the CLC Intrusion Prevention Service sends the events of servers
version_added: 1.0.0
description:
  - Reads the notification destinations of a server, or of many, in the CenturyLink Cloud (CLC) Intrusion Prevention Service (IPS),
    in one normal form, whatever form the service gives them.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes.info
  - intrusion.response.attributes.actiongroup_ips
  - intrusion.response.ips
options:
  server_name:
    description:
      - Name of the server as the service knows it, such as V(VA1ACMEWEB01).
      - Either this or O(servers) is needed.
    type: str
    aliases: [host_name]
  servers:
    description:
      - Many servers, each a name or a mapping. A name is short for a mapping with O(servers[].server_name) alone, and a text is a list of
        names between commas. A server may be named once, whatever the case of its name.
      - Every server has a result of its own. One that fails does not keep the task from the others; the task itself fails in the end.
    type: list
    elements: dict
    suboptions:
      server_name:
        description:
          - Name of the server as the service knows it.
        type: str
        required: true
      account_alias:
        description:
          - Alias of the account that owns the server. Where it is not given, the task's O(account_alias) counts.
        type: str
  concurrency:
    description:
      - How many of O(servers) to read at a time, from V(1) to V(64). Where answers come at once it is one after the other.
    type: int
    default: 8
seealso:
  - module: intrusion.response.ips_servers
  - module: intrusion.response.ips_notification
"""

EXAMPLES = r"""
- name: Read the destinations of a server
  intrusion.response.ips_notification_info:
    server_name: VA1ACMEWEB01
  register: result

- name: Fail when nobody would hear of an attack
  ansible.builtin.assert:
    that: result.destinations | length > 0

- name: Read the destinations of many servers
  intrusion.response.ips_notification_info:
    servers: [VA1ACMEWEB01, VA1ACMEWEB02]

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_notification_info -a "server_name=VA1ACMEWEB01"
#
# In an AWX job template, a credential that sets CLC_V2_API_USERNAME and CLC_V2_API_PASSWD is all that the task needs.
"""

RETURN = r"""
server_name:
  description: The server's name, as given.
  returned: success, with O(server_name)
  type: str
  sample: VA1ACMEWEB01
account_alias:
  description: The account that owns the server.
  returned: success, with O(server_name)
  type: str
  sample: ACME
destinations:
  description: All destinations of the server, in an order that does not change between runs.
  returned: success, with O(server_name)
  type: list
  elements: dict
  contains:
    type:
      description: Kind of destination. One that the module does not know is returned as the service names it.
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
servers:
  description: A result for each of O(servers), in the order given.
  returned: with O(servers), when the options could be used
  type: list
  elements: dict
  contains:
    server_name:
      description: The server's name, as given.
      type: str
      sample: VA1ACMEWEB01
    account_alias:
      description: The account. Null when it was not given and could not be asked for.
      type: str
      sample: ACME
    destinations:
      description: All destinations of the server, in an order that does not change between runs. Null when they could not be read.
      type: list
      elements: dict
      contains:
        type:
          description: Kind of destination. One that the module does not know is returned as the service names it.
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
    changed:
      description: Always false.
      type: bool
      sample: false
    warnings:
      description: What there is to say about this server. The task shows some of all.
      type: list
      elements: str
      sample: []
    failed:
      description: Whether the server could not be read.
      type: bool
      sample: false
    code:
      description: Code of the failure, otherwise null.
      type: str
      sample: not_permitted
    http_status:
      description: HTTP status of the answer that led to the failure, otherwise null.
      type: int
      sample: 403
    retryable:
      description: Whether the server may be read when the task is run again. Null when it did not fail.
      type: bool
      sample: false
    hint:
      description: What can be done about the failure, otherwise null.
      type: str
      sample: The user may not act on this account; check account_alias.
    msg:
      description: What failed, in one line that ends with the hint. Otherwise null.
      type: str
      sample: GET /notifications/ACME/VA1ACMEWEB01 was answered with 403.
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
from ansible_collections.intrusion.response.plugins.module_utils._ips import fleet, notification
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import IpsClient

ARGUMENT_SPEC = {
    "server_name": {"type": "str", "aliases": ["host_name"]},
    "servers": {
        "type": "list",
        "elements": "dict",
        "options": {"server_name": {"type": "str", "required": True}, "account_alias": {"type": "str"}},
    },
    "concurrency": {"type": "int", "default": 8},
    **connection_spec(IPS_CONNECTION),
}
CONSTRAINTS = {
    "required_one_of": [("server_name", "servers")],
    "mutually_exclusive": [("server_name", "servers")],
    "shorthand": {"servers": "server_name"},
}


def run(call: Call) -> dict:
    """Read the destinations of a server, or of many."""
    if call.params["servers"] is None:
        with IpsClient.from_call(call) as client:
            return notification.read(client, call.params["server_name"])
    servers = fleet.servers_to_read(call.params)
    with IpsClient.for_accounts(call) as client:
        result = fleet.read(client, servers)
    for message in fleet.quoted(result["servers"]):
        call.warn(message)
    return result


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC, **CONSTRAINTS)


if __name__ == "__main__":
    main()
