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
  - Puts many source IPv4 addresses on the blacklist of a Clavister cOS Core firewall (NetWall), or removes them, in one task.
  - The blacklist is read once, the differences are written over several persistent connections, and the blacklist is read again.
  - Every entry follows the same rules as in M(intrusion.response.cos_blacklist_entry), and has a result of its own.
  - All entries are validated before the first request. If one is invalid, the task fails and nothing is written.
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
      - Plain IPv4 addresses, which use the options of the task. At least one of O(hosts) and O(entries) is required.
    type: list
    elements: str
  entries:
    description:
      - Entries with options of their own. An address may appear more than once in O(hosts) and O(entries) together only with
        different services.
      - RV(intrusion.response.cos_blacklist_entry_info#module:entries) can be used as it is, if it was read with
        O(intrusion.response.cos_blacklist_entry_info#module:alert_type=REST), and so can
        RV(intrusion.response.response_ledger_info#module:standing), with O(state=absent).
    type: list
    elements: dict
    suboptions:
      host:
        description:
          - The IPv4 address to block.
        type: str
        required: true
      service:
        description:
          - Name of a Service object in the firewall's configuration. Defaults to the task's O(service).
        type: str
      state:
        description:
          - Whether the address should be on the blacklist. Defaults to the task's O(state).
        type: str
        choices: [present, absent]
      ttl:
        description:
          - How many seconds the entry lasts. Defaults to the task's O(ttl).
        type: int
      renew_below:
        description:
          - Restart the entry's time if fewer seconds than this are left. Defaults to the task's O(renew_below).
        type: int
      rule_name:
        description:
          - Free text. Defaults to the task's O(rule_name).
        type: str
      description:
        description:
          - Free text. Defaults to the task's O(description).
        type: str
      close_established:
        description:
          - Also close the address's open connections. Defaults to the task's O(close_established).
        type: bool
      alert_type:
        description:
          - As listed. Only entries with V(REST) can be written; others are refused.
        type: str
      expires_at:
        description:
          - As listed or recorded. Ignored in favor of O(entries[].ttl).
        type: str
      event:
        description:
          - Id of the IPS event that led to this. Defaults to the task's O(event).
        type: str
      event_rule:
        description:
          - Name of the IPS rule that raised the event. Defaults to the task's O(event_rule).
        type: str
      firewall:
        description:
          - As recorded. An entry that was recorded for a firewall other than O(api_url) is refused.
        type: str
      at:
        description:
          - As recorded. Ignored.
        type: str
  service:
    description:
      - Service of the entries that do not set one.
    type: str
    default: all_services
  state:
    description:
      - State of the entries that do not set one.
    type: str
    choices: [present, absent]
    default: present
  ttl:
    description:
      - How many seconds the entries last that do not set O(entries[].ttl). The firewall's default for a new entry is 300.
    type: int
  renew_below:
    description:
      - Restart the time of an entry if fewer seconds than this are left, for entries that do not set O(entries[].renew_below).
    type: int
  rule_name:
    description:
      - Rule name of the entries that do not set one.
    type: str
  description:
    description:
      - Description of the entries that do not set one.
    type: str
  close_established:
    description:
      - Whether to close open connections, for entries that do not set O(entries[].close_established).
    type: bool
  every_service:
    description:
      - With O(state=absent), remove the entries of the addresses for every service. Each has a result of its own.
    type: bool
    default: false
  exempt:
    description:
      - With O(state=absent), for how long the addresses must not be blocked again, in minutes, or a duration such as V(2h) or V(1d), 30
        days at most.
      - The exemption is kept in the ledger. It applies to every module and responder that shares the ledger, on every firewall, unless
        O(allow_protected) overrides it.
    type: str
  purge:
    description:
      - Remove all entries that are marked with O(purge_mark) and not given here. Other entries are never touched.
    type: bool
    default: false
  purge_mark:
    description:
      - How the rule name of an entry must begin for this task to purge it. Defaults to O(rule_name).
    type: str
  purge_limit:
    description:
      - How many entries may be purged, as a number (V(20)) or as a percentage of the marked ones (V(10%), rounded up).
      - If there are more, the task fails before the first write. This protects the blacklist from a feed that arrives empty.
    type: str
    default: 50%
  on_error:
    description:
      - V(continue) processes every entry, and the task fails at the end if any entry failed.
      - V(stop) writes no further entries after the first one that is refused, and nothing at all if an address is protected.
        If any entry failed, nothing is removed.
    type: str
    choices: [continue, stop]
    default: continue
  concurrency:
    description:
      - How many connections to use for writing. The vendor asks clients to be considerate; a few are enough.
    type: int
    default: 4
  match_rule_name:
    description:
      - With O(state=absent), remove an entry only if it is listed with exactly O(entries[].rule_name), which is then required. An entry
        with a different text belongs to somebody else and is left alone, as RV(entries[].msg) says.
    type: bool
    default: false
  stored_mismatch:
    description:
      - What to do if the firewall stored something other than what was sent, such as a truncated text, or a shorter time than O(ttl).
        V(fail) fails the entry with V(stored_differently), although it does block; V(warn) issues a warning.
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
        description: web only

- name: Keep a feed of addresses (one per line, with # comments) on the blacklist, and remove those no longer in the feed
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.1
    hosts: "{{ lookup('ansible.builtin.file', 'feed.txt') | regex_replace('#.*', '') | split }}"
    ttl: 86400
    renew_below: 43200
    rule_name: feed
    purge: true
    purge_limit: 20%

- name: Read the blacklist of one firewall
  intrusion.response.cos_blacklist_entry_info:
    api_url: https://192.0.2.1
    alert_type: REST
  register: blacklist

- name: Block the same addresses on its peer
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.2
    entries: "{{ blacklist.entries }}"

# Ad hoc, with COS_API_URL, COS_USERNAME and COS_PASSWORD in the environment:
#   ansible localhost -m intrusion.response.cos_blacklist_entries \
#     -a '{"ttl": 600, "hosts": ["203.0.113.5", "203.0.113.6"]}'
#
# In an AWX job template, launch the playbook intrusion.response.block with the extra variable blacklist_addresses; see the README.
"""

RETURN = r"""
entries:
  description: A result for each of O(hosts), then for each of O(entries), in the order given, followed by the purged entries.
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
        - What was done, or in check mode would be. One of V(added), V(renewed), V(updated), V(removed), V(unchanged),
          V(protected) and V(failed).
      type: str
      sample: added
    entry:
      description: The entry as the firewall lists it after the task; in check mode, as predicted. Null if there is none.
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
          sample: feed
        description:
          description: Free text.
          type: str
          sample: ""
    expires_at:
      description:
        - When the entry expires, in UTC, computed from the listed ttl; in check mode, as predicted. On a firewall that lists the time
          that an entry was given rather than the time that it has left, it expires sooner. Null if that is unknown or there is no entry.
      type: str
      sample: "2026-11-22T03:10:00Z"
    protected:
      description: Why the address is protected, otherwise null.
      type: str
      sample: it is a loopback address
    purged:
      description: Whether the entry was purged.
      type: bool
      sample: false
    code:
      description: Code of the failure, otherwise null.
      type: str
      sample: protected_address
    msg:
      description: What failed, why an entry was left alone, or what else still blocks an address to be unblocked. Otherwise null.
      type: str
      sample: "127.0.0.1 was not blocked: it is a loopback address."
counts:
  description: The number of entries for each action.
  returned: when the blacklist could be read
  type: dict
  sample: {"added": 2, "unchanged": 998}
still_blocked:
  description:
    - Entries that still block an address to be unblocked, in the form of RV(entries[].entry). They are for another service, have a
      different rule name, or come from a source other than the API, which cannot remove those. If the firewall spells a service
      differently, its entry also shows up here.
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
    """Bring many blacklist entries to the desired state."""
    integer_between("concurrency", call.params["concurrency"], 1, 64)
    wanted = Wanted.many_from_params(call.params)
    how = {"purge": Purge.from_params(call.params, wanted), "stop": call.params["on_error"] == "stop", "check_mode": call.check_mode}
    with CosClient.from_call(call) as client, Recorder.from_call(call, "cos_blacklist_entries", client.endpoint.url) as recorder:
        hosts = [one.host for one in wanted if one.state == "present"]
        guard = Guard.from_call(call, client.endpoint, recorder.exemptions(hosts)) if hosts else None
        exemption = recorder.exemption(call.params["exempt"], wanted)
        done, blocking = ensure(client, wanted, guard, **how, warn=call.warn, intend=recorder.intend)
        recorder.exempt(done, wanted, exemption)
    if blocking:
        call.warn(f"Addresses to be unblocked are still blocked by {blockers(blocking)}.")
    return many_results(done, blocking)


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
