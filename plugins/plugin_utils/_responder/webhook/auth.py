# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may post: addresses, secrets in the URL, and signatures of relays.

The IPS can only post to a URL, so a secret in the path is its credential. A relay can sign:

    X-Timestamp: <epoch seconds>
    X-Signature-256: sha256=<hex of HMAC-SHA256 over "<timestamp>.<body>">

Once acknowledged, the same signed request is refused for as long as its timestamp is valid; a relay that missed the answer signs
the event again with the new time, and learns that it was recorded. An unacknowledged request may be sent again unchanged.

A post is a test if it also has the following header, whose key is the first signing key, else the first secret of the URL; on loopback
without any secret, anybody who can post can mark a test.

    X-Intrusion-Test: <timestamp>.<hex of HMAC-SHA256 over "test.<timestamp>.<body>">
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from typing import NamedTuple, Optional

from ....module_utils._core.options import Network
from ..settings import setting
from .limits import Refused

PATH = "/ips"
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
TEST = "X-Intrusion-Test"
#: Maximum number of remembered signatures; the oldest are dropped first.
MOST_SIGNATURES = 200_000
SHORTEST_SECRET = 16
#: Characters that need no encoding in the path of a URL (RFC 3986, unreserved characters).
PATH_SECRET = re.compile(r"[A-Za-z0-9._~-]+")
#: More than this many addresses, which is a /8, or IPv6 networks this wide, do not count as a list of senders.
MOST_SENDERS, WIDEST_IPV6 = 2**24, 32


def _secret(secret: str) -> Optional[str]:
    return f"must have at least {SHORTEST_SECRET} characters." if len(secret) < SHORTEST_SECRET else None


def _path_secret(secret: str) -> Optional[str]:
    if not PATH_SECRET.fullmatch(secret):
        return "may only contain letters, digits and . _ ~ -, since it becomes part of a URL."
    return _secret(secret)


@dataclass(frozen=True)
class Access:
    """The settings that say who may post; a request must satisfy all that are set."""

    path_secrets: tuple[str, ...] = setting(
        "secrets", "Secrets of the URL, `/ips/<secret>`; any of them is accepted.", (), objection=_path_secret
    )
    hmac_secrets: tuple[str, ...] = setting("secrets", "Keys for the signatures of relays; any of them is accepted.", (), objection=_secret)
    replay_window: float = setting("number", "Seconds by which the time of a signature may differ from ours.", 300.0, low=1, high=86400)
    allow_from: tuple[Network, ...] = setting(
        "networks", "Addresses and networks that may connect. Single addresses are never blocked.", (), shown="all"
    )

    @property
    def authenticates(self) -> bool:
        """Whether anything keeps strangers out; networks with a large part of all addresses do not."""
        narrow = all(network.version == 4 or network.prefixlen > WIDEST_IPV6 for network in self.allow_from)
        merged = collapse_addresses(network for network in self.allow_from if isinstance(network, IPv4Network))
        knows_senders = self.allow_from and narrow and sum(network.num_addresses for network in merged) <= MOST_SENDERS
        return bool(self.path_secrets or self.hmac_secrets or knows_senders)

    @property
    def relays(self) -> frozenset[IPv4Address]:
        networks = (network for network in self.allow_from if isinstance(network, IPv4Network))
        return frozenset(network.network_address for network in networks if network.prefixlen == 32)

    @property
    def keys(self) -> tuple[str, ...]:
        return self.hmac_secrets or self.path_secrets or ("",)


class Signature(NamedTuple):
    """Proof that somebody with a key wrote a body at some time; the digest is hexadecimal."""

    timestamp: str
    digest: str

    @classmethod
    def of(cls, key: str, body: bytes, purpose: str = "") -> Signature:
        """Return a signature with the current time."""
        timestamp = str(int(time.time()))
        return cls(timestamp, _hmac(key, purpose + timestamp, body))


class Credentials:
    """The valid credentials, and the signatures that were used."""

    def __init__(self, access: Access) -> None:
        self._signatures: OrderedDict[str, float] = OrderedDict()
        self.use(access)

    def use(self, access: Access) -> None:
        """Apply new settings; remembered signatures stay."""
        self._access = access
        self._paths = [_digest(f"{PATH}/{secret}") for secret in access.path_secrets] or [_digest(PATH)]

    def check_path(self, path: str) -> None:
        if not _is_one_of(_digest(path), self._paths):
            raise Refused("path", 404, close=True)

    def signature(self, headers: Mapping[str, str]) -> Optional[Signature]:
        """Return the signature of a request, or None if none is required; checks everything that does not need the body."""
        if not self._access.hmac_secrets:
            return None
        given = SIGNATURE.fullmatch(headers.get("X-Signature-256", ""))
        if not given or "X-Timestamp" not in headers:
            raise Refused("signature", 401, "X-Timestamp and X-Signature-256 are required", close=True)
        signature = Signature(headers["X-Timestamp"], given[1].lower())
        self._check_time(signature)
        return signature

    def check_signature(self, signature: Signature, body: bytes, purpose: str = "") -> None:
        right = (_hmac(key, purpose + signature.timestamp, body) for key in self._access.keys)
        if not _is_one_of(signature.digest.encode(errors="replace"), [digest.encode() for digest in right]):
            raise Refused("signature", 401, f"the {'mark of the test' if purpose else 'signature'} is wrong", close=True)

    def is_test(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a post is a test; refuses an invalid mark."""
        if TEST not in headers:
            return False
        timestamp, _dot, digest = headers[TEST].partition(".")
        mark = Signature(timestamp, digest)
        self._check_time(mark)
        self.check_signature(mark, body, "test.")
        return True

    def _check_time(self, signature: Signature) -> None:
        if not TIMESTAMP.fullmatch(signature.timestamp) or abs(time.time() - int(signature.timestamp)) > self._access.replay_window:
            raise Refused("signature", 401, "the timestamp is too far off", close=True)

    def refuse_used(self, signature: Signature) -> None:
        """Refuse the signature of an acknowledged request."""
        now = time.time()
        while self._signatures and next(iter(self._signatures.values())) < now:
            self._signatures.popitem(last=False)
        if signature.digest in self._signatures:
            raise Refused("replayed", 409, "this request was already acknowledged; sign the event again to repeat it")

    def remember(self, signature: Signature) -> None:
        """Remember the signature of an acknowledged request."""
        self._signatures[signature.digest] = int(signature.timestamp) + self._access.replay_window
        if len(self._signatures) > MOST_SIGNATURES:
            self._signatures.popitem(last=False)


def test_headers(access: Access, body: bytes) -> dict[str, str]:
    """Return the headers that mark a post as a test."""
    headers = {TEST: ".".join(Signature.of(access.keys[0], body, "test."))}
    if access.hmac_secrets:
        timestamp, digest = Signature.of(access.keys[0], body)
        headers.update({"X-Timestamp": timestamp, "X-Signature-256": f"sha256={digest}"})
    return headers


def _hmac(key: str, before: str, body: bytes) -> str:
    return hmac.new(key.encode(), before.encode() + b"." + body, hashlib.sha256).hexdigest()


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode(errors="surrogateescape")).digest()


def _is_one_of(given: bytes, right: Iterable[bytes]) -> bool:
    """Compare with all of them, in a time that reveals neither which one matches nor how much of it."""
    found = False
    for candidate in right:
        found |= hmac.compare_digest(given, candidate)
    return found
