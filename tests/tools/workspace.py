# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the tests run: a clean copy of the collection, a private home, an environment without the user's settings."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from .environment import COLLECTION, ROOT, pip_settings

CACHE = ROOT / ".cache"
HOME = CACHE / "home"
LOGS = CACHE / "logs"
VENV_BIN = ROOT / ".venv" / "bin"

FOREIGN_VARIABLES = ("ANSIBLE_", "CLC_", "COS_", "INTRUSION_RESPONSE_", "IPS_", "MOLECULE_", "PYTEST_", "XDG_")

# ansible-test wants to download this script; the file names are the pip versions of cores 2.16 to 2.21
PIP_BOOTSTRAP_NAMES = ("get_pip_23_1_2.py", "get_pip_24_2.py", "get_pip_25_2.py")
PIP_BOOTSTRAP = '''\
"""Install pip from the bundled wheel, then do what was asked for."""
import runpy
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"], stdout=sys.stderr)
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
if any(not argument.startswith("-") for argument in wanted):
    sys.argv = ["pip", "install"] + wanted
    runpy.run_module("pip", run_name="__main__")
'''


def make_home(home: Path = HOME) -> Path:
    """Prepare a private home, so that no test touches the caches, the receipts or the settings of the user."""
    bootstrap = home / ".ansible" / "test" / "cache"
    bootstrap.mkdir(parents=True, exist_ok=True)
    for name in PIP_BOOTSTRAP_NAMES:
        (bootstrap / name).write_text(PIP_BOOTSTRAP, encoding="utf-8")
    (home / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
    # ansible-test drops the PIP_* variables, so the user's package sources go into a file
    parser = configparser.RawConfigParser()
    parser["global"] = pip_settings()
    settings = home / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.touch(mode=0o600)
    with settings.open("w", encoding="utf-8") as stream:
        parser.write(stream)
    return home


def utf8_locale() -> dict[str, str]:
    """Return the variables without which Ansible, which wants a locale of UTF-8, would not start; none where the user has one."""
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    return {} if re.search(r"utf-?8$", locale, re.IGNORECASE) else {"LC_ALL": "C.UTF-8"}


def clean_environment(bin_dir: Path = VENV_BIN, home: Path = HOME, **extra: str) -> dict[str, str]:
    """Return the environment of every test command: no settings of the user, no pyenv shims, the tools of one venv."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
    path = [
        entry
        for entry in environment.get("PATH", os.defpath).split(os.pathsep)
        if entry and "shims" not in Path(entry).parts and Path(entry) != VENV_BIN
    ]
    environment.update(
        HOME=str(home),
        PATH=os.pathsep.join([str(bin_dir), *path]),
        PYTHONPATH=str(ROOT / "tests"),
        PYTHONDONTWRITEBYTECODE="1",
        ANSIBLE_CONFIG=str(home / "ansible.cfg"),
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
        ANSIBLE_DEVEL_WARNING="false",
        ANSIBLE_NOCOLOR="1",
        NO_COLOR="1",
        **utf8_locale(),
        **extra,
    )
    return environment


def only_collections_below(
    directory: Path, bin_dir: Path = VENV_BIN, home: Path = HOME, **extra: str
) -> dict[str, str]:
    """Return a clean environment in which Ansible sees the collections below one directory and no others."""
    extra.update(ANSIBLE_COLLECTIONS_PATH=str(directory), ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="false")
    return clean_environment(bin_dir, home, **extra)


def source_files() -> list[Path]:
    """Return the files of the collection, relative to its root: tracked or new, but not ignored."""
    listing = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    return sorted({Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file()})


def _same(source: Path, copy: Path) -> bool:
    if copy.is_symlink() or not copy.is_file():
        return False
    one, other = source.stat(), copy.stat()
    return (one.st_size, one.st_mtime_ns, one.st_mode) == (other.st_size, other.st_mtime_ns, other.st_mode)


def make_copy(collections: Path) -> Path:
    """Copy the collection below `collections`, at the real path that ansible-test insists on; return that path.

    What did not change is left alone, and `tests/output` survives: the caches of ansible-test stay warm.
    """
    target = collections / COLLECTION
    target.mkdir(parents=True, exist_ok=True)
    wanted = source_files()
    for name in wanted:
        copy = target / name
        if not _same(ROOT / name, copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)
    keep = {Path(".git"), Path("tests", "output")}
    known = set(wanted)
    left = []
    for walked, directories, files in os.walk(target, topdown=True):
        here = Path(walked).relative_to(target)
        directories[:] = [name for name in directories if here / name not in keep]
        left.append(target / here)
        for name in files:
            if here / name not in known:
                (target / here / name).unlink()
    for directory in reversed(left):
        if not any(directory.iterdir()):
            directory.rmdir()
    if not (target / ".git").exists():
        # else ansible-test finds the repository around the copy, where the copy is an ignored directory
        subprocess.run(["git", "init", "--quiet", str(target)], check=True)
    return target


def find_interpreter(version: str) -> Path | None:
    """Find a working Python of a minor version, such as "3.13": on PATH without shims, or among pyenv's versions."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    path = clean_environment()["PATH"]
    candidates = [shutil.which(f"python{version}", path=path)]
    candidates += [str(found) for found in sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)]
    for candidate in filter(None, candidates):
        probe = [candidate, "-c", "import sys, ssl, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return Path(candidate)
    return None


def interpreters(versions: Iterable[str]) -> dict[str, Path]:
    """Find the Pythons that are there, by minor version."""
    found = {version: find_interpreter(version) for version in versions}
    return {version: python for version, python in found.items() if python}


def collections_path() -> str:
    """Return the directory that holds the link to the working tree."""
    return sysconfig.get_path("purelib")
