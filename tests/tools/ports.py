# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports for what tests start, stop and start again."""

from __future__ import annotations

import contextlib
import random
import socket

PORTS = (20_000, 32_000)  # below those that Linux gives to outgoing connections


_given: set[int] = set()


def free_port() -> int:
    """Return another port that no outgoing connection can get: what is stopped has to find it free when it comes back."""
    while True:
        port = random.randrange(*PORTS)
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            _given.add(port)
            return port
