# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ledger is kept: a file or a database, its name for people, and whether it will last."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Callable, Optional
from urllib.parse import unquote

from .._core.errors import InvalidInput
from .._core.options import refuse_control_characters
from .._core.state import FOLDER, state_path

#: A URL, or the parameters of a connection to a database; either may hold a password.
NO_PATH = re.compile(r"[a-z][a-z0-9+.-]+:|.*\b(password|host|dbname)\s*=", re.IGNORECASE)
#: As libpq accepts it (its manual, "Connection URIs"), with reserved characters percent-encoded.
URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^:@/?#]*))?@)?(?P<host>[^@/?#]*)(?:/(?P<name>[^@/?#]*))?(?:\?(?P<more>[^@#]*))?",
    re.IGNORECASE,
)
DATABASE = re.compile(r"postgres(?:ql)?:", re.IGNORECASE)
#: Parameters of the address that are never shown.
SECRETS = ("password", "sslpassword", "passfile")
#: What container engines leave inside a container.
CONTAINER_FILES = ("/run/.containerenv", "/.dockerenv")
CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108


@dataclass(frozen=True)
class Place:
    """Where a ledger is.

    Attributes:
        name: the name to show to people, without secrets.
        path: the path of the file, None for a database.
        url: the URL of the database, with its password; None for a file.
    """

    name: str
    path: Optional[str] = None
    url: Optional[str] = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Identifies the database in the name of a directory."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]


def parse_place(value: Optional[str], warn: Callable[[str], None]) -> Optional[Place]:
    """Return the place that the option ledger gives, None for nowhere.

    Raises:
        InvalidInput: it is neither the path of a file nor the address of a database. The message does not repeat the value, since
            it may contain a password.
    """
    text = refuse_control_characters("ledger", value or "").strip()
    if DATABASE.match(text):
        return _database(text)
    if NO_PATH.match(text):
        raise InvalidInput(
            "ledger must be the path of a file, the address of a database such as postgresql://user@db.example.com/name, or none."
        )
    path = state_path("ledger", os.path.expandvars(text), os.path.join(FOLDER, "ledger.sqlite3"), warn)
    if path is not None and os.path.isdir(path):
        raise InvalidInput(f"ledger must be the path of a file; {text[:80]} is a directory.")
    return None if path is None else Place(path, path=path)


def _database(text: str) -> Place:
    parts = URL.fullmatch(text)
    if parts is None or any(re.search(r"%(?![0-9a-f]{2})", part or "", re.IGNORECASE) for part in parts.groups()):
        raise InvalidInput(
            "ledger must be a valid address such as postgresql://user@db.example.com/name. "
            "In a user, a password or a name, write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %."
        )
    pairs = [pair.partition("=") for pair in (parts["more"] or "").split("&") if pair]
    more = "&".join("".join(pair) for pair in pairs if unquote(pair[0]).lower() not in SECRETS)
    user = f"{parts['user']}@" if parts["user"] else ""
    return Place(f"postgresql://{user}{parts['host']}/{parts['name'] or ''}{'?' if more else ''}{more}", url=text)


def spool_path(place: Place, directory: Optional[str], warn: Callable[[str], None]) -> Optional[str]:
    """Return the directory in which records wait for a database, by default in the user's state directory."""
    root = state_path("ledger", directory, os.path.join(FOLDER, "spool"), warn)
    return None if root is None else os.path.join(root, place.digest)


def why_it_vanishes(path: str, environ: Mapping[str, str]) -> Optional[str]:
    """Return why a ledger in the home directory will not last; None if it may, or if it is elsewhere, where somebody put it."""
    home, place = os.path.realpath(os.path.expanduser("~")), os.path.realpath(os.path.dirname(path))
    if not _is_in(place, home):
        return None
    if any(_is_in(home, os.path.realpath(root)) for root in (*TEMPORARY, tempfile.gettempdir())):
        return f"the home directory {home} is temporary"
    contained = any(environ.get(name) for name in CONTAINER_VARIABLES) or any(map(os.path.exists, CONTAINER_FILES))
    return "it disappears with this container, since no volume is mounted there" if contained and _mount_of(place) == "/" else None


def _is_in(path: str, directory: str) -> bool:
    return os.path.commonpath([path, directory]) == directory


def _mount_of(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
