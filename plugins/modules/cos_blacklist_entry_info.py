#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""List the blacklist of a Clavister cOS Core firewall."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cos_blacklist_entry_info
short_description: List the blacklist of a Clavister cOS Core firewall
version_added: 1.0.0
description:
  - Lists the blacklist of a Clavister cOS Core firewall (NetWall), both as the firewall returns it and in a normal form.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes.info
  - intrusion.response.attributes.actiongroup_cos
  - intrusion.response.cos
options:
  hosts:
    description:
      - List only the entries that block one of these IPv4 addresses, including as part of a network.
      - If this is empty, the entries of all hosts are listed.
    type: list
    elements: str
    default: []
  service:
    description:
      - List only the entries for this service. V(all_services) is a service like any other, not a wildcard.
    type: str
  alert_type:
    description:
      - List only the entries from this source. V(REST) means those added through the API; the firewall defines the names of the other
        sources. V(ALL) lists all sources, as does omitting this option.
    type: str
  ttl_meaning:
    description:
      - Whether the firewall lists the time that an entry has left (V(remaining)) or the time that it was given
        (V(configured)). This is not documented; V(remaining) is the likely reading. RV(entries[].expires_at) depends on it.
    type: str
    choices: [remaining, configured]
    default: remaining
  gather_device:
    description:
      - Also read the firewall's model and version, and its high availability state.
    type: bool
    default: false
seealso:
  - module: intrusion.response.cos_blacklist_entry
"""

EXAMPLES = r"""
- name: List the entries added through the API
  intrusion.response.cos_blacklist_entry_info:
    api_url: https://192.0.2.1
    username: audit
    password: "{{ cos_password }}"
    alert_type: REST
  register: blacklist

- name: Check whether this address is blocked, and by whom
  intrusion.response.cos_blacklist_entry_info:
    api_url: https://192.0.2.1
    hosts: [203.0.113.5]

# Ad hoc, with COS_API_URL, COS_USERNAME and COS_PASSWORD in the environment:
#   ansible localhost -m intrusion.response.cos_blacklist_entry_info
#
# In an AWX job template, launch the playbook intrusion.response.report; see the README.
"""

RETURN = r"""
entries:
  description: The entries in normal form, in the firewall's order.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The blocked address. Sources other than the API may block networks.
      type: str
      sample: 203.0.113.5
    service:
      description: The blocked service.
      type: str
      sample: all_services
    ttl:
      description: Seconds as listed. Null if the firewall lists something other than a number.
      type: int
      sample: 600
    alert_type:
      description: The source of the entry. V(REST) is the API.
      type: str
      sample: REST
    rule_name:
      description: Free text.
      type: str
      sample: ""
    description:
      description: Free text.
      type: str
      sample: port scan
    expires_at:
      description: When the entry expires, in UTC. Null if that is unknown, see O(ttl_meaning).
      type: str
      sample: "2026-11-22T03:10:00Z"
raw:
  description: The same entries exactly as the firewall returned them.
  returned: success
  type: list
  elements: dict
  sample: [{"host": "203.0.113.5", "service": "", "ttl": "600", "alert_type": "REST", "rule_name": "-", "description": "port scan"}]
total:
  description: How many entries the firewall listed, before filtering.
  returned: success
  type: int
  sample: 12
device:
  description: Model and version of the firewall.
  returned: when O(gather_device=true)
  type: dict
  contains:
    vendor:
      description: Vendor name.
      type: str
      sample: Clavister
    product:
      description: Product name.
      type: str
      sample: cOS Core
    version:
      description: Version.
      type: str
      sample: 15.00.00.15-12345
    model:
      description: Model.
      type: str
      sample: NetWall 200
    device_name:
      description: Name of the device.
      type: str
      sample: fw1
high_availability:
  description: High availability state. Null if the firewall does not report it.
  returned: when O(gather_device=true)
  type: dict
  contains:
    enabled:
      description: Whether the firewall is part of a cluster.
      type: bool
      sample: true
    active:
      description: Whether this peer is the active one. Null outside a cluster.
      type: bool
      sample: true
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
from ansible_collections.intrusion.response.plugins.module_utils._core.options import COS_CONNECTION
from ansible_collections.intrusion.response.plugins.module_utils._cos import info
from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient

ARGUMENT_SPEC = {
    "hosts": {"type": "list", "elements": "str", "default": []},
    "service": {"type": "str"},
    "alert_type": {"type": "str"},
    "ttl_meaning": {"type": "str", "choices": ["remaining", "configured"], "default": "remaining"},
    "gather_device": {"type": "bool", "default": False},
    **connection_spec(COS_CONNECTION),
}


def run(call: Call) -> dict:
    """List the blacklist."""
    wanted = info.Filter.from_params(call.params)
    with CosClient.from_call(call) as client:
        result = info.listing(client, wanted, warn=call.warn)
        if call.params["gather_device"]:
            result.update(info.device(client))
        return result


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
