# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the door and of the monitor, checked before anything is opened."""

from __future__ import annotations

import logging
import os
import re
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Optional

from ...module_utils._core.errors import IntrusionResponseError, InvalidInput
from .section import Network, Section, warn_if_open

LOG = logging.getLogger("intrusion.response")

SHORTEST_SECRET = 16
#: What a URL's path may hold without any encoding (RFC 3986, unreserved characters).
PATH_SECRET = re.compile(r"[A-Za-z0-9._~-]+")


class CannotListen(IntrusionResponseError):
    """The address cannot be had now; another process may have it, or the network may not be up yet."""

    code = "cannot_listen"

    @classmethod
    def at(cls, what: str, host: str, port: int, error: OSError) -> CannotListen:
        """Return the exception for a failure to listen; the texts of sockets repeat the address, so only the reason is taken."""
        reason = error.strerror or str(error)
        if error.errno is not None and not isinstance(error, socket.gaierror):
            reason = os.strerror(error.errno)
        return cls(f"{what} cannot listen on {host} port {port}: {reason}.")


@dataclass(frozen=True)
class TlsSettings:
    """Files of the door's certificate, and of the authorities whose client certificates are required."""

    cert_file: str
    key_file: Optional[str] = None
    client_ca_file: Optional[str] = None

    @classmethod
    def from_section(cls, section: Section) -> TlsSettings:
        """Read the section `tls`; without a key_file the key is in the cert_file."""
        cert_file, key_file, client_ca_file = (section.file(name) for name in ("cert_file", "key_file", "client_ca_file"))
        section.done()
        if cert_file is None:
            raise section.error("cert_file", "is required for TLS.")
        warn_if_open(section.name("key_file" if key_file else "cert_file"), key_file or cert_file)
        return cls(cert_file, key_file, client_ca_file)


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
        """Read the top level of the arguments; whether they leave the door open is for `refuse_open_door`."""
        return cls(
            host=_host(section, cls.host),
            port=section.integer("port", cls.port, 0, 65535),
            tls=TlsSettings.from_section(section.section("tls")) if section.has("tls") else None,
            path_secrets=section.secrets("path_secrets", _path_objection, comments=True),
            hmac_secrets=section.secrets("hmac_secrets", _objection, comments=False),
            replay_window=section.number("replay_window", cls.replay_window, 1, 86400),
            allow_from=section.networks("allow_from"),
            allow_http=section.boolean("allow_http", cls.allow_http),
            limits=DoorLimits.from_section(section.section("limits")),
        )

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
        settings = cls(_host(section, cls.host), section.integer("port", cls.port, 0, 65535))
        if not is_loopback(settings.host):
            LOG.warning("monitor: everybody who reaches %s port %s can read health and metrics.", settings.host, settings.port)
        return settings


def _host(section: Section, default: str) -> str:
    host = section.text("host", default)
    try:
        host.encode("idna")
    except UnicodeError:
        raise section.error("host", "must be an address or the name of a host.") from None
    return host


def _objection(secret: str) -> Optional[str]:
    return f"must have at least {SHORTEST_SECRET} characters." if len(secret) < SHORTEST_SECRET else None


def _path_objection(secret: str) -> Optional[str]:
    if not PATH_SECRET.fullmatch(secret):
        return "may hold letters, digits and . _ ~ - only, since it becomes part of a URL."
    return _objection(secret)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens there; a name other than localhost counts as reachable."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
