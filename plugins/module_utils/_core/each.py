# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls a function for many items: one after the other, or over several connections if that is faster."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

#: Seconds in which a nearby service answers a request, and the number of items after which that is decided.
AT_ONCE, PROBED = 0.002, 3


#: Called with the numbers of done and of all items.
Progress = Callable[[int, int], None]


def say_nothing(_done: int, _of: int) -> None:
    """Ignore the progress."""


def each(
    function: Callable[[Any], None], items: Sequence[Any], progress: Progress, *, concurrency: int, requests: int = 1, fast: float = AT_ONCE
) -> None:
    """Call function, which must not raise, for every item, one after the other or in several threads.

    If answers come fast, several threads would only slow each other down.

    Args:
        function: takes an item.
        items: in the order in which they are started.
        progress: called for each item that is done.
        concurrency: maximum number of threads.
        requests: how many requests an item may take.
        fast: seconds in which an answer comes fast; 0 if several threads are worthwhile in any case.
    """
    rest = iter(items)
    begun = time.monotonic()
    count = itertools.count(1)

    def done(item: Any) -> None:
        function(item)
        progress(next(count), len(items))

    for number, item in enumerate(rest, 1):
        done(item)
        if concurrency > 1 and number >= PROBED and time.monotonic() - begun > number * requests * fast:
            break
    with ThreadPoolExecutor(concurrency) as pool:
        for _done in pool.map(done, rest):
            pass
