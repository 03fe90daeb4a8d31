# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a host for the agent's file. A host that cannot be looked at is an answer like any other, not an error."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any, Optional

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._core.text import clean

#: Prints agent=present or agent=absent, and nothing of that form when it cannot tell. The words are put together by printf so that a
#: terminal's echo of the command is not taken for its answer.
LINUX = (
    "p={path}; d=${{p%/*}}; if test -e \"$p\"; then printf 'agent=%s\\n' present; "
    "elif test -d \"${{d:-/}}\" && ! test -x \"${{d:-/}}\"; then printf 'cannot look into %s\\n' \"$d\"; "
    "else printf 'agent=%s\\n' absent; fi"
)
WINDOWS = "if (Test-Path -LiteralPath '{path}' -ErrorAction Stop) {{ 'agent={{0}}' -f 'present' }} else {{ 'agent={{0}}' -f 'absent' }}"
LONGEST_REASON = 200


class LookingAction(ActionBase):
    """Runs one shell command, again until what is waited for is seen."""

    def look(
        self, paths: tuple[str, str], variables: dict[str, Any], wait_for: Optional[str] = None, timeout: float = 0, delay: float = 5
    ) -> tuple[str, Optional[str]]:
        """Return what was seen and, where that is "unknown" and not "present" or "absent", why.

        Args:
            paths: of the agent, on Linux and on Windows.
            variables: of the host.
            wait_for: look again until this is seen.
            timeout: seconds to wait at most.
            delay: seconds between two looks.
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
            # PowerShell takes typographic quotation marks for quotation marks, too.
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
