# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of a play: a pattern, or an error that says who was left out."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

GROUPS = {"all": ["web1", "fw1"], "ungrouped": [], "web": ["web1"], "firewalls": ["fw1"]}


def refusal(apply, variables, *arguments, **options):
    with pytest.raises(AnsibleFilterError) as caught:
        apply(variables, *arguments, **options)
    return caught.value.message


def test_the_default_leaves_firewalls_and_localhost_out(apply, context):
    assert apply(context(groups=GROUPS), "") == "all:!localhost:!firewalls"
    assert apply(context(groups={"all": ["web1"], "ungrouped": ["web1"]}), "") == "all:!localhost"


def test_nobody(apply, context):
    assert refusal(apply, context(groups=GROUPS, ansible_limit="fw1"), "").endswith("the limit 'fw1' excludes web1.")
    assert "protect_target is 'wbe'" in refusal(apply, context(groups=GROUPS), "wbe")
    assert "matches no host" in refusal(apply, context(groups={"all": [], "ungrouped": []}), "")
    assert apply(context(groups=GROUPS, ansible_limit="fw1"), "", needed=False) == "all:!localhost:!firewalls"


def test_where_a_name_is_asked_for(apply, context):
    assert "Specify which servers" in refusal(apply, context(groups=GROUPS), "", named=True)
    assert apply(context(groups=GROUPS), "web", named=True) == "web"
