# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The URL of a firewall, by name, IPv4 and IPv6 address."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("address", "url"), [
    ("fw1.example.com", "https://fw1.example.com"),
    ("192.0.2.1", "https://192.0.2.1"),
    (" 192.0.2.1 ", "https://192.0.2.1"),
    ("2001:db8::1", "https://[2001:db8::1]"),
    ("2001:DB8:0:0::1", "https://[2001:db8::1]"),
    ("[2001:db8::1]", "https://[2001:db8::1]"),
    ("192.0.2.1:8443", "https://192.0.2.1:8443"),
])
def test_brackets_where_they_belong(apply, address, url):
    assert apply(address) == url
