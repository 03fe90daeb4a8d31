# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of addresses, from whatever people and surveys write."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("written", "meant"), [
    (None, []), ("", []), (" ,\n", []), ([], []),
    ("203.0.113.5", ["203.0.113.5"]),
    ("203.0.113.5,203.0.113.6", ["203.0.113.5", "203.0.113.6"]),
    ("203.0.113.5\n203.0.113.6\r\n", ["203.0.113.5", "203.0.113.6"]),
    ("203.0.113.5, 203.0.113.6\t203.0.113.5", ["203.0.113.5", "203.0.113.6"]),
    (["203.0.113.5", "203.0.113.6 203.0.113.7"], ["203.0.113.5", "203.0.113.6", "203.0.113.7"]),
    (("198.51.100.0/24", 7), ["198.51.100.0/24", "7"]),
    ("203.0.113.5;203.0.113.6", ["203.0.113.5;203.0.113.6"]),
])
def test_every_way_to_write_it(apply, written, meant):
    assert apply(written) == meant
