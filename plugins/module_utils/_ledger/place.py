# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ledger is kept: what is a path, and whether it will still be there tomorrow."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from typing import Callable, Optional

from .._core.errors import InvalidInput
from .._core.options import refuse_control_characters
from .._core.state import FOLDER, state_path

#: A URL, or the parameters of a connection to a database; either may hold a password.
NO_PATH = re.compile(r"[a-z][a-z0-9+.-]+:|.*\b(password|host|dbname)\s*=", re.IGNORECASE)
#: What container engines leave inside a container.
CONTAINER_FILES = ("/run/.containerenv", "/.dockerenv")
CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108


def parse_path(value: Optional[str], warn: Callable[[str], None]) -> Optional[str]:
    """Return the absolute path that the option ledger names, None for nowhere.

    Raises:
        InvalidInput: it is no path of a file. What was given is not repeated, since there may be a password in it.
    """
    text = refuse_control_characters("ledger", value or "").strip()
    if NO_PATH.match(text):
        raise InvalidInput("ledger must be the path of a file, or none; what was given looks like the address of a database.")
    path = state_path("ledger", text, os.path.join(FOLDER, "ledger.sqlite3"), warn)
    if path is not None and os.path.isdir(path):
        raise InvalidInput(f"ledger must be the path of a file; {text[:80]} is a directory.")
    return path


def why_it_vanishes(path: str, environ: Mapping[str, str]) -> Optional[str]:
    """Return why a ledger in the home directory will not last; None where it may, and for one elsewhere, which somebody chose."""
    home, place = os.path.realpath(os.path.expanduser("~")), os.path.realpath(os.path.dirname(path))
    if not _is_in(place, home):
        return None
    if any(_is_in(home, os.path.realpath(root)) for root in (*TEMPORARY, tempfile.gettempdir())):
        return f"the home directory {home} is a temporary one"
    contained = any(environ.get(name) for name in CONTAINER_VARIABLES) or any(map(os.path.exists, CONTAINER_FILES))
    return "it goes away with this container, in which nothing is mounted there" if contained and _mount_of(place) == "/" else None


def _is_in(path: str, directory: str) -> bool:
    return os.path.commonpath([path, directory]) == directory


def _mount_of(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
