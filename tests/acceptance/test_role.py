# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one summary of the role, whoever fails, under every strategy, and for a second run in the same play; its tags."""

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


def test_tags_choose_agents_or_destinations(fleet):
    """What a run limited by tags asked for: the kinds of resource that it wrote, and whether anything was said of the other kind."""
    onboard, offboard = "intrusion.response.onboard", "intrusion.response.offboard"
    agents, destinations = {"app"}, {"notifications"}
    cases = [
        (onboard, ("--skip-tags", "protect_agent,protect_destinations"), set()),
        (onboard, ("--tags", "protect_agent", "-e", "protect_destinations="), agents),
        (onboard, ("--skip-tags", "protect_agent"), destinations),
        (offboard, ("--tags", "protect_destinations"), destinations),
        (offboard, ("--skip-tags", "protect_destinations"), agents),
    ]
    fleet.control("POST", "reset", {})
    for playbook, limits, written in cases:
        before = len(fleet.writes())
        played = fleet.play(playbook, "-e", f"protect_target={','.join(SERVERS)}", "-e", "protect_check_server=false", *limits)
        paths = [request["path"] for request in fleet.writes()[before:] if request["path"].startswith("/ips/")]
        assert played.status == 0, played.output
        assert {path.split("/")[3] for path in paths} == written and len(paths) == len(SERVERS) * len(written), played.output
        said = {word for word in ("Agent", "Destinations", "WARNING") if f"{word} " in played.output or f"{word}:" in played.output}
        assert said == {"Agent" if one == "app" else "Destinations" for one in written}
