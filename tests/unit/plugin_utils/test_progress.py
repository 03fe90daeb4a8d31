# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told how far a long task is."""

from __future__ import annotations

import pytest
from ansible.utils.display import Display
from ansible_collections.intrusion.response.plugins.plugin_utils import _progress


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    shown: list[tuple[str, bool]] = []
    monkeypatch.setattr(Display, "display", lambda _self, text, stderr=False: shown.append((text, stderr)))
    monkeypatch.setattr(_progress, "WATCHED", True)
    monkeypatch.setattr(_progress, "QUIET", 0)
    return shown


def test_a_line_now_and_then_on_stderr(lines) -> None:
    progress = _progress.Progress("Protect")
    for done in range(1, 1001):
        progress(done, 1000)
    assert lines == [("Protect: 1 of 1000 done", True)]


def test_nothing_when_it_is_quick(lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "QUIET", 3600)
    _progress.Progress("Protect")(1, 2)
    assert not lines


def test_the_end_needs_no_line(lines) -> None:
    _progress.Progress("Protect")(2, 2)
    assert not lines


def test_nothing_without_a_terminal(lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "WATCHED", False)
    _progress.Progress("Protect")(1, 2)
    assert not lines


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        ("default", True),
        ("ansible.builtin.minimal", True),
        ("community.general.yaml", True),
        ("ansible.posix.json", False),
        ("oneline", False),
    ],
)
def test_callbacks(lines, monkeypatch: pytest.MonkeyPatch, callback: str, said: bool) -> None:
    monkeypatch.setattr(_progress.constants.config, "get_config_value", lambda _name: callback)
    _progress.Progress("Protect")(1, 2)
    assert bool(lines) == said
