# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following a file: no line is lost, whatever becomes of the file, and none is delivered twice where nothing was copied."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import random
import shutil
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.follow import tail as module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.follow.tail import LONGEST_LINE, LineTooLong, Tail


class Clock:
    """Time as the test says."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class File:
    """A file that is written and followed."""

    def __init__(self, folder: Path, clock: Clock, from_start: bool = False) -> None:
        self.path, self.clock, self.from_start = folder / "eve.json", clock, from_start
        self.count, self.read = 0, []
        self.tail: Optional[Tail] = None
        self.kept: Any = None

    def name(self, end: str) -> Path:
        return self.path.with_name(self.path.name + end)

    def start(self) -> None:
        self.tail = Tail(str(self.path), [f"{self.path}?*"], self.kept, self.from_start)

    def restart(self) -> None:
        """Go on where the state was kept last, as after kill -9."""
        assert self.tail is not None
        self.tail.close()
        self.start()

    def write(self, lines: int = 1, at: Optional[Path] = None, end: str = "\n") -> None:
        with (at or self.path).open("a", encoding="utf-8") as stream:
            for _number in range(lines):
                self.count += 1
                stream.write(f'{{"line": {self.count}, "text": "{"x" * 20}"}}{end}')

    def take(self, keep: bool = True) -> list[int]:
        """Return the numbers of the lines that are new, until there are none."""
        assert self.tail is not None
        new: list[int] = []
        for _round in range(4):
            self.clock.now += module.LOOK
            while True:
                lines = self.tail.read()
                if not lines:
                    break
                new += [json.loads(line)["line"] for line in lines if line]
        if keep:
            self.kept = json.loads(json.dumps(self.tail.state()))
        self.read += new
        return new

    def quiet(self) -> None:
        self.clock.now += module.QUIET

    def all(self) -> list[int]:
        return list(range(1, self.count + 1))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def file(tmp_path: Path, clock: Clock) -> File:
    file = File(tmp_path, clock)
    file.path.touch()
    file.start()
    assert file.take() == []
    return file


def test_only_new_lines_unless_told_otherwise(tmp_path: Path, clock: Clock) -> None:
    for from_start, expected in ((False, [4]), (True, [1, 2, 3, 4])):
        file = File(tmp_path / str(from_start), clock, from_start)
        file.path.parent.mkdir()
        file.write(2, file.name(".1"))
        file.count = 0
        file.write(3)
        file.start()
        file.write()
        assert file.take() == expected
        file.write(2)
        assert file.take() == [5, 6]


def test_a_file_that_is_not_there_yet(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    file = File(tmp_path, clock)
    file.start()
    assert file.take() == file.take() == []
    assert caplog.text.count("does not exist yet") == 1
    file.write(2)
    assert file.take() == [1, 2]
    file.path.unlink()
    assert file.take() == []
    file.write(1)
    assert file.take() == [3]


def test_a_line_that_is_cut_in_the_middle(file: File) -> None:
    file.write(1)
    file.write(1, end="")
    assert file.take() == [1]
    file.restart()
    assert file.take() == []
    with file.path.open("a", encoding="utf-8") as stream:
        stream.write("\n")
    assert file.take() == [2]


def rename(file: File) -> None:
    for number in range(9, 0, -1):
        if file.name(f".{number}").exists():
            file.name(f".{number}").rename(file.name(f".{number + 1}"))
    file.path.rename(file.name(".1"))


def by_date(file: File) -> None:
    file.path.rename(file.name(f"-{file.count}"))


def compressed(file: File) -> None:
    name = file.name(f"-{file.count}")
    file.path.rename(name)
    with name.open("rb") as plain, gzip.open(f"{name}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    name.unlink()


def compressed_otherwise(file: File) -> None:
    with file.path.open("rb") as plain, lzma.open(file.name(f"-{file.count}.xz"), "wb") as packed:
        shutil.copyfileobj(plain, packed)
    file.path.unlink()


def copied_and_truncated(file: File) -> None:
    shutil.copy(file.path, file.name(f"-{file.count}"))
    os.truncate(file.path, 0)


ROTATIONS = [rename, by_date, compressed, compressed_otherwise, copied_and_truncated]


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
def test_rotation_loses_nothing(file: File, rotate: Callable[[File], None], running: bool) -> None:
    for _round in range(3):
        file.write(5)
        file.take()
        file.write(3)  # these are not read before the rotation
        rotate(file)
        file.write(4)
        if not running:
            file.restart()
        file.take()
        file.quiet()
        file.take()
    assert sorted(set(file.read)) == file.all()
    if rotate is not copied_and_truncated:
        assert file.read == file.all() or sorted(file.read) == file.all()


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_several_rotations_while_nobody_looks(file: File, rotate: Callable[[File], None]) -> None:
    file.write(5)
    file.take()
    for _round in range(4):
        file.write(20)
        rotate(file)
    file.write(1)
    file.take()
    assert sorted(set(file.read)) == file.all()
    assert len(file.read) == len(file.all())


def test_what_was_compressed_and_read_before_is_not_read_again(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write(50)
    file.take()
    rename(file)
    file.write()
    file.take()
    file.quiet()
    file.take()
    with file.name(".1").open("rb") as plain, gzip.open(file.name(".1.gz"), "wb") as packed:
        shutil.copyfileobj(plain, packed)
    assert file.take() == []
    file.name(".1").unlink()
    assert file.take() == []
    file.restart()
    assert file.take() == []
    assert file.read == file.all()


def test_a_writer_that_goes_on_in_the_renamed_file(file: File) -> None:
    with file.path.open("a", encoding="utf-8") as late:
        file.write(2)
        rename(file)
        file.write(1)
        file.take()
        late.write('{"line": 4}\n')
        late.flush()
        assert file.take() == [4]
        file.quiet()
        assert file.take() == []
        late.write('{"line": 5}\n')
        late.flush()
        assert file.take() == [5]
    assert file.read == [1, 2, 3, 4, 5]


def test_what_was_not_kept_is_read_again(file: File) -> None:
    file.write(5)
    assert file.take() == [1, 2, 3, 4, 5]
    file.write(2)
    assert file.take(keep=False) == [6, 7]
    file.restart()
    assert file.take() == [6, 7]


def test_a_file_with_the_number_of_another_one(file: File) -> None:
    file.write(3)
    file.take()
    content = file.path.read_text(encoding="utf-8").replace("x", "y").replace('"line": ', '"line": 10')
    file.path.write_text(content * 3, encoding="utf-8")  # the same inode, and longer than before
    assert file.take() == [101, 102, 103] * 3


def test_a_line_that_is_too_long_is_skipped(file: File) -> None:
    assert file.tail is not None
    with file.path.open("w", encoding="utf-8") as stream:
        stream.write("x" * (3 * LONGEST_LINE))
    with pytest.raises(LineTooLong):
        file.take()
    with file.path.open("a", encoding="utf-8") as stream:
        stream.write('x\n{"line": 7}\n')
    assert file.take() == [7]


def test_the_rest_of_a_line_that_is_too_long_is_no_line_after_a_restart(file: File) -> None:
    assert file.tail is not None
    with file.path.open("a", encoding="utf-8") as stream:
        stream.write("x" * (10 * LONGEST_LINE))
    with pytest.raises(LineTooLong):
        file.take()
    assert file.take() == []
    file.restart()
    with file.path.open("a", encoding="utf-8") as stream:
        stream.write('{"line": 6}\n{"line": 7}\n')
    assert file.take() == [7]


def test_permission_that_is_lost_and_restored(file: File, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    file.write(2)
    assert file.take() == [1, 2]
    rename(file)
    file.write(3)
    with monkeypatch.context() as without:
        without.setattr(module, "open", refuse, raising=False)
        file.restart()
        assert file.take() == file.take() == []
    assert caplog.text.count(f"{file.path} cannot be read: Permission denied.") == 1
    assert file.take() == [3, 4, 5]


@pytest.mark.parametrize("from_start", [False, True])
def test_a_file_that_may_not_be_read_yet(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, from_start: bool) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    file = File(tmp_path, clock, from_start)
    file.write(3)
    with monkeypatch.context() as without:
        without.setattr(module, "open", refuse, raising=False)
        file.start()
        assert file.take() == []
    file.write(1)
    assert file.take() == ([1, 2, 3, 4] if from_start else [4])


def test_a_file_that_a_directory_replaces_for_a_while(file: File) -> None:
    file.write(2)
    assert file.take() == [1, 2]
    file.write(1)
    rename(file)
    file.path.mkdir()
    assert file.take() == [3]
    file.quiet()
    assert file.take() == []
    file.path.rmdir()
    file.write(1)
    assert file.take() == [4]


def test_a_link_to_the_file(tmp_path: Path, clock: Clock) -> None:
    file = File(tmp_path, clock)
    for number in (1, 2):
        target = tmp_path / f"real-{number}"
        file.write(2, target)
        file.path.unlink(missing_ok=True)
        file.path.symlink_to(target)
        if number == 1:
            file.start()
        file.write(1, target)
        file.take()
    assert file.read == [3, 4, 5, 6]


def test_a_file_that_fails_while_it_is_read_is_opened_anew(file: File) -> None:
    assert file.tail is not None
    file.write(2)
    file.take()
    file.write(1)
    [one] = file.tail._opened.values()
    os.close(one.stream.fileno())  # what a server of files makes of it that was away
    with pytest.raises(OSError, match="descriptor"):
        file.take()
    assert file.take() == [3]


def test_damaged_and_foreign_files_do_no_harm(file: File, tmp_path: Path) -> None:
    file.write(3)
    file.take()
    file.name(".gz").write_bytes(b"no gzip")
    whole = gzip.compress("".join(f'{{"line": 1, "x": {number * 7919 % 10007}}}\n' for number in range(5000)).encode())
    file.name(".2.gz").write_bytes(whole[:50])
    file.name(".3.gz").write_bytes(whole[:10_000] + b"\xff" * 1000 + whole[11_000:])
    file.name(".d").mkdir()
    os.mkfifo(file.name(".f"))
    file.name(".l").symlink_to(tmp_path / "nowhere")
    file.write(2)
    assert 4 in file.take() and 5 in file.read
    file.write(1)
    assert file.take() == [6]
    # what was read of is not whole yet under its new name
    file.write(400)
    file.take()
    packed = gzip.compress(file.path.read_bytes())
    file.path.unlink()
    for size in (len(packed) // 2, len(packed)):
        file.name(".4.gz").write_bytes(packed[:size])
        assert file.take() == []
    assert sorted(set(file.read)) == file.all()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_no_line_is_lost(tmp_path: Path, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    file = File(tmp_path, clock)
    file.path.touch()
    file.start()
    file.take()
    for _step in range(60):
        what = chance.randrange(6)
        if what == 0:
            chance.choice(ROTATIONS)(file)
            file.write()
        elif what == 1:
            file.restart()
        elif what == 2:
            file.quiet()
        elif what == 3:
            file.take(keep=chance.random() < 0.5)
        else:
            file.write(chance.randrange(1, 30))
    file.take()
    file.quiet()
    file.take()
    assert sorted(set(file.read)) == file.all()
