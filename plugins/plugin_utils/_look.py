# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a host for the agent's file. That a host cannot be checked is a normal outcome, not an error."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any, Optional

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._core.text import clean

#: Prints agent=present or agent=absent, and nothing of that form if that is unknown. printf assembles the words so that a terminal's echo
#: of the command is not mistaken for its answer.
LINUX = (
    "p={path}; d=${{p%/*}}; if test -e \"$p\"; then printf 'agent=%s\\n' present; "
    "elif test -d \"${{d:-/}}\" && ! test -x \"${{d:-/}}\"; then printf 'cannot look into %s\\n' \"$d\"; "
    "else printf 'agent=%s\\n' absent; fi"
)
WINDOWS = "if (Test-Path -LiteralPath '{path}' -ErrorAction Stop) {{ 'agent={{0}}' -f 'present' }} else {{ 'agent={{0}}' -f 'absent' }}"
LONGEST_REASON = 200


class LookingAction(ActionBase):
    """Runs a shell command once, or until the awaited state is found."""

    def look(
        self, paths: tuple[str, str], variables: dict[str, Any], wait_for: Optional[str] = None, timeout: float = 0, delay: float = 5
    ) -> tuple[str, Optional[str]]:
        """Return "present", "absent" or "unknown", and for the latter, why.

        Args:
            paths: of the agent, on Linux and on Windows.
            variables: of the host.
            wait_for: repeat the check until this is found.
            timeout: maximum seconds to wait.
            delay: seconds between two checks.
        """
        end = time.monotonic() + (timeout if wait_for else 0)
        while True:
            state, reason = self._look(paths, self._windows(variables))
            if state == wait_for or time.monotonic() >= end:
                return state, reason
            time.sleep(delay)

    def _windows(self, variables: dict[str, Any]) -> bool:
        facts = variables.get("ansible_facts") or {}
        return (
            self._connection.transport in ("winrm", "psrp", "ansible.builtin.winrm", "ansible.builtin.psrp")
            or getattr(self._connection._shell, "SHELL_FAMILY", "") in ("powershell", "cmd")
            or facts.get("os_family") == "Windows"
        )

    def _look(self, paths: tuple[str, str], windows: bool) -> tuple[str, Optional[str]]:
        if windows:
            # PowerShell also treats typographic quotation marks as quotation marks.
            path = re.sub("(['\u2018-\u201b])", r"\1\1", paths[1])
            command, executable = WINDOWS.format(path=path), None
        else:
            command, executable = LINUX.format(path=shlex.quote(paths[0])), "/bin/sh"
        try:
            done = self._low_level_execute_command(command, executable=executable)  # type: ignore[no-untyped-call]
        except AnsibleError as error:
            return "unknown", clean(error, LONGEST_REASON)
        seen = re.search("agent=(present|absent)", done["stdout"])
        if seen:
            return seen[1], None
        said = done["stderr"].strip() or done["stdout"].strip() or "no answer"
        return "unknown", clean(said, LONGEST_REASON)
