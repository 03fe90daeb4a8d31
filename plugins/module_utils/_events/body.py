# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What detectors send, as JSON values: validated, bounded, and with the same id for the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

DEEPEST = 32
#: Maximum number of values in an object, since each takes more memory than its bytes, and of objects in one post.
MOST_PARTS, MOST_OBJECTS = 2000, 1000
#: The range of integers in the rule engine, in Java and in the inbox.
INTEGERS = range(-(2**63), 2**63)
LONGEST_INTEGER = 20
BLANKS = " \t\r\n"


class InvalidEvent(Exception):
    """What was sent is not a valid event of its format; the message names the field, never its value."""


class Post(dict[str, Any]):
    """An object that can certainly be written as JSON and UTF-8."""


def decoded(content: bytes) -> str:
    """Return UTF-8 as text (with or without a byte order mark); raises InvalidEvent."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidEvent("The body is not UTF-8.") from None


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects in a JSON text, not `checked` yet: one object, an array of them, or several in sequence, such as one per line.

    Raises:
        InvalidEvent: not JSON (which has no NaN and Infinity), something other than an object, a duplicate name in an object, nested
            too deeply, too many objects, or a number with too many digits.
    """
    count, position = 0, _after_blanks(text, 0)
    if position == len(text):
        raise InvalidEvent("The body is empty.")
    while position < len(text):
        try:
            parsed, position = DECODER.raw_decode(text, position)
        except RecursionError:
            raise InvalidEvent("The body is nested too deeply.") from None
        except ValueError:
            raise InvalidEvent("The body is not JSON.") from None
        for one in parsed if isinstance(parsed, list) else (parsed,):
            if not isinstance(one, dict):
                raise InvalidEvent("The body must contain only JSON objects.")
            count += 1
            if count > MOST_OBJECTS:
                raise InvalidEvent(f"The body has more than {MOST_OBJECTS} events.")
            yield one
        position = _after_blanks(text, position)


def _after_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position] in BLANKS:
        position += 1
    return position


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidEvent("A name occurs twice in one object.")
    return found


def _integer(digits: str) -> int:
    # check the length first: converting very many digits takes time
    if len(digits) > LONGEST_INTEGER:
        raise InvalidEvent("A number is too large.")
    return int(digits)


def _no_constant(_name: str) -> None:
    raise InvalidEvent("NaN and Infinity are not JSON.")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_constant=_no_constant)


def checked(post: Mapping[str, Any]) -> Post:
    """Return an object that can certainly be written as JSON and UTF-8.

    Raises:
        InvalidEvent: it contains a type that JSON does not have, too many values, or a number beyond 64 bits or not finite, or is nested
            too deeply.
    """
    if isinstance(post, Post):
        return post
    if not isinstance(post, Mapping):
        raise InvalidEvent("The post must be an object.")
    parts = itertools.count(len(post))
    return Post(
        (
            name if isinstance(name, str) and name.isascii() else _checked_name(name),
            value if isinstance(value, str) and value.isascii() else _checked_value(value, 1, parts),  # the usual case
        )
        for name, value in post.items()
    )


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidEvent("The name of a field must be a string.")
    return encodable(name)


def _checked_value(value: Any, depth: int, parts: Iterator[int]) -> Any:
    if next(parts) >= MOST_PARTS:
        raise InvalidEvent("The post has too many values.")
    if isinstance(value, str):
        return encodable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in INTEGERS:
            raise InvalidEvent("A number is too large.")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidEvent("A number is not finite.")
        return value
    if depth >= DEEPEST:
        raise InvalidEvent("The post is nested too deeply.")
    if isinstance(value, Mapping):
        return {_checked_name(name): _checked_value(part, depth + 1, parts) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked_value(part, depth + 1, parts) for part in value]
    raise InvalidEvent("The post contains a type that JSON does not have.")


def encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can contain and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def identity(post: Mapping[str, Any], *more: str) -> str:
    """Return the id of an event: half of the SHA-256 of the canonical JSON of its object, and of what identifies it in there."""
    text = json.dumps(post, sort_keys=True, separators=(",", ":"))
    return text_identity("\0".join((text, *more)) if more else text)


def text_identity(text: str) -> str:
    """Return the id of an event in a line of text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
