# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definitions of the execution and the decision environment, as ansible-builder reads them; no image is built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EXECUTION, DECISION = ROOT / "extensions" / "awx" / "execution-environment.yml", ROOT / "extensions" / "eda" / "decision-environment.yml"


def build(*arguments: str | Path, place: Path) -> str:
    done = subprocess.run([BIN / "ansible-builder", *arguments], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", [EXECUTION, DECISION], ids=lambda path: path.stem)
def test_a_definition_makes_a_context(path, tmp_path):
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert [source["src"] for source in definition["additional_build_files"]] == [f"intrusion-response-{version}.tar.gz"]
    shutil.copy(path, tmp_path)
    (tmp_path / f"intrusion-response-{version}.tar.gz").write_bytes(b"")
    build("create", "--output-filename", "Containerfile", "--file", path.name, place=tmp_path)
    built = tmp_path / "context" / "_build"
    assert (built / "artifacts" / f"intrusion-response-{version}.tar.gz").is_file()
    wanted = yaml.safe_load((built / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert wanted == definition["dependencies"]["galaxy"]["collections"]
    container = (tmp_path / "context" / "Containerfile").read_text(encoding="utf-8")
    if path == DECISION:
        assert "ansible-rulebook" in (built / "requirements.txt").read_text(encoding="utf-8")
        java = re.search(r"^java-(\d+)-openjdk", (built / "bindep.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]
        assert f"ENV JAVA_HOME=/usr/lib/jvm/jre-{java}-openjdk" in container


def test_the_collection_tells_what_it_needs(tmp_path):
    """By introspection, which is how ansible-builder learns it inside the image."""
    place = tmp_path / "ansible_collections" / "intrusion"
    place.mkdir(parents=True)
    (place / "response").symlink_to(ROOT, target_is_directory=True)
    told = build("introspect", tmp_path, place=tmp_path)
    needed = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").split()
    assert needed and all(requirement in told for requirement in needed), told
