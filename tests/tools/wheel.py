# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection awx.awx, which no registry of Python packages has, out of the package that has it: unpacked once, into the cache."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .workspace import CACHE

#: The newest release of `ansible` that holds it, in version 24.6.1.
REQUIREMENT = "ansible==12.3.0 --hash=sha256:{}"
DIGEST = "cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414"
FOLDER = "ansible_collections/awx/awx/"


def awx_collections() -> Path | None:
    """Return a directory with ansible_collections/awx/awx and nothing else; None where the package cannot be had."""
    place = CACHE / "awx-24.6.1"
    if (place / FOLDER / "MANIFEST.json").is_file():
        return place
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "awx.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=CACHE) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (place / FOLDER / "MANIFEST.json").is_file():
            return place
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(REQUIREMENT.format(DIGEST), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", folder, "-r", wanted]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            wheel.extractall(Path(folder, "whole"), [name for name in wheel.namelist() if name.startswith(FOLDER)])
        Path(folder, "whole").rename(place)
    return place
