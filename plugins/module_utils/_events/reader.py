# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what detectors send or write, in the configured format, or in one recognised by the content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional, Protocol, Union

from .body import MOST_OBJECTS, InvalidEvent, decoded, objects
from .dates import written
from .ends import Home
from .event import Event, Found, Ignored, Seen
from .formats import clc_ips, crowdsec, deep_security_cef, deep_security_json, suricata_eve, wazuh
from .formats.custom import Custom

AUTO, CUSTOM = "auto", "custom"
#: The known formats; the content of one is never recognised as another.
KNOWN = (clc_ips, deep_security_cef, deep_security_json, suricata_eve, wazuh, crowdsec)
NAMES = (clc_ips.NAME, AUTO, *(known.NAME for known in KNOWN[1:]), CUSTOM)

#: What becomes of an event of an agent in detect mode, unless such events count.
DETECT_ONLY = Ignored("detect_only")
#: An object, or a line of text.
Given = Union[str, Mapping[str, Any]]


class _Format(Protocol):
    NAME: str

    def recognises(self, given: Any) -> bool:
        """Return whether something looks like the format."""

    def read(self, given: Any, seen: Seen) -> Found:
        """Return the events in something that was sent, and what is ignored; raises InvalidEvent."""


class Reader:
    """Reads events.

    Args:
        name: one of NAMES.
        home: our own addresses; None for the private ones.
        custom: the user's own format, for CUSTOM.
        detect_only: whether events of agents in detect mode count.
    """

    def __init__(
        self, name: str = clc_ips.NAME, home: Optional[Home] = None, custom: Optional[Custom] = None, detect_only: bool = False
    ) -> None:  # fmt: skip
        self._home = home or Home()
        self._detect_only = detect_only
        self._format: Optional[_Format] = custom if name == CUSTOM else None
        if name not in (AUTO, CUSTOM):
            self._format = next(known for known in KNOWN if name == known.NAME)
        self._takes_lines = name in (AUTO, deep_security_cef.NAME)
        self._dismisses = suricata_eve.dismisses if name == suricata_eve.NAME else None

    def body(self, body: bytes, at: float) -> Found:
        """Return the events of a post (objects, arrays of them, or lines), received at an epoch time in seconds, and what is ignored.

        Raises:
            InvalidEvent: one of them fits no format, or is invalid. Then the whole post is refused.
        """
        seen = Seen(written(at), self._home)
        found: Found = []
        for number, one in enumerate(self.parts(body), 1):
            try:
                found += self._one(one, seen)
            except InvalidEvent as error:
                raise InvalidEvent(f"Event {number}: {error}" if number > 1 else str(error)) from None
            if len(found) > MOST_OBJECTS:
                raise InvalidEvent(f"The body has more than {MOST_OBJECTS} events.")
        if not found:
            raise InvalidEvent("The body contains no event.")
        return found

    def parts(self, body: bytes) -> Iterator[Given]:
        """Yield the objects or lines of a post; raises InvalidEvent."""
        text = decoded(body)
        if self._takes_lines and text.lstrip()[:1] not in ("{", "["):
            # other ends of lines, such as U+2028, may stand in what an attacker wrote
            return (line for line in text.split("\n") if line.strip())
        return objects(text)

    def line(self, line: bytes, at: float) -> Found:
        """Return the events of one line of a file; raises InvalidEvent."""
        text = decoded(line)
        if self._dismisses is not None and self._dismisses(text):
            return list(suricata_eve.OTHER)
        return self.body(line, at)

    def one(self, given: Given, at: float) -> Found:
        """Return the events of one object, or of one line of text; raises InvalidEvent."""
        return self._one(given, Seen(written(at), self._home))

    def recognises(self, given: Given) -> bool:
        """Return whether an object or a line looks like the format, or like exactly one known format."""
        if isinstance(given, str) and not self._takes_lines:
            return False
        return self._format.recognises(given) if self._format else len(_fitting(given)) == 1

    def _one(self, given: Given, seen: Seen) -> Found:
        chosen = self._format
        if chosen is None:
            fitting = _fitting(given)
            if len(fitting) != 1:
                raise InvalidEvent("It fits several formats." if fitting else "It fits no known format.")
            chosen = fitting[0]
        found = chosen.read(given, seen)
        return found if self._detect_only else [DETECT_ONLY if isinstance(one, Event) and one.detect_only else one for one in found]


def _fitting(given: Given) -> list[_Format]:
    formats: tuple[_Format, ...] = (deep_security_cef,) if isinstance(given, str) else KNOWN
    return [known for known in formats if known.recognises(given)]
