# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responder killed over and over, and a firewall that goes away for a while, both while events come in."""

from __future__ import annotations

import functools
import random
import time
from collections import Counter
from typing import Any

from ..case import Case, Side, Sizes, Target
from ..stage import FIREWALL, Run, Stage, addresses
from .events import OTHER, WARM, zeros
from .scene import Scene, latencies, percentile, runs, summary

#: Seconds after it listens, within which it is killed.
LIFE = 1.5
#: How many events have the same address.
REPEATED = 2


def kills(stage: Stage, sizes: Sizes) -> Case:
    """kill -9 at random moments, of which those while it starts are also some; what was not acknowledged is sent again.

    A firewall that lists an address twice when it is posted twice makes every double effect visible.
    """
    scene, traffic = Scene(stage), sizes.traffic
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {"kills": traffic.kills, "events/s": traffic.rate, "turns": []}

    def ours() -> dict[str, Run]:
        scene.fresh()
        stage.control("PATCH", "switches", {"cos.repost": "duplicate"})
        moments = random.Random()
        most = int(traffic.kills * 10 * traffic.rate)
        sources = [source for source in addresses(most // REPEATED) for _time in range(REPEATED)]
        starting, early = 0.0, 0
        with scene.service() as server:
            usual = server.starting
            with scene.sending(sources, traffic.rate) as sending:
                for _number in range(traffic.kills):
                    life = moments.uniform(0, usual + LIFE)
                    if life < usual:
                        time.sleep(life)
                        early += not server.listens()
                    else:
                        server.wait_until_it_listens()
                        starting = max(starting, server.starting)
                        time.sleep(life - usual)
                    server.kill()
                    server.start()
                server.wait_until_it_listens()
                sending.end()
                sent = sending.results()
            drained = scene.settle()
            answers = scene.answers()
            counts.update(scene.counts(sent, answers))
            unrecorded, recorded_again = scene.ledger_counts(answers)
            counts["blocks that the ledger has more than once"] += recorded_again
            facts["turns"].append({
                "events": len(sent), "sent more than once": sum(event["tries"] > 1 for event in sent),
                "killed before it listened": early, "seconds until the queue was empty": round(drained, 3),
                "blocks that the ledger does not have": unrecorded,
            })  # fmt: skip
            return runs(server, **{"longest start": starting or usual})

    def judge(case: Case) -> list[Target]:
        unrecorded = sum(turn["blocks that the ledger does not have"] for turn in case.facts["turns"])
        return [*zeros(counts), Target("blocks that the ledger does not have", 0, unrecorded, unit="")]

    return Case(f"kill -9, {traffic.kills} times", {"ours": ours}, judge, facts=facts, most_rounds=1)


def outage(stage: Stage, sizes: Sizes) -> Case:
    """One of two firewalls closes every connection without an answer, for a while; and the same traffic without that."""
    scene, traffic = Scene(stage), sizes.traffic
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {"seconds of the outage": traffic.outage, "events/s": traffic.rate, "ours": [], "undisturbed": []}

    def turn(name: str) -> dict[str, Run]:
        scene.fresh()
        with scene.service() as server:
            warm = scene.send(addresses(traffic.warm, WARM), traffic.rate)
            sources = addresses(int(traffic.rate * (2 * traffic.calm + traffic.outage)))
            with scene.sending(sources, traffic.rate) as sending:
                time.sleep(traffic.calm)
                if name == "ours":
                    stage.control("POST", "faults", {"kind": "drop_before", "firewall": OTHER, "times": None})
                gone = time.monotonic()
                time.sleep(traffic.outage)
                stage.control("DELETE", "faults")
                back = time.monotonic()
                sent = sending.results()
            scene.settle()
            answers = scene.answers()
            counts.update(scene.counts([*warm, *sent], answers))
            values = latencies([event for event in sent if gone <= event["sent"] < back], answers, FIREWALL)
            due = [answers[OTHER, event["source"]][0] for event in sent if event["sent"] < back and (OTHER, event["source"]) in answers]
            late = max(due) - back
            facts[name].append({
                "milliseconds at the other firewall, meanwhile": summary(values),
                "seconds from the return to the last block that was due": round(late, 3),
            })  # fmt: skip
            measured = {"p95 at the other firewall": percentile(values, 95)}
            if name == "ours":
                measured["due blocks after the return"] = max(late, 1e-3)
            return runs(server, **measured)

    def judge(case: Case) -> list[Target]:
        ratio = case.ratio("p95 at the other firewall", "ours", "undisturbed")
        return [
            *zeros(counts),
            Target("p95 at the other firewall: ours / undisturbed", 1.5, ratio),
            Target("due blocks after the return", 2, case.seconds("due blocks after the return", "ours"), unit="s"),
        ]

    sides: dict[str, Side] = {name: functools.partial(turn, name) for name in ("ours", "undisturbed")}
    return Case(f"one of 2 firewalls away for {traffic.outage:g} s", sides, judge, facts=facts, most_rounds=2)
