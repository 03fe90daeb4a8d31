# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks on firewalls outside a play, whatever an undo that was quicker has taken back meanwhile."""

from __future__ import annotations

STANDING = [{"host": f"203.0.113.{number}", "firewall": firewall} for number, firewall in enumerate(
    ("https://192.0.2.1", "https://192.0.2.2", "https://192.0.2.2", "https://192.0.2.3:8443"),
)]


def test_they_are_counted_and_named(apply):
    assert apply(STANDING, ["https://192.0.2.1"]) == (
        "3 blocks still stand on firewalls that are not in this play: https://192.0.2.2, https://192.0.2.3:8443"
    )
    assert apply(STANDING[:2], ["https://192.0.2.1"]).startswith("1 block still stands on")


def test_a_firewall_is_known_in_any_spelling_of_its_address(apply):
    assert apply(STANDING, ["https://192.0.2.1/", "https://u:p@192.0.2.2:443", "https://192.0.2.3:8443"]) == ""
    assert apply([], []) == ""
