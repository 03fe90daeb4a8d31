# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events at a steady rate, and many events, on the responder and on what could be there in its place."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tools.layers import OLDEST_JAVA, java_version

from ..case import Case, Side, Sizes, Target
from ..stage import FIREWALL, Misbehaviour, Run, Stage, addresses, expect
from .scene import PATIENCE, Scene, latencies, percentile, runs, summary
from .server import Samples, Server

WARM = "30.0.0.1"
OTHER = "fw2"
#: Connections of the burst's sender.
MANY = 64


def events(stage: Stage, sizes: Sizes) -> Case:
    """Each event from an address of its own, at one firewall: from the event's last byte to the firewall's answer."""
    scene, traffic = Scene(stage), sizes.traffic
    found: dict[str, list[dict[str, float]]] = {}

    def steady(name: str, make: Callable[[], Server]) -> Side:
        def turn() -> dict[str, Run]:
            scene.fresh()
            with make() as server:
                scene.send(addresses(traffic.warm, WARM), traffic.rate)
                sent = scene.send(addresses(int(traffic.rate * traffic.seconds)), traffic.rate)
                if name != "bare":
                    scene.settle()
                values = latencies(sent, scene.answers(), FIREWALL)
                expect(f"blocks of the side {name}", len(values), len(sent))
                found.setdefault(name, []).append(summary(values))
                shares = {"median": 50, "p95": 95, "p99": 99}
                return runs(server, **{name: percentile(values, share) for name, share in shares.items()})

        return turn

    def playbook() -> dict[str, Run]:
        scene.fresh()
        values = []
        with scene.rulebook("block_by_playbook") as server:
            for number, source in enumerate(addresses(traffic.warm_playbooks + traffic.playbooks)):
                sent = scene.send([source], None, 1)
                answers = scene.wait_for_a_block()
                if number >= traffic.warm_playbooks:
                    values += latencies(sent, answers, FIREWALL)
            expect("blocks of the side playbook", len(values), traffic.playbooks)
            found.setdefault("playbook", []).append(summary(values))
            return runs(server, median=percentile(values, 50))

    def verdicts() -> dict[str, Run]:
        scene.fresh()
        with scene.service(watch=True) as server:
            scene.send(addresses(traffic.warm, WARM), traffic.rate)
            sent = scene.send(addresses(int(traffic.verdict_rate * traffic.seconds)), traffic.verdict_rate)
            told = until_told(server, sent)
            found.setdefault("verdicts", []).append(summary(told))
            return runs(server, **{"verdict p99": percentile(told, 99)})

    def judge(case: Case) -> list[Target]:
        targets = [
            Target("p95: ours / bare", 2, case.ratio("p95", "ours", "bare")),
            Target("p99: ours / bare", 3, case.ratio("p99", "ours", "bare")),
            Target(f"verdict p99 at {traffic.verdict_rate:g} new attackers/s", 0.1, case.seconds("verdict p99", "verdicts"), unit="s"),
        ]
        if "playbook" in case.samples["median"]:
            targets.append(Target("median: a playbook for each event / ours", 50, case.ratio("median", "playbook", "ours"), at_least=True))
        return targets

    sides: dict[str, Side] = {"ours": steady("ours", scene.service), "bare": steady("bare", scene.bare), "verdicts": verdicts}
    facts: dict[str, Any] = {"events": int(traffic.rate * traffic.seconds), "milliseconds": found}
    if java_version() >= OLDEST_JAVA:
        sides["rulebook"] = steady("rulebook", lambda: scene.rulebook("block_attackers"))
        sides["playbook"] = playbook
        facts["events of the playbook side"] = traffic.playbooks
    else:
        facts["left out"] = f"the sides rulebook and playbook: ansible-rulebook needs Java {OLDEST_JAVA}"
    return Case(f"{traffic.rate:g} events/s", sides, judge, slow=("rulebook", "playbook"), facts=facts)


def until_told(server: Server, sent: Iterable[Mapping[str, Any]]) -> list[float]:
    """Wait for the verdicts of events; return the seconds from each event's last byte to the line with its verdict."""
    begun = time.monotonic()
    wanted = {event["id"]: event["sent"] for event in sent}
    while not wanted.keys() <= server.verdicts.keys():
        if time.monotonic() - begun > PATIENCE:
            raise Misbehaviour("an event has no verdict")
        time.sleep(0.05)
    return [server.verdicts[event] - sent_at for event, sent_at in wanted.items()]


def load(stage: Stage, sizes: Sizes) -> Case:
    """Many events of fewer sources, in no order, at two firewalls; and, for the comparison, the rate of the case `events` there.

    At that rate each event is a new attacker, and its processor time is compared with that of the bare handler, which has one firewall.
    """
    scene, traffic = Scene(stage), sizes.traffic
    low, high = f"{traffic.rate:g}/s", f"{traffic.load_rate:g}/s"
    counts: Counter[str] = Counter()
    growth: list[float] = []
    number = int(traffic.load_rate * traffic.load_seconds)
    facts: dict[str, Any] = {"events": number, "sources": traffic.load_sources, high: []}

    def measured(server: Server, values: list[float], **more: float) -> dict[str, Run]:
        return runs(server, median=percentile(values, 50), p95=percentile(values, 95), **more)

    def steady(make: Callable[[], Server], *firewalls: str) -> dict[str, Run]:
        scene.fresh()
        with make() as server:
            scene.send(addresses(traffic.warm, WARM), traffic.rate)
            before = server.processor()
            sent = scene.send(addresses(int(traffic.rate * traffic.seconds)), traffic.rate)
            if len(firewalls) > 1:
                scene.settle()
            used = (server.processor() - before) / len(sent)
            values = latencies(sent, scene.answers(), *firewalls)
            facts.setdefault(low, []).append({"milliseconds": summary(values), "processor, milliseconds for an event": used * 1000})
            return measured(server, values, **{"processor time of an event": max(used, 1e-6)})

    def loaded() -> dict[str, Run]:
        scene.fresh()
        sources = addresses(traffic.load_sources)
        order = (sources * -(-number // len(sources)))[:number]
        random.Random(number).shuffle(order)
        with scene.service() as server:
            scene.send(addresses(traffic.warm, WARM), traffic.rate)
            scene.settle()
            scene.answers()
            with Samples(server, traffic.load_seconds / 200) as memory:
                sent = scene.send(order, traffic.load_rate)
            drained = scene.settle()
            answers = scene.answers()
            values = latencies(sent, answers, FIREWALL, OTHER)
            counts.update(scene.counts(sent, answers))
            growth.append(memory.quarter(3) / memory.quarter(1))
            waits = [event["acknowledged"] - event["sent"] for event in sent if event["acknowledged"] is not None]
            facts[high].append({
                "milliseconds": summary(values), "milliseconds to the acknowledgement": summary(waits),
                "seconds until the queue was empty": round(drained, 3), "tries": sum(event["tries"] for event in sent),
                "MiB by quarters": [round(memory.quarter(n), 1) for n in range(4)],
            })  # fmt: skip
            return measured(server, values)

    def judge(case: Case) -> list[Target]:
        return [
            *zeros(counts),
            Target(f"p95: {high} / {low}", 2, case.ratio("p95", high, low)),
            Target("processor time of a new attacker: ours / bare", 2.5, case.ratio("processor time of an event", low, "bare")),
            # The sources are nearly all known by the second quarter, so whatever grows from then on grows with the events.
            Target("memory: last quarter / second quarter", 1.1, max(growth)),
        ]

    title = f"{traffic.load_rate:g} events/s, 2 firewalls"
    sides: dict[str, Side] = {
        low: lambda: steady(scene.service, FIREWALL, OTHER), high: loaded, "bare": lambda: steady(scene.bare, FIREWALL),
    }  # fmt: skip
    return Case(title, sides, judge, facts=facts, most_rounds=2)


def burst(stage: Stage, sizes: Sizes) -> Case:
    """Events as fast as they can be sent, until the last of their sources is blocked, against a playbook that blocks as many."""
    scene, traffic = Scene(stage), sizes.traffic
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {"events": traffic.burst, "sources": traffic.burst_sources}
    sources = addresses(traffic.burst_sources)
    entries = stage.place / "entries.json"
    entries.write_text(json.dumps({"entries": [{"host": source} for source in sources]}), encoding="utf-8")

    def ours() -> dict[str, Run]:
        scene.fresh()
        with scene.service() as server:
            scene.send(addresses(traffic.warm, WARM), traffic.rate)
            scene.settle()
            scene.answers()
            sent = scene.send((sources * -(-traffic.burst // len(sources)))[: traffic.burst], None, MANY)
            drained = scene.settle()
            answers = scene.answers()
            counts.update(scene.counts(sent, answers))
            begun = min(event["due"] for event in sent)
            acknowledged = max(event["acknowledged"] or 0.0 for event in sent) - begun
            facts.setdefault("turns", []).append({
                "seconds until all were acknowledged": round(acknowledged, 3), "seconds from then until all verdicts": round(drained, 3),
                "tries": sum(event["tries"] for event in sent), "writes": sum(len(times) for times in answers.values()),
            })  # fmt: skip
            return runs(server, **{"all blocked": max(times[0] for times in answers.values()) - begun})

    def play() -> dict[str, Run]:
        stage.forget()
        run = stage.run("ansible-playbook", "-e", f"@{entries}", stage.play("bulk_ours"))
        expect("entries written", sum(record["write"] for record in stage.requests()), len(sources))
        return {"all blocked": run}

    def judge(case: Case) -> list[Target]:
        return [
            *zeros(counts),
            Target("ours / one play that blocks as many", 1.2, case.ratio("all blocked", "ours", "bulk")),
        ]

    return Case(f"burst, {traffic.burst} events of {traffic.burst_sources} sources", {"ours": ours, "bulk": play}, judge, facts=facts)


def zeros(counts: Counter[str]) -> list[Target]:
    """Return a target for each thing that must not happen."""
    return [Target(what, 0, number, exact=True, unit="") for what, number in counts.items()]
