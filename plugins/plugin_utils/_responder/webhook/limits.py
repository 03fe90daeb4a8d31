# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the webhook accepts at most, and why it refuses."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from ..settings import setting

#: Why requests are refused: the values of the metrics' label `reason`, and the texts for the log.
REASONS = {
    "source": "an address that is not in allow_from",
    "connections": "too many connections",
    "connections_per_source": "too many connections from one address",
    "descriptors": "no file descriptors left",
    "tls": "no TLS, or a failed handshake",
    "timeout": "too slow",
    "http": "malformed HTTP",
    "rate": "too many requests",
    "path": "wrong or missing secret in the URL",
    "method": "not a POST",
    "too_large": "the body is too large",
    "signature": "wrong or missing signature, or its time is too far off",
    "replayed": "a signed request that was acknowledged before",
    "malformed": "the body is not an event",
    "line": "a line of a followed file is not an event",
    "busy": "too many events are waiting for a verdict",
    "not_recorded": "the event could not be recorded",
    "error": "an internal error",
}
#: Maximum number of sources whose rate is tracked; the oldest are dropped first.
MOST_SOURCES = 10_000


@dataclass(frozen=True)
class WebhookLimits:
    """The section `limits`."""

    body: int = setting("integer", "Bytes in a request, even after decompression.", 1048576, low=256, high=16 * 1024 * 1024)
    rate: float = setting("number", "Requests per second in the long run, with valid credentials.", 500.0, low=0.1, high=1e6)
    burst: Optional[int] = setting("integer", "Requests at once, after a quiet period.", low=1, high=10_000_000, shown="ten seconds' worth")
    rate_per_source: Optional[float] = setting("number", "Like `rate`, but for each address, before anything is read.", low=0.1, high=1e6)
    connections: int = setting("integer", "Connections at a time.", 200, low=1, high=100_000, fixed=True)
    connections_per_source: Optional[int] = setting(
        "integer", "Connections of one address at a time.", low=1, high=100_000, fixed=True, shown="half of them"
    )
    body_timeout: float = setting(
        "number", "Seconds for a TLS handshake, for the headers, for the body, and for recording an event, each.", 10.0, low=0.05, high=600
    )
    queue: int = setting("integer", "Events without a verdict.", 10_000, low=1, high=1_000_000)

    def completed(self, _environ: Mapping[str, str]) -> WebhookLimits:
        """Fill in defaults that depend on other settings."""
        return replace(
            self,
            burst=self.burst or max(1, int(self.rate * 10)),
            connections_per_source=self.connections_per_source or max(1, self.connections // 2),
        )


@dataclass(eq=False)
class Refused(Exception):
    """Ends the handling of a request.

    Attributes:
        reason: one of REASONS.
        text: for the sender, or None.
        retry_after: seconds after which the sender may try again.
        close: whether the connection ends with the answer.
        headers: of the answer.
    """

    reason: str
    status: int
    text: Optional[str] = None
    retry_after: Optional[float] = None
    close: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class Bucket:
    """A token bucket: so many per second in the long run, and a burst after a quiet period."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._left, self._then = float(burst), -math.inf

    def take(self, now: float) -> float:
        """Take a token and return 0, or return the seconds until there is one; now is a monotonic time in seconds."""
        self._left = min(self._burst, self._left + max(0.0, now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


class Rates:
    """How often senders may post."""

    def __init__(self, limits: WebhookLimits) -> None:
        self._sources: OrderedDict[str, Bucket] = OrderedDict()
        self.use(limits)

    def use(self, limits: WebhookLimits) -> None:
        self._limits = limits
        self._all = Bucket(limits.rate, limits.burst or 1)

    def count_source(self, peer: str) -> None:
        """Count a request from an address; refuse it if there are too many."""
        rate = self._limits.rate_per_source
        if rate is None:
            return
        bucket = self._sources.pop(peer, None) or Bucket(rate, max(1, int(rate * 10)))
        self._sources[peer] = bucket
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)
        _refuse_after(bucket)

    def count(self) -> None:
        """Count a request with valid credentials, so that strangers cannot use up the rate of the others."""
        _refuse_after(self._all)


def _refuse_after(bucket: Bucket) -> None:
    pause = bucket.take(time.monotonic())
    if pause:
        raise Refused("rate", 429, "too many requests", retry_after=pause)
