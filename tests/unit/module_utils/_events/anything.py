# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies: whatever may come, as values, as objects and as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=())), st.binary(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3)),
    max_leaves=8,
)
AS_JSON = ANYTHING.map(lambda value: json.dumps(value, default=repr, skipkeys=True).encode())
TEXT = st.text(st.characters(exclude_categories=()))
ADDRESSES = st.one_of(st.sampled_from(["203.0.113.5", "10.0.0.5", "192.168.1.1", "2001:db8::1", "::ffff:203.0.113.5", "203.0.113.05", "",
                                       "x"]), TEXT)


def spoiled(post: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects like this one, in which values at any depth are left out, exchanged or replaced by whatever may come."""

    def one(value: Any) -> st.SearchStrategy[Any]:
        kept = st.just(value)
        if isinstance(value, Mapping):
            kept = spoiled(value)
        elif isinstance(value, list):
            kept = st.lists(st.one_of(*(one(part) for part in value)), max_size=3) if value else kept
        return st.one_of(kept, kept, kept, ADDRESSES, ANYTHING)

    fields = {name: one(value) for name, value in post.items()}
    return st.fixed_dictionaries({}, optional=fields) | st.fixed_dictionaries(fields)
