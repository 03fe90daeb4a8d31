# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the virtual environment of the project, or bring it up to date.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "tests" / "requirements.txt"
SOURCE = ROOT / "tests" / "requirements.in"
COLLECTION = Path("ansible_collections", "intrusion", "response")
OLDEST, NEWEST = (3, 11), (3, 13)  # what the pinned ansible-core runs on


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def pip_settings() -> dict[str, str]:
    """Return pip's own settings (files and PIP_* variables), the last one of a name winning."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings: dict[str, str] = {}
    for line in listing.splitlines():
        name, _separator, value = line.partition("=")
        # pip prints repr() of each value
        settings[name.strip(":").split(".", 1)[-1].strip(".")] = value.strip("'\"").replace("\\n", " ")
    return settings


def uv_environment() -> dict[str, str]:
    """Translate pip's package sources for uv, which does not read them itself."""
    settings = pip_settings()
    environment = dict(os.environ, UV_NO_PROGRESS="1", UV_INDEX_STRATEGY="unsafe-best-match")
    for ours, theirs in {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
    }.items():
        if settings.get(ours) and not environment.get(theirs):
            value = settings[ours]
            environment[theirs] = ",".join(value.split()) if ours == "find-links" else value
    return environment


def call(*command: str | os.PathLike[str], env: dict[str, str] | None = None) -> None:
    """Run a command quietly; raise SetupError with its last lines when it fails."""
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")


def create(python: str, target: Path) -> Path:
    """Create an empty virtual environment and return its interpreter."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        call(python, "-m", "venv", target)
    except SetupError as error:
        raise SetupError(f"{error}\nOn Debian and Ubuntu the venv module is a package of its own: python3-venv") from None
    return target / "bin" / "python"


def install(python: Path, *arguments: str) -> None:
    """Install with uv, or with pip where uv does not work."""
    try:
        call(python, "-m", "pip", "install", "--quiet", "uv")
        call(python, "-m", "uv", "pip", "install", "--quiet", "--python", python, *arguments, env=uv_environment())
    except SetupError:
        call(python, "-m", "pip", "install", "--quiet", *arguments)


def site_packages(python: Path) -> Path:
    """Return the directory that an interpreter installs pure Python packages to."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.check_output([python, "-c", code], text=True).strip())


def link_collection(python: Path) -> None:
    """Make the working tree importable, and callable by its FQCN, from any directory."""
    link = site_packages(python) / COLLECTION
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(ROOT, target_is_directory=True)


def fingerprint(*parts: bytes) -> str:
    """Digest what an environment was made from."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def ensure(target: Path, python: str, arguments: list[str], made_from: bytes) -> bool:
    """Make an environment unless an equal one is there; return whether it had to be made."""
    stamp = target / ".made-from"
    wanted = fingerprint(made_from, str(target).encode(), " ".join(arguments).encode())
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and (target / "bin" / "python").exists():
        return False
    install(create(python, target), *arguments)
    stamp.write_text(wanted, encoding="utf-8")
    return True


def set_up() -> None:
    """Make .venv at the root of the project."""
    started = time.monotonic()
    target = ROOT / ".venv"
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Setting up .venv (Python {version}) ...", flush=True)
    made = ensure(target, sys.executable, ["--requirement", str(PINS)], PINS.read_bytes() + sys.version.encode())
    link_collection(target / "bin" / "python")
    if made:
        print(f"  ready in {time.monotonic() - started:.0f} s. Next: `make demo`, or `make test`.")
    else:
        print("  up to date.")


def compile_pins() -> None:
    """Resolve requirements.in anew and write the pinned file."""
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        create(sys.executable, python.parents[1])
    call(python, "-m", "pip", "install", "--quiet", "uv")
    call(
        python, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", ".".join(map(str, OLDEST)),
        "--upgrade", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate",
        "--output-file", PINS, SOURCE, env=uv_environment(),
    )
    print(f"Wrote {PINS.relative_to(ROOT)}")


def main() -> int:
    """Run from the Makefile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["setup", "pins"])
    action = parser.parse_args().action
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        print(f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} is needed, this is {sys.version.split()[0]}: "
              "make setup PYTHON=/path/to/python3.11", file=sys.stderr)
        return 1
    try:
        {"setup": set_up, "pins": compile_pins}[action]()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
