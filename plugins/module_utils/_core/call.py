# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller passes to a module's logic, whether it is an Ansible module, an action plugin or a service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .each import Progress, say_nothing
from .text import clean


@dataclass
class Call:
    """One invocation.

    Attributes:
        params: validated options, defaults and environment variables already applied.
        check_mode: predict only; nothing may be written.
        environ: the environment, for values that add to an option instead of replacing it.
        warnings: messages for the user, collected during the call.
        inventory: the IPv4 addresses of the hosts of the caller's inventory, each with the name of a host.
        progress: called with the numbers of done and of all items, each time that an item is done.
    """

    params: Mapping[str, Any]
    check_mode: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    warnings: list[str] = field(default_factory=list)
    inventory: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = say_nothing

    def warn(self, message: str) -> None:
        """Collect a warning once, as one line that is safe to show in a terminal."""
        message = clean(message)
        if message not in self.warnings:
            self.warnings.append(message)
