#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read where the events of a server go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ips_notification_info
short_description: Read where the CLC Intrusion Prevention Service sends the events of a server
version_added: 1.0.0
description:
  - Reads the notification destinations of a server in the CenturyLink Cloud (CLC) Intrusion Prevention Service (IPS), in one
    normal form, whatever form the service gives them.
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
    type: str
    required: true
    aliases: [host_name]
seealso:
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

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_notification_info -a "server_name=VA1ACMEWEB01"
#
# In an AWX job template, a credential that sets CLC_V2_API_USERNAME and CLC_V2_API_PASSWD is all that the task needs.
"""

RETURN = r"""
server_name:
  description: The server's name, as given.
  returned: success
  type: str
  sample: VA1ACMEWEB01
account_alias:
  description: The account that owns the server.
  returned: success
  type: str
  sample: ACME
destinations:
  description: All destinations of the server, in an order that does not change between runs.
  returned: success
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
code:
  description: Code of the failure, such as V(unreachable). It stays the same between releases; the README lists all of them.
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
from ansible_collections.intrusion.response.plugins.module_utils._ips import notification
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import IpsClient

ARGUMENT_SPEC = {
    "server_name": {"type": "str", "required": True, "aliases": ["host_name"]},
    **connection_spec(IPS_CONNECTION),
}


def run(call: Call) -> dict:
    """Read the destinations of a server."""
    with IpsClient.from_call(call) as client:
        return notification.read(client, call.params["server_name"])


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
