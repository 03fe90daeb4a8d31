# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that knows Ansible: from an argument specification and a function to a finished module, or to its result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NoReturn

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError

from .call import Call
from .errors import IntrusionResponseError
from .http import REQUESTS_IMPORT_ERROR
from .options import Option
from .redact import mask_urls, url_passwords

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


class _Module(AnsibleModule):  # type: ignore[misc, unused-ignore]
    """Does not echo URLs of refused options: one that is misplaced or misspelt is not known to be a secret, and may be."""

    validated = False

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn:
        if not self.validated:
            msg = mask_urls(msg)
            kwargs.setdefault("invocation", {"module_args": mask_urls(self.params)})
        super().fail_json(msg, **kwargs)


def run_module(run: Run, argument_spec: dict[str, Any], **constraints: Any) -> None:
    """Run a module's function as an ordinary Ansible module and exit.

    Args:
        run: takes a Call, returns the module's return values (with changed, and diff when it has one).
        argument_spec: complete, connection options included.
        constraints: required_if and the like, as AnsibleModule takes them.
    """
    module = _Module(argument_spec=argument_spec, supports_check_mode=True, **constraints)  # type: ignore[no-untyped-call, unused-ignore]
    module.validated = True
    module.no_log_values.update(url_passwords(module.params.values()))
    if REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    call = Call(params=module.params, check_mode=module.check_mode, environ=os.environ)
    result = _outcome(run, call, module._diff)
    for message in call.warnings:
        module.warn(message)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def run_in_process(
    name: str,
    run: Run,
    argument_spec: dict[str, Any],
    constraints: Mapping[str, Any],
    arguments: dict[str, Any],
    *,
    check_mode: bool,
    diff_mode: bool,
) -> dict[str, Any]:
    """Return what run_module prints, without a process of its own: same validation, same messages, same masking.

    Args:
        name: the module's name, for messages.
        arguments: as a task gives them, of plain JSON types.
    """
    validated = ArgumentSpecValidator(argument_spec, **constraints).validate(arguments)
    params = validated.validated_parameters
    warnings = [f"Both option {both['option']} and its alias {both['alias']} are set." for both in validated._warnings]
    if validated.error_messages:
        message = validated.errors.msg
        if isinstance(validated.errors[0], UnsupportedError):
            message = f"Unsupported parameters for ({name}) module: {message}"
        params = mask_urls(params)
        result: dict[str, Any] = {"failed": True, "msg": mask_urls(message)}
    else:
        call = Call(params=params, check_mode=check_mode, environ=os.environ)
        result = _outcome(run, call, diff_mode)
        warnings += call.warnings
    if warnings:
        result["warnings"] = warnings
    if validated._deprecations:
        result["deprecations"] = [dict(deprecation) for deprecation in validated._deprecations]
    secrets = validated._no_log_values | url_passwords(params.values())
    shown = {key: _masked(value, secrets) for key, value in params.items()}
    return {**{key: _masked(value, secrets) for key, value in result.items()}, "invocation": {"module_args": shown}}


def _masked(value: Any, secrets: set[str]) -> Any:
    """Do what remove_values does, but walk through a value only where there may be a secret in it."""
    if value is None or isinstance(value, bool):
        return value
    text = json.dumps(value)
    return remove_values(value, secrets) if any(json.dumps(secret)[1:-1] in text for secret in secrets) else value


def _outcome(run: Run, call: Call, diff_mode: bool) -> dict[str, Any]:
    """Run and return the result, or the failure as one; the one place where a failure becomes return values."""
    try:
        result = run(call)
    except IntrusionResponseError as error:
        result = {"failed": True, **error.as_result()}
    except Exception as error:
        result = {
            "failed": True,
            "changed": not call.check_mode,
            "msg": f"Internal error ({type(error).__name__}); this is a defect of intrusion.response, please report it.",
            "code": "internal_error",
        }
    if not diff_mode:
        result.pop("diff", None)
    return result
