# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes from outside: nothing hostile does more than be refused, and never is it repeated."""

from __future__ import annotations

import json

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import (
    DEEPEST,
    MOST_OBJECTS,
    InvalidEvent,
    checked,
    decoded,
    objects,
)
from hypothesis import given
from hypothesis import strategies as st

from .anything import AS_JSON

CONTENT = "do-not-repeat-me"


def read(body):
    """Return the objects of a body, as the formats read them."""
    return [checked(found) for found in objects(decoded(body))]


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return f'{{"reason": "x", "deep": {opening * depth}{closing * depth}}}'.encode()


@pytest.mark.parametrize("body", [
    b"", b" ", b"null", b"1", b'"text"', b"[1]", b"{", b'{"reason": "' + CONTENT.encode(), b"{'reason': 'x'}",
    b'{"reason": "x"} x',
    b'{"rank": NaN}', b'{"rank": Infinity}', b'{"rank": -Infinity}', b'{"rank": 1e999}', b'{"other": [-1e999]}',
    b'{"rank": 9223372036854775808}', b'{"other": -9223372036854775809}', b'{"rank": ' + b"9" * 60_000 + b"}",
    b'{"reason": "\xff"}', b'{"reason": "\xed\xa0\x80"}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf\xef\xbb\xbf{}",
    b'{"reason": "a\x00b"}', b'{"reason": "a\nb"}',
    b'{"sourceIP": "203.0.113.5", "sourceIP": "203.0.113.6"}', b'{"other": {"a": 1, "a": 2}}',
    nested(100), nested(DEEPEST), nested(5_000), nested(1_000_000), b"[" * 1_000_000, nested(10_000, '{"a":', "1}"),
])
def test_hostile_bodies_are_refused_without_repeating_them(body):
    with pytest.raises(InvalidEvent) as refused:
        read(body)
    assert CONTENT not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_nesting_is_bounded_and_not_forbidden():
    assert read(nested(DEEPEST - 1))[0]["deep"]


def test_halves_of_surrogate_pairs_do_no_harm():
    [found] = read(b'{"reason": "\\ud800x", "a\\udfff": ["\\udc00", "\\ud83d\\ude00"]}')
    json.dumps(found, ensure_ascii=False).encode()
    assert found == {"reason": "\ufffdx", "a\ufffd": ["\ufffd", "\U0001f600"]}


@given(st.one_of(st.binary(), st.text().map(str.encode), AS_JSON))
def test_a_body_is_objects_or_invalid(body):
    try:
        found = read(body)
    except InvalidEvent:
        return
    assert json.loads(json.dumps(found, ensure_ascii=False, allow_nan=False).encode()) == found


def test_a_byte_order_mark_does_not_count():
    assert read(b'\xef\xbb\xbf{"reason": "x"}') == [{"reason": "x"}]


def test_a_post_of_many_parts_is_refused():
    for many in (b"[" + b"[]," * 20_000 + b"1]", b'{"a": [' + b"0," * 2000 + b"0]}"):
        body = b'{"reason": "x", "other": ' + many + b"}"
        with pytest.raises(InvalidEvent, match="too many values"):
            read(body)
    assert read(b'{"reason": "x", "other": [' + b"0," * 1900 + b"0]}")


def test_a_post_may_hold_several_objects():
    one, two = {"a": 1}, {"b": [{}]}
    for text in ('[{"a": 1}, {"b": [{}]}]', '{"a": 1}\n{"b": [{}]}\n', '{"a": 1}{"b":[{}]}', ' \r\n{"a": 1}\r\n\r\n[{"b": [{}]}]'):
        assert list(objects(text)) == [one, two]
    for text in ('[{"a": 1}, 2]', '{"a": 1}, {"b": 2}', '[[{"a": 1}]]', '{"a": 1}\n{"b"', "[{}" + ", {}" * MOST_OBJECTS + "]",
                 "{}\n" * (MOST_OBJECTS + 1)):
        with pytest.raises(InvalidEvent):
            list(objects(text))
