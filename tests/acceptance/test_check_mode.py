# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""--check over role and playbooks, on an empty and on a converged fleet: nothing is written, and what is foretold happens."""

from __future__ import annotations

from pathlib import Path

from acceptance.fleet import SERVERS, Fleet

FIREWALLS = ("fw1", "fw2")


def foretell_and_do(fleet: Fleet, playbook: str, *arguments: str) -> dict[str, int]:
    """Play with --check, for real, and with --check again; return the changes of the real run."""
    fleet.control("DELETE", "journal")
    foretold = fleet.play(playbook, "--check", "--diff", *arguments)
    assert foretold.status == 0, foretold.output
    assert fleet.writes() == []
    done = fleet.play(playbook, *arguments)
    assert done.status == 0, done.output
    assert done.changes == foretold.changes
    written = len(fleet.writes())
    converged = fleet.play(playbook, "--check", *arguments)
    assert converged.status == 0, converged.output
    assert set(converged.changes.values()) == {0}, converged.output
    assert len(fleet.writes()) == written
    return {host: changes for host, changes in done.changes.items() if changes}


def test_predictions_come_true(tmp_path: Path) -> None:
    block = ("-e", "blacklist_addresses=203.0.113.5,203.0.113.6", "-e", "blacklist_ttl=600")
    with Fleet(tmp_path) as fleet:
        assert foretell_and_do(fleet, "intrusion.response.onboard") == dict.fromkeys(SERVERS, 1)
        assert foretell_and_do(fleet, "intrusion.response.block", *block) == dict.fromkeys(FIREWALLS, 1)
        assert foretell_and_do(fleet, "intrusion.response.report") == {}
        assert foretell_and_do(fleet, "intrusion.response.unblock", *block) == dict.fromkeys(FIREWALLS, 1)
        assert foretell_and_do(fleet, "intrusion.response.block", *block) == dict.fromkeys(FIREWALLS, 1)
        assert foretell_and_do(fleet, "intrusion.response.undo", "-e", "blacklist_last=10") == dict.fromkeys(FIREWALLS, 1)
        assert foretell_and_do(fleet, "intrusion.response.offboard", "-e", "protect_target=servers") == dict.fromkeys(SERVERS, 1)
        assert all(server["agent"]["state"] == "absent" for server in fleet.control("GET", "state")["servers"])
