#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the ledger of what was blocked and unblocked."""

from __future__ import annotations

DOCUMENTATION = r"""
module: response_ledger_info
short_description: Read the ledger of what was blocked and unblocked
version_added: 1.0.0
description:
  - Reads the ledger, in which the modules, the playbooks and the responder of this collection record what they write to the
    blacklists of firewalls, when, for whom and because of which IPS event.
  - Also returns the recorded blocks that still stand, in a form that M(intrusion.response.cos_blacklist_entries) accepts to remove them.
  - A record must match all filters. No firewall is contacted.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes.info
  - intrusion.response.attributes.actiongroup_response
  - intrusion.response.ledger
options:
  event:
    description:
      - Only what this IPS event led to, by its id. The first 12 or more characters of the id are enough if no other event in the ledger
        begins with them.
      - The form in which the firewall lists the id is accepted as well, such as V(5d41402abc4b2a76b9719d911017c592.3f9a).
    type: str
  rule_name:
    description:
      - Only entries with this rule name, or those that an IPS rule of this name led to. C(*) matches any text, C(?) any
        character and C([...]) one of several. The case of C(A) to C(Z) is ignored.
    type: str
  addresses:
    description:
      - Only these IPv4 addresses. If this is empty, all addresses.
    type: list
    elements: str
    default: []
  firewall:
    description:
      - Only this firewall, given by its O(intrusion.response.cos_blacklist_entry#module:api_url).
    type: str
  since:
    description:
      - Only what was done at this time or later, such as V(2026-11-22T03:10:00Z). Without a time zone, it is UTC. Seconds since the
        epoch are accepted as well.
    type: str
  until:
    description:
      - Only what was done before this time.
    type: str
  last:
    description:
      - Only what was done in the last minutes, as a number of minutes, or a duration such as V(90s), V(2h), V(1d) or V(1w). Cannot be
        combined with O(since) or O(until).
    type: str
  action:
    description:
      - Only these actions. RV(standing) does not depend on it.
    type: list
    elements: str
    choices: [block, renew, update, unblock]
    default: []
  origin:
    description:
      - Only what this module or the responder did. The playbooks use M(intrusion.response.cos_blacklist_entries).
    type: str
    choices: [cos_blacklist_entries, cos_blacklist_entry, cos_blacklist_probe, responder]
  limit:
    description:
      - How many of the newest records, and of the newest standing blocks, to return at most. V(0) returns all. RV(total) and
        RV(standing_total) give their total numbers.
    type: int
    default: 100
notes:
  - A block that may have failed (RV(records[].outcome) is V(unknown)) counts as standing. So does one that was about to be sent
    when a run was killed.
  - For standing blocks, the filters apply to the time and event of the first block, so a block that was only renewed in the last ten
    minutes is not a block of the last ten minutes.
seealso:
  - module: intrusion.response.cos_blacklist_entries
"""

EXAMPLES = r"""
- name: Read what happened in the last hour
  intrusion.response.response_ledger_info:
    last: 1h

- name: Find out who blocked this address, and why
  intrusion.response.response_ledger_info:
    addresses: [203.0.113.5]
    action: [block]
    limit: 1

- name: Find the standing blocks of one firewall that an IPS rule led to
  intrusion.response.response_ledger_info:
    rule_name: "Invalid Traversal*"
    firewall: https://192.0.2.1
    limit: 0
  register: recorded

- name: Remove them, if they are still ours
  intrusion.response.cos_blacklist_entries:
    api_url: https://192.0.2.1
    state: absent
    match_rule_name: true
    entries: "{{ recorded.standing }}"

# Ad hoc:
#   ansible localhost -m intrusion.response.response_ledger_info -a "last=30m"
#
# In AWX, create a job template of type Check with the playbook intrusion.response.undo: it shows what it would undo.
"""

RETURN = r"""
records:
  description: The records, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Number of the record.
      type: int
      sample: 42
    at:
      description: When it was done, in UTC.
      type: str
      sample: "2026-11-22T03:10:00.125Z"
    action:
      description: What was done. One of V(block), V(renew), V(update) and V(unblock).
      type: str
      sample: block
    outcome:
      description: V(ok), V(failed), or V(unknown) if it may have taken effect, for example because the run was killed.
      type: str
      sample: ok
    code:
      description: Code of the failure, otherwise null. With V(ok), the entry is there, but was stored differently.
      type: str
      sample: null
    address:
      description: The address.
      type: str
      sample: 203.0.113.5
    service:
      description: The service.
      type: str
      sample: all_services
    firewall:
      description: Address of the firewall.
      type: str
      sample: https://192.0.2.1
    ttl:
      description: Seconds that the entry had left after the write. Null if that is unknown.
      type: int
      sample: 3600
    rule_name:
      description: Rule name as listed after the write; for an unblock, before it.
      type: str
      sample: "IPS: Invalid Traversal"
    description:
      description: Description of the entry.
      type: str
      sample: port scan
    origin:
      description: The module that did it, or V(responder).
      type: str
      sample: cos_blacklist_entries
    user:
      description: Who did it.
      type: str
      sample: alice
    job:
      description: Id of the AWX or Ansible Automation Platform job, otherwise null.
      type: str
      sample: "1234"
    event:
      description: Id of the IPS event that led to it, otherwise null.
      type: str
      sample: 5d41402abc4b2a76b9719d911017c592
    event_rule:
      description: Name of the IPS rule that raised the event, otherwise null.
      type: str
      sample: Invalid Traversal
    overridden:
      description: Why the address was protected, if allow_protected overrode that. Otherwise null.
      type: str
      sample: null
total:
  description: How many records match the filters.
  returned: success
  type: int
  sample: 1
standing:
  description: Blocks that matched the filters when they were made, and have neither been removed since nor expired. Oldest first.
  returned: success
  type: list
  elements: dict
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
      description: Seconds left. Null if that is unknown.
      type: int
      sample: 3480
    rule_name:
      description: Rule name as listed after the latest write.
      type: str
      sample: "IPS: Invalid Traversal"
    description:
      description: Description as listed after the latest write.
      type: str
      sample: port scan
    firewall:
      description: Address of the firewall.
      type: str
      sample: https://192.0.2.1
    event:
      description: Id of the IPS event that led to the block, otherwise null.
      type: str
      sample: 5d41402abc4b2a76b9719d911017c592
    event_rule:
      description: Name of the IPS rule that raised the event, otherwise null.
      type: str
      sample: Invalid Traversal
    at:
      description: When the block was made, in UTC.
      type: str
      sample: "2026-11-22T03:10:00.125Z"
    expires_at:
      description: When it expires, in UTC. Null if that is unknown.
      type: str
      sample: "2026-11-22T04:10:00.125Z"
standing_total:
  description: How many standing blocks there are.
  returned: success
  type: int
  sample: 1
exempt:
  description: Exempt addresses, which must not be blocked for a time. Of the filters, only O(addresses) applies.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The address.
      type: str
      sample: 203.0.113.5
    until:
      description: When the exemption ends, in UTC.
      type: str
      sample: "2026-11-22T05:10:00Z"
    user:
      description: Who made the exemption.
      type: str
      sample: alice
    at:
      description: When it was made, in UTC.
      type: str
      sample: "2026-11-22T03:10:00.125Z"
ledger:
  description: The file or the database, without a password.
  returned: success
  type: str
  sample: /var/lib/intrusion-response/ledger
shared:
  description:
    - Whether it is a database, which all its users share. A file has only what was recorded on its machine, so more may have been
      recorded elsewhere.
  returned: success
  type: bool
  sample: false
exists:
  description: Whether the ledger exists. If it does not, there are no records either.
  returned: success
  type: bool
  sample: true
code:
  description: Code of the failure, such as V(ledger_unusable). It stays the same between releases; docs/failures.md lists all of them.
  returned: failure
  type: str
  sample: ledger_unusable
http_status:
  description: Always null, since the module makes no HTTP requests.
  returned: failure
  type: int
  sample: null
retryable:
  description: Whether the same task may succeed if it is run again.
  returned: failure
  type: bool
  sample: false
hint:
  description: What to do about the failure; C(msg) ends with it. Null if there is no advice.
  returned: failure
  type: str
  sample: null
"""

from ansible_collections.intrusion.response.plugins.module_utils._core.call import Call
from ansible_collections.intrusion.response.plugins.module_utils._core.module import connection_spec, run_module
from ansible_collections.intrusion.response.plugins.module_utils._core.options import LEDGER
from ansible_collections.intrusion.response.plugins.module_utils._ledger import query
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

ARGUMENT_SPEC = {
    "event": {"type": "str"},
    "rule_name": {"type": "str"},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "firewall": {"type": "str"},
    "since": {"type": "str"},
    "until": {"type": "str"},
    "last": {"type": "str"},
    "action": {"type": "list", "elements": "str", "choices": ["block", "renew", "update", "unblock"], "default": []},
    "origin": {"type": "str", "choices": ["cos_blacklist_entries", "cos_blacklist_entry", "cos_blacklist_probe", "responder"]},
    "limit": {"type": "int", "default": 100},
    **connection_spec(LEDGER),
}


def run(call: Call) -> dict:
    """Read the ledger."""
    ledger = Ledger.from_option(call.params["ledger"], call.warn)
    return query.report(ledger, query.Query.from_params(call.params), call.warn)


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
