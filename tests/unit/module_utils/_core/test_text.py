# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts from outside, as a person sees them."""

from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean
from hypothesis import given
from hypothesis import strategies as st


@given(st.text())
def test_what_is_shown_is_one_line_without_controls_or_turns_of_direction(text):
    shown = clean(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or 0x200B <= ord(c) <= 0x200F]
    assert not [c for c in shown if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")]
    assert len(shown.splitlines()) <= 1
    assert clean(shown) == shown


@given(st.text(), st.integers(10, 50))
def test_a_long_text_is_cut(text, longest):
    assert len(clean(text, longest)) <= longest


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("port scan", "port scan"),
        ("two\r\nlines\tand  a tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m", "?[31mred?[0m"),
        ("\x9b31mred", "?31mred"),
        ("a\u202eb", "a?b"),
        ("Größe 10 µs, 日本", "Größe 10 µs, 日本"),
        (None, ""),
        (404, "404"),
    ],
)
def test_texts(text, shown):
    assert clean(text) == shown
