# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The webhook's certificates, reloaded when their files change."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

from ....module_utils._core.errors import InvalidInput
from ..settings import setting, warn_if_open

LOG = logging.getLogger("intrusion.response")


@dataclass(frozen=True)
class Tls:
    """The section `tls`."""

    cert_file: str = setting("path", "The webhook's certificate, with its intermediate certificates; required.", fixed=True)
    key_file: Optional[str] = setting("path", "Its key; by default, the key is in `cert_file`.", fixed=True)
    client_ca_file: Optional[str] = setting("path", "Senders must present a certificate of one of these authorities.", fixed=True)

    def completed(self, _environ: Mapping[str, str]) -> Tls:
        if not self.cert_file:
            raise InvalidInput("cert_file is required for TLS.")
        warn_if_open(f"tls.{'key_file' if self.key_file else 'cert_file'}", self.key_file or self.cert_file)
        return self


class Certificates:
    """The TLS context, replaced when the files change; open connections keep theirs.

    Raises:
        InvalidInput: a file cannot be used.
    """

    def __init__(self, settings: Tls) -> None:
        self._settings = settings
        self._files = [path for path in (settings.cert_file, settings.key_file, settings.client_ca_file) if path]
        self._stamp = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection. Checks the files, so it may block."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._load()
                LOG.info("The webhook's certificate was reloaded.")
            except InvalidInput as error:  # perhaps half written: the next change counts
                LOG.warning("The webhook's certificate has changed, but cannot be used: %s The old one stays in use.", error.message)
        return self._context

    def _look(self) -> list[Optional[tuple[int, ...]]]:
        stamps: list[Optional[tuple[int, ...]]] = [None] * len(self._files)
        for number, path in enumerate(self._files):
            with suppress(OSError):
                found = os.stat(path)
                stamps[number] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return stamps

    def _load(self) -> ssl.SSLContext:
        context, settings = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), self._settings
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        name = "cert_file"
        try:
            # Load it as an authority as well, which needs no key, to find out which of the two files is invalid.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(settings.cert_file)
            name = "key_file" if settings.key_file else "cert_file"
            # A dummy password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
            if settings.client_ca_file:
                name = "client_ca_file"
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(settings.client_ca_file)
        except (OSError, ValueError) as error:
            if isinstance(error, ssl.SSLError):
                reason = (error.reason or "not in PEM form, or its key has a password").replace("_", " ").lower()
            else:
                reason = getattr(error, "strerror", None) or "not usable"
            raise InvalidInput(f"tls.{name}: {getattr(settings, name)} cannot be used: {reason}.") from None
        return context
