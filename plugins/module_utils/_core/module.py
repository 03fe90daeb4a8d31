# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that knows AnsibleModule: from an argument specification and a function to a finished module."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from .call import Call
from .errors import IntrusionResponseError
from .http import REQUESTS_IMPORT_ERROR
from .options import Option

Run = Callable[[Call], "dict[str, Any]"]


def connection_spec(options: Iterable[Option]) -> dict[str, dict[str, Any]]:
    """Return the argument specification of a table of connection options."""
    spec: dict[str, dict[str, Any]] = {}
    for option in options:
        argument: dict[str, Any] = {"type": option.type, "no_log": option.secret}
        if option.required:
            argument["required"] = True
        if option.default is not None:
            argument["default"] = option.default
        if option.env:
            argument["fallback"] = (env_fallback, list(option.env))
        spec[option.name] = argument
    return spec


def run_module(run: Run, argument_spec: dict[str, Any], **constraints: Any) -> None:
    """Run a module's function as an ordinary Ansible module and exit.

    Args:
        run: takes a Call, returns the module's return values (with changed, and diff when it has one).
        argument_spec: complete, connection options included.
        constraints: required_if and the like, as AnsibleModule takes them.
    """
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **constraints)
    if REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    call = Call(params=module.params, check_mode=module.check_mode, environ=os.environ)
    try:
        result = run(call)
    except IntrusionResponseError as error:
        result = {"failed": True, **error.as_result()}
    except Exception as error:
        result = {
            "failed": True,
            "changed": not module.check_mode,
            "msg": f"Internal error ({type(error).__name__}); this is a defect of intrusion.response, please report it.",
            "code": "internal_error",
        }
    for message in call.warnings:
        module.warn(message)
    if not module._diff:
        result.pop("diff", None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
