# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a firewall answers, and whether it takes what is written: kept for the health, and said in the log."""

from __future__ import annotations

import logging
import math
import time
from typing import Optional

from ....module_utils._core.errors import IntrusionResponseError, NotAttempted, RateLimited, Unreachable

LOG = logging.getLogger("intrusion.response")

#: Seconds until a failure to write is said again.
LOG_PAUSE = 3600.0
#: What to look at, where the failure does not say it itself.
CHECKS = {
    "auth_failed": "Check username and password.",
    "bad_response": "Check api_url: it must lead to the firewall's REST API.",
    "not_found": "Check api_url: it must lead to the firewall's REST API.",
    "timeout_unknown": "Check the network, and how busy the firewall is.",
    "unreachable": "Check api_url, the network, and whether the firewall lets this machine use its REST API.",
}


class Health:
    """The condition of one firewall.

    Attributes:
        code: why the firewall does not answer, None while it does, "unknown" before it was asked.
        writes: why the latest write failed, None when it succeeded.
    """

    def __init__(self, name: str) -> None:
        self.code: Optional[str] = "unknown"
        self.writes: Optional[str] = None
        self._name = name
        self._said: dict[str, float] = {}

    def answers(self) -> None:
        """Note that the firewall answered."""
        if self.code not in (None, "unknown"):
            LOG.warning("Firewall %s answers again.", self._name)
        self.code = None

    def fails(self, error: IntrusionResponseError) -> None:
        """Note that the firewall cannot be asked."""
        if error.code != self.code:
            LOG.warning("Firewall %s: %s", self._name, advice(error))
        self.code = error.code

    def wrote(self) -> None:
        """Note that something was written."""
        self.writes = None

    def wrote_not(self, error: IntrusionResponseError) -> None:
        """Note that something could not be written."""
        if isinstance(error, NotAttempted):
            return
        self.writes = error.code
        now = time.monotonic()
        if not isinstance(error, (RateLimited, Unreachable)) and now - self._said.get(error.code, -math.inf) >= LOG_PAUSE:
            self._said[error.code] = now
            LOG.warning("Firewall %s: an address could not be blocked (%s): %s", self._name, error.code, advice(error))


def advice(error: IntrusionResponseError) -> str:
    """Return a failure in words, with what to check."""
    check = CHECKS.get(error.code)
    message = str(error.as_result()["msg"])
    return f"{message} {check}" if check else message
