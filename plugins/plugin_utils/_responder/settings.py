# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings, each declared once: parsing, bounds, the documentation's table, the JSON schema and reloading are derived from that.

A dataclass is a section, and `setting` declares each of its fields. A section may have a method `completed(environ)` that checks the
relations between settings, and returns the section with the defaults that depend on others. Its error messages begin with the name of a
setting of the section, to which the section's own name is prepended.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_network
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import CONTROL_CHARACTERS

LOG = logging.getLogger("intrusion.response")

S = TypeVar("S")

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LARGEST_FILE = 65536


class Setting(NamedTuple):
    """How a setting is declared.

    Attributes:
        kind: text, word (in lower case), integer, number, boolean, path, network, secret (also read from a file), section, or object
            (any mapping).
        help: a sentence for the documentation.
        default: value if none is given.
        many: whether it is a list.
        low, high: bounds of numbers.
        choices: the allowed words.
        env: environment variables that set the value if nothing else does; the first that is set wins.
        section: class of the section; if it is not given, it is None if optional, else has all its defaults.
        objection: returns what is wrong with a text ("must ..."), without quoting it, or None.
        fixed: whether a running service cannot apply a new value.
        shown: the default in words, if it depends on other settings.
    """

    kind: str
    help: str
    default: Any = None
    many: bool = False
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    section: Any = None
    optional: bool = False
    objection: Callable[[str], Optional[str]] = lambda _text: None
    fixed: bool = False
    shown: str = ""


def setting(kind: str, help: str, default: Any = None, **more: Any) -> Any:
    """Declare a field of a section; see Setting. The plural of a kind is a list of it."""
    how = Setting(kind.removesuffix("s"), help, default, kind.endswith("s"), **more)
    return dataclasses.field(default=default, metadata={"setting": how}, repr=how.kind != "secret")  # pylint: disable=invalid-field-call


def declared(section: Any) -> Iterator[tuple[str, Setting]]:
    """Yield the names and declarations of a section, given as a class or an instance."""
    return ((field.name, field.metadata["setting"]) for field in dataclasses.fields(section))


def read(section: type[S], given: Any, path: str = "", environ: Optional[Mapping[str, str]] = None) -> S:
    """Return a section from nested mappings and lists, from a rulebook or a file.

    Missing or null values get the default; strings such as "3600" and "true" are accepted as numbers and booleans, since templates
    return them. Anything invalid raises InvalidInput with the full name (`respond.policy.ttl`), and with the value unless it is a secret.
    """
    environ = os.environ if environ is None else environ
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InvalidInput(f"{path or 'The settings'} must be a mapping of names to values.")
    prefix = f"{path}." if path else ""
    found = dict(declared(section))
    known = [*found, *(f"{name}_file" for name, how in found.items() if how.kind == "secret")]
    for name in given:
        if name not in known:
            hint = _nearest(name, known) or f"there are {', '.join(sorted(known))}."
            raise InvalidInput(f"{(prefix + name)[:80]!r} is not a setting; {hint}")
    values = {name: _value(prefix + name, how, given.get(name), given.get(f"{name}_file"), environ) for name, how in found.items()}
    made: Any = section(**values)
    try:
        return made.completed(environ) if hasattr(made, "completed") else made  # type: ignore[no-any-return]
    except InvalidInput as error:
        raise InvalidInput(prefix + error.message, hint=error.hint) from None


def _nearest(text: str, known: Any) -> str:
    near = difflib.get_close_matches(text, known, 1, 0.6)
    return f"did you mean {near[0]}?" if near else ""


def _value(name: str, how: Setting, value: Any, file: Any, environ: Mapping[str, str]) -> Any:
    if how.kind == "secret" and file is not None:
        if value is not None:
            raise InvalidInput(f"{name} and {name}_file exclude each other.")
        items = _secrets_in(f"{name}_file", _path(f"{name}_file", file), how.many)
        secrets = tuple(_one(place, item, how, environ) for place, item in items)
        return secrets if how.many else secrets[0]
    if value is None:
        variable = next((variable for variable in how.env if environ.get(variable)), None)
        if variable is not None:
            value, name = environ[variable], f"the environment variable {variable}, which gives {name},"
        elif how.kind != "section" or how.many or how.optional:
            return how.default
    if how.many:
        return tuple(_one(f"{name}[{number}]", item, how, environ) for number, item in enumerate(_list(name, value, how)))
    return _one(name, value, how, environ)


def _list(name: str, value: Any, how: Setting) -> list[Any]:
    if isinstance(value, str) and how.kind != "section":  # split at its commas, as Ansible does it
        return [value] if how.kind == "secret" else [part for part in value.split(",") if part.strip()]
    if how.kind == "number" and isinstance(value, (int, float)):
        return [value]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise InvalidInput(f"{name} must be a list.")


def _one(name: str, value: Any, how: Setting, environ: Mapping[str, str]) -> Any:
    if how.kind == "section":
        return read(how.section, value, name, environ)
    if how.kind == "object":
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{name} must be a mapping of names to values.")
        return dict(value)
    if how.kind in ("integer", "number"):
        return _number(name, value, how)
    if how.kind == "boolean":
        found = BOOLEANS.get(str(value).strip().lower())
        if found is None:
            raise InvalidInput(f"{name} must be true or false; got {_shown(value)}.")
        return found
    if how.kind == "path":
        return _path(name, value)
    text = _text(name, value, how.kind == "secret")
    if how.kind == "network":
        try:
            return ip_network(text)
        except ValueError:
            raise InvalidInput(f"{name} must be an address or a network such as 198.51.100.0/24; got {_shown(text)}.") from None
    text = text.lower() if how.kind == "word" else text
    if how.choices and text not in how.choices:
        near = _nearest(text, how.choices)
        raise InvalidInput(f"{name} may be {', '.join(how.choices)}; got {_shown(text)}{f' ({near})' if near else ''}.")
    complaint = how.objection(text)
    if complaint is not None:
        raise InvalidInput(f"{name} {complaint}")
    return text


def _text(name: str, value: Any, is_secret: bool = False) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string (put it in quotes)" + ("." if is_secret else f"; got {_shown(value)}."))
    text = value if is_secret else value.strip()
    if not text.strip() or CONTROL_CHARACTERS.search(text):
        raise InvalidInput(f"{name} must not be empty, or contain control characters or line breaks.")
    return text


def _number(name: str, value: Any, how: Setting) -> Union[int, float]:
    number = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
    if not how.low <= number <= how.high:
        raise InvalidInput(f"{name} must be a number from {how.low:g} to {how.high:g}; got {_shown(value)}.")
    if how.kind == "integer" and number != int(number):
        raise InvalidInput(f"{name} must be an integer; got {number}.")
    return int(number) if how.kind == "integer" else number


def _path(name: str, value: Any) -> str:
    """Return an absolute path, with `~` and environment variables (`$CREDENTIALS_DIRECTORY/name`) expanded."""
    text = _text(name, value)
    path = os.path.expandvars(text)
    if "$" in path:
        raise InvalidInput(f"{name} contains a variable that is not set: {_shown(text)}.")
    return os.path.abspath(os.path.expanduser(path))


def _secrets_in(name: str, path: str, many: bool) -> list[tuple[str, str]]:
    """Return the secrets of a file with their positions: one per line, ignoring empty lines and those that begin with #."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{name} cannot be read: {path}: {getattr(error, 'strerror', None) or 'it is not text'}.") from None
    warn_if_open(name, path)
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(content.split("\n"), 1)]
    found = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(content) > LARGEST_FILE or not found or (len(found) > 1 and not many):
        what = "no secret" if not found else "more than one line" if len(content) <= LARGEST_FILE else "too much for secrets"
        raise InvalidInput(f"{name} refers to a file with {what}: {path}.")
    return [(f"{name} ({path}, line {number})", line.strip() if many else line) for number, line in found]


def warn_if_open(name: str, path: str) -> None:
    """Warn if everybody on this machine can read a file with a secret."""
    with suppress(OSError):
        if os.stat(path).st_mode & stat.S_IROTH:
            LOG.warning("%s: %s can be read by everybody; change its mode.", name, path)


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


def reloaded(old: S, new: S, path: str = "") -> tuple[S, list[str]]:
    """Return a section with the new settings that can be applied while running, and the full names of the changes that cannot."""
    values: dict[str, Any] = {}
    stuck: list[str] = []
    for name, how in declared(old):
        before, after = getattr(old, name), getattr(new, name)
        if how.section is not None and not how.many and None not in (before, after):
            values[name], more = reloaded(before, after, f"{path}{name}.")
            stuck += more
        elif not how.fixed and not how.optional:
            values[name] = after
        elif before != after:
            stuck.append(path + name)
    return dataclasses.replace(old, **values), stuck  # type: ignore[type-var]


def holds_secret(section: Any, given: Any) -> bool:
    """Return whether the values of a section, or of several, contain a secret itself and not only the name of its file."""
    if isinstance(given, (list, tuple)):
        return any(holds_secret(section, item) for item in given)
    return isinstance(given, Mapping) and any(
        given.get(name) is not None and (how.kind == "secret" or (how.section is not None and holds_secret(how.section, given[name])))
        for name, how in declared(section)
    )


def schema(section: Any) -> dict[str, Any]:
    """Return the JSON schema of a section. Strings are accepted for everything, since templates return them, and null means the default."""
    properties: dict[str, Any] = {}
    for name, how in declared(section):
        one: dict[str, Any] = {"type": [how.kind, "string"] if how.kind in ("integer", "number", "boolean") else ["string"]}
        if how.kind == "object":
            one = {"type": ["object"]}
        if how.section is not None:
            one = {**schema(how.section), "type": ["object"]}
        one.update((bound, value) for bound, value in (("minimum", how.low), ("maximum", how.high)) if math.isfinite(value))
        if how.choices:
            one["examples"] = list(how.choices)
        if how.many:
            one = {"type": ["array"] if how.section else ["array", "string"], "items": one}
        properties[name] = {"description": re.sub(r"`([^`]*)`", r"\1", how.help), **one, "type": [*one["type"], "null"]}
        if how.kind == "secret":
            properties[f"{name}_file"] = {"description": f"A file that holds {name}.", "type": ["string", "null"]}
    return {"type": "object", "properties": properties, "additionalProperties": False}
