# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes next for an address, by the latest listing."""

from __future__ import annotations

import dataclasses
import time

import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.decide.policy import Policy
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall.messages import Wish
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall.reconcile import (
    LIST,
    SEND,
    Target,
    View,
    change_for,
    next_step,
)

POLICY = dataclasses.replace(Policy(), renew_below=1800)


@pytest.mark.parametrize(("begun", "step"), [(10.5, LIST), (11.0, LIST), (11.5, SEND)])
def test_only_a_listing_that_was_begun_after_the_answer_tells_of_a_write(begun: float, step: object) -> None:
    """A request of the listing that overtakes the write on its way to the firewall is no proof against it."""
    view = View(POLICY)
    wish = Wish(1, "203.0.113.5", "e", "rule", time.time(), "IPS", "IPS event e")
    target = Target(wish)
    target.add(wish, 3600)
    target.change = change_for(target, view)
    target.sent, target.ended = 10.0, 11.0
    view.begun = view.at = begun
    assert next_step(target, view) is step
