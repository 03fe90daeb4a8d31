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
  - Reads the notification destinations of one or more servers in the CenturyLink Cloud (CLC) Intrusion Prevention Service (IPS), and
    returns them in a normal form, in whatever form the service sends them.
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
      - Either this or O(servers) is required.
    type: str
    aliases: [host_name]
  servers:
    description:
      - A list of servers, each a name or a mapping. A name is short for a mapping with only O(servers[].server_name), and a string is a
        comma-separated list of names. Each server may be given only once, regardless of case.
      - Every server has a result of its own. If one fails, the others are still read; the task itself fails at the end.
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
          - Alias of the account that owns the server. Defaults to the task's O(account_alias).
        type: str
  concurrency:
    description:
      - How many of O(servers) to read at a time, from V(1) to V(64). If answers come fast, they are read one after the other.
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

- name: Fail if nobody would be notified of an attack
  ansible.builtin.assert:
    that: result.destinations | length > 0

- name: Read the destinations of many servers
  intrusion.response.ips_notification_info:
    servers: [VA1ACMEWEB01, VA1ACMEWEB02]

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_notification_info -a "server_name=VA1ACMEWEB01"
#
# In an AWX job template, the task only needs a credential that sets CLC_V2_API_USERNAME and CLC_V2_API_PASSWD.
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
servers:
  description: A result for each of O(servers), in the order given.
  returned: with O(servers), if the options are valid
  type: list
  elements: dict
  contains:
    server_name:
      description: The server's name, as given.
      type: str
      sample: VA1ACMEWEB01
    account_alias:
      description: The account. Null if it was not given and could not be determined.
      type: str
      sample: ACME
    destinations:
      description: All destinations of the server, in an order that does not change between runs. Null if they could not be read.
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
    changed:
      description: Always false.
      type: bool
      sample: false
    warnings:
      description: Warnings about this server. The task itself shows only some of all servers' warnings.
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
      description: HTTP status of the answer that caused the failure, otherwise null.
      type: int
      sample: 403
    retryable:
      description: Whether reading the server may succeed if the task is run again. Null if it did not fail.
      type: bool
      sample: false
    hint:
      description: What to do about the failure, otherwise null.
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
    """Read the destinations of one or more servers."""
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
