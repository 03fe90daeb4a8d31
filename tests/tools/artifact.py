# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the artifact, install it into an empty place, and block an address from there."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

from emulator.testing import EmulatorProcess

from .environment import COLLECTION
from .shell import Shell
from .workspace import CACHE, VENV_BIN, clean_environment, only_collections_below

UNWANTED = (".venv", ".cache", ".git", "tests/output", "__pycache__")
IMPORTER_SETTINGS = """\
[galaxy-importer]
LOG_LEVEL_MAIN = INFO
RUN_ANSIBLE_DOC = True
RUN_ANSIBLE_LINT = False
RUN_ANSIBLE_TEST = False
RUN_FLAKE8 = False
CHECK_REQUIRED_TAGS = True
"""


def check(shell: Shell, copy: Path) -> None:
    """Build, look inside, install, run, and let Galaxy's own importer judge."""
    place = CACHE / "artifact"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if not shell.check(
        "build", "ansible-galaxy", "collection", "build", "--output-path", place, cwd=copy, env=clean_environment()
    ):
        return
    artifact = next(place.glob("*.tar.gz"))
    with tarfile.open(artifact) as archive:
        names = archive.getnames()
    stray = [name for name in names if any(f"/{part}/" in f"/{name}/" for part in UNWANTED)]
    shell.record("content", not stray and "README.md" in names, f"stray: {stray}, README.md: {'README.md' in names}")

    environment = only_collections_below(place)
    if shell.check(
        "installation", "ansible-galaxy", "collection", "install", "--offline", artifact, "--collections-path", place,
        env=environment,
    ):
        run_installed(shell, place, environment)
    judge(shell, place, artifact)


def run_installed(shell: Shell, place: Path, environment: dict[str, str]) -> None:
    """Block an address with the installed module; the firewall must hold it, and a second run must change nothing."""
    with EmulatorProcess() as process:
        user = process.ready["firewall_users"][0]
        environment = environment | {
            "COS_API_URL": process.ready["firewalls"][0]["api_url"],
            "COS_USERNAME": user["username"],
            "COS_PASSWORD": user["password"],
            "COS_CA_PATH": process.ready["ca_path"],
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
        }
        command: list[str | Path] = [
            VENV_BIN / "ansible", "localhost", "-e", f"ansible_python_interpreter={VENV_BIN / 'python'}",
            "-m", "intrusion.response.cos_blacklist_entry", "-a", "host=203.0.113.5 ttl=600 description='port scan'",
        ]
        for title, word in (("first run", "CHANGED"), ("second run", "SUCCESS")):
            status, output = shell.run(*command, cwd=place, env=environment)
            shell.record(f"installed module, {title}", status == 0 and f"| {word} " in output, output)
        state = json.dumps(process.control("GET", "state"))
        shell.record("installed module, firewall", "203.0.113.5" in state, "the firewall does not hold the entry")
    located = shell.run(
        VENV_BIN / "ansible-doc", "--json", "intrusion.response.cos_blacklist_entry", cwd=place, env=environment
    )[1]
    expected = str(place / COLLECTION)
    shell.record("installed module, place", expected in located, f"not read from {expected}:\n{located[:500]}")


def judge(shell: Shell, place: Path, artifact: Path) -> None:
    """Run galaxy-importer, as far as it goes without a network."""
    settings = place / "galaxy-importer.cfg"
    settings.write_text(IMPORTER_SETTINGS, encoding="utf-8")
    shell.check(
        "galaxy-importer", VENV_BIN / "python", "-m", "galaxy_importer.main", artifact,
        cwd=place, env=clean_environment(GALAXY_IMPORTER_CONFIG=str(settings)),
    )
