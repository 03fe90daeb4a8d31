# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deep Security (and the SYSLOG destination of the IPS, which was built on it): lines in CEF, bare, from syslog, or inside JSON.

Source: the vendor's help, "Syslog message formats", and published samples. CEF escapes | and \\ in the header, = and \\ in the values.
Whether `in` or `out` counts the bytes shows the direction of the packet; `dvc` or `dvchost` is the protected host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional, Union

from .. import fields
from ..body import INTEGERS, InvalidEvent, encodable, text_identity
from ..ends import Attacker, Ends, Home, one_of, the_strange_one
from ..event import Event, Found, Ignored, Seen
from .clc_ips import action_of

NAME, DETECTOR = "deep_security_cef", "Deep Security"
VENDOR, PRODUCT = "Trend Micro", re.compile(r"Deep Security|Workload Security|Server & Workload Protection|Cloud One")
#: Signature ids of intrusion prevention; others are other modules.
ATTACKS = range(1_000_000, 2_000_000)

_ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T\S{1,40} "
_BSD = r"[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}\S{0,10} "
#: All that may stand before: headers of RFC 5424 or RFC 3164 (perhaps with a tag), behind the time of a server that wrote it down. Anywhere
#: else, CEF is what somebody quotes, such as the name of a user who would like to have others blocked.
START = re.compile(
    rf"[ \t\ufeff]*(?:{_ISO})?(?:<[0-9]{{1,3}}>)?"
    rf"(?:1 {_ISO}\S+ \S+ \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+) |(?:{_ISO}|{_BSD})(?:\S+ )?(?:[^\s:]{{1,64}}: )?)?\ufeff?(?=CEF: ?[0-9])"
)
OF_VENDOR = re.compile(rf"CEF: ?[0-9]{{1,3}}\|{VENDOR}\|")
_HEADER_FIELD = r"\|([^|\\]*(?:\\.[^|\\]*)*)"
HEADER = re.compile(rf"CEF: ?[0-9]{{1,3}}{_HEADER_FIELD * 6}\|", re.DOTALL)
#: What precedes the CEF in a line from a syslog server with ISO 8601 dates (RFC 5424).
DATE = re.compile(r"(?:<[0-9]{1,3}>)?(?:1 )?([0-9]{4}-[0-9]{2}-[0-9]{2}T\S+) ")
KEY = re.compile(r"(?:^|[ \t])([A-Za-z0-9_.]+)=")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
#: Where log shippers put the line.
CARRIERS = ("message", "full_log")
TAKEN = frozenset((
    "dvc", "dvchost", "src", "dst", "spt", "dpt", "smac", "dmac", "proto", "in", "out", "act", "cs2", "TrendMicroDsPacketData",
    "TrendMicroDsTags",
))  # fmt: skip
Given = Union[str, Mapping[str, Any]]


def recognises(given: Given) -> bool:
    """Return whether a line, or one in an object, is CEF of Deep Security."""
    line, begin = _line(given)
    return OF_VENDOR.match(line, begin) is not None


def read(given: Given, seen: Seen) -> Found:
    """Return the event of a line, or why it is none; raises InvalidEvent for what is no CEF, or holds a key twice."""
    line, begin = _line(given)
    header = HEADER.match(line, begin)
    if header is None:
        raise InvalidEvent("It is not a line of CEF.")
    vendor, product, _version, signature, name, severity = (ESCAPED.sub(r"\1", part) for part in header.groups())
    if vendor != VENDOR or not PRODUCT.match(product):
        return [Ignored("foreign")]
    if not (signature.isascii() and signature.isdigit() and len(signature) < 10 and int(signature) in ATTACKS):
        return [Ignored("other_type")]
    found = _extension(line[header.end():].rstrip("\r\n"))
    action, detect_only = action_of(fields.word(found, "act"))
    attacker, why_not, direction = _attacker(found, seen.home)
    date = DATE.match(line)
    return [Event(
        text_identity(line), seen.at, NAME, product, attacker, why_not,
        host_name=fields.text(found, "dvchost") or fields.text(found, "dvc"),
        reason=name or None,
        rule_id=signature,
        action=action,
        detect_only=detect_only,
        direction=direction,
        severity=_severity(severity),
        protocol=fields.text(found, "proto"),
        source_ip=fields.text(found, "src"),
        source_port=fields.number(found, "spt", fields.PORTS),
        source_mac=fields.text(found, "smac"),
        destination_ip=fields.text(found, "dst"),
        destination_port=fields.number(found, "dpt", fields.PORTS),
        destination_mac=fields.text(found, "dmac"),
        flags=fields.text(found, "cs2"),
        packet_size=fields.number(found, "in", INTEGERS) or fields.number(found, "out", INTEGERS),
        tags=fields.tags(found, "TrendMicroDsTags"),
        data=fields.text(found, "TrendMicroDsPacketData"),
        started_at=fields.date({"date": date[1]}, "date") if date else None,
        other={key: value for key, value in found.items() if key not in TAKEN},
    )]  # fmt: skip


def _line(given: Given) -> tuple[str, int]:
    """Return the line with CEF, and where the CEF begins; an empty line if there is none."""
    carriers: tuple[Any, ...] = (given,)
    if not isinstance(given, str):
        event = given.get("event")
        inside = event.get("original") if isinstance(event, Mapping) else None
        carriers = (*(given.get(name) for name in CARRIERS), inside, given.get("event.original"))
    for carried in carriers:
        start = START.match(carried) if isinstance(carried, str) else None
        if start is not None:
            return encodable(carried), start.end()
    return "", 0


def _extension(text: str) -> dict[str, str]:
    _before, *parts = KEY.split(text)
    found: dict[str, str] = {}
    for key, value in zip(parts[::2], parts[1::2]):
        if key in found:
            raise InvalidEvent("A CEF key occurs twice in one line.")
        found[key] = ESCAPED.sub(_unescaped, value) if "\\" in value else value
    return found


def _unescaped(found: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(found[1], found[1])


def _severity(text: str) -> Optional[str]:
    """Return the name of a severity from 0 to 10 on CEF's own scale."""
    if not re.fullmatch("[0-9]|10", text):
        return None
    value = int(text)
    return "critical" if value >= 9 else "high" if value >= 7 else "medium" if value >= 4 else "low"


def _attacker(found: Mapping[str, str], home: Home) -> tuple[Optional[str], Optional[str], Optional[str]]:
    """Return the attacker, or None and why there is none, and the direction of the packet.

    The protected host is the end with its address, or the end that the packet goes to (`in`) or comes from (`out`).
    """
    ends = Ends(found.get("src"), found.get("dst"))
    direction = "incoming" if found.get("in") and not found.get("out") else "outgoing" if found.get("out") and not found.get("in") else None
    here = found.get("dvc") or found.get("dvchost")
    attacker: Attacker
    if here and here in ends:
        attacker = one_of(ends, "destination" if here == ends.source else "source", home)
    elif direction:
        attacker = one_of(ends, "source" if direction == "incoming" else "destination", home)
    else:
        attacker = the_strange_one(ends, home)
    return (*attacker, direction)
