# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases: what is compared with what, and what is to be reached."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tools.database import programs

from .case import Case, Side, Sizes, Target
from .chain import crowds, detectors, events, failures, sharing
from .stage import Run, Stage, addresses, expect

LISTED = "203.0.113.5"
TEN = 10
#: What Ansible prints at -vvv when it starts a module's own process.
STARTED = "AnsiballZ_"


def fleet_names(count: int) -> list[str]:
    return [f"VA1BENCH{number:04}" for number in range(1, count + 1)]


#: Tasks for every host and for one host only: what the role executes when it takes one step at a time for each host, as it once did
#: (the check of the arguments, an include, the agent, the destinations, the result, and the summary).
STEP_BY_STEP = (5, 1, 0)
LATE = 5  # milliseconds that an answer takes longer in the side of that name


def fleet(stage: Stage, sizes: Sizes) -> Case:
    """The role on fresh servers and again, against the same with uri tasks, and against tasks that do nothing.

    There are two floors: as many debug tasks as a role executes that takes one step at a time for each host, and as many as this one
    executes, which shows what is left of our own. How many those are is what the recap counts for each host. The side `alone` has
    an environment, with which each host asks for itself; the side `late` has a service farther away.
    The sides `agent` and `debug` are one ad-hoc command each.
    """
    inventory = stage.inventory(fleet_names(sizes.fleet))
    command = ("ansible-playbook", "-i", inventory, "-f", str(sizes.forks))

    def twice(name: str, *options: str, ordinary: bool = False, late: float = 0) -> dict[str, Run]:
        stage.forget()
        stage.control("PATCH", "settings", {"latency_ms": stage.latency + late})
        play = stage.play(name, ordinary=ordinary)
        fresh = stage.run(*command, *options, play)
        writes = Counter(record["method"] for record in stage.requests() if record["write"])
        expect("writes to fresh servers", dict(writes), {"POST": sizes.fleet, "PUT": sizes.fleet})
        again = stage.run(*command, *options, play)
        expect("writes of the second run", [record for record in stage.requests() if record["write"]], [])
        return {"fresh": fresh, "again": again}

    counted = twice("fleet_ours", "-vvv")
    for run in counted.values():
        expect("modules that ran in a process of their own", STARTED in run.output, False)
    counts = {measure: _tasks(run) for measure, run in counted.items()}

    servers = itertools.count(1)

    def agent() -> Run:
        stage.forget()
        run = stage.run("ansible", "localhost", "-m", "intrusion.response.ips_agent", "-a", f"server_name=VA1NEW{next(servers)}")
        expect("agents asked for", sum(record["write"] for record in stage.requests()), 1)
        return run

    def floor(tasks: tuple[int, int, int]) -> Run:
        return stage.run(*command, "-e", "target=fleet", stage.play("floor", floor=tasks))

    def judge(case: Case) -> list[Target]:
        return [
            Target("fresh servers: ours / floor", 0.5, case.ratio("fresh", "ours", "floor")),
            Target("fresh servers: uri / ours", 20, case.ratio("fresh", "uri", "ours"), at_least=True),
            Target("nothing to do: ours / floor", 0.4, case.ratio("again", "ours", "floor")),
            Target(f"fresh servers: {LATE} ms more for an answer", 1.3, case.ratio("fresh", "late", "ours")),
            Target("one agent, ad hoc / debug, ad hoc", 1.15, case.ratio("agent", "agent", "debug")),
        ]

    sides: dict[str, Side] = {
        "ours": lambda: twice("fleet_ours"),
        "floor": lambda: dict.fromkeys(counts, floor(STEP_BY_STEP)),
        "least": lambda: {measure: floor(tasks) for measure, tasks in counts.items()},
        "late": lambda: twice("fleet_ours", late=LATE),
        "agent": lambda: {"agent": agent()},
        "debug": lambda: {"agent": debug(stage)},
        "alone": lambda: twice("fleet_ours", ordinary=True),
        "uri": lambda: twice("fleet_uri"),
    }
    names = ("for every host", "for one host", "skipped")
    facts = {"tasks": {measure: dict(zip(names, count)) for measure, count in counts.items()}, "servers": sizes.fleet, "forks": sizes.forks}
    return Case(f"role protect, {sizes.fleet} servers", sides, judge, slow=("alone", "uri"), facts=facts)


def fleet_1000(stage: Stage, sizes: Sizes) -> Case:
    """Ten times as many servers: how time and memory grow, and how often the role logs in."""
    many = sizes.fleet * TEN
    logins: list[int] = []

    def ours(count: int) -> dict[str, Run]:
        stage.forget()
        inventory = stage.inventory(fleet_names(count))
        run = stage.run("ansible-playbook", "-i", inventory, "-f", str(sizes.forks), stage.play("fleet_ours"))
        requests = stage.requests()
        expect("writes to fresh servers", sum(record["write"] for record in requests), 2 * count)
        logins.append(sum(record["service"] == "clc" for record in requests))
        return {"fresh": run}

    def judge(case: Case) -> list[Target]:
        memory = max(run.memory for run in case.samples["fresh"]["many"])
        return [
            Target(f"{many} servers / {sizes.fleet} servers", 10.5, case.ratio("fresh", "many", "few")),
            Target(f"{many} servers: peak memory", 300, memory, unit="MiB"),
            Target("logins", 1, max(logins), exact=True, unit=""),
        ]

    sides: dict[str, Side] = {"few": lambda: ours(sizes.fleet), "many": lambda: ours(many)}
    return Case(f"role protect, {many} servers", sides, judge, facts={"servers": many, "forks": sizes.forks})


def _tasks(run: Run) -> tuple[int, int, int]:
    """Return how many tasks each host executed, how many only one of them did, and how many each skipped."""
    recap = run.recap().values()
    executed = [host["ok"] for host in recap]
    return min(executed), max(executed) - min(executed), min(host["skipped"] for host in recap)


def bulk(stage: Stage, sizes: Sizes) -> Case:
    """New blacklist entries in one task, and again, against a loop of uri tasks, and against a play with one debug task."""
    given = {count: stage.place / f"entries-{count}.json" for count in (sizes.entries, sizes.uri)}
    for count, path in given.items():
        path.write_text(json.dumps({"entries": [{"host": host} for host in addresses(count)]}), encoding="utf-8")
    requests_again: list[int] = []

    def play(name: str, count: int, ordinary: bool = False) -> dict[str, Run]:
        stage.forget()
        command = ("ansible-playbook", "-e", f"@{given[count]}", stage.play(name, ordinary=ordinary))
        new = stage.run(*command)
        expect("entries written", sum(record["write"] for record in stage.requests()), count)
        again = stage.run(*command)
        requests = stage.requests()
        expect("entries written again", sum(record["write"] for record in requests), 0)
        if name == "bulk_ours":
            requests_again.append(len(requests))
        return {"new": new, "again": again}

    def floor() -> dict[str, Run]:
        run = stage.run("ansible-playbook", "-e", "target=localhost", stage.play("floor"))
        return {"new": run, "again": run}

    def judge(case: Case) -> list[Target]:
        start = case.seconds("new", "floor")
        ours = (case.seconds("new", "ours") - start) / sizes.entries
        uri = (case.seconds("new", "uri") - start) / sizes.uri
        case.facts["milliseconds for an entry"] = {"ours": ours * 1000, "uri": uri * 1000}
        return [
            Target("new entries: uri / ours, per entry", 100, uri / ours, at_least=True),
            Target("new entries: ours / a play with one debug task (at 0 ms)", 3, case.ratio("new", "ours", "floor")),
            Target("nothing to do: requests", 1, max(requests_again), exact=True, unit=""),
        ]

    sides: dict[str, Side] = {
        "ours": lambda: play("bulk_ours", sizes.entries),
        "floor": floor,
        "modules": lambda: play("bulk_ours", sizes.entries, ordinary=True),
        "uri": lambda: play("bulk_uri", sizes.uri),
    }
    title = f"{sizes.entries} blacklist entries"
    facts = {"entries": sizes.entries, "entries of the uri side": sizes.uri}
    return Case(title, sides, judge, slow=("modules", "uri"), facts=facts)


def ad_hoc(stage: Stage, sizes: Sizes) -> Case:
    """One new block from the command line, against the debug module from the command line."""
    stage.forget()
    fresh = iter(addresses(100_000, "30.0.0.1"))

    def ours() -> dict[str, Run]:
        options = f"host={next(fresh)} ttl=600 description='port scan'"
        run = stage.run("ansible", "localhost", "-m", "intrusion.response.cos_blacklist_entry", "-a", options)
        expect("entries written", sum(record["write"] for record in stage.requests()), 1)
        return {"block": run}

    def judge(case: Case) -> list[Target]:
        return [Target("one block, ad hoc: ours / floor", 1.25, case.ratio("block", "ours", "floor"))]

    sides: dict[str, Side] = {"ours": ours, "floor": lambda: {"block": debug(stage)}}
    return Case("one block, ad hoc", sides, judge, turns=sizes.ad_hoc)


def debug(stage: Stage) -> Run:
    """Run what no ad-hoc command can be quicker than."""
    return stage.run("ansible", "localhost", "-m", "ansible.builtin.debug")


def logins(stage: Stage, sizes: Sizes) -> Case:
    """How often a big fleet logs in when all its forks start at once."""
    inventory = stage.inventory(fleet_names(sizes.logins))
    found: list[int] = []

    def ours() -> dict[str, Run]:
        stage.forget()
        run = stage.run("ansible-playbook", "-i", inventory, "-f", str(sizes.login_forks), stage.play("logins"))
        services = Counter(record["service"] for record in stage.requests())
        expect("servers read", services["ips"], sizes.logins)
        found.append(services["clc"])
        return {"read": run}

    def judge(case: Case) -> list[Target]:
        return [Target(f"logins of {sizes.logins} servers", 1, max(found), exact=True, unit="")]

    return Case(f"logins, {sizes.logins} servers, {sizes.login_forks} forks", {"ours": ours}, judge)


def blacklists(sizes: Sizes) -> dict[str, list[str]]:
    """Return the firewalls that the case `growth` wants: one for each length of the listing, and an empty one."""
    return {"empty": [], **{f"long{size}": [LISTED, *addresses(size - 1)] for size in sizes.listings}}


def growth(stage: Stage, sizes: Sizes) -> Case:
    """What a longer blacklist costs. Each run lists as many entries in all, in few long listings or in many short ones.

    What is left after taking away as many listings of an empty blacklist is the cost of the entries.
    """
    longest = max(sizes.listings)

    def run(play: str, firewall: str, repetitions: int) -> Run:
        options = ("-e", json.dumps({"repetitions": repetitions}))
        return stage.run("ansible-playbook", "--check", *options, stage.play(play), COS_API_URL=stage.api_urls[firewall])

    def side(play: str, size: int) -> Side:
        repetitions = longest // size
        return lambda: {"long": run(play, f"long{size}", repetitions), "empty": run(play, "empty", repetitions)}

    plays = ("listing_entry", "listing_info")
    names = {(play, size): f"{play.removeprefix('listing_')} {size}" for play in plays for size in sizes.listings}

    def cost(case: Case, name: str) -> float:
        return max(1e-9, case.seconds("long", name) - case.seconds("empty", name)) / longest

    def judge(case: Case) -> list[Target]:
        targets = []
        case.facts["microseconds for a listed entry"] = {name: cost(case, name) * 1e6 for name in names.values()}
        for play in plays:
            what = play.removeprefix("listing_")
            for smaller, bigger in zip(sizes.listings, sizes.listings[1:]):
                value = cost(case, names[play, bigger]) / cost(case, names[play, smaller])
                targets.append(Target(f"{what}, {smaller} to {bigger} listed: cost of an entry", 1.3, value))
            memory = max(run.memory for run in case.samples["long"][names[play, longest]])
            targets.append(Target(f"{what}, {longest} listed: peak memory", 300, memory, unit="MiB"))
        return targets

    sides = {name: side(play, size) for (play, size), name in names.items()}
    return Case("long blacklists", sides, judge, facts={"entries listed in each run": longest})


TASKS: dict[str, Callable[[Stage, Sizes], Case]] = {
    "fleet": fleet, "fleet_1000": fleet_1000, "bulk": bulk, "ad_hoc": ad_hoc, "logins": logins, "growth": growth,
}  # fmt: skip
CHAIN: dict[str, Callable[[Stage, Sizes], Case]] = {
    "events": events.events, "load": events.load, "burst": events.burst, "kills": failures.kills, "outage": failures.outage,
    "long_list": crowds.long_list, "many_firewalls": crowds.many_firewalls,
    "formats": detectors.formats, "batches": detectors.batches, "follow": detectors.follow,
    **({"shared_ledger": sharing.shared_ledger, "responders": sharing.responders} if programs() else {}),  # they need a database server
}  # fmt: skip
CASES = {**TASKS, **CHAIN}


def stage_for(name: str, place: Path, latency: float, sizes: Sizes) -> Stage:
    """Return the stage that a case wants, to be entered."""
    servers = {"fleet": sizes.fleet, "fleet_1000": sizes.fleet * TEN, "logins": sizes.logins}.get(name, 0)
    two = {events.OTHER: []}
    firewalls = {
        "growth": blacklists(sizes), "load": two, "kills": two, "outage": two, "shared_ledger": two, "responders": two,
        "long_list": {crowds.LONG: addresses(sizes.traffic.listed, "100.0.0.1")}, "many_firewalls": crowds.crowd(sizes),
    }.get(name)  # fmt: skip
    return Stage(place, latency, fleet_names(servers), firewalls)
