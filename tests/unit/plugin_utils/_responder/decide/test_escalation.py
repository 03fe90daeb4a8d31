# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a block lasts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.escalation import EscalationSettings
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import read
from hypothesis import given
from hypothesis import strategies as st


def settings(ttl: int = 3600, **given: Any) -> EscalationSettings:
    return read(EscalationSettings, given, "respond.escalation").above(ttl)


@pytest.mark.parametrize(("offences", "ttl"), [(0, 3600), (1, 14400), (2, 86400), (3, 86400), (1000, 86400)])
def test_escalation(offences: int, ttl: int) -> None:
    assert settings().ttl(3600, offences) == ttl


@given(st.integers(1, 604800), st.integers(0, 50), st.lists(st.floats(1, 1000), min_size=1, max_size=6))
def test_escalation_never_shortens_and_never_passes_the_cap(ttl: int, offences: int, multipliers: list[float]) -> None:
    found = settings(multipliers=multipliers).ttl(ttl, offences)
    assert ttl <= found <= 604800


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"multipliers": []}, "multipliers"),
        ({"multipliers": [0.5]}, "multipliers"),
        ({"cap": 10}, "cap"),
        ({"memory": 0}, "memory"),
    ],
)
def test_settings_of_escalation(given: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^(respond\.)?escalation\.{name}"):
        settings(**given)


def test_the_cap_follows_the_ttl() -> None:
    assert settings().cap == 604_800 and settings(1_000_000).cap == 1_000_000


def test_what_a_detector_wants_only_has_the_cap() -> None:
    assert settings().ttl(3600, 2, 60) == 60 and settings().ttl(3600, 0, 10_000_000) == 604_800 and settings().ttl(3600, 0, 0) == 2
