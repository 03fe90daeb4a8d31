# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of the collection's action plugins: runs a module's function in the controller's process if that makes no difference.

An API module that runs on the controller needs no Python interpreter of its own, whose start takes most of its time. If
a task requires another user, machine, interpreter or environment, the ordinary module runs.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, ClassVar, Optional

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader, test_loader
from ansible.utils.vars import merge_hash

from ..module_utils._core.errors import InvalidInput
from ..module_utils._core.http import tls_context
from ..module_utils._core.module import run_in_process
from ..module_utils._core.wire import REQUESTS_IMPORT_ERROR
from ._inventory import NOTHING, Known, known_addresses
from ._progress import Progress


def prepare(argument_spec: Mapping[str, Mapping[str, Any]]) -> None:
    """Do in the parent of all workers, where the strategy loads a plugin, what every fork would otherwise have to do.

    Args:
        argument_spec: of the module whose function will run.
    """
    if "ca_path" in argument_spec:
        _function, names = argument_spec["ca_path"]["fallback"]
        with suppress(InvalidInput):  # the task itself will report it
            tls_context(True, next((os.environ[name] for name in names if os.environ.get(name)), None))
    # The first template that uses a filter or test makes Ansible load all of its own; better here than in each worker.
    filter_loader.get("ansible.builtin.bool")
    test_loader.get("ansible.builtin.changed")
    # Otherwise, the workers' garbage collectors would touch, and so copy, the memory that they share with the parent.
    gc.freeze()


class InProcessAction(ActionBase):
    """Runs one module, which a subclass sets."""

    _supports_check_mode = True
    _supports_async = True

    #: The module, imported with the plugin, and so in the parent of all workers.
    module: ClassVar[ModuleType]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Prepare the parent of all workers, where the strategy loads the plugin, so that no fork has to do it."""
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "module"):
            prepare(cls.module.ARGUMENT_SPEC)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Run the task and return its result."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        known = self.known(arguments, task_vars)
        if self._belongs_here(task_vars):
            done = run_in_process(
                self._task.action,
                self.module.run,
                self.module.ARGUMENT_SPEC,
                getattr(self.module, "CONSTRAINTS", {}),
                # A module gets its arguments as JSON; converting them here as well makes the types the same.
                json.loads(json.dumps(arguments, default=str)),
                check_mode=self._task.check_mode,
                diff_mode=self._task.diff,
                inventory=known.addresses,
                progress=Progress(self._task.get_name()),
            )
        else:
            done = self._run_as_process(arguments, known, task_vars)
        if known.unknown:
            done["warnings"] = [*done.get("warnings", ()), known.warning]
        merged: dict[str, Any] = merge_hash(result, done)
        return merged

    def known(self, _arguments: dict[str, Any], _task_vars: dict[str, Any]) -> Known:
        """Return what the module should know about the inventory."""
        return NOTHING

    def _run_as_process(self, arguments: dict[str, Any], known: Known, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the ordinary module where the task wants it to run."""
        given = arguments.get("never_block") or []
        if known.addresses and isinstance(given, (str, list)):  # validation refuses anything else
            given = given.split(",") if isinstance(given, str) else given
            arguments = {**arguments, "never_block": [*given, *known.addresses]}
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        done: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=wrap_async)
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # type: ignore[no-untyped-call]
        shown = done.get("invocation", {}).get("module_args", {}).get("never_block")
        if isinstance(shown, list) and known.addresses:
            del shown[-len(known.addresses) :]  # the user did not give these
        return done

    def _belongs_here(self, task_vars: dict[str, Any]) -> bool:
        """Whether the module would run on the controller, as this user, in this environment and with this interpreter."""
        variables = (task_vars.get("ansible_delegated_vars") or {}).get(self._task.delegate_to) or task_vars
        interpreter = self._templar.template(variables.get("ansible_python_interpreter"))
        return (
            REQUESTS_IMPORT_ERROR is None
            and self._connection.transport in ("local", "ansible.builtin.local")
            and not self._connection.become
            and not self._task.async_val
            and not any(self._task.environment or ())
            and interpreter in (None, "", sys.executable, "auto", "auto_silent", "auto_legacy", "auto_legacy_silent")
        )


class GuardedAction(InProcessAction):
    """Tells the guard the addresses of the inventory's hosts, if the task blocks something."""

    def known(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> Known:
        """Return the addresses; without a warning about unknown ones if the guard is overridden anyway."""
        if not blocks(arguments):
            return NOTHING
        found = known_addresses(task_vars, self._loader, str(getattr(self._task.play, "_uuid", "")))
        overridden = boolean(str(arguments.get("allow_protected")), strict=False)
        return Known(found.addresses, []) if overridden else found


def blocks(arguments: dict[str, Any]) -> bool:
    """Whether a task may put something on a blacklist, judging by arguments that are not validated yet."""
    state = arguments.get("state") or "present"
    entries = arguments.get("entries") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return True
    states = [entry.get("state") or state for entry in entries]
    if not entries or arguments.get("hosts"):
        states.append(state)
    return any(state != "absent" for state in states)
