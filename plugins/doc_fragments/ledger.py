# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that write to the ledger or read it."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment intrusion.response.ledger."""

    DOCUMENTATION = r"""
options:
  ledger:
    description:
      - The ledger, which records what was blocked and unblocked. A file on the machine where the module runs, or a PostgreSQL
        database that many machines share, such as V(postgresql://user@db.example.com/name).
      - When not set, the environment variable E(INTRUSION_RESPONSE_LEDGER) is used, then a file in C(intrusion.response) in
        E(XDG_STATE_HOME) or C(~/.local/state).
    type: str
"""

    WRITING = r"""
options:
  ledger:
    description:
      - The ledger, a file on the machine where the module runs. Every write to the blacklist, even a failed one, is recorded in
        it before it is sent, and again when its outcome is known. If it does not exist, it is created, readable by its owner only.
      - It can also be a PostgreSQL database that many machines share, such as V(postgresql://user@db.example.com/name), for which the
        module needs the Python package that the guide to the ledger names. A password in it is never shown, but C(PGPASSFILE) and the
        other variables of PostgreSQL's library are a better place.
      - V(none) records nothing. Nothing is recorded in check mode either.
      - If the ledger cannot be written, a warning says so; that never stops a block. A task waits for it for one second at most.
        Records that a database did not take wait for the next run, in a directory beside the file that would be used otherwise.
      - A ledger in a home directory that disappears with an execution environment also causes a warning.
      - When not set, the environment variable E(INTRUSION_RESPONSE_LEDGER) is used, then a file in C(intrusion.response) in
        E(XDG_STATE_HOME) or C(~/.local/state).
    type: str
  ledger_keep:
    description:
      - How many days records are kept; V(0) keeps them forever. If users of one ledger set different values, the lowest counts.
      - Records of a block that has not expired are always kept.
    type: int
    default: 400
  ledger_user:
    description:
      - Who is recorded as the user. The default is the account that the module runs under, or the one that called C(sudo).
      - The job of AWX or Ansible Automation Platform is recorded automatically.
    type: str
  event:
    description:
      - Id of the IPS event that led to this. Only used for the record, in one line of 200 characters at most.
    type: str
  event_rule:
    description:
      - Name of the IPS rule that raised the event. Only used for the record, in one line of 200 characters at most.
    type: str
"""
