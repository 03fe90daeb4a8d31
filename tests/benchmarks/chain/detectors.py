# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of other detectors: what reading each format costs, many events in one post, and a file that is followed."""

from __future__ import annotations

import functools
import http.client
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from emulator import events

from ..case import Case, Side, Sizes, Target
from ..stage import FIREWALL, Run, Stage, addresses, expect
from .scene import SECRET, Scene, latencies, percentile, runs, summary

OURS, BY_CONTENT = "clc_ips", "auto"
#: One event of each detector, about the same attack.
SAMPLES: dict[str, Any] = {
    "deep_security_cef": "CEF:0|Trend Micro|Deep Security Agent|20.0.1|1000552|Cross Site Scripting(XSS) Prevention|8|cn1=1 "
    "dvchost=web01 act=Reset dmac=00:50:56:F5:7F:47 smac=00:0C:29:EB:35:DE in=1514 src=203.0.113.5 dst=10.0.0.80 dpt=80 spt=4847 proto=TCP",
    "deep_security_json": {
        "EventType": "PayloadLog", "EventID": 4711, "ActionString": "Reset", "DirectionString": "Incoming", "FlowString": "Connection Flow",
        "SourceIP": "203.0.113.5", "DestinationIP": "10.0.0.80", "SourcePort": 48478, "DestinationPort": 80, "ProtocolString": "TCP",
        "SourceMAC": "6E:58:E3:7A:D3:1E", "DestinationMAC": "00:0C:29:F3:6D:AE", "InterfaceMAC": "00:0C:29:F3:6D:AE", "HostName": "web01",
        "Reason": "1000552 - Invalid Traversal", "SeverityString": "High", "LogDate": "2026-11-26T11:30:00.000Z",
    },
    "suricata_eve": {
        "timestamp": "2026-11-26T11:30:00.000000+0000", "flow_id": 1467203157962537, "event_type": "alert", "src_ip": "203.0.113.5",
        "src_port": 48478, "dest_ip": "10.0.0.80", "dest_port": 80, "proto": "TCP", "direction": "to_server", "app_proto": "http",
        "alert": {"action": "allowed", "gid": 1, "signature_id": 1000001, "signature": "Path traversal", "category": "Web", "severity": 1},
    },
    "wazuh": {
        "timestamp": "2026-11-26T11:30:00.000+0000", "id": "1612213124.6448363",
        "rule": {"level": 12, "description": "Path traversal", "id": "31168", "groups": ["web", "attack"]},
        "agent": {"id": "001", "name": "web01", "ip": "10.0.0.80"},
        "manager": {"name": "m1"}, "data": {"srcip": "203.0.113.5", "srcport": "48478", "dstip": "10.0.0.80"}, "location": "access.log",
    },
    "crowdsec": [{
        "uuid": "1f0e7c62", "scenario": "crowdsecurity/http-path-traversal-probing", "simulated": False, "message": "203.0.113.5 probes",
        "start_at": "2026-11-26T11:29:00Z", "stop_at": "2026-11-26T11:30:00Z", "source": {"scope": "Ip", "value": "203.0.113.5"},
        "decisions": [{
            "duration": "3h59m", "origin": "crowdsec", "scenario": "http-path-traversal-probing", "scope": "Ip", "simulated": False,
            "type": "ban", "value": "203.0.113.5", "uuid": "9a1b2c3d",
        }],
    }],
}  # fmt: skip
#: Posts of so many events, and the share of the lines of a file that are alerts.
MANY, ALERTS = 100, 0.01
FLOW = {"event_type": "flow", "src_ip": "10.0.0.80", "dest_ip": "203.0.113.9", "proto": "TCP", "flow": {"bytes_toserver": 4711}}


def formats(stage: Stage, sizes: Sizes) -> Case:
    """What it costs to read an event, for each format that is known and where it is recognised by its content."""
    sys.path.insert(0, str(stage.place / "collections"))
    from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader

    samples = {OURS: events.build("VA1BENCH0001", time.time(), {}), **SAMPLES}
    bodies = {name: (one if isinstance(one, str) else json.dumps(one)).encode() for name, one in samples.items()}

    def turn(name: str, chosen: str) -> dict[str, Run]:
        reader, body = Reader(chosen), bodies[name]
        expect(f"events of {name}", [getattr(one, "attacker", None) for one in reader.body(body, time.time())], ["203.0.113.5"])
        begun = time.process_time()
        for _number in range(sizes.traffic.events_read):
            reader.body(body, begun)
        each = (time.process_time() - begun) / sizes.traffic.events_read
        return {"an event": Run(each, each, 0.0, "")}

    def judge(case: Case) -> list[Target]:
        base = case.seconds("an event", OURS)
        return [Target(f"{side} to {OURS}", 1.5, case.seconds("an event", side) / base) for side in sides if side != OURS]

    sides: dict[str, Side] = {name: functools.partial(turn, name, name) for name in bodies}
    sides.update({f"{name}, {BY_CONTENT}": functools.partial(turn, name, BY_CONTENT) for name in bodies if name != OURS})
    return Case("reading events", sides, judge)


def batches(stage: Stage, sizes: Sizes) -> Case:
    """The same events one a post, and many a post, over one connection; all are recorded when they are acknowledged."""
    scene, traffic = Scene(stage), sizes.traffic
    authorities = ssl.create_default_context(cafile=str(stage.place / "webhook-ca.pem"))

    def turn(many: int) -> dict[str, Run]:
        scene.fresh()
        with scene.service() as server:
            sent = [events.build("VA1BENCH0001", time.time(), {"sourceIP": source}) for source in addresses(traffic.posted)]
            connection = http.client.HTTPSConnection("127.0.0.1", scene.port, context=authorities)
            begun, new = time.monotonic(), 0
            for number in range(0, len(sent), many):
                part = sent[number : number + many]
                connection.request("POST", f"/ips/{SECRET}", json.dumps(part if many > 1 else part[0]))
                new += json.loads(connection.getresponse().read())["new"]
            seconds = time.monotonic() - begun
            connection.close()
            expect("events that were new", new, len(sent))
            return runs(server, **{"an event": seconds / len(sent)})

    def judge(case: Case) -> list[Target]:
        ratio = case.seconds("an event", "1 a post") / case.seconds("an event", f"{MANY} a post")
        return [Target(f"events a second, {MANY} a post to 1", 3, ratio, at_least=True)]

    sides: dict[str, Side] = {f"{many} a post": functools.partial(turn, many) for many in (1, MANY)}
    return Case("many events in a post", sides, judge, most_rounds=3)


def follow(stage: Stage, sizes: Sizes) -> Case:
    """A file of Suricata to which lines are written at a steady rate, of which few are alerts."""
    scene, traffic = Scene(stage), sizes.traffic
    facts: dict[str, Any] = {"lines a second": traffic.lines, "milliseconds to the firewall's answer": []}

    def ours() -> dict[str, Run]:
        scene.fresh()
        path = scene.place / "eve.json"
        path.touch()
        with scene.service(FIREWALL, follow=[{"path": str(path), "format": "suricata_eve"}]) as server:
            sources = iter(addresses(int(traffic.lines * traffic.seconds * ALERTS) + 1))
            before, begun = server.processor(), time.monotonic()
            sent = _write(path, sources, traffic.lines, traffic.seconds)
            share = (server.processor() - before) / (time.monotonic() - begun)
            scene.settle()
            values = latencies(sent, scene.answers(), FIREWALL)
            expect("blocks", len(values), len(sent))
            facts["milliseconds to the firewall's answer"].append(summary(values))
            return runs(server, **{"block p99": percentile(values, 99), "share of a core": share})

    def judge(case: Case) -> list[Target]:
        return [
            Target("share of a core", 0.15, case.seconds("share of a core", "ours"), unit=""),
            Target("block p99", 0.3, case.seconds("block p99", "ours"), unit="s"),
        ]

    return Case(f"{traffic.lines:g} lines/s of a file", {"ours": ours}, judge, facts=facts, most_rounds=3)


def _write(path: Path, sources: Any, rate: float, seconds: float) -> list[dict[str, Any]]:
    """Write lines at a rate; return what became of the alerts, as the sender does."""
    sent: list[dict[str, Any]] = []
    quiet, every = json.dumps(FLOW), int(1 / ALERTS)
    begun = time.monotonic()
    with path.open("a", encoding="utf-8") as file:
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            if number % every:
                file.write(f"{quiet}\n")
            else:
                alert = {**SAMPLES["suricata_eve"], "src_ip": next(sources), "flow_id": number}
                file.write(f"{json.dumps(alert)}\n")
                sent.append({"source": alert["src_ip"], "sent": time.monotonic()})
            file.flush()
    return sent
