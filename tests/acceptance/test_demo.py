# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo succeeds, says so when a step misbehaves, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tools.database import MISSING, programs
from tools.workspace import make_copy

TESTS = Path(__file__).resolve().parents[1]
STEPS = 11


class Demo:
    """One run of the demo, in a place and with a mark of its own."""

    def __init__(self, place: Path, *command: str, environment: dict[str, str] | None = None, **options: Any) -> None:
        self.place = place
        self.mark = f"DEMO_TEST_MARK={uuid.uuid4().hex}"
        name, _equals, value = self.mark.partition("=")
        environment = environment or {**os.environ, "PYTHONPATH": str(TESTS)}
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "demo"], env={**environment, "TMPDIR": str(place), name: value}, **options,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )

    def finish(self) -> tuple[int, str]:
        """Wait for the end; return exit status and output."""
        output, _none = self.process.communicate(timeout=600)
        return self.process.returncode, output

    def read_until(self, words: str) -> str:
        """Return what was printed up to a line with these words."""
        read = ""
        for line in self.process.stdout:
            read += line
            if words in line:
                return read
        raise AssertionError(f"the demo ended before it printed {words!r}")

    def processes(self) -> list[str]:
        """Return the commands of all processes that this run has started, whatever session they are in."""
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (directory / "environ").read_bytes():
                    found.append((directory / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has ended, or belongs to somebody else
        return found

    def assert_nothing_left(self) -> None:
        for _attempt in range(50):
            if not self.processes():
                break
            time.sleep(0.1)
        assert self.processes() == []
        assert list(self.place.iterdir()) == []


def test_it_succeeds_in_a_clone_with_a_blank_in_its_path_for_a_careful_user(tmp_path):
    clone = make_copy(tmp_path / "a place")
    place = tmp_path / "tmp dir"
    place.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LANG", "LC_CTYPE", "MAKEFLAGS", "MAKELEVEL")}
    demo = Demo(place, "make", f"PYTHON={sys.executable}", "demo", environment={**kept, "LC_ALL": "C"}, cwd=clone, umask=0o077)
    status, output = demo.finish()
    assert status == 0, output
    assert len(re.findall(r"^    ok  ", output, re.MULTILINE)) == STEPS
    assert "What happened" in output
    assert "\x1b" not in output, "colour codes outside a terminal"
    assert "canary" not in output, "a password of the seed"
    demo.assert_nothing_left()


@pytest.mark.skipif(programs() is None, reason=f"PostgreSQL: {MISSING}")
def test_two_responders_share_a_ledger(tmp_path):
    demo = Demo(tmp_path, sys.executable, "-m", "demo", "--ledger", "postgresql")
    status, output = demo.finish()
    assert status == 0, output
    assert len(re.findall(r"^    ok  ", output, re.MULTILINE)) == 6
    assert "the other works fw1 and fw2" in output and "a second run changes nothing" in output
    demo.assert_nothing_left()


@pytest.mark.skipif(shutil.which("suricata") is None, reason="suricata is not installed")
def test_it_succeeds_with_the_real_suricata(tmp_path):
    demo = Demo(tmp_path, sys.executable, "-m", "demo", "--detector", "suricata")
    status, output = demo.finish()
    assert status == 0, output
    assert len(re.findall(r"^    ok  ", output, re.MULTILINE)) == 4
    assert "Path traversal in a request (critical) from 203.0.113.77 against 10.0.0.80 port 80" in output
    assert re.search(r"belongs\s+to\s+a\s+single\s+machine", output), "a message is shown as one text"
    demo.assert_nothing_left()


def test_without_suricata_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    demo = Demo(tmp_path, sys.executable, "-m", "demo", "--detector", "suricata")
    status, output = demo.finish()
    assert (status, "bookworm-backports" in output, "Traceback" in output) == (1, True, False)


def test_it_fails_when_a_step_misbehaves(tmp_path):
    demo = Demo(tmp_path, sys.executable, "-m", "demo", "--install-delay", "3600")  # the services accept, but no agent ever appears
    status, output = demo.finish()
    assert status == 1, output
    assert len(re.findall(r"^    ok  ", output, re.MULTILINE)) == 1  # the responder
    assert len(re.findall(r"^    failed  ", output, re.MULTILINE)) == 1
    assert "What happened" not in output
    assert "Traceback" not in output
    demo.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_told(tmp_path, number):
    demo = Demo(tmp_path)
    demo.read_until("$ ansible-playbook")
    assert len(demo.processes()) > 1
    demo.process.send_signal(number)
    status, output = demo.finish()
    assert status == 128 + number, output
    assert "Traceback" not in output
    demo.assert_nothing_left()


def test_the_stage_can_be_played_on(tmp_path):
    demo = Demo(tmp_path, sys.executable, "-m", "demo", "--play")
    printed = re.findall(r"^  ((?:ansible-playbook|curl) .*)$", demo.read_until("Ctrl-C ends it"), re.MULTILINE)
    commands = [line for line in printed if re.search(r"\.(?:block|history) |curl", line)]
    assert len(printed) == 6 and len(commands) == 3
    if shutil.which("curl") is None:
        commands.pop()
    environment, = tmp_path.glob("*/environment")
    assert environment.stat().st_mode & 0o077 == 0
    done = subprocess.run(
        ["/bin/sh", "-ec", f". '{environment}'; {'; '.join(commands)}"], env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"Address +Begin.*203\.0\.113\.50 +20.* until 20.* fw1.* fw2", done.stdout, re.DOTALL), done.stdout
    demo.process.send_signal(signal.SIGINT)
    status, output = demo.finish()
    assert status == 0 and "Traceback" not in output, output
    demo.assert_nothing_left()
