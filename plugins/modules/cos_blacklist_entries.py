#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manage many blacklist entries of a Clavister cOS Core firewall in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cos_blacklist_entries
short_description: Manage many blacklist entries of a Clavister cOS Core firewall
version_added: 1.0.0
description:
  - Puts many source IPv4 addresses on the blacklist of a Clavister cOS Core firewall (NetWall), or takes them off, in one task.
  - The blacklist is read once, only what differs is written, over several kept connections, and the blacklist is read again.
  - Every entry follows the same rules as in M(intrusion.response.cos_blacklist_entry), and has a result of its own.
  - All entries are checked before the first request. One that no firewall would accept fails the task and nothing is written.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes
  - intrusion.response.attributes.actiongroup_cos
  - intrusion.response.cos
  - intrusion.response.guard
  - intrusion.response.ledger.writing
options:
  hosts:
    description:
      - Plain IPv4 addresses, for which the options of the task count. At least one of O(hosts) and O(entries) is needed.
    type: list
    elements: str
  entries:
    description:
      - Entries with options of their own. The same address may come several times only with different services, in O(hosts) and
        here together.
      - What RV(intrusion.response.cos_blacklist_entry_info#module:entries) returns can be given as it is, as long as it was read
        with O(intrusion.response.cos_blacklist_entry_info#module:alert_type=REST). So can
        RV(intrusion.response.response_ledger_info#module:standing), together with O(state=absent).
    type: list
    elements: dict
    suboptions:
      host:
        description:
          - The address to block, one IPv4 address.
        type: str
        required: true
      service:
        description:
          - Name of a Service object in the firewall's configuration. Where it is not given, the task's O(service) counts.
        type: str
      state:
        description:
          - Whether the address should be on the blacklist. Where it is not given, the task's O(state) counts.
        type: str
        choices: [present, absent]
      ttl:
        description:
          - How many seconds the entry lives. Where it is not given, the task's O(ttl) counts.
        type: int
      renew_below:
        description:
          - Start the entry's time again when fewer seconds than this are left. Where it is not given, the task's O(renew_below)
            counts.
        type: int
      rule_name:
        description:
          - Free text. Where it is not given, the task's O(rule_name) counts.
        type: str
      description:
        description:
          - Free text. Where it is not given, the task's O(description) counts.
        type: str
      close_established:
        description:
          - Also close the connections that the address has open already. Where it is not given, the task's O(close_established)
            counts.
        type: bool
      alert_type:
        description:
          - As listed. Only entries with V(REST) can be written, others are refused.
        type: str
      expires_at:
        description:
          - As listed or recorded. It is ignored, O(entries[].ttl) counts.
        type: str
      event:
        description:
          - Id of the IPS event that led to this. Where it is not given, the task's O(event) counts.
        type: str
      event_rule:
        description:
          - Name of the IPS rule that raised the event. Where it is not given, the task's O(event_rule) counts.
        type: str
      firewall:
        description:
          - As recorded. An entry that was recorded for another firewall than that of O(api_url) is refused.
        type: str
      at:
        description:
          - As recorded. It is ignored.
        type: str
  service:
    description:
      - Service of the entries that do not name one.
    type: str
    default: all_services
  state:
    description:
      - State of the entries that do not name one.
    type: str
    choices: [present, absent]
    default: present
  ttl:
    description:
      - Seconds for the entries that do not name them. The firewall's default for a new entry is 300.
    type: int
  renew_below:
    description:
      - When to renew the entries that do not say it themselves.
    type: int
  rule_name:
    description:
      - Text of the entries that have none of their own.
    type: str
  description:
    description:
      - Text of the entries that have none of their own.
    type: str
  close_established:
    description:
      - Whether to close open connections, for the entries that do not say it themselves.
    type: bool
  every_service:
    description:
      - With O(state=absent), remove the entries of the addresses for every service. Each has a result of its own.
    type: bool
    default: false
  exempt:
    description:
      - With O(state=absent), for how long the addresses must not be blocked again, in minutes, or such as V(2h) or V(1d), 30 days at most.
      - It is kept in the ledger, and holds for every module and responder that shares it, on every firewall, unless O(allow_protected).
    type: str
  purge:
    description:
      - Remove all entries that bear the mark of O(purge_mark) and are not named. Other entries are never touched.
    type: bool
    default: false
  purge_mark:
    description:
      - How O(rule_name) begins in the entries that this task may purge. When not given, it is O(rule_name).
    type: str
  purge_limit:
    description:
      - How many entries may be purged, as a number (V(20)) or as a percentage of those that bear the mark (V(10%), rounded up).
      - When there are more, the task fails before the first write. This is what saves the blacklist when a feed arrives empty.
    type: str
    default: 50%
  on_error:
    description:
      - V(continue) does what can be done for every entry, and the task fails in the end if any entry failed.
      - V(stop) writes no further entry after the first one that is refused, and nothing at all when an address is protected.
        When any entry failed, nothing is removed.
    type: str
    choices: [continue, stop]
    default: continue
  concurrency:
    description:
      - How many connections to write over. The vendor asks to be polite; few are enough.
    type: int
    default: 4
  match_rule_name:
    description:
      - With O(state=absent), remove the entry only if it is listed with exactly O(entries[].rule_name), which must be given then. One
        that bears another text belongs to somebody else and is left alone, which is said in RV(entries[].msg).
    type: bool
    default: false
  stored_mismatch:
    description:
      - What to do when the firewall stored something other than was sent, such as a shortened text, or a shorter time than O(ttl).
        V(fail) makes that the failure V(stored_differently) of the entry, which blocks all the same; V(warn) says it in a warning.
    type: str
    choices: [fail, warn]
    default: fail
notes:
  - For cOS Core on NetWall and its virtual editions. NetShield runs cOS Stream, which does not have this API.
seealso:
  - module: intrusion.response.cos_blacklist_entry
  - module: intrusion.response.cos_blacklist_entry_info
  - module: intrusion.response.response_ledger_info
"""

EXAMPLES = r"""
- name: Block some addresses for an hour
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.1
    username: blocker
    password: "{{ cos_password }}"
    ttl: 3600
    rule_name: incident-42
    hosts: [203.0.113.5, 203.0.113.7]
    entries:
      - host: 203.0.113.6
        service: http-all
        description: only the web

- name: Keep a feed of addresses (one a line, with # comments) on the blacklist, and take off what has left the feed
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.1
    hosts: "{{ lookup('ansible.builtin.file', 'feed.txt') | regex_replace('#.*', '') | split }}"
    ttl: 86400
    renew_below: 43200
    rule_name: feed
    purge: true
    purge_limit: 20%

- name: Read what is blocked on one firewall
  intrusion.response.cos_blacklist_entry_info:
    api_url: https://192.0.2.1
    alert_type: REST
  register: blacklist

- name: Block the same on its peer
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.2
    entries: "{{ blacklist.entries }}"

# Ad hoc, with COS_API_URL, COS_USERNAME and COS_PASSWORD in the environment:
#   ansible localhost -m intrusion.response.cos_blacklist_entries \
#     -a '{"ttl": 600, "hosts": ["203.0.113.5", "203.0.113.6"]}'
#
# In an AWX job template, launch the playbook intrusion.response.block with the extra variable addresses; see the README.
"""

RETURN = r"""
entries:
  description: A result for each of O(hosts), then for each of O(entries), in the order given; after them those that were purged.
  returned: when the blacklist could be read
  type: list
  elements: dict
  contains:
    host:
      description: The address.
      type: str
      sample: 203.0.113.5
    service:
      description: The service.
      type: str
      sample: all_services
    action:
      description:
        - What was done, or would be done in check mode. One of V(added), V(renewed), V(updated), V(removed), V(unchanged),
          V(protected) and V(failed).
      type: str
      sample: added
    entry:
      description: The entry as the firewall lists it after the task, predicted in check mode. Null when there is none.
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
          sample: feed
        description:
          description: Free text.
          type: str
          sample: ""
    expires_at:
      description:
        - When the entry ends, in UTC, computed from the listed ttl; predicted in check mode. A firewall that lists the time an entry was
          given rather than the time it has left ends it sooner. Null when that is not known, and when there is no entry.
      type: str
      sample: "2026-11-22T03:10:00Z"
    protected:
      description: Why the address is protected, otherwise null.
      type: str
      sample: it is a loopback address
    purged:
      description: Whether the entry was removed because it was not named.
      type: bool
      sample: false
    code:
      description: Code of the failure, otherwise null.
      type: str
      sample: protected_address
    msg:
      description: What failed, why an entry was left alone, or what else still blocks an address that was to be let in. Otherwise null.
      type: str
      sample: "127.0.0.1 was not blocked: it is a loopback address."
counts:
  description: How many entries had which action.
  returned: when the blacklist could be read
  type: dict
  sample: {"added": 2, "unchanged": 998}
still_blocked:
  description:
    - Entries that still block an address that was to be let in, in the shape of RV(entries[].entry). They are for another service,
      bear another rule name, or come from another source than the API, which cannot remove those. A firewall that spells a
      service in its own way is seen here, too.
  returned: when the blacklist could be read
  type: list
  elements: dict
  sample: []
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
from ansible_collections.intrusion.response.plugins.module_utils._core.options import COS_CONNECTION, LEDGER_WRITING, integer_between
from ansible_collections.intrusion.response.plugins.module_utils._cos.apply import ensure
from ansible_collections.intrusion.response.plugins.module_utils._cos.change import blockers, many_results
from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import Guard
from ansible_collections.intrusion.response.plugins.module_utils._cos.record import Recorder
from ansible_collections.intrusion.response.plugins.module_utils._cos.wanted import Purge, Wanted

RECORDED = ("alert_type", "expires_at", "event", "event_rule", "firewall", "at")
ENTRY_SPEC = {
    "host": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"]},
    **{name: {"type": "int"} for name in ("ttl", "renew_below")},
    "close_established": {"type": "bool"},
    **{name: {"type": "str"} for name in ("service", "rule_name", "description", *RECORDED)},
}
ARGUMENT_SPEC = {
    "hosts": {"type": "list", "elements": "str"},
    "entries": {"type": "list", "elements": "dict", "options": ENTRY_SPEC},
    "service": {"type": "str", "default": "all_services"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    **{name: {"type": "int"} for name in ("ttl", "renew_below")},
    **{name: {"type": "str"} for name in ("rule_name", "description", "purge_mark", "exempt")},
    "close_established": {"type": "bool"},
    "purge_limit": {"type": "str", "default": "50%"},
    "on_error": {"type": "str", "choices": ["continue", "stop"], "default": "continue"},
    "concurrency": {"type": "int", "default": 4},
    "stored_mismatch": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    "never_block": {"type": "list", "elements": "str", "default": []},
    **{name: {"type": "bool", "default": False} for name in ("every_service", "purge", "match_rule_name", "allow_protected")},
    **connection_spec((*COS_CONNECTION, *LEDGER_WRITING)),
}


def run(call: Call) -> dict:
    """Bring many blacklist entries to the wanted state."""
    integer_between("concurrency", call.params["concurrency"], 1, 64)
    wanted = Wanted.many_from_params(call.params)
    purge = Purge.from_params(call.params, wanted)
    with CosClient.from_call(call) as client, Recorder.from_call(call, "cos_blacklist_entries", client.endpoint.url) as recorder:
        guard = Guard.from_call(call, client.endpoint, recorder.why_exempt) if any(one.state == "present" for one in wanted) else None
        how = {"purge": purge, "stop": call.params["on_error"] == "stop", "check_mode": call.check_mode}
        exemption = recorder.exemption(call.params["exempt"], wanted)
        done, blocking = ensure(client, wanted, guard, **how, warn=call.warn, intend=recorder.intend)
        recorder.exempt(done, wanted, exemption)
    if blocking:
        call.warn(f"Addresses that were to be let in are still blocked by {blockers(blocking)}.")
    return many_results(done, blocking)


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
