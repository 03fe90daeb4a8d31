# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends what is to be written to one firewall, and notes on each target what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Callable, Optional

from ....module_utils._core.errors import IntrusionResponseError, NotAttempted, Rejected, TimeoutUnknown, Unreachable
from ....module_utils._cos.change import Change
from .dry_run import Client
from .listing import View
from .reconcile import Target, change_for, echoes

#: From how many writes on several connections are worth their threads.
SIDE_BY_SIDE = 16


class Sender:
    """Sends until a request shows that the firewall does not answer.

    Args:
        client: of the firewall.
        accepted: told each target whose write was accepted, at once; it may be called from several threads.

    Attributes:
        lost: whether the firewall did not answer.
        closed: whether nothing more is to be sent.
        busy_since: monotonic time from which on a request is under way.
    """

    def __init__(self, client: Client, accepted: Callable[[Target], None]) -> None:
        self._client = client
        self._accepted = accepted
        self.lost = self.closed = False
        self.busy_since: Optional[float] = None

    def send(self, targets: Sequence[Target], view: View) -> None:
        """Write what the targets want; where answers take time, on several connections."""
        self.lost = False
        for target in targets:
            target.change = change_for(target, view)
        if len(targets) < SIDE_BY_SIDE:
            for target in targets:
                self._post(target, view)
        else:
            self._client.each(lambda target: self._post(target, view), targets)
        self.busy_since = None

    def _post(self, target: Target, view: View) -> None:
        change = target.change
        if change is None:
            return
        if self.lost or self.closed:
            target.failure = NotAttempted("The firewall did not answer an earlier request, or the responder was stopped.")
            return
        self.busy_since = target.sent = time.monotonic()
        target.answered, target.failure = None, None
        try:
            if target.replaces:
                self._remove(target, change, view)
            answer = self._client.add(change.fields())
        except IntrusionResponseError as error:
            change.failure = target.failure = error
            self.lost = self.lost or isinstance(error, (Unreachable, TimeoutUnknown))
            if target.replaces and change.before is not None and not self.lost:
                with suppress(IntrusionResponseError):  # no address must become unblocked by a failed change
                    self._client.add({**change.fields(), "ttl": str(change.before.ttl or 1)})
            return
        finally:
            target.ended = time.monotonic()
        target.answered = time.time()
        target.accepted = change.before is None and echoes(answer, change)
        self._accepted(target)

    def _remove(self, target: Target, change: Change, view: View) -> None:
        for _entry in view.owned(target.address):
            with suppress(Rejected):  # whether it is gone, the listing will tell
                self._client.remove(change.address())
