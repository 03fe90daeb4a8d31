# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewalls of a play: a pattern, or an error that says who was left out."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

GROUPS = {"all": ["web1", "fw1", "fw2"], "ungrouped": [], "web": ["web1"], "firewalls": ["fw1", "fw2"], "none": []}


def refusal(apply, variables, *arguments, **options):
    with pytest.raises(AnsibleFilterError) as caught:
        apply(variables, *arguments, **options)
    return caught.value.message


def test_the_default(apply, context):
    assert apply(context(groups=GROUPS), "") == "firewalls"
    assert apply(context(groups={"all": ["fw1"], "ungrouped": ["fw1"]}), "") == "localhost"


@pytest.mark.parametrize("limit", ["fw1", "firewalls", "all", "web:fw2", "all:!web", "~fw.*"])
def test_limits_that_leave_one(apply, context, limit):
    assert apply(context(groups=GROUPS, ansible_limit=limit), "") == "firewalls"


def test_a_limit_that_leaves_none_names_those_left_out(apply, context):
    said = refusal(apply, context(groups=GROUPS, ansible_limit="web"), "")
    assert said == "No firewall takes part in this run: the limit 'web' excludes fw1, fw2."
    assert "excludes fw2" in refusal(apply, context(groups=GROUPS, ansible_limit="fw1"), "fw2")
    many = {"all": [f"fw{number}" for number in range(12)], "firewalls": [f"fw{number}" for number in range(12)], "web": ["web1"]}
    assert refusal(apply, context(groups=many, ansible_limit="web"), "").endswith("fw9 and 2 more.")


def test_the_implicit_localhost_is_left_out_like_any_other(apply, context):
    groups = {"all": ["web1"], "ungrouped": ["web1"]}
    assert "excludes localhost" in refusal(apply, context(groups=groups, ansible_limit="all"), "")
    assert apply(context(groups=groups, ansible_limit="localhost"), "") == "localhost"


def test_a_pattern_that_matches_nothing(apply, context):
    assert "blacklist_target is 'fwx', which matches no host" in refusal(apply, context(groups=GROUPS), "fwx")
    assert "'none', which matches no host" in refusal(apply, context(groups=GROUPS), "none")
    empty = {**GROUPS, "firewalls": []}
    assert "the pattern is 'firewalls', which matches no host" in refusal(apply, context(groups=empty), "")


def test_where_none_is_needed(apply, context):
    assert apply(context(groups=GROUPS, ansible_limit="web"), "", needed=False) == "firewalls"
    assert "fwx" in refusal(apply, context(groups=GROUPS), "fwx", needed=False)
