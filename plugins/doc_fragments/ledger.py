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
      - The ledger, a file on the machine where the module runs, or a PostgreSQL database that many machines share, such as
        V(postgresql://user@db.example.com/name). It holds what was blocked and unblocked.
      - When not set, the environment variable E(INTRUSION_RESPONSE_LEDGER) is used, then a file in C(intrusion.response) below
        E(XDG_STATE_HOME) or C(~/.local/state).
    type: str
"""

    WRITING = r"""
options:
  ledger:
    description:
      - The ledger, a file on the machine where the module runs. Each write to the blacklist is added to it, also one that
        failed, before it is sent and when it is known what became of it. It is made when it is not there, readable by its
        owner only.
      - It can also be a PostgreSQL database that many machines share, such as V(postgresql://user@db.example.com/name), for which the
        module needs the Python package that the guide to the ledger names. A password in it is not shown, but C(PGPASSFILE) and the
        other variables of PostgreSQL's library are a better place.
      - V(none) records nothing. In check mode nothing is recorded either.
      - A ledger that cannot be written is a warning. It never stops a block. A task waits for it for a second at most. What a
        database did not take waits in a directory beside the file that would be used otherwise, for the next run.
      - A ledger in a home directory that goes away with an execution environment is a warning, too.
      - When not set, the environment variable E(INTRUSION_RESPONSE_LEDGER) is used, then a file in C(intrusion.response) below
        E(XDG_STATE_HOME) or C(~/.local/state).
    type: str
  ledger_keep:
    description:
      - How many days records are kept, V(0) for ever. Where users of one ledger differ, the fewest days count.
      - Records of a block that has time left are always kept.
    type: int
    default: 400
  ledger_user:
    description:
      - Who is recorded. When not given, it is the account that the module runs under, or the one that called C(sudo).
      - The job of AWX or Ansible Automation Platform is recorded automatically.
    type: str
  event:
    description:
      - Id of the IPS event that led to this. It is only recorded, on one line and with 200 characters at most.
    type: str
  event_rule:
    description:
      - Name of the IPS rule that raised the event. It is only recorded, on one line and with 200 characters at most.
    type: str
"""
