# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listed entries in lines; texts of a firewall are shown, not obeyed."""

from __future__ import annotations

ENTRY = {
    "host": "203.0.113.5", "service": "all_services", "alert_type": "REST", "ttl": 600, "expires_at": "2026-11-22T03:10:00Z",
    "rule_name": "IPS", "description": "port scan",
}


def test_a_line_for_each_entry(apply):
    assert apply([ENTRY, {**ENTRY, "expires_at": None, "rule_name": "", "description": ""}]) == [
        "203.0.113.5, all_services, REST, until 2026-11-22T03:10:00Z, IPS, port scan", "203.0.113.5, all_services, REST, no known end",
    ]
    assert apply([]) == []


def test_texts_are_cleaned(apply):
    assert apply([{**ENTRY, "rule_name": "a\nb\x1b[2J\u202e"}]) == [
        "203.0.113.5, all_services, REST, until 2026-11-22T03:10:00Z, a b?[2J?, port scan"
    ]
