# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed reading of nested arguments, as a rulebook or a service's configuration file gives them."""

from __future__ import annotations

import difflib
import logging
import math
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Callable, Optional, Union, overload

from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import CONTROL_CHARACTERS

LOG = logging.getLogger("intrusion.response")

Network = Union[IPv4Network, IPv6Network]
#: Returns what is wrong with a secret ("must have ..."), without a word of it, or None.
Objection = Callable[[str], Optional[str]]

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LARGEST_FILE = 65536


class Section:
    """One level of nested arguments.

    Every method reads one argument by its name. An argument that is missing or null takes the default; texts such as "3600" and
    "true" pass for numbers and booleans, since templates give them. Whatever is wrong raises InvalidInput with the full name
    (`respond.policy.ttl`); values are shown there, those of secrets never.

    Args:
        given: the arguments of this level; None is the same as none at all.
        path: full name of this level, "" for the top.
    """

    def __init__(self, given: Any, path: str = "") -> None:
        if given is None:
            given = {}
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise InvalidInput(f"{path or 'The arguments'} must be a mapping of names to values.")
        self.path = path
        self._given = given
        self._known: set[str] = set()
        self._sections: list[Section] = []

    def name(self, name: str) -> str:
        """Return the full name of an argument."""
        return f"{self.path}.{name}" if self.path else name

    def error(self, name: str, complaint: str) -> InvalidInput:
        """Return the exception for an argument: its full name and the complaint ("must be ...")."""
        return InvalidInput(f"{self.name(name)} {complaint}")

    def has(self, name: str) -> bool:
        """Tell whether an argument is there and not null."""
        return self._value(name) is not None

    @overload
    def text(self, name: str, default: str) -> str:
        ...

    @overload
    def text(self, name: str, default: None = None) -> Optional[str]:
        ...

    def text(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return a text, without white space around it; empty ones and control characters are refused."""
        value = self._value(name)
        return default if value is None else self._text(name, value)

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of texts; a single text is split at its commas, as Ansible does it."""
        value = self._value(name)
        return tuple(default) if value is None else tuple(self._text(name, item) for item in self._list(name, value))

    def words(self, name: str, default: Sequence[str], choices: Sequence[str] = ()) -> frozenset[str]:
        """Return a list of words in any case, in lower case; where there are choices, all must be among them."""
        words = frozenset(text.lower() for text in self.texts(name, default))
        for word in words:
            if choices and word not in choices:
                near = difflib.get_close_matches(word, choices, 1, 0.6)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise self.error(name, f"may hold {', '.join(choices)}; got {_shown(word)}{hint}.")
        return words

    @overload
    def integer(self, name: str, default: int, low: int, high: int) -> int:
        ...

    @overload
    def integer(self, name: str, default: None, low: int, high: int) -> Optional[int]:
        ...

    def integer(self, name: str, default: Optional[int], low: int, high: int) -> Optional[int]:
        """Return an integer from low to high."""
        number = self.number(name, default, low, high)
        if number is None:
            return None
        if number != int(number):
            raise self.error(name, f"must be an integer; got {number}.")
        return int(number)

    @overload
    def number(self, name: str, default: float, low: float, high: float) -> float:
        ...

    @overload
    def number(self, name: str, default: None, low: float, high: float) -> Optional[float]:
        ...

    def number(self, name: str, default: Optional[float], low: float, high: float) -> Optional[float]:
        """Return a number from low to high."""
        value = self._value(name)
        return default if value is None else self._number(name, value, low, high)

    def numbers(self, name: str, default: Sequence[float], low: float, high: float) -> tuple[float, ...]:
        """Return a list of numbers from low to high; a single one counts as a list."""
        value = self._value(name)
        if value is None:
            return tuple(default)
        items = [value] if isinstance(value, (int, float)) else self._list(name, value)
        return tuple(self._number(name, item, low, high) for item in items)

    @overload
    def boolean(self, name: str, default: bool) -> bool:
        ...

    @overload
    def boolean(self, name: str, default: None) -> Optional[bool]:
        ...

    def boolean(self, name: str, default: Optional[bool]) -> Optional[bool]:
        """Return a boolean, also from the words Ansible takes for one."""
        value = self._value(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        found = BOOLEANS.get(str(value).strip().lower())
        if found is None:
            raise self.error(name, f"must be true or false; got {_shown(value)}.")
        return found

    @overload
    def file(self, name: str, default: str) -> str:
        ...

    @overload
    def file(self, name: str, default: None = None) -> Optional[str]:
        ...

    def file(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return an absolute path; `~` and variables of the environment (`$CREDENTIALS_DIRECTORY/name`) are filled in."""
        value = self.text(name)
        if value is None:
            value = default
        if value is None:
            return None
        path = os.path.expandvars(value)
        if "$" in path:
            raise self.error(name, f"names a variable that is not set: {_shown(value)}.")
        return os.path.abspath(os.path.expanduser(path))

    def networks(self, name: str) -> tuple[Network, ...]:
        """Return addresses and networks, IPv4 or IPv6."""
        found: list[Network] = []
        for text in self.texts(name):
            try:
                found.append(ip_network(text))
            except ValueError:
                raise self.error(name, f"must hold addresses and networks such as 198.51.100.0/24; got {_shown(text)}.") from None
        return tuple(found)

    def secret(self, name: str) -> Optional[str]:
        """Return a secret, given as such or as the content of the file that `<name>_file` names."""
        value, path = self._value(name), self.file(f"{name}_file")
        if value is not None and path is not None:
            raise self.error(name, f"and {self.name(name)}_file exclude each other.")
        if path is not None:
            return self._secret(f"{name}_file", self._content(f"{name}_file", path).rstrip("\r\n"), f"({path}) ")
        return None if value is None else self._secret(name, value)

    def secrets(self, name: str, objection: Objection, comments: bool) -> tuple[str, ...]:
        """Return a list of secrets, given as such or as the lines of the file that `<name>_file` names.

        With comments, lines of the file that begin with # are none.
        """
        value, path = self._value(name), self.file(f"{name}_file")
        if value is not None and path is not None:
            raise self.error(name, f"and {self.name(name)}_file exclude each other.")
        if path is not None:
            lines = [line.strip() for line in self._content(f"{name}_file", path).split("\n")]
            found = [(number, line) for number, line in enumerate(lines, 1) if line and not (comments and line.startswith("#"))]
            if not found:
                raise self.error(f"{name}_file", f"names a file without a secret in it: {path}.")
            return tuple(self._secret(f"{name}_file", line, f"({path}, line {number}) ", objection) for number, line in found)
        if value is None:
            return ()
        if not isinstance(value, (str, list, tuple)):
            raise self.error(name, "must be a list of texts.")
        items = [value] if isinstance(value, str) else value
        return tuple(self._secret(f"{name}[{index}]", item, "", objection) for index, item in enumerate(items))

    def section(self, name: str) -> Section:
        """Return a nested level, empty where it is not given."""
        section = Section(self._value(name), self.name(name))
        self._sections.append(section)
        return section

    def sections(self, name: str) -> list[Section]:
        """Return a list of nested levels, `name[0]`, `name[1]` ..."""
        value = self._value(name)
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            raise self.error(name, "must be a list.")
        sections = [Section(item, f"{self.name(name)}[{index}]") for index, item in enumerate(value)]
        self._sections.extend(sections)
        return sections

    def done(self) -> None:
        """Refuse arguments that nobody has read, here and in every level below that was handed out."""
        for name in self._given:
            if name not in self._known:
                near = difflib.get_close_matches(name, self._known, 1, 0.6)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self._known))}."
                raise InvalidInput(f"{self.name(name)[:80]!r} is not an argument; {hint}")
        for section in self._sections:
            section.done()

    def _value(self, name: str) -> Any:
        self._known.add(name)
        return self._given.get(name)

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.error(name, f"must be a text (put it in quotes); got {_shown(value)}.")
        text = value.strip()
        if not text:
            raise self.error(name, "must not be empty.")
        if CONTROL_CHARACTERS.search(text):
            raise self.error(name, "must not contain control characters or line breaks.")
        return text

    def _list(self, name: str, value: Any) -> Iterable[Any]:
        if isinstance(value, str):
            return [part for part in value.split(",") if part.strip()]
        if isinstance(value, (list, tuple)):
            return value
        raise self.error(name, f"must be a list; got {_shown(value)}.")

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        number = math.nan
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            with suppress(ValueError, OverflowError):
                number = float(value)
        if not low <= number <= high:
            raise self.error(name, f"must be a number from {low:g} to {high:g}; got {_shown(value)}.")
        return number

    def _secret(self, name: str, value: Any, place: str = "", objection: Objection = lambda _secret: None) -> str:
        if not isinstance(value, str):
            raise self.error(name, "must be a text (a template turns digits into a number: use a file, or quote it).")
        if not value.strip() or CONTROL_CHARACTERS.search(value):
            raise self.error(name, f"{place}must not be empty or contain control characters or line breaks.")
        complaint = objection(value)
        if complaint is not None:
            raise self.error(name, f"{place}{complaint}")
        return value

    def _content(self, name: str, path: str) -> str:
        try:
            with open(path, encoding="utf-8-sig") as stream:
                content = stream.read(LARGEST_FILE + 1)
        except OSError as error:
            raise self.error(name, f"cannot be read: {path}: {error.strerror or 'unusable'}.") from None
        except UnicodeDecodeError:
            raise self.error(name, f"is not text: {path}.") from None
        if len(content) > LARGEST_FILE:
            raise self.error(name, f"is too large for secrets: {path}.")
        warn_if_open(self.name(name), path)
        return content


def warn_if_open(name: str, path: str) -> None:
    """Warn when everybody on this machine can read a file that holds a secret."""
    with suppress(OSError):
        if os.stat(path).st_mode & stat.S_IROTH:
            LOG.warning("%s: %s can be read by everybody: change its mode.", name, path)


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
