# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations in lines."""

from __future__ import annotations


def test_a_line_for_each(apply):
    assert apply([
        {"type": "webhook", "url": "https://hooks.example.com/********#5d41402a"},
        {"type": "email", "email_address": "secops@example.com"},
        {"type": "syslog", "syslog": {"ip_address": "192.0.2.10", "udp_port": 514, "facility": 16}},
        {"type": "PIGEON\x1b"},
    ]) == [
        "webhook https://hooks.example.com/********#5d41402a", "email secops@example.com", "syslog 192.0.2.10:514 facility 16", "PIGEON?",
    ]
    assert apply([]) == []
