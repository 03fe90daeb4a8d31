# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who launched a job: a person, or a schedule or webhook, which no name of a person can look like; and the workflow around it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("awx", "who"), [
    ({}, ""),
    ({"user_name": "alice", "job_launch_type": "manual"}, "alice"),
    ({"user_name": "alice", "job_launch_type": "workflow", "workflow_job_id": 12, "workflow_job_launch_type": "manual"},
     "alice (workflow job 12)"),
    ({"job_launch_type": "scheduled", "schedule_name": "Nightly"}, "(schedule Nightly)"),
    ({"job_launch_type": "webhook"}, "(webhook)"),
    ({"job_launch_type": "workflow", "workflow_job_id": 12, "workflow_job_launch_type": "scheduled", "parent_job_schedule_name": "Nightly"},
     "(schedule Nightly, workflow job 12)"),
    ({"job_launch_type": "workflow", "workflow_job_id": 12, "workflow_job_launch_type": "webhook"}, "(webhook, workflow job 12)"),
    ({"user_name": "a\u202eb", "schedule_name": ""}, "a?b"),
])
def test_who_launched(apply, awx, who):
    assert apply(awx) == who
