# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the ledger names firewalls."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Past, Record, firewall_name


def test_names_of_firewalls() -> None:
    for url in ("https://FW.example.com", "https://fw.example.com:443/", " https://user:secret@fw.example.com// ", "HTTPS://fw.example.com?x#y"):
        assert firewall_name(url) == "https://fw.example.com"
    assert firewall_name("http://[2001:DB8::1]:8080/a/") == "http://[2001:db8::1]:8080/a"
    for url in ("", "fw", "https://", "https://[::1", "https://fw:99999"):
        with pytest.raises(IntrusionResponseError) as caught:
            firewall_name(url)
        assert caught.value.code == "invalid_input"


def test_the_latest_exemption_of_an_address_counts():
    def unblock(at, ttl):
        return Record(at, "unblock", "ok", "203.0.113.5", "all_services", "https://192.0.2.1", ttl)

    records = [unblock(0.0, 100), unblock(10.0, 50), unblock(20.0, None)]
    past = Past.of(records, 0.0)
    assert past.exempt_until == 60.0
    assert past.why_exempt(59.0) == "it is exempt from blocking until 1970-01-01T00:01:00Z, according to the ledger"
    assert past.why_exempt(60.0) is None
    assert past.taken_off == 20.0
    assert Past.of([], 0.0) == Past() and Past.of([unblock(5.0, None)], 0.0) == Past(taken_off=5.0)
