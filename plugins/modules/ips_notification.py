#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set where the events of a server go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ips_notification
short_description: Set where the CLC Intrusion Prevention Service sends the events of a server
version_added: 1.0.0
description:
  - Adds, updates and removes the notification destinations of a server in the CenturyLink Cloud (CLC) Intrusion Prevention
    Service (IPS).
  - The destinations are read once and written at most once. Their order does not matter.
  - Other destinations are kept, including any undocumented properties, unless O(purge) is set.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes
  - intrusion.response.attributes.actiongroup_ips
  - intrusion.response.ips
  - intrusion.response.ips.destinations
options:
  server_name:
    description:
      - Name of the server as the service knows it, such as V(VA1ACMEWEB01). The module ignores its case but preserves it.
    type: str
    required: true
    aliases: [host_name]
  state:
    description:
      - V(present) adds the destinations. A syslog server that differs only in its facility is updated.
      - V(absent) removes the given destinations, or all of them if none are given.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description:
      - With O(state=present), remove every destination that is not given. If O(destinations) is empty, all are removed.
    type: bool
    default: false
  check_server:
    description:
      - First ask the CLC v2 API whether the server exists, since the service may silently accept a mistyped name.
      - Not usable for servers outside CenturyLink Cloud.
    type: bool
    default: false
  verify_timeout:
    description:
      - How many seconds to wait until the service shows what was written, since it may queue writes. V(0) skips the check.
      - If the service shows something that is neither what was written nor what was there before, the task fails at once
        (C(stored_differently)) and says what differs.
    type: int
    default: 30
notes:
  - Events for a syslog server come from C(dsm01.client-security.ctl.io) and C(dsm02.client-security.ctl.io), from port 514/udp. The
    firewall in front of the syslog server must admit them to the port that is given here.
  - A 404 that does not come from this API, such as a gateway's page, is a failure (C(wrong_service)), never "no destinations". An empty 404
    cannot be distinguished from the service's own; it counts as such, with a warning.
  - According to its documentation, the service accepts one syslog server and one webhook for each server. More than one of either
    is sent anyway, with a warning.
seealso:
  - module: intrusion.response.ips_notification_info
  - module: intrusion.response.ips_agent
"""

EXAMPLES = r"""
- name: Send events to a webhook and to the log server
  intrusion.response.ips_notification:
    server_name: VA1ACMEWEB01
    destinations:
      - type: webhook
        url: "{{ ips_webhook_url }}"
      - type: syslog
        syslog:
          ip_address: 192.0.2.10
          udp_port: 514
          facility: local0

- name: Set these destinations and no others
  intrusion.response.ips_notification:
    server_name: VA1ACMEWEB01
    purge: true
    destinations:
      - type: email
        email_address: secops@example.com

- name: Remove one e-mail destination
  intrusion.response.ips_notification:
    server_name: VA1ACMEWEB01
    state: absent
    destinations:
      - type: email
        email_address: secops@example.com

- name: Remove all destinations
  intrusion.response.ips_notification:
    server_name: VA1ACMEWEB01
    state: absent

# Ad hoc, with the credentials in the environment:
#   ansible localhost -m intrusion.response.ips_notification \
#     -a '{"server_name": "VA1ACMEWEB01", "destinations": [{"type": "email", "email_address": "secops@example.com"}]}'
#
# In an AWX job template, a survey variable can provide the address, while a credential sets CLC_V2_API_USERNAME and
# CLC_V2_API_PASSWD in the environment; see the collection's README.
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
  description: All destinations of the server after the task, as read back. In check mode, and if they are not read back, as predicted.
  returned: success
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
from ansible_collections.intrusion.response.plugins.module_utils._ips import notification
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import IpsClient
from ansible_collections.intrusion.response.plugins.module_utils._ips.destination import DESTINATION_OPTIONS

ARGUMENT_SPEC = {
    "server_name": {"type": "str", "required": True, "aliases": ["host_name"]},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "destinations": {"type": "list", "elements": "dict", "options": DESTINATION_OPTIONS, "default": []},
    "purge": {"type": "bool", "default": False},
    "check_server": {"type": "bool", "default": False},
    "verify_timeout": {"type": "int", "default": 30},
    **connection_spec(IPS_CONNECTION),
}


def run(call: Call) -> dict:
    """Bring the destinations of a server to the desired state."""
    wanted = notification.Wanted.from_params(call.params, call.warn)
    with IpsClient.from_call(call) as client:
        return notification.ensure(client, wanted, check_mode=call.check_mode).result()


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
