# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host for the agent's file. A host that cannot be looked at is an answer like any other, not an error."""

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


class ActionModule(ActionBase):
    """Runs one shell command, again until what is waited for is seen."""

    _supports_check_mode = True
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"linux_path", "windows_path", "wait_for", "timeout", "delay"})

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return state and reason as documented."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        wanted = arguments.get("wait_for")
        end = time.monotonic() + (float(arguments.get("timeout", 0)) if wanted else 0)
        while True:
            state, reason = self._look(arguments, self._windows(task_vars or {}))
            if state == wanted or time.monotonic() >= end:
                return {**result, "changed": False, "state": state, "reason": reason}
            time.sleep(max(float(arguments.get("delay", 5)), 0.1))

    def _windows(self, task_vars: dict[str, Any]) -> bool:
        facts = task_vars.get("ansible_facts") or {}
        return (
            self._connection.transport in ("winrm", "psrp", "ansible.builtin.winrm", "ansible.builtin.psrp")
            or getattr(self._connection._shell, "SHELL_FAMILY", "") in ("powershell", "cmd")
            or facts.get("os_family") == "Windows"
        )

    def _look(self, arguments: dict[str, Any], windows: bool) -> tuple[str, Optional[str]]:
        if windows:
            # PowerShell takes typographic quotation marks for quotation marks, too.
            path = re.sub("(['\u2018-\u201b])", r"\1\1", str(arguments["windows_path"]))
            command, executable = WINDOWS.format(path=path), None
        else:
            command, executable = LINUX.format(path=shlex.quote(str(arguments["linux_path"]))), "/bin/sh"
        try:
            done = self._low_level_execute_command(command, executable=executable)  # type: ignore[no-untyped-call]
        except AnsibleError as error:
            return "unknown", clean(error, LONGEST_REASON)
        seen = re.search("agent=(present|absent)", done["stdout"])
        if seen:
            return seen[1], None
        said = done["stderr"].strip() or done["stdout"].strip() or "no answer"
        return "unknown", clean(said, LONGEST_REASON)
