# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state directory: small JSON files about what this machine did and was given, readable by their owner only."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Callable, Optional

Warn = Callable[[str], None]

#: This collection's directory in the user's state directory ($XDG_STATE_HOME, ~/.local/state).
FOLDER = "intrusion.response"


def state_path(option: str, value: Optional[str], default: str, warn: Warn) -> Optional[str]:
    """Return the absolute path for an option, or None for nowhere.

    Args:
        option: its name, for the warning.
        value: as given: a path, "none" for nowhere, empty for the default.
        default: relative to the user's state directory.
        warn: called if the path needs a home directory and there is none.
    """
    value = (value or "").strip()
    if value.lower() == "none":
        return None
    if not value:
        kept = os.environ.get("XDG_STATE_HOME", "")
        value = os.path.join(kept if os.path.isabs(kept) else "~/.local/state", default)
    owner, _slash, rest = value.partition("/")
    path = os.path.join(_home(), rest) if owner == "~" else os.path.expanduser(value)
    if not path.startswith("~"):
        return os.path.abspath(path)
    warn(f"{option}: nothing is kept, since there is no home directory. Set HOME or XDG_STATE_HOME, or set {option} to a path or to none.")
    return None


def _home() -> str:
    """Return the user's home directory, or "~": an arbitrary user id in a container may have neither HOME nor an account."""
    home = os.environ.get("HOME", "")
    if not home:
        with suppress(KeyError):
            home = pwd.getpwuid(os.getuid()).pw_dir
    return home if os.path.isabs(home) else "~"


class StateDir:
    """Records in one file each, replaced atomically.

    A problem with the directory is never an error: a record that cannot be read counts as missing, a record that cannot be
    written is not kept, and either causes a warning. Records of another user are not trusted.

    Args:
        path: directory, created with mode 0700 if needed; None keeps nothing.
        warn: called with warnings.
    """

    def __init__(self, path: Optional[str], warn: Warn) -> None:
        self._path = path
        self._warn = warn

    @classmethod
    def from_option(cls, value: Optional[str], warn: Warn) -> StateDir:
        """Make one from the option state_dir."""
        return cls(state_path("state_dir", value, FOLDER, warn), warn)

    def read(self, kind: str, key: tuple[str, ...]) -> Optional[dict[str, Any]]:
        """Return the record, or None if there is none or it cannot be used."""
        if self._path is None:
            return None
        path = _file(self._path, kind, key)
        try:
            with open(path, encoding="utf-8") as stream:
                owner = os.fstat(stream.fileno()).st_uid
                if owner != os.geteuid():
                    raise ValueError("it belongs to another user")
                record = json.load(stream)
            if not isinstance(record, dict) or record.get("key") != list(key) or not isinstance(record.get("value"), dict):
                raise ValueError("it is not a record of this kind")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self._warn(f"Ignoring {path}: {_reason(error)}.")
            return None
        value: dict[str, Any] = record["value"]
        return value

    def write(self, kind: str, key: tuple[str, ...], value: dict[str, Any], durable: bool = False) -> None:
        """Keep the record, replacing an earlier one; where it is to be durable, it is on the disk then."""
        if self._path is None:
            return
        path = _file(self._path, kind, key)
        temporary = None
        try:
            _make_directory(self._path, os.path.dirname(path))
            descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump({"key": list(key), "value": value}, stream)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            os.replace(temporary, path)
            temporary = None
        except OSError as error:
            self._warn(f"Cannot write {path}: {_reason(error)}.")
        finally:
            if temporary is not None:
                _unlink(temporary)

    def remove(self, kind: str, key: tuple[str, ...]) -> None:
        """Forget the record, if there is one."""
        if self._path is not None:
            _unlink(_file(self._path, kind, key))

    @contextmanager
    def lock(self, kind: str, key: tuple[str, ...]) -> Iterator[None]:
        """Hold the record's lock against all other processes on this machine; without a usable directory, do nothing."""
        descriptor = None
        if self._path is not None:
            path = _file(self._path, kind, key)[: -len("json")] + "lock"
            try:
                _make_directory(self._path, os.path.dirname(path))
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                self._warn(f"Cannot lock {path}: {_reason(error)}.")
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _make_directory(root: str, path: str) -> None:
    """Create both; the root may be an existing directory of the user, whose mode is left alone."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    os.makedirs(path, mode=0o700, exist_ok=True)
    if os.stat(path).st_mode & 0o077:
        os.chmod(path, 0o700)


def _file(root: str, kind: str, key: tuple[str, ...]) -> str:
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return os.path.join(root, kind, f"{digest}.json")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it cannot be used"
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, RecursionError)):
        return "it is not valid JSON"
    return str(error)


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
