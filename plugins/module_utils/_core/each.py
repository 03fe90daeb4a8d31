# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same for many: one after the other, or over several connections where that is faster."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

#: Seconds in which a service nearby answers, and after how many requests it is told from others.
AT_ONCE, PROBED = 0.002, 3


#: Takes how many of many are done, and how many there are.
Progress = Callable[[int, int], None]


def say_nothing(_done: int, _of: int) -> None:
    """Nobody wants to know."""


def each(function: Callable[[Any], None], items: Sequence[Any], progress: Progress, *, concurrency: int, requests: int = 1) -> None:
    """Call function, which must not raise, for every item, one after the other or over as many connections as there are.

    Where answers come at once, several threads only get into each other's way.

    Args:
        function: takes an item.
        items: in the order in which they are begun.
        progress: is told of each that is done.
        concurrency: how many threads there may be.
        requests: how many requests an item may take.
    """
    rest = iter(items)
    begun = time.monotonic()
    count = itertools.count(1)

    def done(item: Any) -> None:
        function(item)
        progress(next(count), len(items))

    for number, item in enumerate(rest, 1):
        done(item)
        if concurrency > 1 and number >= PROBED and time.monotonic() - begun > number * requests * AT_ONCE:
            break
    with ThreadPoolExecutor(concurrency) as pool:
        for _done in pool.map(done, rest):
            pass
