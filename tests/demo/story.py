# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the demo. Each one is checked against what the emulated services really hold."""

from __future__ import annotations

import json
import re

from .responder import SERVICE
from .screen import Screen
from .stage import FIREWALLS, OWN_NETWORK, SERVERS, Misbehaviour, Outcome, Stage

ATTACKER = "203.0.113.77"
SCANNER = "203.0.113.50"
ATTACKED = SERVERS[0]
OWN_SERVER = "198.51.100.20"
PLAYBOOK = "ansible-playbook -i inventory.yml intrusion.response."


def expect(condition: bool, message: str, outcome: Outcome | None = None) -> None:
    """Raise Misbehaviour unless the condition holds."""
    if not condition:
        raise Misbehaviour(message, outcome.output if outcome else "")


class Story:
    """The steps, in order.

    Attributes:
        by_hand: whether an address was blocked, and let in again, by hand.
    """

    by_hand = True

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self.stage = stage
        self.screen = screen
        self.event = ""

    def run(self) -> None:
        """Play all steps; Misbehaviour from the first that goes wrong."""
        self.screen.line("")
        self.screen.show(f"Emulated: the IPS with {len(SERVERS)} Linux servers, and two cOS Core firewalls, over HTTPS on loopback.")
        self.screen.show("Credentials are in the environment, addresses in inventory.yml. What follows $ is what runs.")
        by_hand = (self.block, self.report, self.guard, self.unblock)
        for step in (self.stand_guard, self.onboard, self.again, self.destinations, *by_hand, self.attack, self.record, self.undo):
            step()
        self.screen.summary()

    def _run(self, command: str, hosts: list[str]) -> Outcome:
        """Run a playbook that must succeed on these hosts."""
        self.screen.command(command)
        outcome = self.stage.run(command)
        expect(outcome.status == 0, f"exit status {outcome.status}", outcome)
        recap = outcome.recap()
        expect(set(hosts) <= set(recap), f"the recap lacks {sorted(set(hosts) - set(recap))}", outcome)
        expect(all(not count["failed"] and not count["unreachable"] for count in recap.values()), "a host failed", outcome)
        return outcome

    def stand_guard(self) -> None:
        with self.screen.step("Stand guard", "The responder listens where the servers' events will go. It knows both firewalls."):
            self.screen.command(f"python3 {SERVICE} --config responder.yml")
            self.stage.responder.start(self.stage.environment)
            self.screen.done(f"listening, connected to {' and '.join(FIREWALLS)}")

    def onboard(self) -> None:
        with self.screen.step("Protect the fleet", "Install the agent on every server, and set where its events go."):
            outcome = self._run(f"{PLAYBOOK}onboard", SERVERS)
            changed = {host for host, count in outcome.recap().items() if count["changed"]}
            expect(changed == set(SERVERS), f"changed on {sorted(changed)}", outcome)
            held = self.stage.servers()
            agents = [name for name in SERVERS if held[name]["agent"]["state"] == "installed"]
            destinations = [name for name in SERVERS if len(held[name]["destinations"]) == 3]
            expect(agents == SERVERS, f"the IPS has agents on {agents}", outcome)
            expect(destinations == SERVERS, f"the IPS has destinations for {destinations}", outcome)
            found = list((self.stage.place / "servers").glob("*/opt/ds_agent/ds_agent"))
            expect(len(found) == len(SERVERS), f"{len(found)} servers have the agent's files", outcome)
            self.screen.done(f"{len(SERVERS)} servers: agent accepted on {len(agents)}, destinations set on {len(destinations)}")

    def again(self) -> None:
        with self.screen.step("Protect it again", "Nothing may change: the agents are seen on the servers, the destinations are read."):
            before = self.stage.writes()
            outcome = self._run(f"{PLAYBOOK}onboard", SERVERS)
            changes = sum(count["changed"] for count in outcome.recap().values())
            expect(changes == 0, f"changed={changes}", outcome)
            expect(self.stage.writes() == before, "something was written", outcome)
            self.screen.done("changed=0, and not one write reached the service")

    def destinations(self) -> None:
        why = "Read back from the service. The webhook's URL is a secret: it is masked."
        with self.screen.step("Where do the events of a server go?", why):
            outcome = self._run(f"{PLAYBOOK}report --limit {ATTACKED}", [ATTACKED])
            lines = self._lines(outcome, ATTACKED)
            expect(len(lines) == 1 and all(kind in lines[0] for kind in ("email", "syslog", "webhook")), "other destinations", outcome)
            self.screen.show("\n".join(lines))
            self.screen.done("3 destinations")

    def block(self) -> None:
        with self.screen.step("Block by hand", "On both firewalls, for an hour, with the reason, closing what it has open."):
            why = "-e \"blacklist_rule_name='port scan'\" -e blacklist_close_established=true"
            command = f"{PLAYBOOK}block -e blacklist_addresses={SCANNER} -e blacklist_ttl=3600 {why}"
            outcome = self._run(command, FIREWALLS)
            for name in FIREWALLS:
                expect(outcome.recap()[name]["changed"] > 0, f"{name} reports no change", outcome)
                entries = [(entry["host"], entry["rule_name"]) for entry in self.stage.blocked(name)]
                expect(entries == [(SCANNER, "port scan")], f"{name} holds {entries}", outcome)
            self.screen.done(f"{SCANNER} is on the blacklist of {' and '.join(FIREWALLS)}")

    def report(self) -> None:
        with self.screen.step("What is blocked?", "A report reads only. Entries of the firewall's own features are listed, too."):
            before = self.stage.writes()
            outcome = self._run(f"{PLAYBOOK}report --limit firewalls", FIREWALLS)
            listed = {name: self._lines(outcome, name) for name in FIREWALLS}
            for name, lines in listed.items():
                expect(any(SCANNER in line for line in lines), f"the report does not name the address on {name}", outcome)
            expect(self.stage.writes() == before, "a report wrote something", outcome)
            expect(all(not count["changed"] for count in outcome.recap().values()), "a report changed something", outcome)
            self.screen.show("\n".join(f"{name}  {line}" for name, lines in listed.items() for line in lines))
            self.screen.done(f"{SCANNER} listed on {len(FIREWALLS)} firewalls, nothing written")

    @staticmethod
    def _lines(outcome: Outcome, host: str) -> list[str]:
        """Return the lines of the summaries that a playbook prints for a host."""
        shown = re.findall(rf"^ok: \[{host}(?: -> localhost)?\] => (\{{.*?^\}})", outcome.output, re.MULTILINE | re.DOTALL)
        told = [json.loads(text)["msg"] for text in shown]
        return [line for one in told for line in ([one] if isinstance(one, str) else one)]

    def guard(self) -> None:
        with self.screen.step("Do not lock yourself out", "The guard refuses our own address, and what we named as never to be blocked."):
            before = self.stage.writes()
            module = "ansible localhost -m intrusion.response.cos_blacklist_entry -a host="
            for command in (f"{module}127.0.0.1", f"INTRUSION_RESPONSE_NEVER_BLOCK={OWN_NETWORK} {module}{OWN_SERVER}"):
                self.screen.command(command)
                outcome = self.stage.run(command)
                result = outcome.result()
                expect(outcome.status != 0, "it was not refused", outcome)
                expect(result.get("code") == "protected_address", f"refused for another reason: {result.get('code')}", outcome)
                self.screen.show(result["msg"])
            expect(self.stage.writes() == before, "something was sent nevertheless")
            self.screen.done("refused twice, nothing was sent")

    def unblock(self) -> None:
        with self.screen.step("Let it in again", "One command takes it off all firewalls."):
            outcome = self._run(f"{PLAYBOOK}unblock -e blacklist_addresses={SCANNER}", FIREWALLS)
            for name in FIREWALLS:
                expect(outcome.recap()[name]["changed"] > 0, f"{name} reports no change", outcome)
                expect(self.stage.blocked(name) == [], f"{name} still blocks it", outcome)
            self.screen.done(f"{SCANNER} is off the blacklist of {' and '.join(FIREWALLS)}")

    def attack(self) -> None:
        with self.screen.step("An attack", f"{ATTACKED} is attacked. Its IPS posts the event to the webhook. Nobody does anything."):
            self.stage.control("POST", "events", {"server": ATTACKED, "event": {"sourceIP": ATTACKER}})
            self._blocked(ATTACKED, "clc_ips")

    def _blocked(self, attacked: str, format: str) -> None:
        """Wait until the attacker is blocked on all firewalls, and show it."""
        verdict = self.stage.responder.verdict(timeout=20)
        if verdict is None:
            raise Misbehaviour("no verdict within 20 s")
        event = verdict["intrusion"]
        told = event["host_name"], event["attacker"], event["format"]
        expect(told == (attacked, ATTACKER, format), f"another event arrived: {event}")
        expect(verdict["verdict"] == "blocked", f"the verdict is {verdict['verdict']}: {verdict['reason']}")
        for name in FIREWALLS:
            hosts = [entry["host"] for entry in self.stage.blocked(name)]
            expect(hosts == [ATTACKER], f"{name} holds {hosts}")
        self.event = event["id"]
        rows = verdict["firewalls"]
        self.screen.show(f"{event['reason']} ({event['severity']}) from {ATTACKER} against {attacked} port {event['destination_port']}")
        self.screen.show("\n".join(f"{one['name']}  {one['result']}, {one['latency_ms']:.1f} ms after the event" for one in rows))
        self.screen.done(f"{ATTACKER} is blocked on {len(rows)} firewalls, {verdict['latency_ms']:.1f} ms after its event")

    def record(self) -> None:
        with self.screen.step("On record", "What was blocked and unblocked, when, by whom and why: the ledger knows."):
            outcome = self._run(f"{PLAYBOOK}history -e blacklist_last=10", FIREWALLS[:1])
            lines = self._lines(outcome, FIREWALLS[0])
            rows = [line.split() for line in lines if line.startswith(("203.", "198."))]
            by_hand = [row for row in rows if row[0] == SCANNER]
            by_itself = [row for row in rows if row[0] == ATTACKER and "responder" in row]
            told = " ".join(word for line in lines for word in line.split())
            expect(bool(by_hand) == ("removed by" in told) == self.by_hand, "other records", outcome)
            expect(bool(by_itself) and len(rows) == len(by_hand) + len(by_itself), "other records", outcome)
            expect(all(name in told for name in (*FIREWALLS, self.event[:12])), "the event is not on record", outcome)
            self.screen.show("\n".join(lines))
            self.screen.done(f"{len(rows)} blocks")

    def undo(self) -> None:
        with self.screen.step("Undo", "A false alarm? One command takes back what this event led to, on every firewall."):
            outcome = self._run(f"{PLAYBOOK}undo -e blacklist_event={self.event}", FIREWALLS)
            for name in FIREWALLS:
                expect(outcome.recap()[name]["changed"] > 0, f"{name} reports no change", outcome)
                expect(self.stage.blocked(name) == [], f"{name} still blocks it", outcome)
            self.screen.done(f"{ATTACKER} is off the blacklist of {' and '.join(FIREWALLS)}")
