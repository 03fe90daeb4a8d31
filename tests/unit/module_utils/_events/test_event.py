# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normal form survives being written and read."""

from __future__ import annotations

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.dates import written
from ansible_collections.intrusion.response.plugins.module_utils._events.event import Event
from ansible_collections.intrusion.response.plugins.module_utils._events.formats import clc_ips

from emulator import events

RECEIVED = 1440646690.25


def test_the_normal_form_survives_json():
    found = clc_ips.event({**events.build("VA1ACMEWEB01", 1440646622.5, {"tags": "a,b"}), "new": {"a": [1, None, "\ud800"]}},
                          written(RECEIVED))
    assert Event.from_json(found.as_json()) == found and found.as_json().isascii()
    assert Event.from_dict({"id": found.id, "received_at": found.received_at}).attacker is None
    assert abs(found.received - RECEIVED) < 0.002
    for text in ("", "{", "[]", "{}", '{"id": "x"}', "[" * 100_000, found.as_json().replace("203.0.113.5", "203.0.113.05")):
        with pytest.raises(InvalidEvent):
            Event.from_json(text)
