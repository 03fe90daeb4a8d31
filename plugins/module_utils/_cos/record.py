# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records changes of a firewall's blacklist in the ledger."""

from __future__ import annotations

import functools
import os
import pwd
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Callable, Optional

from .._core.call import Call
from .._core.errors import InvalidInput, LedgerUnusable, NotAttempted, StoredDifferently
from .._core.options import integer_between, parse_name
from .._ledger.place import why_it_vanishes
from .._ledger.query import parse_span
from .._ledger.record import LONGEST_EXEMPTION, Past, Record, firewall_name
from .._ledger.store import Ledger
from .blacklist import ALL_SERVICES
from .change import Change
from .wanted import Wanted

#: Actions of the resources, and what the ledger calls them.
ACTIONS = {"added": "block", "renewed": "renew", "updated": "update", "removed": "unblock"}
#: Seconds that a module waits for its ledger in total, and the minimum for each further access.
PATIENCE, LEAST_PATIENCE = 1.0, 0.05


class Recorder:
    """A context manager that records the writes of one run to one firewall, both the intent before they are sent and the outcome.

    An intent is a record with an unknown outcome, superseded by the second record of the same write. If the run is killed, the
    intent remains.

    Args:
        call: for its environment and its warnings.
        ledger: where to record.
        about: fields of all records unless a change overrides them: firewall, origin, user, job, event, event_rule.
    """

    def __init__(self, call: Call, ledger: Ledger, about: Mapping[str, Any]) -> None:
        self._warn = call.warn
        self._environ = call.environ
        self._ledger = self._known = ledger
        self._about = about
        self._run = secrets.token_hex(8)
        self._writes: dict[Change, str] = {}

    @classmethod
    def from_call(cls, call: Call, origin: str, api_url: str) -> Recorder:
        """Create one from module options; in check mode it records nothing. Raises InvalidInput."""
        params = call.params
        keep = integer_between("ledger_keep", params["ledger_keep"], 0, 36500)
        ledger = Ledger.from_option(params["ledger"], call.warn, keep, PATIENCE)
        user, job = who(call.environ)
        given = {name: params[name] or None for name in ("event", "event_rule")}
        user = parse_name("ledger_user", params["ledger_user"]) or user
        recorder = cls(call, ledger, {"firewall": firewall_name(api_url), "origin": origin, "user": user, "job": job, **given})
        if call.check_mode:
            recorder._ledger = Ledger(None, call.warn)
        return recorder

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        for change in self._writes:
            if not change.sent and change.failure is None:
                change.failure = NotAttempted(f"{change.name} was not attempted, because the run ended first.")
        self._keep([self._record(change) for change in self._writes if change.settled or not change.sent])
        if self._writes and self._ledger.waiting:
            self._tell_if_it_vanishes(f"The directory of records that wait for the ledger {self._ledger.place}", self._ledger.spool)
        self._ledger.close()
        self._known.close()

    def exemption(self, given: Optional[str], wanted: Sequence[Wanted]) -> Optional[int]:
        """Return the seconds of the option exempt, None if not given; raises InvalidInput."""
        if not given:
            return None
        seconds = int(parse_span("exempt", given))
        if not 1 <= seconds <= LONGEST_EXEMPTION:
            raise InvalidInput(f"exempt must be from 1 second to {LONGEST_EXEMPTION // 86400} days; got {given[:80]!r}.")
        if any(one.state != "absent" for one in wanted):
            raise InvalidInput("exempt requires state: absent.")
        if not self._known.enabled:
            raise InvalidInput("exempt requires a ledger, which keeps exemptions, but ledger is none.")
        return seconds

    def exempt(self, done: Sequence[Change], wanted: Sequence[Wanted], seconds: Optional[int]) -> None:
        """Record exemptions for the addresses to be unblocked, even if nothing had to be removed."""
        if seconds is None:
            return
        failed = {change.wanted.host for change in done if change.failure is not None}
        for host in dict.fromkeys(one.host for one in wanted if one.state == "absent"):
            if not self.note("unblock", "failed" if host in failed else "ok", host, ALL_SERVICES, seconds):
                self._warn(f"{host} is not exempt, since the exemption could not be recorded. The next event may block it again.")

    def exemptions(self, hosts: Iterable[str]) -> Callable[[str], Optional[str]]:
        """Return a function that says why one of these addresses is exempt, or None; it reads the ledger when it is first called."""
        now = time.time()

        @functools.cache
        def pasts() -> dict[str, Past]:
            try:
                return self._known.pasts(hosts, now)
            except LedgerUnusable:  # the next write will report it
                return {}

        return lambda host: pasts().get(host, Past()).why_exempt(now)

    def intend(self, found: Sequence[Change]) -> None:
        """Record changes that are about to be sent."""
        self._writes.update((change, f"{self._run}.{number}") for number, change in enumerate(found, len(self._writes)))
        if len(self._writes) == len(found):
            self._tell_if_it_vanishes(f"The ledger {self._ledger.place}", self._ledger.path)
        self._keep([self._record(change)._replace(outcome="unknown") for change in found])

    def _tell_if_it_vanishes(self, what: str, path: Optional[str]) -> None:
        reason = None if path is None else why_it_vanishes(path, self._environ)
        if reason is not None:
            self._warn(f"{what} will be lost: {reason}. Set ledger or INTRUSION_RESPONSE_LEDGER to another place.")

    def note(self, action: str, outcome: str, host: str, service: str, ttl: Optional[int] = None) -> bool:
        """Record something other than a change; return whether it was recorded, or need not be."""
        return self._keep([Record(time.time(), action, outcome, host, service, ttl=ttl, **self._about)])

    def _keep(self, records: Sequence[Record]) -> bool:
        begun = time.monotonic()
        kept = self._ledger.record(records)
        self._ledger.patience = max(LEAST_PATIENCE, self._ledger.patience - (time.monotonic() - begun))
        return kept

    def _record(self, change: Change) -> Record:
        own = {"overridden": change.protected, "event": change.wanted.event, "event_rule": change.wanted.event_rule}
        about = {**self._about, **{name: value for name, value in own.items() if value is not None}}
        return record_of(change, time.time(), write=self._writes[change], **about)


def record_of(change: Change, at: float, /, **more: Any) -> Record:
    """Return the record of a change as now known; more must contain at least the firewall."""
    failure, removal = change.failure, change.action == "removed"
    entry = change.before if removal else change.now or change.goal
    outcome = "ok"
    if failure is not None and (removal or change.now is None or not isinstance(failure, StoredDifferently)):
        outcome = "unknown" if failure.outcome_unknown else "failed"
    return Record(
        at=at,
        action=ACTIONS[change.action],
        outcome=outcome,
        address=change.wanted.host,
        service=change.wanted.service,
        ttl=None if entry is None or removal else entry.ttl,
        rule_name="" if entry is None else entry.rule_name,
        description="" if entry is None else entry.description,
        code=None if failure is None else failure.code,
        **more,
    )


def who(environ: Mapping[str, str]) -> tuple[str, Optional[str]]:
    """Return the user and the job that this process runs for.

    AWX and Ansible Automation Platform set JOB_ID (RunJob.build_env in awx/main/tasks/jobs.py) or AD_HOC_COMMAND_ID
    (RunAdHocCommand.build_env). JOB_ID alone may come from another scheduler, so AWX_HOST, which AWX sets with it, is required.
    """
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # containers may run under a user id without an account
        user = f"uid {uid}"
    if uid == 0:
        user = environ.get("SUDO_USER") or user
    job = environ.get("JOB_ID") if environ.get("AWX_HOST") else None
    return user, job or environ.get("AD_HOC_COMMAND_ID") or None
