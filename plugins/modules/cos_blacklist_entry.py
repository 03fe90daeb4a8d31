#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Block an address on a Clavister cOS Core firewall, or take it off the blacklist again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cos_blacklist_entry
short_description: Block an IPv4 address on a Clavister cOS Core firewall
version_added: 1.0.0
description:
  - Puts one source IPv4 address on the blacklist of a Clavister cOS Core firewall (NetWall), for a time and with a reason, or
    takes it off again.
  - An entry is identified by O(host) and O(service), exactly. Only entries that came in through the REST API can be changed or
    removed. What else blocks an address that was to be let in is named, and left alone.
  - An entry expires without another task. That its time counts down is never a change.
  - After every write the blacklist is read back, and what is reported is what is there.
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
      - The address to block, one IPv4 address. The API takes no networks, ranges, names or IPv6 addresses.
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
      - How many seconds the entry lives. The firewall's default for a new entry is 300.
      - An entry that would live longer than this is shortened. One that has less left is not a difference; see O(renew_below).
    type: int
  renew_below:
    description:
      - Start the entry's time again when fewer seconds than this are left. Must be less than O(ttl).
      - Firewalls may list the time an entry was given rather than the time it has left. On those an entry is not renewed,
        but added again once it has expired.
    type: int
  rule_name:
    description:
      - Free text that is stored and listed with the entry. When not given, the text of an existing entry is left alone.
    type: str
  description:
    description:
      - Free text that is stored and listed with the entry. When not given, the text of an existing entry is left alone.
    type: str
  close_established:
    description:
      - Also close the connections that the address has open already.
      - This is done when an entry is written. It is not stored, so it has no effect when nothing needs to be written.
    type: bool
  every_service:
    description:
      - With O(state=absent), remove the entries of the address for every service, not only the one for O(service).
    type: bool
    default: false
  match_rule_name:
    description:
      - With O(state=absent), remove the entry only if it is listed with exactly O(rule_name), which must be given then. One
        that bears another text belongs to somebody else and is left alone, which is said in a warning.
    type: bool
    default: false
  stored_mismatch:
    description:
      - What to do when the firewall stored something other than was sent, such as a shortened O(rule_name), or a shorter time than
        O(ttl). V(fail) is the failure V(stored_differently), with what was asked for and what is listed; the address is blocked.
      - V(warn) says it in a warning and goes on. Where a text stays different, every run then writes again.
    type: str
    choices: [fail, warn]
    default: fail
notes:
  - For cOS Core on NetWall and its virtual editions. NetShield runs cOS Stream, which does not have this API.
  - The firewall needs a REST management object (RemoteMgmtREST) with read/write access that accepts this machine's address.
  - Whether a high availability cluster copies the blacklist to its peer is not documented. Name both peers.
  - A host on the firewall's whitelist is never added; the module then fails with V(not_listed_after_write).
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

- name: Keep the attacker blocked, renewing when less than ten minutes are left
  intrusion.response.cos_blacklist_entry:
    api_url: https://192.0.2.1
    host: 203.0.113.5
    ttl: 3600
    renew_below: 600

- name: Let the address in again, for all services
  intrusion.response.cos_blacklist_entry:
    api_url: https://192.0.2.1
    host: 203.0.113.5
    state: absent
    every_service: true

# Ad hoc, with COS_API_URL, COS_USERNAME and COS_PASSWORD in the environment:
#   ansible localhost -m intrusion.response.cos_blacklist_entry -a "host=203.0.113.5 ttl=600 description='port scan'"
#
# In an AWX job template, launch the playbook intrusion.response.block with the extra variable addresses; see the README.
"""

RETURN = r"""
action:
  description: What was done, or would be done in check mode. One of V(added), V(renewed), V(updated), V(removed) and V(unchanged).
  returned: success
  type: str
  sample: added
entry:
  description: The entry as the firewall lists it after the task, predicted in check mode. Null when there is none.
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
      description: Seconds as listed, null when the firewall lists something other than a number.
      type: int
      sample: 600
    alert_type:
      description: Always V(REST), the mark of entries that came in through the API.
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
    - When the entry ends, in UTC, computed from the listed ttl; predicted in check mode. A firewall that lists the time an entry was
      given rather than the time it has left ends it sooner. Null when that is not known, and when there is no entry.
  returned: success
  type: str
  sample: "2026-11-22T03:10:00Z"
still_blocked:
  description:
    - With O(state=absent), the entries that still block the address, in the shape of RV(entry). They are for another service,
      bear another rule name, or come from another source than the API, which cannot remove those. A firewall that spells a
      service in its own way is seen here, too. A warning names them.
  returned: success
  type: list
  elements: dict
  sample: []
protected:
  description: Why the address is protected, when O(allow_protected) overrode that, otherwise null.
  returned: success
  type: str
  sample: null
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
    """Bring one blacklist entry to the wanted state."""
    wanted = Wanted.from_params(call.params)
    with CosClient.from_call(call) as client, Recorder.from_call(call, "cos_blacklist_entry", client.endpoint.url) as recorder:
        guard = Guard.from_call(call, client.endpoint, recorder.why_exempt) if wanted.state == "present" else None
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
