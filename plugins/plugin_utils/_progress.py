# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of a long task to a person at a terminal."""

from __future__ import annotations

import sys
import threading
import time

from ansible import constants, context
from ansible.utils.display import Display

#: Seconds before the first line, and between two.
QUIET, PACE = 5.0, 5.0
#: Callbacks that print lines for people, so that another line does no harm; only the last part of a name counts.
READABLE = {"default", "minimal", "yaml", "debug", "skippy", "actionable", "timer", "profile_tasks"}
#: Determined when the plugin is loaded, in the parent of all workers, since the workers have no terminal.
WATCHED = sys.stderr is not None and sys.stderr.isatty()


def watched() -> bool:
    """Return whether somebody is at a terminal, with a callback that prints lines."""
    callback = constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK") or "default"
    return WATCHED and not context.CLIARGS.get("one_line") and callback.rpartition(".")[2] in READABLE


class Progress:
    """Prints the progress to stderr, every few seconds at most; threads may share it.

    Args:
        name: of the task.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = time.monotonic() + QUIET
        self._lock = threading.Lock()
        self._wanted = watched()

    def __call__(self, done: int, of: int) -> None:
        """Update the numbers of done and of all items."""
        if not self._wanted or done >= of:
            return
        with self._lock:
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + PACE
        Display().display(f"{self._name}: {done} of {of} done", stderr=True)
