# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may post: secrets in the URL, signatures of relays, and how often.

The IPS can only post to a URL, so a secret in the path is its credential. A relay can sign:

    X-Timestamp: <epoch seconds>
    X-Signature-256: sha256=<hex of HMAC-SHA256 over "<timestamp>.<body>">

The very same signed request, once acknowledged, is refused for as long as its timestamp is good; a relay that missed the answer signs
the event again with the time of then, and learns that it was recorded. What was not acknowledged may be sent again as it is.

A post is a test where it also bears the following, whose key is the first signing key, else the first secret of the URL; on loopback
without any secret, whoever can post can mark a test.

    X-Intrusion-Test: <timestamp>.<hex of HMAC-SHA256 over "test.<timestamp>.<body>">
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

from ..configuration import Configuration

PATH = "/ips"
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
TEST = "X-Intrusion-Test"
#: Most sources whose rate is watched, and most signatures that are remembered; the oldest are forgotten first.
MOST_SOURCES, MOST_SIGNATURES = 10_000, 200_000


class Refused(Exception):
    """Ends the handling of a request.

    Args:
        reason: one of the monitor's reasons.
        text: for the sender, None for nothing at all.
        retry_after: seconds after which the sender may try again.
        close: whether the connection ends with the answer.
        headers: of the answer.
    """

    def __init__(
        self,
        reason: str,
        status: int,
        text: Optional[str] = None,
        *,
        retry_after: Optional[float] = None,
        close: bool = False,
        headers: Optional[dict[str, str]] = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.status, self.text, self.close = reason, status, text, close
        self.headers = headers or {}
        if retry_after is not None:
            self.headers = {**self.headers, "Retry-After": str(max(1, math.ceil(retry_after)))}


class Signature(NamedTuple):
    """What proves that whoever knows a key wrote a body at some time; the digest in hexadecimal digits."""

    timestamp: str
    digest: str

    @classmethod
    def of(cls, key: str, body: bytes, purpose: str = "") -> Signature:
        """Return the signature of now."""
        timestamp = str(int(time.time()))
        return cls(timestamp, _hmac(key, purpose + timestamp, body))


class Credentials:
    """The credentials that are right, and what is remembered of those who used them."""

    def __init__(self, settings: Configuration) -> None:
        self._sources: OrderedDict[str, Bucket] = OrderedDict()
        self._signatures: OrderedDict[str, float] = OrderedDict()
        self.use(settings)

    def use(self, settings: Configuration) -> None:
        """Take other settings; what is remembered stays."""
        self._settings = settings
        self._paths = [_digest(f"{PATH}/{secret}") for secret in settings.path_secrets] or [_digest(PATH)]
        self._rate = Bucket(settings.limits.rate, settings.limits.burst or 1)

    def check_path(self, path: str) -> None:
        """Refuse a path without a right secret."""
        if not _is_one_of(_digest(path), self._paths):
            raise Refused("path", 404, close=True)

    def signature(self, headers: Mapping[str, str]) -> Optional[Signature]:
        """Return the signature of a request, None where none is needed; what can be told without the body is checked here."""
        if not self._settings.hmac_secrets:
            return None
        given = SIGNATURE.fullmatch(headers.get("X-Signature-256", ""))
        if not given or "X-Timestamp" not in headers:
            raise Refused("signature", 401, "X-Timestamp and X-Signature-256 are required", close=True)
        signature = Signature(headers["X-Timestamp"], given[1].lower())
        self._check_time(signature)
        return signature

    def check_signature(self, signature: Signature, body: bytes, purpose: str = "") -> None:
        """Refuse a wrong signature."""
        right = (_hmac(key, purpose + signature.timestamp, body) for key in _keys(self._settings))
        if not _is_one_of(signature.digest.encode(errors="replace"), [digest.encode() for digest in right]):
            raise Refused("signature", 401, f"the {'mark of the test' if purpose else 'signature'} is wrong", close=True)

    def is_test(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a post is a test; refuses a mark that is not right."""
        if TEST not in headers:
            return False
        timestamp, _dot, digest = headers[TEST].partition(".")
        mark = Signature(timestamp, digest)
        self._check_time(mark)
        self.check_signature(mark, body, "test.")
        return True

    def _check_time(self, signature: Signature) -> None:
        if not TIMESTAMP.fullmatch(signature.timestamp) or abs(time.time() - int(signature.timestamp)) > self._settings.replay_window:
            raise Refused("signature", 401, "the timestamp is too far from now", close=True)

    def count_source(self, peer: str) -> None:
        """Count a request of an address; refuse it where there are too many."""
        rate = self._settings.limits.rate_per_source
        if rate is None:
            return
        bucket = self._sources.pop(peer, None) or Bucket(rate, max(1, int(rate * 10)))
        self._sources[peer] = bucket
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)
        _refuse_after(bucket)

    def count(self) -> None:
        """Count a request whose credentials are right: strangers must not use up the rate of the others."""
        _refuse_after(self._rate)

    def refuse_used(self, signature: Signature) -> None:
        """Refuse a signature of a request that was acknowledged."""
        now = time.time()
        while self._signatures and next(iter(self._signatures.values())) < now:
            self._signatures.popitem(last=False)
        if signature.digest in self._signatures:
            raise Refused("replayed", 409, "this request was acknowledged before; sign the event again to repeat it")

    def remember(self, signature: Signature) -> None:
        """Remember the signature of a request that is acknowledged."""
        self._signatures[signature.digest] = int(signature.timestamp) + self._settings.replay_window
        if len(self._signatures) > MOST_SIGNATURES:
            self._signatures.popitem(last=False)


class Bucket:
    """A token bucket: so many a second in the long run, and a burst after a quiet time."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._left, self._then = float(burst), -math.inf

    def take(self, now: float) -> float:
        """Take one and return 0, or return the seconds until there is one; now is a monotonic time in seconds."""
        self._left = min(self._burst, self._left + max(0.0, now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


def test_headers(settings: Configuration, body: bytes) -> dict[str, str]:
    """Return the headers of a post of now that is a test."""
    key = _keys(settings)[0]
    headers = {TEST: ".".join(Signature.of(key, body, "test."))}
    if settings.hmac_secrets:
        timestamp, digest = Signature.of(key, body)
        headers.update({"X-Timestamp": timestamp, "X-Signature-256": f"sha256={digest}"})
    return headers


def _keys(settings: Configuration) -> tuple[str, ...]:
    return settings.hmac_secrets or settings.path_secrets or ("",)


def _hmac(key: str, before: str, body: bytes) -> str:
    return hmac.new(key.encode(), before.encode() + b"." + body, hashlib.sha256).hexdigest()


def _refuse_after(bucket: Bucket) -> None:
    pause = bucket.take(time.monotonic())
    if pause:
        raise Refused("rate", 429, "too many requests", retry_after=pause)


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode(errors="surrogateescape")).digest()


def _is_one_of(given: bytes, right: Iterable[bytes]) -> bool:
    """Compare with all of them, in a time that does not tell which, or how much of it, is right."""
    found = False
    for candidate in right:
        found |= hmac.compare_digest(given, candidate)
    return found
