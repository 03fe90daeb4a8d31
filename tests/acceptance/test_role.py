# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one summary of the role, whoever fails, under every strategy, and for a second run in the same play."""

from __future__ import annotations

import pytest
import yaml

from .fleet import SERVERS, Fleet

UNKNOWN = ("VA1ACMEWEB98", "VA1ACMEWEB99")
ROLE = {"import_role": {"name": "intrusion.response.protect"}}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    variables = {"protect_check_server": True, "protect_detection": "api"}
    with Fleet(tmp_path_factory.mktemp("role"), variables) as fleet:
        path = fleet.secret / "inventory.json"
        inventory = yaml.safe_load(path.read_text())
        inventory["servers"]["hosts"].update({name: {} for name in UNKNOWN})
        path.write_text(yaml.safe_dump(inventory))
        yield fleet


def summaries(fleet, strategy, hosts, tasks):
    fleet.control("POST", "reset", {})
    playbook = fleet.write_playbook("role", [{"hosts": ",".join(hosts), "gather_facts": False, "strategy": strategy, "tasks": tasks}])
    played = fleet.play(playbook, ANSIBLE_CALLBACK_RESULT_FORMAT="yaml")
    blocks = [said for block in played.output.split("Summary] ")[1:] for said in block.split("\nok: [")[1:]]  # by each host that spoke
    lines = [[line.strip(" -") for line in block.splitlines() if line.startswith("    - ")] for block in blocks]
    return played, [found for found in lines if found]


@pytest.mark.parametrize("strategy", ["linear", "free"])
@pytest.mark.parametrize("servers", [SERVERS, ()], ids=["some fail", "all fail"])
def test_one_summary_speaks_of_all(fleet, strategy, servers):
    played, found = summaries(fleet, strategy, [*servers, *UNKNOWN], [ROLE])
    assert played.failed == set(UNKNOWN)
    named = ", ".join(servers)
    last = found[-1]
    assert [line.strip("'\"") for line in last[:-2]] == [
        *([f"Agent changed (3): {named}", f"Destinations changed (3): {named}"] if servers else []), "Failed (2)",
    ]
    assert [line.split(":")[0].strip("'\"") for line in last[-2:]] == list(UNKNOWN)
    if strategy == "linear":
        assert len(found) == 1


def test_a_second_run_forgets_the_first(fleet):
    again = {**ROLE, "vars": {"protect_destinations": [], "protect_purge": False}}
    _played, found = summaries(fleet, "linear", [*SERVERS, UNKNOWN[0]], [{**ROLE, "vars": {"protect_fail": False}}, again])
    assert len(found) == 2
    starts = [line.strip("'\"") for line in found[1]]
    assert starts[0].startswith("Agent unchanged (") and starts[1].startswith("WARNING: protect_destinations is empty")
    assert starts[2].startswith("Failed (")
    assert not any("Destinations" in line for line in found[1])
