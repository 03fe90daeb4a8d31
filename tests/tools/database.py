# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server of one's own: in a temporary directory, on a free port of loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from .ports import free_port

#: Where distributions keep the programs, by version, when they are not on the PATH.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
MISSING = "there is no PostgreSQL server (Debian: apt-get install postgresql)"
OWNER = "owner"


def programs() -> Path | None:
    """Return the directory with initdb and postgres, None where there is none."""
    def version(path: Path) -> int:
        return int("".join(letter for letter in path.parent.name if letter.isdigit()) or 0)

    found = [Path(shutil.which("initdb") or "/").parent]
    for pattern in PLACES:
        found += sorted(Path("/").glob(pattern[1:]), key=version, reverse=True)
    return next((path for path in found if all((path / name).is_file() for name in ("initdb", "postgres"))), None)


class Server:
    """A running server, as a context manager. It believes everybody on loopback, but for the user `secret`, who needs a password.

    Attributes:
        port: where it listens.
    """

    PASSWORD = "correct horse/battery"

    def __init__(self) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError(MISSING)
        self._programs = found
        self._user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        # Another user may have no way into a temporary directory of root's.
        self._directory = Path(tempfile.mkdtemp(prefix="postgresql-", dir=None if self._user is None else "/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self._directory, self._user)
        self.port = free_port()

    def __enter__(self) -> Server:
        data = self._directory / "data"
        self._call("initdb", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--username", OWNER, "-D", data)
        rules = data / "pg_hba.conf"
        rules.write_text(f"host all secret all scram-sha-256\n{rules.read_text(encoding='utf-8')}", encoding="utf-8")
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str = "postgres", user: str = OWNER) -> str:
        """Return the address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = ("fsync=off", "listen_addresses=127.0.0.1", f"unix_socket_directories={self._directory}", "max_connections=200")
        options = [part for setting in settings for part in ("-c", setting)]
        self._process = self._open("postgres", "-D", self._directory / "data", "-p", str(self.port), *options)
        for _attempt in range(600):
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    raise RuntimeError((self._directory / "log").read_text(errors="replace")[-2000:]) from None
                time.sleep(0.05)
        raise TimeoutError("PostgreSQL did not start")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it at once: SIGINT tells its clients, SIGQUIT does not wait for anything."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def freeze(self, frozen: bool = True) -> None:
        """Let it, and all that it serves by now, stand still, or go on."""
        assert self._process is not None
        found = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, text=True, check=False).stdout.split()
        for number in (self._process.pid, *map(int, found)):
            with suppress(ProcessLookupError):  # a child may have ended in the meantime
                os.kill(number, signal.SIGSTOP if frozen else signal.SIGCONT)

    def create(self, database: str) -> str:
        """Make an empty database, and return its address."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def _call(self, name: str, *arguments: object) -> None:
        process = self._open(name, *arguments)
        if process.wait(120):
            raise RuntimeError((self._directory / "log").read_text(errors="replace")[-2000:])

    def _open(self, name: str, *arguments: object) -> subprocess.Popen[bytes]:
        more: dict[str, object] = {}
        if self._user is not None:
            more = {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / name), *map(str, arguments)], cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}, **more,  # type: ignore[call-overload]
            )  # fmt: skip
