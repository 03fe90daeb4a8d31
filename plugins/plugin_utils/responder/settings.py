# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the door and of the monitor, checked before anything is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Optional

from ...module_utils._core.errors import InvalidInput
from .section import Network, Section

SHORTEST_SECRET = 16
#: What a URL's path may hold without any encoding (RFC 3986, unreserved characters).
PATH_SECRET = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True)
class TlsSettings:
    """Files of the door's certificate, and of the authorities whose client certificates are required."""

    cert_file: str
    key_file: Optional[str] = None
    client_ca_file: Optional[str] = None

    @classmethod
    def from_section(cls, section: Section) -> TlsSettings:
        """Read the section `tls`; without a key_file the key is in the cert_file."""
        cert_file = section.file("cert_file")
        if cert_file is None:
            raise section.error("cert_file", "is required for TLS.")
        return cls(cert_file, section.file("key_file"), section.file("client_ca_file"))


@dataclass(frozen=True)
class DoorLimits:
    """What the door takes at most.

    Attributes:
        body: bytes in a request.
        rate: requests a second in the long run, of those with the right credentials.
        burst: requests at once, when it was quiet before.
        rate_per_source: the same as rate for each address, counted before anything is read; None for no such limit.
        connections: open at a time.
        body_timeout: seconds for a TLS handshake, for the headers, for the body, and for recording an event, each.
        queue: events that wait for their verdict.
    """

    body: int = 65536
    rate: float = 500.0
    burst: int = 5000
    rate_per_source: Optional[float] = None
    connections: int = 200
    body_timeout: float = 10.0
    queue: int = 10000

    @classmethod
    def from_section(cls, section: Section) -> DoorLimits:
        """Read the section `limits`; a burst is ten seconds' worth of the rate unless it is given."""
        rate = section.number("rate", cls.rate, 0.1, 1e6)
        return cls(
            body=section.integer("body", cls.body, 256, 16 * 1024 * 1024),
            rate=rate,
            burst=section.integer("burst", max(1, int(rate * 10)), 1, 10_000_000),
            rate_per_source=section.number("rate_per_source", None, 0.1, 1e6),
            connections=section.integer("connections", cls.connections, 1, 100_000),
            body_timeout=section.number("body_timeout", cls.body_timeout, 0.05, 600),
            queue=section.integer("queue", cls.queue, 1, 1_000_000),
        )


@dataclass(frozen=True)
class DoorSettings:
    """Where the door listens, whom it believes, and what it takes.

    Attributes:
        path_secrets: the URL's path is /ips/<one of them>; without any it is /ips.
        hmac_secrets: keys of the signature, any of them is right.
        replay_window: seconds by which a signature's time may differ from ours, either way.
        allow_from: addresses that may connect; empty for all.
        allow_http: listen beyond loopback without TLS.
    """

    host: str = "127.0.0.1"
    port: int = 5005
    tls: Optional[TlsSettings] = None
    path_secrets: tuple[str, ...] = field(default=(), repr=False)
    hmac_secrets: tuple[str, ...] = field(default=(), repr=False)
    replay_window: float = 300.0
    allow_from: tuple[Network, ...] = ()
    allow_http: bool = False
    limits: DoorLimits = DoorLimits()

    @classmethod
    def from_section(cls, section: Section) -> DoorSettings:
        """Read the top level of the arguments; raises InvalidInput for settings that would leave the door open."""
        settings = cls(
            host=section.text("host", cls.host),
            port=section.integer("port", cls.port, 0, 65535),
            tls=TlsSettings.from_section(section.section("tls")) if section.has("tls") else None,
            path_secrets=section.secrets("path_secrets"),
            hmac_secrets=section.secrets("hmac_secrets"),
            replay_window=section.number("replay_window", cls.replay_window, 1, 86400),
            allow_from=section.networks("allow_from"),
            allow_http=section.boolean("allow_http", cls.allow_http),
            limits=DoorLimits.from_section(section.section("limits")),
        )
        for name in ("path_secrets", "hmac_secrets"):
            if any(len(secret) < SHORTEST_SECRET for secret in getattr(settings, name)):
                raise section.error(name, f"must have at least {SHORTEST_SECRET} characters each.")
        if not all(PATH_SECRET.fullmatch(secret) for secret in settings.path_secrets):
            raise section.error("path_secrets", "may hold letters, digits and . _ ~ - only, since they become part of a URL.")
        settings.refuse_open_door()
        return settings

    @property
    def authenticates(self) -> bool:
        """Whether anything keeps strangers out; a network of all addresses does not."""
        return bool(
            self.path_secrets
            or self.hmac_secrets
            or (self.tls and self.tls.client_ca_file)
            or (self.allow_from and all(network.prefixlen for network in self.allow_from))
        )

    def refuse_open_door(self) -> None:
        """Raise InvalidInput when everybody could post events, or read the secret on the way."""
        if is_loopback(self.host):
            return
        if not self.authenticates:
            raise InvalidInput(
                f"Refusing to listen on {self.host} for everybody: set at least one of path_secrets, hmac_secrets, "
                "tls.client_ca_file and allow_from, or listen on 127.0.0.1."
            )
        if self.tls is None and not self.allow_http:
            raise InvalidInput(f"Refusing to listen on {self.host} without TLS: set tls.cert_file, or allow_http: true if you must.")


@dataclass(frozen=True)
class MonitorSettings:
    """Where health and metrics are served."""

    host: str = "127.0.0.1"
    port: int = 9105

    @classmethod
    def from_section(cls, section: Section) -> MonitorSettings:
        """Read the section `monitor`."""
        return cls(section.text("host", cls.host), section.integer("port", cls.port, 0, 65535))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens there; a name other than localhost counts as reachable."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
