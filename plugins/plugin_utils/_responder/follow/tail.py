# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the lines of a file that is being written and rotated, from where the last run stopped.

A file is identified by its inode and by a fingerprint of its beginning, which distinguishes an old file that was renamed, compressed or
copied from a new one. So it does not matter how files are renamed, or how often between two checks.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import logging
import lzma
import os
import stat
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from typing import IO, Any, Callable, Optional

LOG = logging.getLogger("intrusion.response")

#: Bytes of the beginning that identify a file.
HEAD = 512
#: Bytes to read at once, and of the longest line; longer ones are skipped.
CHUNK, LONGEST_LINE = 1 << 18, 1 << 20
#: Seconds between two checks for rotated files while the name still leads to the same file.
LOOK = 1.0
#: Seconds after which an idle rotated file is closed; an incomplete line at its end then counts as a line.
QUIET = 5.0
#: How many old files are remembered, to recognise them when they turn up compressed or copied.
REMEMBERED = 100


#: Readers of compressed files, by suffix, and their exceptions for incomplete or damaged ones.
COMPRESSED: Mapping[str, Callable[[str], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
INCOMPLETE = (EOFError, ValueError, OSError, lzma.LZMAError, zlib.error)


class LineTooLong(Exception):
    """A line is longer than LONGEST_LINE, and was skipped."""


@dataclass
class Known:
    """A file, as far as it was read.

    Attributes:
        offset: bytes that were read; if it is compressed, of the content.
        size: bytes at the last check; if it is compressed, of the content.
        changed: modification time at the last check, in nanoseconds.
        head: how many bytes of its beginning the fingerprint covers.
        fingerprint: SHA-256 of these.
        skipping: whether to skip the rest of a line that is too long.
        done: whether this run found that nobody writes to it any more, and read all of it.
    """

    offset: int = 0
    size: int = 0
    changed: int = 0
    head: int = 0
    fingerprint: str = ""
    skipping: bool = False
    done: bool = False

    def begins(self, beginning: bytes) -> bool:
        """Return whether the file has this beginning; false if its beginning is unknown."""
        return 0 < self.head <= len(beginning) and hashlib.sha256(beginning[: self.head]).hexdigest() == self.fingerprint

    def learn(self, beginning: bytes) -> None:
        """Update the fingerprint while the beginning grows."""
        if self.head < len(beginning) <= HEAD:
            self.head, self.fingerprint = len(beginning), hashlib.sha256(beginning).hexdigest()


@dataclass
class _Opened:
    stream: IO[bytes]
    compressed: bool = False
    #: What was read after the last complete line.
    rest: bytes = b""
    active: float = 0.0


class Tail:
    """Reads the new lines of a file, whatever happens to it. Belongs to one thread.

    Args:
        path: the file, which need not exist yet.
        rotated: patterns of its names after rotation.
        state: what `state` returned, None for a file that was not followed before.
        from_start: whether to read the existing content of a file that was not followed before.
    """

    def __init__(self, path: str, rotated: Sequence[str], state: Optional[Mapping[str, Any]] = None, from_start: bool = False) -> None:
        self.path = path
        self._rotated = rotated
        self._known: dict[str, Known] = {}
        self._gone: list[Known] = []
        self._opened: dict[str, _Opened] = {}
        self._current: Optional[str] = None
        self._looked = -LOOK
        self._said: frozenset[str] = frozenset()
        if state is None:
            self._begin(from_start)
        else:
            self._known = {key: Known(*values) for key, values in state["known"].items()}
            self._gone = [Known(*values) for values in state["gone"]]

    def _begin(self, from_start: bool) -> None:
        """Treat existing content as read, except that of the file itself if it should be read."""
        for key, (name, about) in self._files().items():
            known = self._known[key] = Known(0 if from_start and name == self.path else about.st_size, about.st_size, about.st_mtime_ns)
            if name == self.path or _opener(name) is None:
                with suppress(OSError), open(name, "rb") as stream:
                    known.learn(stream.read(HEAD))
                    if name == self.path and not from_start:
                        known.offset = _end_of_last_line(stream)

    def close(self) -> None:
        for one in self._opened.values():
            one.stream.close()
        self._opened.clear()

    def state(self) -> dict[str, Any]:
        """Return the position in JSON types, to be saved once what was read is safe."""
        known = {key: astuple(known)[:-1] for key, known in self._known.items()}  # the next run cannot know whether it is done
        return {"known": known, "gone": [astuple(known)[:-1] for known in self._gone]}

    def read(self) -> list[bytes]:
        """Return the next complete lines, without their ends; none if there is nothing new.

        Raises:
            LineTooLong: the lines after it come next time.
            OSError: a file cannot be read at the moment.
        """
        now = time.monotonic()
        if now - self._looked >= LOOK or _key(self.path) != self._current:
            self._looked = now
            self._look()
        for key in list(self._opened):
            try:
                lines = self._lines(key, now)
            except OSError:  # the next check opens it again
                with suppress(OSError):
                    self._opened.pop(key).stream.close()
                raise
            if lines:
                return lines
        return []

    # Which files there are

    def _files(self) -> dict[str, tuple[str, os.stat_result]]:
        """Return all files by their keys, with their names, the oldest first and the file itself last."""
        names = {name for pattern in self._rotated for name in glob.iglob(pattern)} | {self.path}
        found = []
        for name in names:
            with suppress(OSError):
                about = os.stat(name)
                if stat.S_ISREG(about.st_mode):
                    key = _key_of(about)
                    if name != self.path and _opener(name) is not None:  # nobody writes to it, and its inode may be reused
                        key += f":{about.st_size}:{about.st_mtime_ns}"
                    found.append((name == self.path, about.st_mtime, name, key, about))
        return {key: (name, about) for _last, _time, name, key, about in sorted(found)}

    def _look(self) -> None:
        """Determine which files are new, which have grown, and which are gone."""
        files = self._files()
        self._current = _key(self.path)
        troubles = [] if self._current in files else [f"{self.path} does not exist yet, or is not a file."]
        for key in [key for key in self._known if key not in files and key not in self._opened]:
            self._forget(self._known.pop(key))
        for key, (name, about) in files.items():
            opener = _opener(name) if name != self.path else None
            try:
                if opener is None:
                    self._meet(key, name, about)
                elif key not in self._known:
                    self._meet_compressed(key, name, opener)
            except OSError as error:
                troubles.append(f"{name} cannot be read: {error.strerror or type(error).__name__}.")
        for trouble in troubles:
            if trouble not in self._said:  # only once, as long as nothing changes
                LOG.warning("%s", trouble)
        self._said = frozenset(troubles)

    def _meet(self, key: str, name: str, about: os.stat_result) -> None:
        known = self._known.get(key)
        if key in self._opened:
            return
        unchanged = known is not None and known.offset == about.st_size and known.changed == about.st_mtime_ns
        if unchanged and key != self._current:
            return
        stream = open(name, "rb", buffering=0)  # noqa: SIM115  it stays open
        if _key(stream.fileno()) != key:  # renamed in the meantime: the next check finds it
            stream.close()
            return
        beginning = os.pread(stream.fileno(), HEAD, 0)
        if known is None or about.st_size < known.size or (known.head and not known.begins(beginning)):
            if known is not None:  # its inode was reused, or it was truncated
                self._forget(known)
            old = self._same(beginning)
            # a file shorter than what was read of the old one is not a copy of it, or not a complete one yet
            known = self._known[key] = old if old is not None and old.offset <= about.st_size else Known()
        known.done = False
        stream.seek(known.offset)
        self._opened[key] = _Opened(stream, active=time.monotonic())

    def _meet_compressed(self, key: str, name: str, opener: Callable[[str], Any]) -> None:
        """Continue in a file that was compressed before it was read completely."""
        try:
            stream = opener(name)
        except INCOMPLETE:
            return
        try:
            beginning = stream.read(HEAD)
            if any(known.begins(beginning) and known.size for known in self._known.values()):
                stream.close()
                return  # the original still exists
            known = self._same(beginning) or Known()
            stream.seek(0 if known.done else known.offset)
        except INCOMPLETE:
            stream.close()
            return  # it is checked again as soon as it grows
        self._known[key] = known
        if known.done:
            stream.close()
            return
        known.learn(beginning)
        self._opened[key] = _Opened(stream, compressed=True, active=time.monotonic())

    def _same(self, beginning: bytes) -> Optional[Known]:
        """Return a copy of what is known about a file with this beginning: it was renamed, compressed or copied."""
        for known in (*reversed(self._gone), *self._known.values()):
            if known.offset and known.begins(beginning):
                return replace(known, size=0)
        return None

    def _forget(self, known: Known) -> None:
        self._gone = [*self._gone, known][-REMEMBERED:]

    # What is in them

    def _lines(self, key: str, now: float) -> list[bytes]:
        """Return the next lines of an open file, which is closed at its end unless it is the current one."""
        one, known = self._opened[key], self._known[key]
        if not one.compressed and self._was_cut(key, one, known):
            known = self._known[key]
        while True:
            try:
                data = one.stream.read(CHUNK)
            except INCOMPLETE as error:
                if not one.compressed:
                    raise
                LOG.warning("A rotated file of %s is damaged: %s.", self.path, type(error).__name__)
                break
            if not data:
                break
            one.active = now
            lines = self._split(one, known, data)
            if lines:
                return lines
        is_over = one.compressed or (key != self._current and now - one.active >= QUIET)
        if not is_over:
            return []
        lines = [one.rest] if one.rest and not known.skipping else []
        known.offset += len(one.rest)
        known.size, known.done = known.offset, True
        one.stream.close()
        del self._opened[key]
        return lines

    def _was_cut(self, key: str, one: _Opened, known: Known) -> bool:
        """Start again in a file that was truncated or overwritten; its previous content may be found in a copy."""
        number = one.stream.fileno()
        about, beginning = os.fstat(number), os.pread(number, HEAD, 0)
        was_cut = about.st_size < known.size or (known.head > 0 and not known.begins(beginning))
        if was_cut:
            self._forget(known)
            known = self._known[key] = Known()
            one.rest = b""
            one.stream.seek(0)
            self._looked = -LOOK
        known.size, known.changed = about.st_size, about.st_mtime_ns
        known.learn(beginning)
        return was_cut

    def _split(self, one: _Opened, known: Known, data: bytes) -> list[bytes]:
        before, newline, after = data.rpartition(b"\n")
        if not newline:
            one.rest += data
            if len(one.rest) <= LONGEST_LINE:
                return []
            known.offset += len(one.rest)
            one.rest = b""
            if known.skipping:
                return []
            known.skipping = True
            raise LineTooLong
        lines = (one.rest + before).split(b"\n")
        known.offset += len(one.rest) + len(before) + 1
        known.size = max(known.size, known.offset)
        one.rest = after
        if known.skipping:
            known.skipping = False
            lines = lines[1:]
        return lines


def _opener(name: str) -> Optional[Callable[[str], Any]]:
    return COMPRESSED.get(os.path.splitext(name)[1])


def _key(file: Any) -> Optional[str]:
    """Return what identifies a file, by its status."""
    try:
        return _key_of(os.stat(file))
    except OSError:
        return None


def _key_of(about: os.stat_result) -> str:
    return f"{about.st_dev}:{about.st_ino}"


def _end_of_last_line(stream: IO[bytes]) -> int:
    size = os.fstat(stream.fileno()).st_size
    begin = max(0, size - LONGEST_LINE)
    return begin + os.pread(stream.fileno(), size - begin, begin).rfind(b"\n") + 1
