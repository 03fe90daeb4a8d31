# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides whether a task needs the inventory's addresses, before anybody has looked at its arguments."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._in_process import blocks

HOST = "203.0.113.5"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"host": HOST}, True),
        ({"host": HOST, "state": "present"}, True),
        ({"host": HOST, "state": None}, True),
        ({"host": HOST, "state": "absent"}, False),
        ({"host": HOST, "state": ["absent"]}, True),
        ({"entries": []}, True),
        ({"entries": [], "state": "absent"}, False),
        ({"entries": [{"host": HOST}], "state": "absent"}, False),
        ({"entries": [{"host": HOST, "state": "absent"}]}, False),
        ({"entries": [{"host": HOST, "state": "absent"}, {"host": HOST}]}, True),
        ({"entries": [{"host": HOST, "state": None}, {"host": HOST, "state": "present"}], "state": "absent"}, True),
        ({"entries": [{"host": HOST, "state": "absent"}], "hosts": [HOST]}, True),
        ({"entries": [{"host": HOST}], "hosts": [HOST], "state": "absent"}, False),
        ({"hosts": [HOST]}, True),
        ({"hosts": HOST, "state": "absent"}, False),
        ({"entries": HOST, "state": "absent"}, True),
        ({"entries": [HOST], "state": "absent"}, True),
    ],
)
def test_only_what_blocks_asks(arguments: dict[str, Any], expected: bool) -> None:
    assert blocks(arguments) is expected
