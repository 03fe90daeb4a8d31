# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that knows Ansible: turns an argument specification and a function into a module, or into its result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Callable, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import AnsibleFallbackNotFound, NoLogError, UnsupportedError

from .call import Call
from .errors import IntrusionResponseError, InvalidInput
from .options import Option
from .redact import mask_urls, secret_values, shown_arguments, url_passwords
from .text import clean
from .wire import REQUESTS_IMPORT_ERROR

Run = Callable[[Call], "dict[str, Any]"]


def environment_fallback(*names: str) -> str:
    """Return the first of these environment variables that is not empty; a form field that was left empty sets an empty variable."""
    for name in names:
        if os.environ.get(name, "").strip():
            return os.environ[name]
    raise AnsibleFallbackNotFound


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
            argument["fallback"] = (environment_fallback, list(option.env))
        spec[option.name] = argument
    return spec


class _Module(AnsibleModule):  # type: ignore[misc, unused-ignore]
    """Echoes refused arguments without anything that is, or may be, a secret."""

    validated = False

    def __init__(self, *, shorthand: Mapping[str, str], **kwargs: Any) -> None:
        self._shorthand = shorthand
        super().__init__(**kwargs)  # type: ignore[no-untyped-call, unused-ignore]

    def _load_params(self) -> None:
        super()._load_params()  # type: ignore[no-untyped-call, unused-ignore]
        self.params = spelt_out(self.params, self._shorthand)

    def fail_json(self, msg: str, **kwargs: Any) -> NoReturn:
        if not self.validated:
            self.no_log_values.update(secret_values(self.argument_spec, self.params))
            msg = _refusal(self._name, self.validation_result.errors) or clean(mask_urls(msg))
            kwargs = {**InvalidInput(msg).as_result(), **kwargs}
            kwargs.pop("msg", None)
            kwargs.setdefault("invocation", {"module_args": _whole(shown_arguments(self.argument_spec, self.params))})
        super().fail_json(msg, **kwargs)

    def _log_invocation(self) -> None:
        """Refuse what Ansible cannot write to its log, which happens before anything is done."""
        try:
            _refuse_lone_surrogates(self.params)
        except InvalidInput as error:
            self.fail_json(**error.as_result())
        super()._log_invocation()  # type: ignore[no-untyped-call, unused-ignore]


def spelt_out(arguments: Mapping[str, Any], shorthand: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments in which names in lists of mappings are replaced by the mappings that they abbreviate.

    Args:
        arguments: as they were given.
        shorthand: the options that accept such lists, each with the suboption that a name sets.
    """
    whole = dict(arguments)
    for option, suboption in shorthand.items():
        given = whole.get(option)
        if isinstance(given, str):
            given = given.split(",")
        if isinstance(given, list):
            whole[option] = [{suboption: one} if isinstance(one, (str, int)) and not isinstance(one, bool) else one for one in given]
    return whole


def run_module(run: Run, argument_spec: dict[str, Any], *, shorthand: Optional[Mapping[str, str]] = None, **constraints: Any) -> None:
    """Run a module's function as an ordinary Ansible module and exit.

    Args:
        run: takes a Call and returns the module's return values (with changed, and diff if there is one).
        argument_spec: complete, including connection options.
        shorthand: as for spelt_out.
        constraints: required_if and similar arguments of AnsibleModule.
    """
    module = _Module(argument_spec=argument_spec, supports_check_mode=True, shorthand=shorthand or {}, **constraints)
    module.validated = True
    module.no_log_values.update(url_passwords(module.params.values()))
    if REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    call = Call(params=module.params, check_mode=module.check_mode, environ=os.environ)
    result = _outcome(run, call, module._diff)
    result["invocation"] = {"module_args": _whole(module.params)}
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
    **more: Any,
) -> dict[str, Any]:
    """Return what run_module prints, without a separate process: same validation, same messages, same masking.

    Args:
        name: the module's name, for messages.
        constraints: those of run_module, and shorthand.
        arguments: as a task gives them, of plain JSON types.
        more: other arguments of the call: inventory and progress.
    """
    constraints = dict(constraints)
    arguments = spelt_out(arguments, constraints.pop("shorthand", {}))
    validated = ArgumentSpecValidator(argument_spec, **constraints).validate(arguments)
    params = validated.validated_parameters
    warnings = [f"Both option {both['option']} and its alias {both['alias']} are set." for both in validated._warnings]
    refusal = _refusal(name, validated.errors)
    if refusal:
        shown = shown_arguments(argument_spec, params)
        result: dict[str, Any] = {"failed": True, **InvalidInput(refusal).as_result()}
    else:
        shown = params
        call = Call(params=params, check_mode=check_mode, environ=os.environ, **more)
        result = _outcome(run, call, diff_mode)
        warnings += call.warnings
    if warnings:
        result["warnings"] = warnings
    if validated._deprecations:
        result["deprecations"] = [dict(deprecation) for deprecation in validated._deprecations]
    secrets = secret_values(argument_spec, arguments) | secret_values(argument_spec, params) | url_passwords(params.values())
    return {name: masked(value, secrets) for name, value in {**result, "invocation": {"module_args": shown}}.items()}


def validated(name: str, argument_spec: dict[str, Any], arguments: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the validated options of a module, and the secrets among them; raises InvalidInput, without secrets."""
    found = ArgumentSpecValidator(argument_spec).validate(arguments)
    params: dict[str, Any] = found.validated_parameters
    secrets = secret_values(argument_spec, arguments) | secret_values(argument_spec, params) | url_passwords(params.values())
    refusal = _refusal(name, found.errors)
    if refusal:
        raise InvalidInput(str(remove_values(refusal, secrets)))
    return params, secrets


def _refusal(name: str, errors: Iterable[Any]) -> str:
    """Return what is wrong with the arguments, or ""; another error takes precedence over Ansible's failure to find secrets in them."""
    error = next((error for error in sorted(errors, key=lambda error: isinstance(error, NoLogError))), None)
    if error is None:
        return ""
    prefix = f"Unsupported parameters for ({name}) module: " if isinstance(error, UnsupportedError) else ""
    return clean(f"{prefix}{mask_urls(error.msg)}")


def masked(value: Any, secrets: Iterable[str]) -> Any:
    """Do what remove_values does, but walk through a value only if it may contain a secret."""
    if value is None or isinstance(value, bool):
        return value
    value = _whole(value)
    text = json.dumps(value)
    return remove_values(value, secrets) if any(json.dumps(secret)[1:-1] in text for secret in secrets) else value


def _whole(value: Any) -> Any:
    """Return plain data in which lone surrogates, which cannot be written to a file or a terminal, are replaced."""
    text = json.dumps(value, ensure_ascii=False)
    whole = text.encode("utf-8", "replace").decode()
    return value if whole == text else json.loads(whole)


def _refuse_lone_surrogates(params: Mapping[str, Any]) -> None:
    """Raise InvalidInput for bytes that are not UTF-8, which Python passes on as lone surrogates."""
    for name, value in params.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{name} must be valid UTF-8.") from None


def _outcome(run: Run, call: Call, diff_mode: bool) -> dict[str, Any]:
    """Run and return the result, or the failure as a result; the only place where a failure becomes return values."""
    try:
        _refuse_lone_surrogates(call.params)
        result = run(call)
    except IntrusionResponseError as error:
        result = {"failed": True, **error.as_result()}
    except Exception as error:
        result = {
            "failed": True,
            "changed": not call.check_mode,
            "msg": f"Internal error ({type(error).__name__}). This is a bug in intrusion.response; please report it.",
            "code": "internal_error",
        }
    if not diff_mode:
        result.pop("diff", None)
    return result
