# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a long blacklist costs, and many firewalls at a time."""

from __future__ import annotations

import functools
from typing import Any

from ..case import Case, Side, Sizes, Target
from ..stage import FIREWALL, Run, Stage, addresses, expect
from .events import WARM, until_told
from .scene import Scene, latencies, percentile, runs, summary

LONG = "long"


def crowd(sizes: Sizes) -> dict[str, list[str]]:
    """Return more firewalls, whose blacklists are empty."""
    return {f"fw{number}": [] for number in range(2, sizes.traffic.firewalls + 1)}


def long_list(stage: Stage, sizes: Sizes) -> Case:
    """The same traffic at a firewall with a long blacklist, and at one with an empty one."""
    scene, traffic = Scene(stage), sizes.traffic
    facts: dict[str, Any] = {"entries listed": traffic.listed, "events/s": traffic.rate, LONG: [], "empty": []}

    def turn(name: str, firewall: str) -> dict[str, Run]:
        scene.fresh()
        with scene.service(firewall, watch=True) as server:
            scene.send(addresses(traffic.warm, WARM), traffic.rate)
            sent = scene.send(addresses(int(traffic.rate * traffic.seconds)), traffic.rate)
            told = until_told(server, sent)
            values = latencies(sent, scene.answers(), firewall)
            expect(f"blocks at the firewall {firewall}", len(values), len(sent))
            facts[name].append({"milliseconds to the verdict": summary(told), "milliseconds to the firewall's answer": summary(values)})
            return runs(server, **{"verdict p99": percentile(told, 99), "block p99": percentile(values, 99)})

    def judge(case: Case) -> list[Target]:
        return [
            Target("block p99", 0.3, case.seconds("block p99", LONG), unit="s"),
            Target("verdict p99", 0.5, case.seconds("verdict p99", LONG), unit="s"),
        ]

    sides: dict[str, Side] = {LONG: functools.partial(turn, LONG, LONG), "empty": functools.partial(turn, "empty", FIREWALL)}
    return Case(f"{traffic.listed} entries listed", sides, judge, facts=facts, most_rounds=3)


def many_firewalls(stage: Stage, sizes: Sizes) -> Case:
    """New attackers that one process blocks on many firewalls, at several rates."""
    scene, traffic = Scene(stage), sizes.traffic
    names = [one["name"] for one in stage.ready["firewalls"]]
    facts: dict[str, Any] = {"firewalls": len(names), "milliseconds": {}}

    def turn(rate: float) -> dict[str, Run]:
        scene.fresh()
        with scene.service() as server:
            scene.send(addresses(traffic.warm, WARM), min(rate, traffic.rate))
            scene.settle()
            scene.answers()
            sent = scene.send(addresses(int(rate * traffic.crowd_seconds)), rate)
            scene.settle()
            values = latencies(sent, scene.answers(), *names)
            expect("blocks", len(values), len(sent) * len(names))
            facts["milliseconds"].setdefault(f"{rate:g}/s", []).append(summary(values))
            return runs(server, **{"block p99": percentile(values, 99)})

    def judge(case: Case) -> list[Target]:
        return [Target(f"block p99 at {rate:g}/s", 1, case.seconds("block p99", f"{rate:g}/s"), unit="s") for rate in traffic.crowd_rates]

    sides: dict[str, Side] = {f"{rate:g}/s": functools.partial(turn, rate) for rate in traffic.crowd_rates}
    return Case(f"new attackers on {len(names)} firewalls", sides, judge, facts=facts, most_rounds=2)
