# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo of a ledger that is shared: two responders, one of which is killed, and an undo from a third place."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from emulator import events
from tools.database import Server

from .responder import SERVICE, Responder
from .screen import Screen
from .stage import FIREWALLS, OWN_NETWORK, Misbehaviour, Stage
from .story import ATTACKED, PLAYBOOK, expect

ATTACKERS = ("203.0.113.77", "203.0.113.78", "203.0.113.79")
PATIENCE = 20.0


class SharedStory:
    """The steps, in order."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self.stage = stage
        self.screen = screen
        self.other = Responder(stage.place, stage.urls, [OWN_NETWORK], stage.ready["ca_path"], "other")

    def run(self) -> None:
        """Play all steps; Misbehaviour from the first that goes wrong."""
        self.screen.line("")
        self.screen.show("Emulated: two cOS Core firewalls, over HTTPS on loopback. Real: a PostgreSQL server, for this demo only.")
        with Server() as server:
            ledger = server.create("ledger")
            self.stage.environment["INTRUSION_RESPONSE_LEDGER"] = ledger
            try:
                self.divide(ledger)
                self.attack("An attack", "It is posted to the first responder. Each firewall is written by who works it.",
                            self.stage.responder, ATTACKERS[0])
                self.attack("Another attack", "This one is posted to the other responder.", self.other, ATTACKERS[1])
                self.kill()
                self.attack("And the next", "The responder that is left blocks on both firewalls.", self.other, ATTACKERS[2])
                self.undo()
            finally:
                self.other.stop()
                self.stage.responder.stop()
        self.screen.summary()

    def divide(self, ledger: str) -> None:
        with self.screen.step("Stand guard", "Two responders with the same firewalls and one ledger divide the firewalls among them."):
            self.screen.show(f"INTRUSION_RESPONSE_LEDGER={ledger}")
            for name, responder in (("responder", self.stage.responder), ("other", self.other)):
                self.screen.command(f"python3 {SERVICE} --config {name}.yml")
                responder.start(self.stage.environment)
            self._until(lambda: all(len(one.works()) == 1 for one in (self.stage.responder, self.other)), "the firewalls were not divided")
            rows = [["responder", *self.stage.responder.works()], ["other", *self.other.works()]]
            for name, works in rows:
                self.screen.show(f"{name} works {works}")
            expect(sorted(row[1] for row in rows) == sorted(FIREWALLS), f"they work {rows}")
            self.screen.done("each firewall is worked by one of them")

    def attack(self, title: str, why: str, responder: Responder, attacker: str) -> None:
        with self.screen.step(title, why):
            event = events.build(ATTACKED, time.time(), {"sourceIP": attacker})
            with urllib.request.urlopen(urllib.request.Request(responder.url, json.dumps(event).encode()), timeout=PATIENCE) as answer:
                expect(answer.status == 200, f"the webhook answered {answer.status}")
            verdict = self._verdict(responder)
            expect((verdict["attacker"], verdict["verdict"]) == (attacker, "blocked"), f"the verdict is {verdict}")
            for name in FIREWALLS:
                hosts = [entry["host"] for entry in self.stage.blocked(name)]
                expect(hosts.count(attacker) == 1, f"{name} holds {hosts}")
            for one in verdict["firewalls"]:
                self.screen.show(f"{one['name']}: {one['result']}, {one['latency_ms']:.1f} ms after the event")
            self.screen.done(f"{attacker} is blocked on {' and '.join(FIREWALLS)}, once on each")

    def kill(self) -> None:
        with self.screen.step("One is gone", "The first responder is killed. The other takes its firewall over."):
            self.screen.command("kill -9 <the first responder>")
            killed = time.monotonic()
            self.stage.responder.kill()
            self._until(lambda: sorted(self.other.works()) == sorted(FIREWALLS), "its firewall was not taken over")
            self.screen.done(f"the other works {' and '.join(FIREWALLS)}, {time.monotonic() - killed:.1f} s later")

    def undo(self) -> None:
        with self.screen.step("Undo from a third place", "A job in a throw-away home, which knows nothing but where the ledger is."):
            home = self.stage.place / "throw-away"
            home.mkdir()
            for expected in (True, False):
                command = f"HOME={home} {PLAYBOOK}undo -e blacklist_last=10"
                self.screen.command(command)
                outcome = self.stage.run(command)
                expect(outcome.status == 0, f"exit status {outcome.status}", outcome)
                for name in FIREWALLS:
                    expect((outcome.recap()[name]["changed"] > 0) == expected, f"{name} reports {outcome.recap()[name]}", outcome)
                    expect(self.stage.blocked(name) == [], f"{name} still blocks something", outcome)
            self.screen.done("what two responders did is taken back; a second run changes nothing")

    def _verdict(self, responder: Responder) -> dict[str, Any]:
        verdict = responder.verdict(PATIENCE)
        if verdict is None:
            raise Misbehaviour(f"no verdict within {PATIENCE:g} s")
        return verdict

    @staticmethod
    def _until(condition: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Misbehaviour(f"{otherwise} within {PATIENCE:g} s")
            time.sleep(0.05)
