# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of formats share: reading with home networks, and what must hold for whatever comes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any, Optional, Union

from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.ends import Home, is_plain
from ansible_collections.intrusion.response.plugins.module_utils._events.event import IGNORED, Event, Ignored
from ansible_collections.intrusion.response.plugins.module_utils._events.fields import SEVERITIES
from ansible_collections.intrusion.response.plugins.module_utils._events.formats.custom import Custom
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader

RECEIVED = 1440646690.25


def home(networks: Optional[Iterable[str]] = None, strangers: Iterable[str] = ()) -> Home:
    return Home(None if networks is None else [ip_network(one) for one in networks], (), [ip_network(one) for one in strangers])


def found(
    format: str,
    given: Union[str, Mapping[str, Any]],
    ours: Optional[Home] = None,
    custom: Optional[Custom] = None,
    detect_only: bool = True,
) -> list[Any]:
    """Return what is read, with the events of agents that only look on unless these are not wanted."""
    return Reader(format, ours, custom, detect_only).one(given, RECEIVED)


def told(format: str, given: Union[str, Mapping[str, Any]], ours: Optional[Home] = None, custom: Optional[Custom] = None) -> Any:
    """Return what a person would say of it: the attacker, why there is none, or the kind of what is ignored."""
    [one] = found(format, given, ours, custom)
    return one.kind if isinstance(one, Ignored) else one.attacker or one.attacker_reason


def harmless(reader: Reader, given: Union[str, Mapping[str, Any]], named: Iterable[str] = ()) -> None:
    """Whatever comes is refused, ignored, or an event that can be written, whose attacker is a plain address of a stranger."""
    try:
        read = reader.one(given, RECEIVED)
    except InvalidEvent:
        return
    assert read
    for one in read:
        if isinstance(one, Ignored):
            assert one.kind in IGNORED
            continue
        assert Event.from_json(one.as_json()) == one
        json.dumps(one.as_dict(), ensure_ascii=False, allow_nan=False).encode()
        assert bool(one.attacker) != bool(one.attacker_reason)
        assert one.severity is None or one.severity in SEVERITIES or one.format in ("clc_ips", "deep_security_json", "custom")
        assert one.ttl is None or one.ttl > 0
        if one.attacker:
            assert is_plain(one.attacker) and not Home().has(one.attacker)
            assert one.attacker in (named or (str(one.source_ip).strip(), str(one.destination_ip).strip()))
