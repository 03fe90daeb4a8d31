# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: one file, nothing from outside, every text escaped."""

from __future__ import annotations

import importlib
import re
from html.parser import HTMLParser

import pytest

PACKAGE = "ansible_collections.intrusion.response.plugins.plugin_utils._report"
page = importlib.import_module(f"{PACKAGE}.page")
data = importlib.import_module(f"{PACKAGE}.data")
NOW = 1_795_691_040.0
BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}{% x %}"


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> str:
    entry = {"host": BAD, "service": BAD, "alert_type": BAD, "rule_name": BAD, "description": BAD, "ttl": None, "expires_at": None}
    record = importlib.import_module("ansible_collections.intrusion.response.plugins.module_utils._ledger.record").Record
    records = [record(NOW - 60, "block", "ok", "203.0.113.9", BAD, "https://192.0.2.1", 60, BAD, BAD, None, "x", BAD, None, BAD, BAD, id=1)]
    servers = [
        {"server_name": BAD, "code": "x", "reason": BAD, "destinations": None},
        {"server_name": BAD, "code": None, "destinations": []},
        {"server_name": "A", "code": None, "destinations": [{"type": BAD, "url": BAD}]},
    ]
    firewalls = [data.Firewall(BAD, "https://192.0.2.1", [entry]), data.Firewall("fw", "", None, BAD)]
    past = data.Past(BAD, NOW - 3600, records, (), BAD)
    return page.render(data.build(firewalls, servers, past, {BAD: {"in_use": 1, "of": 2}}, NOW))


def test_texts_from_outside_are_texts():
    tags = Tags(hostile())
    assert [name for name, _attributes in tags.found].count("script") == 1
    assert "img" not in {name for name, _attributes in tags.found}
    assert not {attribute for _name, attributes in tags.found for attribute in attributes if attribute.startswith("on")}
    assert tags.text.count(BAD) > 10, "they are shown as they are"


def test_nothing_is_loaded_and_nothing_else_may_run():
    text = hostile()
    tags = Tags(text)
    sources = [value for _name, attributes in tags.found for key, value in attributes.items() if key in ("src", "href", "action", "style")]
    assert sources == ["data:,"]
    policy = next(attributes["content"] for name, attributes in tags.found if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        assert f"{directive} '{page.digest(inside)}'" in policy
    assert "@import" not in text and "url(" not in text


def test_an_empty_world_has_a_page():
    text = Tags(page.render(data.build([], [], data.Past("none", NOW - 60), {}, NOW))).text
    for words in ("No firewall in this report.", "Nothing was blocked in this period.", "Nothing was recorded in this period."):
        assert words in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.2, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90000, "1 d 1 h"),
        (86405, "1 d"),
    ],
)
def test_spans(seconds, text):
    assert page.span(seconds) == text


def test_a_ledger_of_one_machine_says_so():
    for shared in (False, True):
        text = Tags(page.render(data.build([], [], data.Past("/ledger", NOW - 60, shared=shared), {}, NOW))).text
        assert ("belongs to a single machine" in text) != shared
