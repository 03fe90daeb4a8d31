#!/usr/bin/python
# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out how a Clavister cOS Core firewall behaves where its documentation is silent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cos_blacklist_probe
short_description: Find out how a Clavister cOS Core firewall behaves where its documentation is silent
version_added: 1.0.0
description:
  - Blocks an address that you can spare for a few seconds, in several ways, reads how the firewall reacts, and removes what it added.
  - Reports which readings of the vendor's documentation are true on this firewall, such as whether a listing shows the remaining time,
    and what each means for the settings of this collection.
  - In check mode, only the questions that can be answered by reading are answered.
author:
  - intrusion.response contributors (@intrusion-response)
extends_documentation_fragment:
  - intrusion.response.attributes.actiongroup_cos
  - intrusion.response.cos
  - intrusion.response.guard
  - intrusion.response.ledger
  - intrusion.response.ledger.writing
options:
  host:
    description:
      - An IPv4 address that you can spare, and that the API does not block yet. One reserved for documentation, such as
        V(203.0.113.254), belongs to nobody.
    type: str
    required: true
  service:
    description:
      - A service that the firewall knows, for a second entry.
    type: str
    default: http-all
  wait:
    description:
      - Seconds between two readings of an entry's time, V(2) to V(60).
    type: int
    default: 10
  whitelisted:
    description:
      - An address on the firewall's own whitelist, to try to block it as well. If it is not whitelisted, it is blocked for a moment.
    type: str
  foreign:
    description:
      - An address that a source other than the API blocks, to try to remove it, which according to the documentation is impossible.
    type: str
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    details: Only reads, and leaves the other questions unanswered.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    details: The module leaves the firewall as it was, so it never reports a change.
    support: full
notes:
  - Entries are recorded in the ledger before they are sent. If the module is interrupted, they expire after two hours at most.
seealso:
  - module: intrusion.response.cos_blacklist_entry_info
"""

EXAMPLES = r"""
- name: Find out how this firewall behaves
  intrusion.response.cos_blacklist_probe:
    api_url: https://192.0.2.1
    username: blocker
    password: "{{ cos_password }}"
    host: 203.0.113.254
  register: found

- name: Check that the listing shows the remaining time
  ansible.builtin.assert:
    that: found.findings.ttl_in_list == 'remaining'

# Ad hoc:
#   ansible localhost -m intrusion.response.cos_blacklist_probe -a "host=203.0.113.254"
#
# In AWX, create a job template with the playbook intrusion.response.probe and a survey for blacklist_probe.
"""

RETURN = r"""
findings:
  description: The answers, by the names of the questions. V(unknown) means that a question was not answered.
  returned: success
  type: dict
  sample: {"ttl_in_list": "remaining", "repost": "renew_all"}
questions:
  description: All questions.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the question.
      type: str
      sample: ttl_in_list
    question:
      description: The question.
      type: str
      sample: Which time does the listing show?
    answer:
      description: The answer.
      type: str
      sample: remaining
    means:
      description: What the answer means for the settings of this collection.
      type: str
      sample: "The remaining time: expires_at and renew_below work as documented."
protected:
  description: Why the address is protected, if O(allow_protected) overrode that. Otherwise null.
  returned: success
  type: str
  sample: null
device:
  description: Model and version of the firewall, as RV(intrusion.response.cos_blacklist_entry_info#module:device).
  returned: success
  type: dict
  sample: {"vendor": "Clavister", "product": "cOS Core", "version": "15.00.00.15-12345", "model": "NetWall 200", "device_name": "fw1"}
code:
  description: Code of the failure, such as V(unreachable). It stays the same between releases; docs/failures.md lists all of them.
  returned: failure
  type: str
  sample: unreachable
http_status:
  description: HTTP status of the answer that caused the failure. Null if there was no answer.
  returned: failure
  type: int
  sample: null
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
from ansible_collections.intrusion.response.plugins.module_utils._cos import info, probe
from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import Guard
from ansible_collections.intrusion.response.plugins.module_utils._cos.record import Recorder

ARGUMENT_SPEC = {
    "host": {"type": "str", "required": True},
    "service": {"type": "str", "default": "http-all"},
    "wait": {"type": "int", "default": 10},
    "whitelisted": {"type": "str"},
    "foreign": {"type": "str"},
    "never_block": {"type": "list", "elements": "str", "default": []},
    "allow_protected": {"type": "bool", "default": False},
    **connection_spec(COS_CONNECTION),
    **connection_spec(LEDGER_WRITING),
}


def run(call: Call) -> dict:
    """Ask all questions."""
    wanted = probe.Wanted.from_params(call.params)
    with CosClient.from_call(call) as client, Recorder.from_call(call, "cos_blacklist_probe", client.endpoint.url) as recorder:
        guard = Guard.from_call(call, client.endpoint, recorder.exemptions(wanted.hosts))
        protected = [guard.check(host) for host in wanted.hosts]
        with CosClient.anonymous(call) as anonymous:
            asked = probe.Probe(client, anonymous, wanted, recorder)
            asked.read()
        if not call.check_mode:
            asked.write()
        device = info.device(client)["device"]
    findings = {"findings": asked.answers, "questions": probe.result(asked.answers)}
    return {"changed": False, **findings, "device": device, "protected": protected[0]}


def main() -> None:
    """Run as an Ansible module."""
    run_module(run, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
