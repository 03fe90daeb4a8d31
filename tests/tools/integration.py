# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the integration targets against the emulator, in one of two ways.

`for_real` goes through `ansible-test integration`. `as_roles` plays each target as a role, either under `--check`,
where the journal of the emulator must stay without a write, or with another Python below the modules.
The targets get the content of the emulator's ready file as variables (`integration_config.yml`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from emulator.testing import EmulatorProcess

from .shell import Shell
from .workspace import CACHE, VENV_BIN, make_home, only_collections_below

TARGETS = Path("tests", "integration", "targets")
SETTINGS = Path("tests", "integration", "integration_config.yml")


def targets(copy: Path) -> list[str]:
    """Return the names of the targets that are tests of their own."""
    found = []
    for directory in sorted((copy / TARGETS).glob("*/")):
        aliases = directory / "aliases"
        marks = aliases.read_text(encoding="utf-8").split() if aliases.is_file() else []
        if directory.is_dir() and "hidden" not in marks and not directory.name.startswith(("setup_", "prepare_")):
            found.append(directory.name)
    return found


class Bench:
    """One series of targets: a clean copy, a home without receipts, an emulator that starts each target afresh."""

    def __init__(self, shell: Shell, copy: Path, bin_dir: Path) -> None:
        self.shell = shell
        self.copy = copy
        self.bin_dir = bin_dir
        self.home = make_home(CACHE / "homes" / shell.log.stem)
        self.settings = CACHE / "homes" / f"{shell.log.stem}.json"
        self.names = targets(copy)
        if not self.names:
            shell.record("integration targets", False, f"no target below {TARGETS}")

    def __enter__(self) -> Bench:
        self.process = EmulatorProcess("--firewalls", "2").__enter__()
        self.settings.write_text(json.dumps(self.process.ready, indent=2), encoding="utf-8")  # JSON is YAML
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.stop()

    def start_afresh(self) -> None:
        """Bring back the default seed and forget what an earlier target left: faults, journal, receipts, tokens."""
        self.process.control("POST", "reset")
        shutil.rmtree(self.home / ".local", ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return the environment that the targets run in."""
        roles = str(self.copy / TARGETS)
        return only_collections_below(self.copy.parents[2], self.bin_dir, self.home, ANSIBLE_ROLES_PATH=roles)


def for_real(shell: Shell, copy: Path, bin_dir: Path = VENV_BIN, label: str = "") -> None:
    """Run every target with the `ansible-test integration` of an environment. The copy must not be shared."""
    with Bench(shell, copy, bin_dir) as bench:
        for name in bench.names:
            bench.start_afresh()
            shutil.copyfile(bench.settings, copy / SETTINGS)
            shell.check(
                name + label,
                bin_dir / "ansible-test", "integration", "--local", "--color", "no", "-v", name,
                cwd=copy, env=bench.environment(),
            )


def as_roles(
    shell: Shell, copy: Path, *, check: bool = False, interpreter: Path = VENV_BIN / "python", label: str = ""
) -> None:
    """Play every target as a role: with `--check`, or for real, with the modules under `interpreter`."""
    with Bench(shell, copy, VENV_BIN) as bench:
        for name in bench.names:
            if not (copy / TARGETS / name / "tasks").is_dir():
                continue  # a script, which ansible-test alone knows to run
            bench.start_afresh()
            play = {
                "name": f"Target {name}",
                "hosts": "testhost",
                "vars_files": [str(bench.settings)],
                "roles": [name],
            }
            playbook = bench.home / "play.yml"
            playbook.write_text(json.dumps([play]), encoding="utf-8")
            inventory = bench.home / "inventory"
            inventory.write_text(
                f"testhost ansible_connection=local ansible_python_interpreter={interpreter}\n", encoding="utf-8"
            )
            status, output = shell.run(
                VENV_BIN / "ansible-playbook", "-v", "-i", inventory, playbook, *(["--check", "--diff"] if check else []),
                cwd=copy, env=bench.environment(),
            )
            writes = bench.process.writes() if check else []
            for write in writes:
                output += f"\nwritten under --check: {write['method']} {write['path']}"
            shell.record(name + label, status == 0 and not writes, output)
