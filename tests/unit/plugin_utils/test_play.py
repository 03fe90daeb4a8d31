# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of extra variables: without their prefix an error, almost right a warning, those of others none of our business."""

from __future__ import annotations

import importlib

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

play = importlib.import_module("ansible_collections.intrusion.response.plugins.plugin_utils._play")


@pytest.fixture
def warnings(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _self, message: said.append(message))
    return said


@pytest.mark.parametrize(("role", "name"), [
    ("blacklist", "addresses"), ("blacklist", "ttl"), ("blacklist", "target"), ("blacklist", "last"), ("blacklist", "never_block"),
    ("protect", "target"), ("protect", "destinations"), ("protect", "wait"),
])
def test_a_name_without_its_prefix_is_an_error_that_names_the_right_one(role, name):
    with pytest.raises(AnsibleFilterError, match=f"Unknown extra variable {name}. Did you mean {role}_{name}"):
        play.check_names({"blacklist_addresses": "x", name: "y"}, role)


@pytest.mark.parametrize(("written", "meant"), [
    ("blacklist_tll", "blacklist_ttl"), ("balcklist_ttl", "blacklist_ttl"), ("blacklist_adresses", "blacklist_addresses"),
    ("protect_destination", "protect_destinations"), ("cos_user_name", "cos_username"),
])
def test_a_misspelt_name_is_a_warning_that_names_the_right_one(warnings, written, meant):
    play.check_names({written: 1}, "blacklist")
    assert warnings == [f"{written} is not a variable of this collection. Did you mean {meant}?"]


def test_other_names_are_none_of_our_business(warnings):
    names = ["awx_user_name", "tower_job_id", "ansible_eda", "ips_webhook_url", "username", "password", "token", "blacklist_ttl", "feed"]
    for role in ("blacklist", "protect"):
        play.check_names(dict.fromkeys(names, ""), role)
    assert warnings == []
