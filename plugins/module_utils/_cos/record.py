# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From writes to a firewall's blacklist to records in the ledger."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional
from urllib.parse import urlsplit

from .._core.call import Call
from .._core.errors import InvalidInput, NotAttempted, StoredDifferently
from .._core.options import integer_between, parse_name
from .._ledger.record import Record
from .._ledger.store import Ledger
from .apply import Job

#: What the resources call their writes, and what the ledger does.
ACTIONS = {"added": "block", "renewed": "renew", "updated": "update", "removed": "unblock"}


class Recorder:
    """Collects the writes of one run to one firewall, and records them at its end, whatever that is; a context manager.

    Args:
        ledger: where to.
        firewall: as firewall_name returns it.
        door: the name of the module.
        about: what is the same in all records: user, job, event, event_rule.
    """

    def __init__(self, ledger: Ledger, firewall: str, door: str, about: Mapping[str, Optional[str]]) -> None:
        self._ledger = ledger
        self._fixed = {"firewall": firewall, "door": door, **about}
        self._records: list[Record] = []

    @classmethod
    def from_call(cls, call: Call, door: str, api_url: str) -> Recorder:
        """Make one from module options; in check mode it records nothing. Raises InvalidInput."""
        params = call.params
        keep = integer_between("ledger_keep", params["ledger_keep"], 0, 36500)
        ledger = Ledger.from_option("none" if call.check_mode else params["ledger"], call.warn, keep)
        user, job = who(call.environ)
        about = {"user": parse_name("ledger_user", params["ledger_user"]) or user, "job": job}
        for name in ("event", "event_rule"):
            about[name] = parse_name(name, params[name])
        return cls(ledger, firewall_name(api_url), door, about)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._ledger.record(self._records)
        self._ledger.close()

    def note(self, job: Job, action: str, **about: Optional[str]) -> None:
        """Collect the record of a finished job; what is not given is as in all records.

        Args:
            job: with its result or failure. One that was not attempted is passed over.
            action: as the resources call it: added, renewed, updated or removed.
            about: event, event_rule, overridden.
        """
        if not isinstance(job.failure, NotAttempted):
            given = {name: value for name, value in about.items() if value is not None}
            self._records.append(record_of(job, ACTIONS[action], time.time(), **{**self._fixed, **given}))


def record_of(job: Job, action: str, at: float, /, **more: Any) -> Record:
    """Return the record of a finished job; more must name at least the firewall."""
    failure = job.failure
    entry = job.existing if action == "unblock" else job.result or job.entry
    outcome = "ok"
    if failure is not None:
        outcome = "unknown" if failure.outcome_unknown else "failed"
        if isinstance(failure, StoredDifferently) and job.result is not None:
            outcome = "ok"
    return Record(
        at=at,
        action=action,
        outcome=outcome,
        address=job.key[0],
        service=job.key[1],
        ttl=None if entry is None or action == "unblock" else entry.ttl,
        rule_name="" if entry is None else entry.rule_name,
        description="" if entry is None else entry.description,
        code=None if failure is None else failure.code,
        **more,
    )


def firewall_name(api_url: str) -> str:
    """Return the address of a firewall in the one form in which the ledger knows it: no credentials, default ports left out."""
    try:
        parts = urlsplit(api_url.strip())
        port = parts.port
    except ValueError:
        port = None
        parts = urlsplit("")
    if not parts.hostname:
        raise InvalidInput("The address of a firewall must be a URL such as https://192.0.2.1; got something else.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"https": 443, "http": 80}.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"


def who(environ: Mapping[str, str]) -> tuple[str, Optional[str]]:
    """Return the user and the job that this process runs for.

    AWX and Ansible Automation Platform set JOB_ID (RunJob.build_env in awx/main/tasks/jobs.py) or AD_HOC_COMMAND_ID
    (RunAdHocCommand.build_env). JOB_ID alone may be another scheduler's, so AWX_HOST, which comes with it, must be there.
    """
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # containers run under numbers without a name
        user = f"uid {uid}"
    if uid == 0:
        user = environ.get("SUDO_USER") or user
    job = environ.get("JOB_ID") if environ.get("AWX_HOST") else None
    return user, job or environ.get("AD_HOC_COMMAND_ID") or None
