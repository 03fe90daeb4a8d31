# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who launched a job of AWX."""

from __future__ import annotations

DOCUMENTATION = r"""
name: launched_by
short_description: Say who launched an AWX job
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns, for the ledger, who launched a job of AWX or Ansible Automation Platform, from the variables that it gives to its jobs.
  - A schedule or a webhook is put in parentheses, since it is not a person, and so is the workflow job that a job belongs to. AWX does not
    tell its jobs who approved them; its record of the workflow job does.
options:
  _input:
    description:
      - The variables, without their prefix C(awx_) or C(tower_).
    type: dict
    required: true
"""

EXAMPLES = r"""
# alice (workflow job 12)
- name: Show who launched this job
  ansible.builtin.debug:
    msg: "{{ ['user_name', 'job_launch_type', 'workflow_job_id'] | intrusion.response.given('awx') | intrusion.response.launched_by }}"
"""

RETURN = r"""
_value:
  description: Who it was. Empty outside AWX.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean


def launched_by(awx: Mapping[str, Any]) -> str:
    """Return who it was; the names are those of UnifiedJob.awx_meta_vars (awx/main/models/unified_jobs.py)."""
    person, workflow = clean(awx.get("user_name")), awx.get("workflow_job_id")
    schedule = awx.get("schedule_name") or awx.get("parent_job_schedule_name")
    launch = awx.get("workflow_job_launch_type") or awx.get("job_launch_type")
    origin = "" if person else f"schedule {clean(schedule)}" if schedule else clean(launch)
    about = ", ".join(part for part in (origin, f"workflow job {clean(workflow)}" if workflow else "") if part)
    return " ".join(part for part in (person, f"({about})" if about else "") if part)


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"launched_by": launched_by}
