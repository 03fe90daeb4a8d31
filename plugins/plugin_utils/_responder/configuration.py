# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole configuration: the arguments of the event source and the file of the service are the same mapping."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, ip_address
from typing import Any, Optional

from ...module_utils._core.call import Call
from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import COS_CONNECTION, LEDGER, NEVER_BLOCK_ENV, STATE_DIR_ENV
from ...module_utils._core.state import FOLDER, state_path
from ...module_utils._core.wire import REQUESTS_IMPORT_ERROR
from ...module_utils._cos.client import CosClient
from ...module_utils._cos.guard import parse_networks
from ...module_utils._ledger.record import firewall_name
from ...module_utils._ledger.store import KEEP_DAYS
from .decide.escalation import EscalationSettings
from .decide.limits import LimitSettings
from .decide.policy import Policy
from .settings import Network, read, setting, warn_if_open

LOG = logging.getLogger("intrusion.response")

SHORTEST_SECRET = 16
#: What a URL's path may hold without any encoding (RFC 3986, unreserved characters).
PATH_SECRET = re.compile(r"[A-Za-z0-9._~-]+")
#: More than so many addresses, which is a /8, or IPv6 networks as wide as this, are no list of senders.
MOST_SENDERS, WIDEST_IPV6 = 2**24, 32


def _host(host: str) -> Optional[str]:
    try:
        host.encode("idna")
    except UnicodeError:
        return "must be an address or the name of a host."
    return None


def _secret(secret: str) -> Optional[str]:
    return f"must have at least {SHORTEST_SECRET} characters." if len(secret) < SHORTEST_SECRET else None


def _path_secret(secret: str) -> Optional[str]:
    if not PATH_SECRET.fullmatch(secret):
        return "may hold letters, digits and . _ ~ - only, since it becomes part of a URL."
    return _secret(secret)


def _connection(name: str, help: str, kind: str = "text", **more: Any) -> Any:
    """Declare a setting by the modules' table of connection options."""
    option = next(option for option in COS_CONNECTION if option.name == name)
    return setting(kind, help, option.default, env=option.env, fixed=True, **more)


@dataclass(frozen=True)
class Tls:
    """The section `tls`."""

    cert_file: str = setting("path", "The webhook's certificate, with those that it needs to be believed; required.", fixed=True)
    key_file: Optional[str] = setting("path", "Its key; without, the key is in the `cert_file`.", fixed=True)
    client_ca_file: Optional[str] = setting("path", "Senders must present a certificate of one of these authorities.", fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> Tls:
        """Require the certificate."""
        if not self.cert_file:
            raise InvalidInput("cert_file is required for TLS.")
        warn_if_open(f"tls.{'key_file' if self.key_file else 'cert_file'}", self.key_file or self.cert_file)
        return self


@dataclass(frozen=True)
class WebhookLimits:
    """The section `limits`: what the webhook takes at most."""

    body: int = setting("integer", "Bytes in a request, also when it is unpacked.", 65536, low=256, high=16 * 1024 * 1024)
    rate: float = setting("number", "Requests a second in the long run, of those with the right credentials.", 500.0, low=0.1, high=1e6)
    burst: Optional[int] = setting("integer", "Requests at once, after a quiet time.", low=1, high=10_000_000, shown="ten seconds' worth")
    rate_per_source: Optional[float] = setting("number", "The same as `rate` for each address, before anything is read.", low=0.1, high=1e6)
    connections: int = setting("integer", "Connections at a time.", 200, low=1, high=100_000, fixed=True)
    connections_per_source: Optional[int] = setting(
        "integer", "Connections of one address at a time.", low=1, high=100_000, fixed=True, shown="half of them"
    )
    body_timeout: float = setting(
        "number", "Seconds for a TLS handshake, for the headers, for the body, and for recording an event, each.", 10.0, low=0.05, high=600
    )
    queue: int = setting("integer", "Events without a verdict.", 10_000, low=1, high=1_000_000)

    def completed(self, _environ: Mapping[str, str]) -> WebhookLimits:
        """Fill in what depends on others."""
        return replace(
            self,
            burst=self.burst or max(1, int(self.rate * 10)),
            connections_per_source=self.connections_per_source or max(1, self.connections // 2),
        )


@dataclass(frozen=True)
class MonitorSettings:
    """The section `monitor`."""

    enabled: bool = setting("boolean", "Whether there is a monitor at all.", True, fixed=True)
    host: str = setting("text", "Where it listens.", "127.0.0.1", objection=_host, fixed=True)
    port: int = setting("integer", "Where it listens.", 9105, low=0, high=65535, fixed=True)
    names: tuple[str, ...] = setting("texts", "Names by which it may be asked, beside localhost, its own and addresses.", (), fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> MonitorSettings:
        """Warn of readers."""
        if self.enabled and not is_loopback(self.host):
            LOG.warning("monitor: everybody who reaches %s port %s can read health and metrics.", self.host, self.port)
        return self


@dataclass(frozen=True)
class Firewall:
    """One of `respond.firewalls`. There are no retries: the responder sends again by itself, with the listing in view."""

    name: Optional[str] = setting("text", "What verdicts and metrics call it.", fixed=True, shown="its address")
    api_url: str = _connection("api_url", "Address of its REST API; required.")
    username: Optional[str] = _connection("username", "User of the REST API.")
    password: Optional[str] = _connection("password", "Its password.", "secret")
    validate_certs: bool = _connection("validate_certs", "Whether its certificate is checked.", "boolean")
    ca_path: Optional[str] = _connection("ca_path", "Authorities that its certificate may come from.", "path")
    allow_http: bool = _connection("allow_http", "Whether credentials may go over plain http.", "boolean")
    use_proxy: bool = _connection("use_proxy", "Whether proxies of the environment are used.", "boolean")
    timeout: float = _connection("timeout", "Seconds for a request, all in all.", "number", low=0.1, high=3600)
    concurrency: int = setting("integer", "Connections at a time, where its answers take time.", 4, low=1, high=64, fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> Firewall:
        """Check that a client can be made of it; nothing is opened."""
        if REQUESTS_IMPORT_ERROR is not None:
            raise InvalidInput("api_url needs the Python package requests.")
        if not self.api_url:
            raise InvalidInput("api_url is required.")
        with CosClient.from_call(self.call(False)):
            return replace(self, name=self.name or firewall_name(self.api_url))

    def call(self, dry_run: bool) -> Call:
        """Return the connection options as the modules' code takes them."""
        return Call({**vars(self), "retries": 0}, check_mode=dry_run)

    @property
    def address(self) -> str:
        """The firewall as the ledger knows it."""
        return firewall_name(self.api_url)


@dataclass(frozen=True)
class Respond:
    """The section `respond`: what to do about events."""

    firewalls: tuple[Firewall, ...] = setting("sections", "Where attackers are blocked.", (), section=Firewall, fixed=True)
    policy: Policy = setting("section", "Which events lead to a block, and the block itself.", section=Policy)
    escalation: EscalationSettings = setting("section", "Longer blocks for those that come again.", section=EscalationSettings)
    limits: LimitSettings = setting("section", "Where blocking stops.", section=LimitSettings)
    never_block: tuple[str, ...] = setting("texts", f"Addresses and networks that are never blocked, beside `{NEVER_BLOCK_ENV}`.", ())
    ledger: Optional[str] = setting(
        "text", "File in which blocks are recorded, or none.", env=LEDGER[0].env, fixed=True, shown="as the modules'"
    )
    ledger_keep: int = setting("integer", "Days for which records are kept, 0 for ever.", KEEP_DAYS, low=0, high=36500, fixed=True)
    verdict_after: float = setting(
        "number", "Seconds after which a verdict goes out although a firewall has not answered.", 10.0, low=0.01, high=3600
    )
    dry_run: bool = setting("boolean", "Decide everything, write nothing.", False, fixed=True)

    def completed(self, environ: Mapping[str, str]) -> Respond:
        """Check the firewalls as a whole, and what concerns several sections."""
        if not self.firewalls:
            raise InvalidInput("firewalls must name at least one firewall.")
        for number, one in enumerate(self.firewalls):
            if any(one.name == other.name or one.address == other.address for other in self.firewalls[:number]):
                raise InvalidInput(f"firewalls[{number}].name and api_url must differ from those of the other firewalls.")
        never_block = (*self.never_block, *environ.get(NEVER_BLOCK_ENV, "").replace(",", " ").split())
        parse_networks(f"never_block (with {NEVER_BLOCK_ENV})", never_block, LOG.warning)
        return replace(self, never_block=never_block, escalation=self.escalation.above(self.policy.ttl))

    @property
    def networks(self) -> frozenset[IPv4Network]:
        """What is never blocked."""
        return parse_networks("never_block", self.never_block)


@dataclass(frozen=True)
class Configuration:
    """Everything that can be set."""

    host: str = setting("text", "Where the webhook listens; beyond loopback only authenticated and with TLS.", "127.0.0.1",
                        objection=_host, fixed=True)  # fmt: skip
    port: int = setting("integer", "Where the webhook listens.", 5005, low=0, high=65535, fixed=True)
    allow_http: bool = setting("boolean", "Listen beyond loopback without TLS.", False, fixed=True)
    tls: Optional[Tls] = setting("section", "Without it, the webhook speaks plain http.", section=Tls, optional=True)
    path_secrets: tuple[str, ...] = setting(
        "secrets", "Secrets of the URL, `/ips/<secret>`, any of which is right.", (), objection=_path_secret
    )
    hmac_secrets: tuple[str, ...] = setting("secrets", "Keys of relays' signatures, any of which is right.", (), objection=_secret)
    replay_window: float = setting("number", "Seconds by which a signature's time may differ from ours.", 300.0, low=1, high=86400)
    allow_from: tuple[Network, ...] = setting(
        "networks", "Addresses and networks that may connect. Single addresses are never blocked.", (), shown="all"
    )
    limits: WebhookLimits = setting("section", "What the webhook takes at most.", section=WebhookLimits)
    state_dir: Optional[str] = setting(
        "path", f"Directory of the inbox, one running source each (else `responder` in `{STATE_DIR_ENV}`).", fixed=True,
        shown="below the directory for state",
    )  # fmt: skip
    monitor: Optional[MonitorSettings] = setting(
        "section", "Health, metrics and status; without it, on loopback where that can be had.", section=MonitorSettings, optional=True
    )
    respond: Optional[Respond] = setting(
        "section", "What to do about events; without it, they are recorded and handed on.", section=Respond, optional=True
    )

    @classmethod
    def from_args(cls, args: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Configuration:
        """Read it; raises InvalidInput, naming the setting at fault, before anything is opened."""
        return read(cls, {name: value for name, value in args.items() if name != "eda_feedback_queue"}, "", environ)

    def completed(self, environ: Mapping[str, str]) -> Configuration:
        """Find the directory of the state, and refuse to be open to everybody."""
        name, state = "state_dir", self.state_dir
        if state is None:
            name = f"state_dir is not given, and {STATE_DIR_ENV}"
            shared = state_path("state_dir", environ.get(STATE_DIR_ENV), FOLDER, LOG.warning)
            state = shared and os.path.join(shared, "responder")
        if state is None or os.path.relpath(state) == "none":
            raise InvalidInput(f"{name} must be a directory, not none: events are acknowledged only when they are recorded.")
        self.refuse_to_be_open()
        return replace(self, state_dir=state)

    @property
    def authenticates(self) -> bool:
        """Whether anything keeps strangers out."""
        return bool(self.path_secrets or self.hmac_secrets or (self.tls and self.tls.client_ca_file) or self._knows_senders)

    @property
    def _knows_senders(self) -> bool:
        """Whether allow_from is a list of senders; networks that hold a large part of all addresses are none."""
        narrow = all(network.version == 4 or network.prefixlen > WIDEST_IPV6 for network in self.allow_from)
        merged = collapse_addresses(network for network in self.allow_from if isinstance(network, IPv4Network))
        return bool(self.allow_from) and narrow and sum(network.num_addresses for network in merged) <= MOST_SENDERS

    @property
    def relays(self) -> frozenset[IPv4Address]:
        """Single addresses that may connect."""
        networks = (network for network in self.allow_from if isinstance(network, IPv4Network))
        return frozenset(network.network_address for network in networks if network.prefixlen == 32)

    def refuse_to_be_open(self) -> None:
        """Raise InvalidInput when everybody could post events, or read the secret on the way."""
        if is_loopback(self.host):
            return
        if not self.authenticates:
            raise InvalidInput(
                f"Refusing to listen on {self.host} for everybody: set at least one of path_secrets, hmac_secrets, "
                "tls.client_ca_file and allow_from (a list of senders), or listen on 127.0.0.1."
            )
        if self.tls is None and not self.allow_http:
            raise InvalidInput(f"Refusing to listen on {self.host} without TLS: set tls.cert_file, or allow_http: true if you must.")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens there; a name other than localhost counts as reachable."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
