# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger in a database that responders and jobs share: what it costs, and what two responders do with it."""

from __future__ import annotations

import functools
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg

from tools.database import Server as Database
from tools.ports import free_port

from ..case import Case, Side, Sizes, Target
from ..stage import FIREWALL, Misbehaviour, Run, Stage, addresses, expect
from .events import OTHER, WARM, zeros
from .scene import PATIENCE, Answers, Scene, Sending, latencies, percentile, runs, summary
from .server import Server

#: Records of the small ledger; the large one has SHARE times as many.
FEW = 1000
#: Seconds until the firewalls of an owner that was killed are worked by another.
TAKEN_OVER = 5.0
RECORDED = "SELECT count(DISTINCT (firewall, address)) FROM intrusion_response.records WHERE action = 'block' AND outcome = 'ok'"
ASKED = ("undo", "info of ten minutes", "info of all")
SEED = """
INSERT INTO intrusion_response.records
    (key, arrived, at, action, outcome, address, service, firewall, ttl, rule_name, description, origin, event, write, ends)
SELECT gen_random_uuid(), t, t, 'block', CASE WHEN n %% 2 = 0 THEN 'unknown' ELSE 'ok' END,
    '30.' || (n / 2 / 65536) %% 256 || '.' || (n / 2 / 256) %% 256 || '.' || n / 2 %% 256, 'all_services', %s, 60, 'IPS', 'seed',
    'responder', md5((n / 2)::text), 's' || n / 2, t + 60
FROM (SELECT n, extract(epoch FROM now()) - 86400 - (%s::int - n) AS t FROM generate_series(1, %s::int) AS n) AS seed
"""


def many(database: Database, name: str, count: int, firewall: str) -> str:
    """Make a ledger with so many records, all of blocks that have expired; return its address."""
    url = database.create(name)
    with psycopg.connect(url, autocommit=True) as connection:
        _made(url)
        connection.execute(SEED, (firewall, count, count))
        connection.execute("VACUUM ANALYZE intrusion_response.records")
    return url


def _made(url: str) -> None:
    from ansible_collections.intrusion.response.plugins.module_utils._ledger.postgresql import PostgresqlStore

    PostgresqlStore(url, 60.0).open().close()


def shared_ledger(stage: Stage, sizes: Sizes) -> Case:
    """The same with a file and with a database: a responder, a thousand entries, and questions to few records and to a million."""
    scene, traffic = Scene(stage), sizes.traffic
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {"events/s": traffic.load_rate, "firewalls": 2, "entries": sizes.entries, "records": sizes.records}
    database = stage.database
    ledgers = {
        name: many(database, name, count, stage.api_urls[FIREWALL]) for name, count in (("few", FEW), ("many", sizes.records))
    }  # fmt: skip
    given = stage.place / "entries.json"
    given.write_text(json.dumps({"entries": [{"host": host} for host in addresses(sizes.entries)]}), encoding="utf-8")
    turns = iter(range(10_000))

    def turn(name: str) -> dict[str, Run]:
        scene.fresh()
        if name == "database":
            scene.ledger = database.create(f"turn{next(turns)}")
        with scene.service() as server:
            scene.send(addresses(traffic.warm, WARM), traffic.rate)
            sent = scene.send(addresses(int(traffic.load_rate * traffic.seconds)), traffic.load_rate)
            scene.settle()
            answers = scene.answers()
            counts.update(scene.counts(sent, answers))
            values = latencies(sent, answers, FIREWALL, OTHER)
            facts.setdefault(name, []).append(summary(values))
            found = runs(server, p95=percentile(values, 95))
        stage.forget()
        environment = {"INTRUSION_RESPONSE_LEDGER": database.create(f"turn{next(turns)}")} if name == "database" else {}
        found["entries"] = stage.run("ansible-playbook", "-e", f"@{given}", stage.play("bulk_ours"), **environment)
        return found

    def asked(name: str) -> dict[str, Run]:
        environment = {"INTRUSION_RESPONSE_LEDGER": ledgers[name]}
        info = stage.run("ansible", "localhost", "-m", "intrusion.response.response_ledger_info", "-a", "last=10", **environment)
        every = stage.run("ansible", "localhost", "-m", "intrusion.response.response_ledger_info", "-a", "limit=10", **environment)
        undo = stage.run("ansible-playbook", "intrusion.response.undo", "-e", "blacklist_last=10", **environment)
        return {"undo": undo, "info of ten minutes": info, "info of all": every}

    def judge(case: Case) -> list[Target]:
        return [
            *zeros(counts),
            Target("event to answer, p95: database / file", 1.2, case.ratio("p95", "database", "file")),
            Target(f"{sizes.entries} entries: database / file", 1.1, case.ratio("entries", "database", "file")),
            *(Target(f"{what}: many records / few", 1.5, case.ratio(what, "many", "few")) for what in ASKED),
        ]

    sides: dict[str, Side] = {
        **{name: functools.partial(turn, name) for name in ("file", "database")},
        **{name: functools.partial(asked, name) for name in ("few", "many")},
    }
    return Case("a ledger in a database", sides, judge, facts=facts, most_rounds=3)


class Pair:
    """Two responders with the same firewalls and one ledger, as a context manager."""

    def __init__(self, scene: Scene, ledger: str) -> None:
        self.scene = scene
        scene.ledger = ledger
        self.servers: list[Server] = []
        self.blocked: set[tuple[str, str]] = set()
        self._monitors: list[int] = []
        for name in ("one", "other"):
            place, port = scene.place / name, free_port()
            (place / "tmp").mkdir(parents=True)
            settings = scene.settings(place, port)
            self._monitors.append(settings["monitor"]["port"])
            (place / "responder.yml").write_text(json.dumps(settings), encoding="utf-8")
            (place / "responder.yml").chmod(0o600)
            environment = {**scene.stage.environment, "TMPDIR": str(place / "tmp")}
            self.servers.append(Server(scene.command(place / "responder.yml"), environment, place, port))

    def __enter__(self) -> Pair:
        self._stack = ExitStack()
        for server in self.servers:
            self._stack.enter_context(server)
        self.wait()
        return self

    def wait(self) -> None:
        """Wait until each of them works a firewall."""
        begun = time.monotonic()
        while [len(shared["works"]) for shared in self._shared() if shared["connected"]] != [1, 1]:
            if time.monotonic() - begun > PATIENCE:
                raise Misbehaviour("the firewalls were not divided")
            time.sleep(0.1)

    def _shared(self) -> Iterator[dict[str, Any]]:
        for port in self._monitors:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10) as answer:
                yield json.load(answer)["shared"]

    def __exit__(self, *_unused: object) -> None:
        self._stack.close()

    def sending(self, sources: list[str], rate: float) -> list[Sending]:
        """Send every other event to each of them."""
        return [
            Sending(self.scene.job(sources[number::2], rate / 2, server.port), server.place) for number, server in enumerate(self.servers)
        ]  # fmt: skip

    def settle(self) -> None:
        for server in self.servers:
            self.scene.settle(server.place)


def responders(stage: Stage, sizes: Sizes) -> Case:
    """Two responders that get half of the events each: undisturbed, killed over and over, and with the database stopped."""
    scene, traffic = Scene(stage), sizes.traffic
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {"kills": traffic.kills_of_owners, "stops": traffic.stops, "seconds of a stop": traffic.outage, "turns": []}
    database = stage.database
    turns = iter(range(10_000))

    def check(sent: list[dict[str, Any]], answers: Answers, twice: bool = False) -> None:
        listed, sources = scene.listed(), {event["source"] for event in sent}
        counts["events never acknowledged"] += sum(event["acknowledged"] is None for event in sent)
        counts["addresses not blocked on a firewall"] += sum(len(sources - set(hosts)) for hosts in listed.values())
        counts["entries beyond one for each address and firewall"] += sum(len(hosts) - len(set(hosts)) for hosts in listed.values())
        if not twice:
            counts["POSTs beyond one for each address and firewall"] += sum(len(times) - 1 for times in answers.values())

    def ours() -> dict[str, Run]:
        scene.fresh()
        url = database.create(f"turn{next(turns)}")
        with Pair(scene, url) as pair:
            calm = _calm(pair)
            undone = _undo(url)
            taken, after_kills = _kills(pair)
            usual = _usual(pair)
            delayed, around_stops = _stops(pair)
            facts["turns"].append({
                "milliseconds": summary(calm), "with the database": summary(usual), "without the database": summary(delayed),
                "seconds until taken over": [round(one, 2) for one in taken], "entries that undo took back": undone,
                "second posts after kills": after_kills, "second posts around stops": around_stops,
            })  # fmt: skip
            with psycopg.connect(url) as connection:
                ((recorded,),) = connection.execute(RECORDED).fetchall()
            counts["blocks that the ledger does not have"] += len(pair.blocked) - recorded
            found = {"p95": percentile(usual, 95), "p95 without the database": percentile(delayed, 95), "taken over": max(taken)}
            return runs(pair.servers[0], **found)

    def _calm(pair: Pair) -> list[float]:
        sources = addresses(traffic.attackers)
        sent = [event for sending in pair.sending(sources, traffic.load_rate) for event in sending.results()]
        pair.settle()
        answers = scene.answers()
        pair.blocked = set(answers)
        check(sent, answers)
        return latencies(sent, answers, FIREWALL, OTHER)

    def _undo(url: str) -> int:
        environment = {"INTRUSION_RESPONSE_LEDGER": url, "HOME": str(scene.place / "throw-away")}
        (scene.place / "throw-away").mkdir()
        before = sum(len(hosts) for hosts in scene.listed().values())
        for left in (0, 0):
            stage.run("ansible-playbook", "intrusion.response.undo", "-i", scene.inventory(), "-e", "blacklist_last=60", **environment)
            expect("entries after undo", sum(len(hosts) for hosts in scene.listed().values()), left)
        scene.answers()
        return before

    def _kills(pair: Pair) -> tuple[list[float], int]:
        """Kill one after the other; what was sent to the one that lives tells how long the firewalls of the other stood still."""
        taken: list[float] = []
        again = 0
        for number in range(traffic.kills_of_owners):
            victim, other = number % 2, 1 - number % 2
            sendings = pair.sending(addresses(int(traffic.rate * traffic.grace * 2), f"40.{number}.0.1"), traffic.rate)
            time.sleep(1)
            pair.servers[victim].kill()
            killed = time.monotonic()
            time.sleep(traffic.grace)
            pair.servers[victim].start()
            pair.servers[victim].wait_until_it_listens()
            pair.wait()
            sent = [sending.results() for sending in sendings]
            pair.settle()
            answers = scene.answers()
            taken.append(max(latencies([event for event in sent[other] if event["sent"] > killed], answers, FIREWALL, OTHER)))
            again += sum(len(times) - 1 for times in answers.values())
            pair.blocked |= set(answers)
            check([*sent[0], *sent[1]], answers, twice=True)
        return taken, again

    def _usual(pair: Pair) -> list[float]:
        sources = addresses(int(traffic.rate * traffic.calm), "45.0.0.1")
        sent = [event for sending in pair.sending(sources, traffic.rate) for event in sending.results()]
        pair.settle()
        answers = scene.answers()
        pair.blocked |= set(answers)
        return latencies(sent, answers, FIREWALL, OTHER)

    def _stops(pair: Pair) -> tuple[list[float], int]:
        values: list[float] = []
        again = 0
        for number in range(traffic.stops):
            sources = addresses(int(traffic.rate * (traffic.outage + 2)), f"50.{number}.0.1")
            sendings = pair.sending(sources, traffic.rate)
            time.sleep(1)
            database.stop()
            time.sleep(traffic.outage)
            database.start()
            sent = [event for sending in sendings for event in sending.results()]
            pair.settle()
            answers = scene.answers()
            values += latencies(sent, answers, FIREWALL, OTHER)
            again += sum(len(times) - 1 for times in answers.values())
            pair.blocked |= set(answers)
            check(sent, answers, twice=True)
        time.sleep(3)  # what waited is delivered
        return values, again

    def judge(case: Case) -> list[Target]:
        ratio = case.seconds("p95 without the database", "ours") / case.seconds("p95", "ours")
        return [
            *zeros(counts),
            Target("seconds until a firewall of a killed responder goes on", TAKEN_OVER, case.seconds("taken over", "ours"), unit="s"),
            Target("p95: without the database / with it", 1.2, ratio),
        ]

    return Case("two responders and one ledger", {"ours": ours}, judge, facts=facts, most_rounds=1)
