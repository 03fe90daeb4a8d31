# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPS events and the forms in which they are delivered.

Field list and WEBHOOK: KB "IPS - RESTful API". SLACK text: KB "Verify IPS from the command line". SYSLOG: the
vendor's CEF sample for intrusion prevention events; CLC documents no format. EMAIL: no sample exists, so the
lines of the Slack text with an invented subject.
"""
from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

from .wire import invented

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SAMPLE: dict[str, Any] = {
    "packetSize": 103, "rank": 50, "driverTime": 0, "startTime": 0, "endTime": 0, "action": "Reset",
    "data": base64.b64encode(b"GET /../../../../etc/passwd HTTP/1.1\n").decode(),
    "destinationIP": "10.126.155.23", "destinationMAC": "00:0C:29:F3:6D:AE", "destinationPort": "80",
    "direction": "Incoming", "eventOrigin": "AGENT", "flags": "ACK PSH DF=1", "flow": "Connection Flow",
    "hostName": "", "iface": "00:0C:29:F3:6D:AE", "protocol": "TCP", "reason": "Invalid Traversal",
    "sourceIP": "203.0.113.5", "sourceMAC": "6E:58:E3:7A:D3:1E", "sourcePort": "48478", "tags": "",
    "severity": "High",
}
# Vendor scale, as CEF numbers.
CEF_SEVERITY = {"Low": 3, "Medium": 5, "High": 8, "Critical": 10}


def build(server: str, now: float, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """One event in the flat form; times in epoch milliseconds.

    :raises ValueError: for an override of a field that events do not have.
    """
    unknown = set(overrides) - set(SAMPLE)
    if unknown:
        raise ValueError(f"events have no fields {sorted(unknown)}; they have {sorted(SAMPLE)}")
    stamp = int(now * 1000)
    return {**SAMPLE, "driverTime": stamp, "startTime": stamp, "endTime": stamp, "hostName": server, **overrides}


def packet(event: Mapping[str, Any]) -> str:
    """The captured bytes as text."""
    return base64.b64decode(str(event["data"])).decode("utf-8", "replace")


def java_date(milliseconds: int) -> str:
    """The text of a ``java.util.Date`` in UTC, e.g. ``Thu Aug 27 03:37:02 UTC 2015``."""
    at = time.gmtime(int(milliseconds) // 1000)
    return f"{DAYS[at.tm_wday]} {MONTHS[at.tm_mon - 1]} {at.tm_mday:02} {time.strftime('%H:%M:%S', at)} UTC {at.tm_year}"


def text(event: Mapping[str, Any]) -> str:
    """The lines of the Slack message, in the captured order."""
    ends = ((name, name.lower()) for name in ("Source", "Destination"))
    return "\n".join((
        f"An IPS Event has been caught by our {event['eventOrigin']} on {event['hostName']}",
        f"On {java_date(event['startTime'])}",
        f"Rule Name: {event['reason']}",
        f"Action Taken: {event['action']}",
        *(f"{title}\tMAC: {event[end + 'MAC']}\tIP: {event[end + 'IP']}\tPort: {event[end + 'Port']}"
          for title, end in ends),
        f"Direction: {event['direction']}",
        f"Flow: {event['flow']}",
        f"Interface: {event['iface']}",
        f"Flags: {event['flags']}",
        f"Packet Size: {event['packetSize']}",
        f"Data: {packet(event)}",
    )) + "\n"


def slack(event: Mapping[str, Any]) -> dict[str, str]:
    """The incoming-webhook message."""
    return {"username": "Client Security Bot", "icon_emoji": ":cop:", "text": text(event)}


def syslog(event: Mapping[str, Any], facility: int) -> bytes:
    """One CEF line; priority is facility at severity informational (6)."""
    def header(value: object) -> str:
        return str(value).replace("\\", "\\\\").replace("|", "\\|")

    def extension(value: object) -> str:
        return str(value).replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n")

    bits, _unused, _unused = str(event["flags"]).partition(" DF")
    fields = {
        "cn1": 1, "cn1Label": "Host ID", "dvchost": event["hostName"], "dmac": event["destinationMAC"],
        "smac": event["sourceMAC"], "TrendMicroDsFrameType": "IP", "src": event["sourceIP"],
        "dst": event["destinationIP"], "out" if event["direction"] == "Outgoing" else "in": event["packetSize"],
        "cs3": "DF" if "DF=1" in str(event["flags"]) else "0", "cs3Label": "Fragmentation Bits",
        "proto": event["protocol"], "spt": event["sourcePort"], "dpt": event["destinationPort"],
        "cs2": f"0x00 {bits}", "cs2Label": "TCP Flags", "cnt": 1, "act": event["action"],
        "TrendMicroDsPacketData": event["data"],
    }
    severity = CEF_SEVERITY.get(str(event["severity"]), 8)
    line = f"CEF:0|Trend Micro|Deep Security Manager|9.6|1001111|{header(event['reason'])}|{severity}|"
    line += " ".join(f"{name}={extension(value)}" for name, value in fields.items())
    return f"<{facility * 8 + 6}>{line}".encode()


def subject(event: Mapping[str, Any]) -> str:
    return invented(f"IPS event on {event['hostName']}")
