# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found out, in lines."""

from __future__ import annotations


def test_a_line_for_the_firewall_and_for_each_question(apply):
    rows = [
        {"name": "empty_text", "question": "How?", "answer": "", "means": "As expected."},
        {"name": "whitelist", "question": "What?", "answer": "unknown", "means": "Not answered."},
    ]
    assert apply({"device": {"vendor": "Clavister", "model": None, "version": "15\n"}, "questions": rows}) == [
        "Clavister, 15", "How? As expected. (empty_text: empty)", "What? Not answered. (whitelist: unknown)",
    ]
