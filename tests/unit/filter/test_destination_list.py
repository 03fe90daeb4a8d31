# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations from lists and from a survey's text; what the module would refuse is refused, and no secret is shown."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

MAIL = {"type": "email", "email_address": "secops@example.com"}
HOOK = {"type": "webhook", "url": "https://hooks.example.com/secret-path"}
SYSLOG = {"type": "syslog", "syslog": {"ip_address": "192.0.2.10", "udp_port": 514, "facility": "local0"}}


@pytest.mark.parametrize("empty", [None, "", " \n", [], "[]"])
def test_nothing(apply, empty):
    assert apply(empty) == []


@pytest.mark.parametrize("written", [
    [MAIL, HOOK, SYSLOG], json.dumps([MAIL, HOOK, SYSLOG]), json.dumps([MAIL, HOOK, SYSLOG], indent=1),
    (
        "- {type: email, email_address: secops@example.com}\n- type: webhook\n  url: https://hooks.example.com/secret-path\n"
        "- type: syslog\n  syslog: {ip_address: 192.0.2.10, udp_port: 514, facility: local0}\n"
    ),
])
def test_as_list_yaml_or_json(apply, written):
    assert apply(written) == [MAIL, HOOK, SYSLOG]


@pytest.mark.parametrize(("bad", "says"), [
    ("https://hooks.example.com/secret-path", "must be a list"),
    ("{unclosed: https://hooks.example.com/secret-path", "must be a list"),
    (["https://hooks.example.com/secret-path"], "must be a list"),
    (HOOK, "must be a list"),
    ([{"url": HOOK["url"]}], "type must be one of"),
    ([{**HOOK, "type": "pigeon"}], "type must be one of"),
    ([{**HOOK, "path": "x"}], "has an unknown field path"),
    ([{**HOOK, "type": "email"}], "url is not supported with type: email"),
    ([MAIL, {"type": "webhook", "url": "secret-path"}], r"\[1\].url must be a complete URL"),
    ([{"type": "webhook", "url": 7}], "does not have the form"),
    ([{"type": "syslog", "syslog": "secret-path"}], "does not have the form"),
    ([{"type": "syslog", "syslog": {"ip_address": "192.0.2.10"}}], "does not have the form"),
])
def test_refused_without_a_word_of_the_secret(apply, bad, says):
    with pytest.raises(AnsibleFilterError, match=says) as caught:
        apply(bad)
    assert "secret-path" not in str(caught.value)
