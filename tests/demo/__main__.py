# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the demo: set the stage, play the story or leave the stage to the user, stop everything."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from tools.database import MISSING, programs

from .detectors import SuricataStory, follow, missing
from .screen import Screen
from .shared import SharedStory
from .stage import FIREWALLS, SERVERS, Misbehaviour, Stage
from .story import ATTACKED, ATTACKER, SCANNER, Story


class Stopped(Exception):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def _stop(number: int, _frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # cleaning up is not to be interrupted
    raise Stopped(number)


def play(stage: Stage, screen: Screen) -> None:
    """Start the responder, say where everything is, and wait for the end."""
    stage.responder.start(stage.environment)
    environment = stage.write_environment()
    attack = json.dumps({"server": ATTACKED, "event": {"sourceIP": ATTACKER}})
    screen.line(f"""
The stage is set, on loopback: the IPS with {len(SERVERS)} servers, the firewalls {" and ".join(FIREWALLS)}, and the responder.

  inventory    {stage.place / "inventory.yml"}
  environment  {environment}
  responder    {stage.responder.settings}, monitor {stage.responder.monitor}

In another terminal:

  . {environment}
  ansible-playbook -i inventory.yml intrusion.response.onboard
  ansible-playbook -i inventory.yml intrusion.response.block -e blacklist_addresses={SCANNER} -e blacklist_ttl=3600
  ansible-playbook -i inventory.yml intrusion.response.history -e blacklist_addresses={SCANNER}
  ansible-playbook -i inventory.yml intrusion.response.undo -e blacklist_last=10
  ansible-playbook -i inventory.yml intrusion.response.report -e blacklist_report=report.html

An attack on {ATTACKED}, once it is protected; its IPS posts the event, and the responder blocks {ATTACKER}:

  curl --cacert "$COS_CA_PATH" --json '{attack}' {stage.emulator.ready["control_url"]}/events

Ctrl-C ends it, and removes all of it.""")
    while True:
        signal.pause()


def main() -> int:
    """Play the demo; 0 when every step did what it should."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Show the main job of intrusion.response, on emulated services.",
        epilog="Arguments that are not known here go to the emulator, such as --switch cos.repost=duplicate.",
    )
    parser.add_argument("--play", action="store_true", help="let the stage stay up, to be played on, until Ctrl-C")
    parser.add_argument("--ledger", choices=["postgresql"], help="show two responders that share a ledger, instead")
    parser.add_argument("--detector", choices=("ips", "suricata"), default="ips", help="whose events lead to blocks")
    options, arguments = parser.parse_known_args()
    if options.ledger and programs() is None:
        parser.error(MISSING)
    screen = Screen()
    lacks = missing() if options.detector == "suricata" else None
    if lacks is not None:
        screen.failure(lacks, "")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        screen.title("intrusion.response", "From intrusion detection to network block.")
        with tempfile.TemporaryDirectory(prefix="intrusion-response-demo-") as directory:
            place = Path(directory)
            followed = follow(place) if options.detector == "suricata" else []
            with Stage(place, arguments, followed) as stage:
                if options.play:
                    play(stage, screen)
                kind = SuricataStory if options.detector == "suricata" else SharedStory if options.ledger else Story
                kind(stage, screen).run()
    except Stopped as stopped:
        screen.line(f"\nStopped by {stopped}; everything that was started is stopped.")
        return 0 if options.play and stopped.number == signal.SIGINT else 128 + stopped.number
    except (Misbehaviour, RuntimeError) as trouble:
        screen.failure(str(trouble), getattr(trouble, "output", ""))
        screen.line("")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
