# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a resource decides to do, before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Operation = TypeVar("Operation")


@dataclass(frozen=True)
class Plan(Generic[Operation]):
    """The result of comparing the actual with the desired state, computed by a pure function.

    Attributes:
        before: the actual state, as shown in a diff (no secrets).
        after: the state once the operations are done, in the same form.
        operations: what to do, in order; empty if nothing differs.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    operations: tuple[Operation, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.operations)

    @property
    def diff(self) -> dict[str, dict[str, Any]]:
        """The plan as Ansible's diff mode shows it."""
        return {"before": self.before, "after": self.after}
