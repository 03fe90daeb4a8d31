# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run and write what they found; how fast anything was is not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tools.database import programs
from tools.layers import OLDEST_JAVA, java_version

TESTS = Path(__file__).resolve().parents[1]


def test_quick_run_writes_results_and_plot(tmp_path: Path) -> None:
    output, scratch = tmp_path / "output", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(output)]
    env = {**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(scratch)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(scratch.iterdir()) == []
    document = json.loads((output / "results.json").read_text(encoding="utf-8"))
    (emulator,) = document["emulators"]
    cases = {case["name"]: case for case in emulator["cases"]}
    assert set(cases) == {
        "fleet", "fleet_1000", "bulk", "ad_hoc", "logins", "growth", "events", "load", "burst", "kills", "outage", "long_list",
        "many_firewalls", "formats", "batches", "follow", *(("shared_ledger", "responders") if programs() else ()),
    }  # fmt: skip
    assert set(cases["fleet"]["measures"]["fresh"]) == {"ours", "floor", "least", "late", "alone", "uri"}
    with_java = {"rulebook", "playbook"} if java_version() >= OLDEST_JAVA else set()
    assert set(cases["events"]["measures"]["median"]) == {"ours", "bare", *with_java}
    assert bool(with_java) is ("left out" not in cases["events"]["facts"])
    exact = {name: [target for target in case["targets"] if target["exact"]] for name, case in cases.items()}
    assert {name: len(targets) for name, targets in exact.items() if targets} == {
        "fleet_1000": 1, "bulk": 1, "logins": 1, "load": 5, "burst": 5, "kills": 6, "outage": 5,
        **({"shared_ledger": 5, "responders": 5} if programs() else {}),
    }  # fmt: skip
    assert [target for targets in exact.values() for target in targets if not target["reached"]] == []
    assert cases["load"]["facts"]["50/s"][0]["milliseconds"].keys() >= {"median", "p95", "p99"}
    bars = ElementTree.parse(output / "results.svg").getroot().findall("{http://www.w3.org/2000/svg}rect")
    sides = [found for case in cases.values() for measure in case["measures"].values() for found in measure.values()]
    assert len(bars) == len(sides)
    for secret in ("canary-blocker", "canary-ips-admin", "canary-path-secret"):
        assert secret not in done.stdout + json.dumps(document)
