# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the report page from what the roles have read from firewalls and servers in this run, and from the ledger."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Optional

from ansible.plugins.action import ActionBase

from ..filter.protect_summary import told
from ..module_utils._core.errors import IntrusionResponseError, InvalidInput, LedgerUnusable
from ..module_utils._core.module import connection_spec, validated
from ..module_utils._core.options import LEDGER
from ..module_utils._core.text import clean
from ..module_utils._ledger.query import exempt, parse_span
from ..module_utils._ledger.record import Filter
from ..module_utils._ledger.store import Ledger
from ..plugin_utils._report.data import Firewall, Past, build
from ..plugin_utils._report.page import render

MODULE = "intrusion.response.response_report"
ARGUMENT_SPEC = {
    "path": {"type": "path", "required": True},
    "last": {"type": "str", "default": "30d"},
    "status": {"type": "dict", "default": {}},
    **connection_spec(LEDGER),
}
#: The variables in which the role blacklist keeps the URL of a firewall, and what it read there.
ADDRESS = "__blacklist_firewall"
READ = "blacklist_result"


class ActionModule(ActionBase):
    """Action plugin of the module."""

    _supports_check_mode = True
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(ARGUMENT_SPEC)

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the documented result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        warnings: list[str] = []
        try:
            params, _secrets = validated(MODULE, ARGUMENT_SPEC, self._task.args)
            now = time.time()
            past = _past(Ledger.from_option(params["ledger"], warnings.append), now - parse_span("last", params["last"]), now)
            limits = params["status"].get("limits") or {}
            report = build(list(_firewalls(variables)), list(_servers(variables)), past, limits, now)
            path = os.path.abspath(params["path"])
            if not self._task.check_mode:
                write(path, render(report))
        except IntrusionResponseError as error:
            return {**result, "failed": True, **error.as_result(), "warnings": warnings}
        return {**result, "changed": False, "path": path, "blocked": report.hosts, "warnings": warnings}


def _past(ledger: Ledger, since: float, now: float) -> Past:
    """Return the content of the ledger; if it cannot be read, the report says so."""
    place = ledger.place or "none"
    try:
        if not ledger.is_there():
            return Past(place, since, problem=f"there is no ledger {place}.")
        records, _total = ledger.find(Filter(since=since))
        standing, exemptions = ledger.standing(Filter(), now), exempt(ledger, Filter(), now)
        return Past(place, since, records, standing, exempt=exemptions, shared=ledger.path is None)
    except LedgerUnusable as error:
        return Past(place, since, problem=error.message)


def _firewalls(variables: Mapping[str, Any]) -> Iterator[Firewall]:
    """Yield what was read from the firewalls of the play; localhost may not represent any."""
    for host in variables["ansible_play_hosts_all"]:
        kept = told(variables["hostvars"], host)
        url, read = kept.get(ADDRESS), kept.get(READ) or {}
        if url == "":
            continue
        if url is None or read.get("failed") or "entries" not in read:
            yield Firewall(host, url or "", None, clean(read.get("msg") or "Its address is unknown."))
        else:
            yield Firewall(host, url, read["entries"])


def _servers(variables: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what was read about the servers, in the order of the inventory."""
    for host in variables["hostvars"]:
        result = told(variables["hostvars"], host).get("protect_result")
        if result and not result.get("skipped"):
            yield {"server_name": host, **result}


def write(path: str, page: str) -> None:
    """Write the page, completely or not at all; raises InvalidInput if that fails."""
    path = os.path.realpath(path)
    try:
        try:
            mode = os.stat(path).st_mode & 0o777
        except FileNotFoundError:
            mask = os.umask(0o077)
            os.umask(mask)
            mode = 0o666 & ~mask
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".report-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                file.write(page)
                os.fchmod(file.fileno(), mode)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise InvalidInput(f"The report cannot be written to {clean(path)}: {error.strerror}.") from None
