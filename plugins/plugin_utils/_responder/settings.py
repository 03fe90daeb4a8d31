# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings, each declared once: reading, bounds, the table in the documentation, the JSON schema and what a reload changes follow.

A dataclass is a section, each of its fields is made by `setting`. A section may have a method `completed(where)` that checks what
concerns several settings, and returns the section with the defaults that depend on others.
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
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import CONTROL_CHARACTERS

LOG = logging.getLogger("intrusion.response")

Network = Union[IPv4Network, IPv6Network]
S = TypeVar("S")

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LARGEST_FILE = 65536
SECRETS = ("secret", "secrets")
#: Kinds of lists, and what JSON calls the others.
LISTS = {"texts": "string", "words": "string", "networks": "string", "secrets": "string", "numbers": "number"}
JSON_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean"}


class Setting(NamedTuple):
    """How a setting is declared.

    Attributes:
        kind: text, integer, number, boolean, path, texts, words, numbers, networks, secret, secrets, section or sections.
        help: a sentence for the documentation.
        default: value when nothing is given.
        low, high: bounds of numbers.
        choices: the words that there are.
        env: environment variables that give the value where nothing else does; the first that is set wins.
        section: class of the section or sections; a section that is not given is None if optional, else all its defaults.
        objection: returns what is wrong with a text ("must ..."), without a word of it, or None.
        fixed: whether a running service cannot take a new value.
        shown: the default in words, where it depends on others.
    """

    kind: str
    help: str
    default: Any = None
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
    """Declare a field of a section; see Setting."""
    metadata = {"setting": Setting(kind, help, default, **more)}
    return dataclasses.field(default=default, metadata=metadata, repr=kind not in SECRETS)  # pylint: disable=invalid-field-call


def declared(section: Any) -> Iterator[tuple[str, Setting]]:
    """Yield the names and declarations of a section, which is a class or an instance."""
    return ((field.name, field.metadata["setting"]) for field in dataclasses.fields(section))


class Where(NamedTuple):
    """The place of a section among the settings, "" for the top, and the environment."""

    path: str
    environ: Mapping[str, str]

    def name(self, name: str) -> str:
        """Return the full name of a setting of this section."""
        return f"{self.path}.{name}" if self.path else name

    def error(self, name: str, complaint: str) -> InvalidInput:
        """Return the exception for a setting: its full name and the complaint ("must be ...")."""
        return InvalidInput(f"{self.name(name)} {complaint}")


def read(section: type[S], given: Any, path: str = "", environ: Optional[Mapping[str, str]] = None) -> S:
    """Return a section from nested mappings and lists, as a rulebook or a file gives them.

    What is missing or null takes the default; texts such as "3600" and "true" pass for numbers and booleans, since templates give
    them. Whatever is wrong raises InvalidInput with the full name (`respond.policy.ttl`); values are shown there, secrets never.
    """
    where = Where(path, os.environ if environ is None else environ)
    if given is None:
        given = {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InvalidInput(f"{path or 'The settings'} must be a mapping of names to values.")
    known: list[str] = []
    values: dict[str, Any] = {}
    for name, how in declared(section):
        known += [name, f"{name}_file"] if how.kind in SECRETS else [name]
        values[name] = _value(where, name, how, given)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}."
            raise InvalidInput(f"{where.name(name)[:80]!r} is not a setting; {hint}")
    made = section(**values)
    completed = getattr(made, "completed", None)
    return made if completed is None else completed(where)


def _value(where: Where, name: str, how: Setting, given: Mapping[str, Any]) -> Any:
    value, full = given.get(name), where.name(name)
    if how.kind in SECRETS and given.get(f"{name}_file") is not None:
        if value is not None:
            raise InvalidInput(f"{full} and {full}_file exclude each other.")
        return _secrets_in(f"{full}_file", _path(f"{full}_file", given[f"{name}_file"]), how)
    if how.kind == "section":
        return None if value is None and how.optional else read(how.section, value, full, where.environ)
    if value is None:
        variable = next((variable for variable in how.env if where.environ.get(variable)), None)
        if variable is None:
            return _path(full, how.default) if how.kind == "path" and how.default is not None else how.default
        value, full = where.environ[variable], f"the environment variable {variable}, which gives {full},"
    if how.kind == "sections":
        if not isinstance(value, (list, tuple)):
            raise InvalidInput(f"{full} must be a list.")
        return tuple(read(how.section, item, f"{full}[{number}]", where.environ) for number, item in enumerate(value))
    if how.kind == "secrets":
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise InvalidInput(f"{full} must be a list of texts.")
        return tuple(_secret(f"{full}[{number}]", item, how) for number, item in enumerate(items))
    if how.kind == "secret":
        return _secret(full, value, how)
    if how.kind in LISTS:
        return tuple(_one(full, item, how) for item in _list(full, value))
    return _one(full, value, how)


def _one(name: str, value: Any, how: Setting) -> Any:
    if how.kind in ("integer", "number", "numbers"):
        return _number(name, value, how)
    if how.kind == "boolean":
        found = value if isinstance(value, bool) else BOOLEANS.get(str(value).strip().lower())
        if found is None:
            raise InvalidInput(f"{name} must be true or false; got {_shown(value)}.")
        return found
    if how.kind == "path":
        return _path(name, value)
    text = _text(name, value)
    if how.kind == "networks":
        try:
            return ip_network(text)
        except ValueError:
            raise InvalidInput(f"{name} must hold addresses and networks such as 198.51.100.0/24; got {_shown(text)}.") from None
    if how.kind == "words":
        text = text.lower()
    if how.choices and text not in how.choices:
        near = difflib.get_close_matches(text, how.choices, 1, 0.6)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise InvalidInput(f"{name} may hold {', '.join(how.choices)}; got {_shown(text)}{hint}.")
    complaint = how.objection(text)
    if complaint is not None:
        raise InvalidInput(f"{name} {complaint}")
    return text


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a text (put it in quotes); got {_shown(value)}.")
    text = value.strip()
    if not text:
        raise InvalidInput(f"{name} must not be empty.")
    if CONTROL_CHARACTERS.search(text):
        raise InvalidInput(f"{name} must not contain control characters or line breaks.")
    return text


def _number(name: str, value: Any, how: Setting) -> Union[int, float]:
    number = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            number = float(value)
    if not how.low <= number <= how.high:
        raise InvalidInput(f"{name} must be a number from {how.low:g} to {how.high:g}; got {_shown(value)}.")
    if how.kind != "integer":
        return number
    if number != int(number):
        raise InvalidInput(f"{name} must be an integer; got {number}.")
    return int(number)


def _list(name: str, value: Any) -> list[Any]:
    if isinstance(value, str):  # split at its commas, as Ansible does it
        return [part for part in value.split(",") if part.strip()]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise InvalidInput(f"{name} must be a list; got {_shown(value)}.")


def _path(name: str, value: Any) -> str:
    """Return an absolute path; `~` and variables of the environment (`$CREDENTIALS_DIRECTORY/name`) are filled in."""
    text = _text(name, value)
    path = os.path.expandvars(text)
    if "$" in path:
        raise InvalidInput(f"{name} names a variable that is not set: {_shown(text)}.")
    return os.path.abspath(os.path.expanduser(path))


def _secret(name: str, value: Any, how: Setting) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a text (a template turns digits into a number: use a file, or quote it).")
    if not value.strip() or CONTROL_CHARACTERS.search(value):
        raise InvalidInput(f"{name} must not be empty or contain control characters or line breaks.")
    complaint = how.objection(value)
    if complaint is not None:
        raise InvalidInput(f"{name} {complaint}")
    return value


def _secrets_in(name: str, path: str, how: Setting) -> Any:
    """Return what a file of secrets holds: one a line, where empty lines and those that begin with # do not count."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {path}: {error.strerror or 'unusable'}.") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{name} is not text: {path}.") from None
    if len(content) > LARGEST_FILE:
        raise InvalidInput(f"{name} is too large for secrets: {path}.")
    warn_if_open(name, path)
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(content.split("\n"), 1)]
    found = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise InvalidInput(f"{name} names a file without a secret in it: {path}.")
    if how.kind == "secret":
        if len(found) > 1:
            raise InvalidInput(f"{name} names a file with more than one line: {path}.")
        return _secret(f"{name} ({path})", found[0][1], how)
    return tuple(_secret(f"{name} ({path}, line {number})", line.strip(), how) for number, line in found)


def warn_if_open(name: str, path: str) -> None:
    """Warn when everybody on this machine can read a file that holds a secret."""
    with suppress(OSError):
        if os.stat(path).st_mode & stat.S_IROTH:
            LOG.warning("%s: %s can be read by everybody: change its mode.", name, path)


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


def reloaded(old: S, new: S, path: str = "") -> tuple[S, list[str]]:
    """Return a section as new settings change it while running, and the full names of what has changed and cannot take effect."""
    values: dict[str, Any] = {}
    stuck: list[str] = []
    for name, how in declared(old):
        before, after = getattr(old, name), getattr(new, name)
        full = f"{path}.{name}" if path else name
        if how.fixed:
            stuck += [full] if before != after else []
        elif how.kind == "section" and before is not None and after is not None:
            values[name], more = reloaded(before, after, full)
            stuck += more
        elif how.kind == "section" and (before is None) != (after is None):
            stuck.append(full)
        else:
            values[name] = after
    return dataclasses.replace(old, **values), stuck  # type: ignore[type-var]


def holds_secret(section: Any, given: Any) -> bool:
    """Return whether a secret itself, not the name of its file, is among what is given for a section."""
    if isinstance(given, (list, tuple)):
        return any(holds_secret(section, item) for item in given)
    if not isinstance(given, Mapping):
        return False
    return any(
        given.get(name) is not None and (how.kind in SECRETS or (how.section is not None and holds_secret(how.section, given[name])))
        for name, how in declared(section)
    )


def schema(section: Any) -> dict[str, Any]:
    """Return the JSON schema of a section. Texts pass for everything, since templates give them, and null is the default."""
    properties: dict[str, Any] = {}
    for name, how in declared(section):
        if how.kind == "section":
            one = {**schema(how.section), "type": ["object", "null"]}
        elif how.kind == "sections":
            one = {"type": ["array", "null"], "items": schema(how.section)}
        elif how.kind in LISTS:
            one = {"type": ["array", "string", "null"], "items": {"type": [LISTS[how.kind], "string"]}}
        else:
            kinds = [kind for kind in (JSON_TYPES.get(how.kind),) if kind]
            one = {"type": [*kinds, "string", "null"]}
            one.update((bound, value) for bound, value in (("minimum", how.low), ("maximum", how.high)) if math.isfinite(value))
        if how.choices:
            one.get("items", one)["examples"] = list(how.choices)
        properties[name] = {"description": plain(how.help), **one}
        if how.kind in SECRETS:
            properties[f"{name}_file"] = {"description": f"A file that holds {name}.", "type": ["string", "null"]}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def plain(markdown: str) -> str:
    """Return a text without the marks of code."""
    return re.sub(r"`([^`]*)`", r"\1", markdown)


def table(section: Any, path: str = "") -> list[str]:
    """Return the rows of the documentation's table of settings: name, default, meaning."""
    rows: list[str] = []
    for name, how in declared(section):
        full = f"{path}.{name}" if path else name
        names = f"`{full}`, `{name}_file`" if how.kind in SECRETS else f"`{full}`"
        default = how.shown or _default(how)
        given = f" ({', '.join(f'`{variable}`' for variable in how.env)})" if how.env else ""
        fixed = " Fixed while it runs." if how.fixed else ""
        rows.append(f"| {names} | {default} | {how.help}{fixed}{given} |")
        if how.section is not None:
            rows += table(how.section, f"{full}[]" if how.kind == "sections" else full)
    return rows


def _default(how: Setting) -> str:
    if how.default is None or how.section is not None:
        return ""
    if isinstance(how.default, bool):
        return str(how.default).lower()
    if isinstance(how.default, tuple):
        return f"[{', '.join(f'{item}' for item in how.default)}]"
    return f"{how.default:g}" if isinstance(how.default, float) else str(how.default)
