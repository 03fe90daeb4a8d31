# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the role failed for a server: one line and a code."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("result", "waited", "code", "says"), [
    ({"msg": "No.\nMore.", "code": "not_found"}, {}, "not_found", "No."),
    ({"msg": "Broken pipe"}, {}, "host", "Broken pipe"),
    ({}, {}, "host", "No reason was given."),
    ({"state": "unknown", "reason": "timed out", "msg": "x"}, {}, "host", "The host could not be looked at for the agent: timed out"),
    ({"state": "absent"}, {"state": "absent"}, "host",
     "The service accepted the installation, but the agent was still missing when the time to wait was over."),
    ({"state": "present"}, {"state": "present"}, "host",
     "The service accepted the removal, but the agent was still there when the time to wait was over."),
    ({"state": "unknown"}, {"state": "unknown"}, "host",
     "The service accepted the request, but the agent was still out of sight when the time to wait was over."),
    ({"msg": "Task failed: The filter plugin 'intrusion.response.destination_list' failed: no list"}, {}, "invalid_input", "no list"),
])
def test_reason_and_code(apply, result, waited, code, says):
    assert apply(result, waited) == {"reason": says, "code": code}
