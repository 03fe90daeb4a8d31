#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Block an address on a Clavister cOS Core firewall, or unblock it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cos_blacklist_entry
short_description: Block an IPv4 address on a Clavister cOS Core firewall
version_added: 1.0.0
description:
  - Puts a source IPv4 address on the blacklist of a Clavister cOS Core firewall (NetWall), for a limited time and with a reason, or
    removes it.
  - An entry is identified by O(host) and O(service), compared exactly. Only entries added through the REST API can be changed or
    removed. Other entries that still block an address to be unblocked are reported and left alone.
  - An entry expires by itself. That its time counts down is not a change.
  - After every write, the blacklist is read back, and the result reports what is there.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes
  - intrusion.response.attributes.actiongroup_cos
  - intrusion.response.cos
  - intrusion.response.guard
  - intrusion.response.ledger.writing
options:
  host:
    description:
      - The IPv4 address to block. The API does not accept networks, ranges, names or IPv6 addresses.
    type: str
    required: true
  service:
    description:
      - Name of a Service object in the firewall's configuration, to block only that service. Case matters.
    type: str
    default: all_services
  state:
    description:
      - Whether the address should be on the blacklist.
    type: str
    choices: [present, absent]
    default: present
  ttl:
    description:
      - How many seconds the entry lasts. The firewall's default for a new entry is 300.
      - An entry that would last longer than this is shortened. An entry with less time left is left alone; see O(renew_below).
    type: int
  renew_below:
    description:
      - Restart the entry's time if fewer seconds than this are left. Must be less than O(ttl).
      - Some firewalls may list the time that an entry was given rather than the time that it has left. There, an entry is not renewed,
        but added again once it has expired.
    type: int
  rule_name:
    description:
      - Free text that is stored and listed with the entry. When not given, an existing entry keeps its text.
    type: str
  description:
    description:
      - Free text that is stored and listed with the entry. When not given, an existing entry keeps its text.
    type: str
  close_established:
    description:
      - Also close the address's open connections.
      - This happens when an entry is written. It is not stored, so it has no effect if nothing needs to be written.
    type: bool
  every_service:
    description:
      - With O(state=absent), remove the entries of the address for every service, not only the one for O(service).
    type: bool
    default: false
  match_rule_name:
    description:
      - With O(state=absent), remove the entry only if it is listed with exactly O(rule_name), which is then required. An entry
        with a different text belongs to somebody else and is left alone, with a warning.
    type: bool
    default: false
  stored_mismatch:
    description:
      - What to do if the firewall stored something other than what was sent, such as a truncated O(rule_name), or a shorter time than
        O(ttl). V(fail) fails with V(stored_differently) and says what was requested and what is listed; the address is blocked.
      - V(warn) only issues a warning. If a text stays different, every run writes the entry again.
    type: str
    choices: [fail, warn]
    default: fail
notes:
  - For cOS Core on NetWall and its virtual editions. NetShield runs cOS Stream, which does not have this API.
  - The firewall needs a REST management object (RemoteMgmtREST) with read/write access that accepts this machine's address.
  - Whether a high availability cluster copies the blacklist to its peer is not documented. Name both peers.
  - A host on the firewall's whitelist is never added; the module fails with V(not_listed_after_write).
seealso:
  - module: intrusion.response.cos_blacklist_entry_info
  - module: intrusion.response.response_ledger_info
"""

EXAMPLES = r"""
- name: Block an attacker for an hour
  intrusion.response.cos_blacklist_entry:
    api_url: https://192.0.2.1
    username: blocker
    password: "{{ cos_password }}"
    host: 203.0.113.5
    ttl: 3600
    rule_name: Invalid Traversal
    description: port scan
    close_established: true

- name: Keep the attacker blocked, renewing the entry if less than ten minutes are left
  intrusion.response.cos_blacklist_entry:
    api_url: https://192.0.2.1
    host: 203.0.113.5
    ttl: 3600
    renew_below: 600

- name: Unblock the address for all services
  intrusion.response.cos_blacklist_entry:
    api_url: https://192.0.2.1
    host: 203.0.113.5
    state: absent
    every_service: true

# Ad hoc, with COS_API_URL, COS_USERNAME and COS_PASSWORD in the environment:
#   ansible localhost -m intrusion.response.cos_blacklist_entry -a "host=203.0.113.5 ttl=600 description='port scan'"
#
# In an AWX job template, launch the playbook intrusion.response.block with the extra variable blacklist_addresses; see the README.
"""

RETURN = r"""
action:
  description: What was done, or in check mode would be. One of V(added), V(renewed), V(updated), V(removed) and V(unchanged).
  returned: success
  type: str
  sample: added
entry:
  description: The entry as the firewall lists it after the task; in check mode, as predicted. Null if there is none.
  returned: success
  type: dict
  contains:
    host:
      description: The blocked address.
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
      description: Always V(REST), which marks entries added through the API.
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
  description:
    - When the entry expires, in UTC, computed from the listed ttl; in check mode, as predicted. On a firewall that lists the time that
      an entry was given rather than the time that it has left, it expires sooner. Null if that is unknown or there is no entry.
  returned: success
  type: str
  sample: "2026-11-22T03:10:00Z"
still_blocked:
  description:
    - With O(state=absent), the entries that still block the address, in the form of RV(entry), also named in a warning. They are for
      another service, have a different rule name, or come from a source other than the API, which cannot remove those. If the firewall
      spells a service differently, its entry also shows up here.
  returned: success
  type: list
  elements: dict
  sample: []
protected:
  description: Why the address is protected, if O(allow_protected) overrode that. Otherwise null.
  returned: success
  type: str
  sample: null
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
from ansible_collections.intrusion.response.plugins.module_utils._core.options import COS_CONNECTION, LEDGER_WRITING
from ansible_collections.intrusion.response.plugins.module_utils._cos.apply import ensure
from ansible_collections.intrusion.response.plugins.module_utils._cos.change import one_result
from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import Guard
from ansible_collections.intrusion.response.plugins.module_utils._cos.record import Recorder
from ansible_collections.intrusion.response.plugins.module_utils._cos.wanted import Wanted

ARGUMENT_SPEC = {
    "host": {"type": "str", "required": True},
    "service": {"type": "str", "default": "all_services"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "ttl": {"type": "int"},
    "renew_below": {"type": "int"},
    "rule_name": {"type": "str"},
    "description": {"type": "str"},
    "close_established": {"type": "bool"},
    "every_service": {"type": "bool", "default": False},
    "match_rule_name": {"type": "bool", "default": False},
    "stored_mismatch": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    "never_block": {"type": "list", "elements": "str", "default": []},
    "allow_protected": {"type": "bool", "default": False},
    **connection_spec(COS_CONNECTION),
    **connection_spec(LEDGER_WRITING),
}


def run(call: Call) -> dict:
    """Bring one blacklist entry to the desired state."""
    wanted = Wanted.from_params(call.params)
    with CosClient.from_call(call) as client, Recorder.from_call(call, "cos_blacklist_entry", client.endpoint.url) as recorder:
        guard = Guard.from_call(call, client.endpoint, recorder.exemptions([wanted.host])) if wanted.state == "present" else None
        done, blocking = ensure(client, [wanted], guard, check_mode=call.check_mode, warn=call.warn, intend=recorder.intend)
    for change in done:
        if change.remark is not None:
            call.warn(change.remark)
    return one_result(done, blocking)


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
