# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo with another detector: the real Suricata looks at an attack, and the responder follows what it writes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tools.environment import ROOT

from .capture import write_attack
from .responder import SERVICE
from .stage import FIREWALLS
from .story import ATTACKER, Story, expect

SURICATA = "suricata"
EVE, CAPTURE = "eve.json", "attack.pcap"
SERVER = "10.0.0.80"
EXAMPLES = ROOT / "extensions" / "eda" / "examples" / "detectors"
RULE = (
    'alert http any any -> any any (msg:"Path traversal in a request"; flow:to_server,established; http.uri.raw; content:"/etc/passwd"; '
    "classtype:web-application-attack; sid:1000001; rev:1;)\n"
)


def missing() -> str | None:
    """Return what to do where Suricata is not installed, or None."""
    if shutil.which(SURICATA) is None:
        return f"Suricata is not installed. In Debian 12 it comes from backports: apt install -t bookworm-backports {SURICATA}"
    return None


def follow(place: Path) -> list[dict[str, Any]]:
    """Return what the responder is to follow."""
    return [{"path": str(place / EVE), "format": "suricata_eve"}]


class SuricataStory(Story):
    """The steps, in order."""

    by_hand = False

    def run(self) -> None:
        """Play all steps; Misbehaviour from the first that goes wrong."""
        self.screen.line("")
        self.screen.show("Real: Suricata. Emulated: two cOS Core firewalls, over HTTPS on loopback. What follows $ is what runs.")
        for step in (self.stand_guard, self.attack, self.record, self.undo):
            step()
        self.screen.summary()

    def stand_guard(self) -> None:
        why = "The responder follows eve.json, which is not there yet. It knows both firewalls."
        with self.screen.step("Stand guard", why):
            self.screen.command(f"python3 {SERVICE} --config responder.yml")
            self.stage.responder.start(self.stage.environment)
            self.screen.done(f"following {EVE}, connected to {' and '.join(FIREWALLS)}")

    def attack(self) -> None:
        place = self.stage.place
        with self.screen.step("An attack", f"{ATTACKER} asks {SERVER} for /etc/passwd. Suricata sees it. Nobody does anything."):
            write_attack(place / CAPTURE, ATTACKER, SERVER)
            (place / "local.rules").write_text(RULE, encoding="utf-8")
            (place / "suricata.yaml").write_text((EXAMPLES / "suricata.yaml").read_text(encoding="utf-8"), encoding="utf-8")
            command = f"{SURICATA} -c suricata.yaml -S local.rules -r {CAPTURE} -l . -k none"
            self.screen.command(command)
            outcome = self.stage.run(command)
            expect(outcome.status == 0, f"exit status {outcome.status}", outcome)
            self._blocked(SERVER, "suricata_eve")
