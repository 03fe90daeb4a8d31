# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole configuration: the event source's arguments and the service's file are the same mapping."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Any, Optional

from ...module_utils._core.call import Call
from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import COS_CONNECTION, LEDGER, NEVER_BLOCK_ENV, STATE_DIR_ENV
from ...module_utils._core.state import FOLDER, state_path
from ...module_utils._core.wire import REQUESTS_IMPORT_ERROR
from ...module_utils._cos.client import CosClient
from ...module_utils._cos.guard import parse_networks
from ...module_utils._events.ends import Home
from ...module_utils._events.formats import clc_ips
from ...module_utils._events.reader import NAMES, Reader
from ...module_utils._ledger.record import firewall_name
from ...module_utils._ledger.store import KEEP_DAYS
from .decide.escalation import EscalationSettings
from .decide.limits import LimitSettings
from .decide.policy import Policy
from .follow.follower import Follow, custom_format
from .monitor import MonitorSettings
from .settings import read, setting
from .webhook.auth import Access
from .webhook.limits import WebhookLimits
from .webhook.listener import host_objection, is_loopback
from .webhook.tls import Tls

LOG = logging.getLogger("intrusion.response")


def _connection(name: str, help: str, kind: str = "text", **more: Any) -> Any:
    """Declare a setting from the modules' table of connection options."""
    option = next(option for option in COS_CONNECTION if option.name == name)
    return setting(kind, help, option.default, env=option.env, fixed=True, **more)


@dataclass(frozen=True)
class Firewall:
    """One of `respond.firewalls`. There are no retries: the responder itself sends again, based on the listing."""

    name: Optional[str] = setting("text", "Its name in verdicts and metrics.", fixed=True, shown="its address")
    api_url: str = _connection("api_url", "Address of its REST API; required.")
    username: Optional[str] = _connection("username", "User of the REST API.")
    password: Optional[str] = _connection("password", "Its password.", "secret")
    validate_certs: bool = _connection("validate_certs", "Whether to verify its certificate.", "boolean")
    ca_path: Optional[str] = _connection("ca_path", "CA certificates to trust for its certificate.", "path")
    allow_http: bool = _connection("allow_http", "Whether credentials may be sent over plain http.", "boolean")
    use_proxy: bool = _connection("use_proxy", "Whether to use the proxies set in the environment.", "boolean")
    timeout: float = _connection("timeout", "Seconds for a request, in total.", "number", low=0.1, high=3600)
    concurrency: int = setting("integer", "Connections at a time, if many addresses are waiting.", 4, low=1, high=64, fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> Firewall:
        """Check that a client can be created from it; nothing is opened."""
        if REQUESTS_IMPORT_ERROR is not None:
            raise InvalidInput("api_url requires the Python package requests.")
        if not self.api_url:
            raise InvalidInput("api_url is required.")
        with CosClient.from_call(self.call(False)):
            return replace(self, name=self.name or firewall_name(self.api_url))

    def call(self, dry_run: bool) -> Call:
        """Return the connection options in the form that the modules' code expects."""
        return Call({**vars(self), "retries": 0}, check_mode=dry_run)

    @property
    def address(self) -> str:
        return firewall_name(self.api_url)


@dataclass(frozen=True)
class Respond:
    """The section `respond`: what to do about events."""

    firewalls: tuple[Firewall, ...] = setting("sections", "Where attackers are blocked.", (), section=Firewall, fixed=True)
    policy: Policy = setting("section", "Which events lead to a block, and the block itself.", section=Policy)
    escalation: EscalationSettings = setting("section", "Longer blocks for repeat offenders.", section=EscalationSettings)
    limits: LimitSettings = setting("section", "When to stop blocking.", section=LimitSettings)
    never_block: tuple[str, ...] = setting(
        "texts", f"Addresses and networks that are never blocked, in addition to `{NEVER_BLOCK_ENV}`.", ()
    )
    ledger: Optional[str] = setting(
        "text", "File or PostgreSQL database in which blocks are recorded, or none.", env=LEDGER[0].env, fixed=True,
        shown="as for the modules",
    )
    ledger_keep: int = setting("integer", "Days for which records are kept; 0 means forever.", KEEP_DAYS, low=0, high=36500, fixed=True)
    verdict_after: float = setting(
        "number", "Seconds after which a verdict goes out even if a firewall has not answered.", 10.0, low=0.01, high=3600
    )
    dry_run: bool = setting("boolean", "Decide everything, but write nothing.", False, fixed=True)

    def completed(self, environ: Mapping[str, str]) -> Respond:
        """Check the firewalls as a whole, and the relations between sections."""
        if not self.firewalls:
            raise InvalidInput("firewalls must contain at least one firewall.")
        for number, one in enumerate(self.firewalls):
            if any(one.name == other.name or one.address == other.address for other in self.firewalls[:number]):
                raise InvalidInput(f"firewalls[{number}].name and api_url must be unique among the firewalls.")
        never_block = (*self.never_block, *environ.get(NEVER_BLOCK_ENV, "").replace(",", " ").split())
        parse_networks(f"never_block (with {NEVER_BLOCK_ENV})", never_block, LOG.warning)
        return replace(self, never_block=never_block, escalation=self.escalation.above(self.policy.ttl))

    @property
    def networks(self) -> frozenset[IPv4Network]:
        return parse_networks("never_block", self.never_block)


@dataclass(frozen=True)
class Configuration(Access):
    """All settings."""

    host: str = setting("text", "Where the webhook listens; beyond loopback, authentication and TLS are required.", "127.0.0.1",
                        objection=host_objection, fixed=True)  # fmt: skip
    port: int = setting("integer", "Where the webhook listens.", 5005, low=0, high=65535, fixed=True)
    allow_http: bool = setting("boolean", "Listen beyond loopback without TLS.", False, fixed=True)
    tls: Optional[Tls] = setting("section", "TLS; without it, the webhook uses plain http.", section=Tls, optional=True)
    limits: WebhookLimits = setting("section", "What the webhook accepts at most.", section=WebhookLimits)
    format: str = setting("word", "The format of events; `auto` recognises it by the content.", clc_ips.NAME, choices=NAMES)
    custom: Optional[Mapping[str, Any]] = setting("object", "A user-defined format, for `format: custom`, see `detectors.md`.")
    detect_only: bool = setting("boolean", "Whether events of agents in detect mode count.", False)
    follow: tuple[Follow, ...] = setting("sections", "Files with an event per line.", (), section=Follow, fixed=True)
    state_dir: Optional[str] = setting(
        "path", f"Directory of the inbox, for one running source only; by default `responder` in `{STATE_DIR_ENV}`.", fixed=True,
        shown="in the user's state directory",
    )  # fmt: skip
    monitor: Optional[MonitorSettings] = setting(
        "section", "Health, metrics and status; by default on loopback, if the port is free.", section=MonitorSettings, optional=True
    )
    respond: Optional[Respond] = setting(
        "section", "What to do about events; without it, they are recorded and passed on.", section=Respond, optional=True
    )

    @classmethod
    def from_args(cls, args: Mapping[str, Any], environ: Optional[Mapping[str, str]] = None) -> Configuration:
        """Parse it; raises InvalidInput, which names the invalid setting, before anything is opened."""
        return read(cls, {name: value for name, value in args.items() if name != "eda_feedback_queue"}, "", environ)

    def completed(self, environ: Mapping[str, str]) -> Configuration:
        """Determine the state directory, and refuse to be open to everybody."""
        name, state = "state_dir", self.state_dir
        if state is None:
            name = f"state_dir is not given, and {STATE_DIR_ENV}"
            shared = state_path("state_dir", environ.get(STATE_DIR_ENV), FOLDER, LOG.warning)
            state = shared and os.path.join(shared, "responder")
        if state is None or os.path.relpath(state) == "none":
            raise InvalidInput(f"{name} must be a directory, not none: events are acknowledged only once they are recorded.")
        self.refuse_to_be_open()
        custom_format(self.format, self.custom)
        for number, one in enumerate(self.follow):
            if os.path.realpath(one.path) in [os.path.realpath(other.path) for other in self.follow[:number]]:
                raise InvalidInput(f"follow[{number}].path is the same file as another one.")
        return replace(self, state_dir=state)

    def reader(self, follow: Optional[Follow] = None) -> Reader:
        """Return the reader for the events of the webhook, or of a file."""
        home = Home() if self.respond is None else self.respond.policy.home(self.respond.networks)
        if follow is not None and follow.format is not None:
            return Reader(follow.format, home, custom_format(follow.format, follow.custom), self.detect_only)
        return Reader(self.format, home, custom_format(self.format, self.custom), self.detect_only)

    def refuse_to_be_open(self) -> None:
        """Raise InvalidInput if everybody could post events, or read the secret in transit."""
        if is_loopback(self.host):
            return
        if not self.authenticates and not (self.tls and self.tls.client_ca_file):
            raise InvalidInput(
                f"Refusing to listen on {self.host} without authentication: set at least one of path_secrets, hmac_secrets, "
                "tls.client_ca_file and allow_from (a list of senders), or listen on 127.0.0.1."
            )
        if self.tls is None and not self.allow_http:
            raise InvalidInput(f"Refusing to listen on {self.host} without TLS: set tls.cert_file, or allow_http: true.")
