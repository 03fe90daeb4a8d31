# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many servers as one resource: one login, one wait for all, and a result for each server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Protocol

from .._core.errors import IntrusionResponseError, InvalidInput, NotAttempted, ServersFailed
from .._core.options import integer_between, path_name
from .._core.text import clean
from . import agent, notification
from .login import check_account

#: How many failures, and warnings, are quoted if there are many.
EXAMPLES_SHOWN = 3
#: About how many requests a server takes at most: to write, without reading back; and to read.
WRITING, READING = 4, 1
NO_FAILURE = dict.fromkeys(("code", "http_status", "retryable", "hint", "msg"))
NOTHING_KNOWN = dict.fromkeys(("account_alias", "destinations"))

Warn = Callable[[str], None]


class Service(Protocol):
    """What the resource needs of a client."""

    def of_account(self, account_alias: Optional[str], warn: Warn) -> Any:
        """Return the view of an account (None for that of the login) for agent and notification."""

    def each(self, function: Callable[[Any], None], items: Iterable[Any], requests: int) -> None:
        """Call function, which must not raise and sends about that many requests, for every item."""


@dataclass(frozen=True)
class Wanted:
    """The desired state of one server; None for what is left alone.

    Attributes:
        remarks: warnings about the request itself.
    """

    server_name: str
    account_alias: Optional[str] = None
    agent: Optional[agent.Wanted] = None
    destinations: Optional[notification.Wanted] = None
    remarks: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Wanted:
        """Validate the options of one server; raises InvalidInput."""
        check_account(params)
        managed, absent = params["manage"], params["state"] == "absent"
        if not managed:
            raise InvalidInput("manage must contain agent, destinations, or both.")
        if absent and (params["destinations"] or params["purge"]):
            raise InvalidInput("destinations and purge require state: present; state: absent removes all destinations.")
        wanted_agent = agent.Wanted.from_params({"installed": None, "agent_path": None, "wait": False, "wait_timeout": 1, **params})
        integer_between("verify_timeout", params["verify_timeout"], *notification.VERIFY_TIMEOUTS)
        wanted_destinations = None
        remarks: list[str] = []
        # Without destinations they are left alone, unless nothing else is managed.
        if "destinations" in managed and (absent or params["destinations"] or params["purge"] or "agent" not in managed):
            checked = {**params, "check_server": params["check_server"] and not absent}
            wanted_destinations = notification.Wanted.from_params(checked, remarks.append)
        return cls(
            wanted_agent.server_name,
            params["account_alias"] or None,
            wanted_agent if "agent" in managed else None,
            wanted_destinations,
            tuple(remarks),
        )


@dataclass(frozen=True)
class Request:
    """A validated request for many servers."""

    servers: tuple[Wanted, ...]
    stop: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Validate module options; raises InvalidInput before anything is sent, with the position of the invalid server."""
        integer_between("concurrency", params["concurrency"], 1, 64)
        servers = []
        for index, given in enumerate(_own(params)):
            # The task's destinations apply only to servers with state: present.
            leaving = given.get("state") == "absent" and params["state"] == "present"
            shared = {**params, "destinations": [], "purge": False} if leaving else params
            with _naming(index):
                servers.append(Wanted.from_params({**shared, **given}))
        return cls(tuple(servers), params["on_error"] == "stop")


@dataclass(eq=False)
class Row:
    """The progress of one server.

    Attributes:
        service: the client's view of the server's account.
        warnings: the warnings about this server.
        known: what is known about the agent, if the task only reads.
        agent: what was done about the agent, or is predicted.
        destinations: the same for the destinations.
        written: what has to be read back, if anything.
        found: the destinations that were read, if the task only reads.
        failure: why it ended early.
        doubtful: what the failed request may have changed, "agent" or "destinations".
    """

    wanted: Wanted
    service: Any
    warnings: list[str]
    known: Optional[agent.Evidence] = None
    agent: Optional[agent.Outcome] = None
    destinations: Optional[notification.Outcome] = None
    written: Optional[notification.Written] = None
    found: Optional[dict[str, Any]] = None
    failure: Optional[IntrusionResponseError] = None
    doubtful: Optional[str] = None

    def run(self, check_mode: bool) -> None:
        """Do everything except reading back: the agent first, since the destinations may be evidence of it."""
        part = "agent"
        try:
            if self.wanted.agent is not None:
                self.agent = agent.ensure(self.service, self.wanted.agent, check_mode=check_mode)
            part = "destinations"
            if self.wanted.destinations is not None:
                self.destinations, self.written = notification.write(self.service, self.wanted.destinations, check_mode=check_mode)
        except IntrusionResponseError as error:
            self.fail(error, part)

    def fail(self, error: IntrusionResponseError, part: str) -> None:
        """Note why the server failed, and at which part."""
        self.failure = error
        self.doubtful = part if error.changed else None

    def take_over(self) -> None:
        """Use what was read back."""
        if self.written is not None and self.written.failure is not None:
            self.destinations = None
            self.fail(self.written.failure, "destinations")
        elif self.written is not None:
            self.destinations = self.written.outcome

    @property
    def agent_changed(self) -> bool:
        """Whether the agent changed, or may have."""
        return self.doubtful == "agent" or (self.agent is not None and self.agent.plan.changed)

    @property
    def destinations_changed(self) -> bool:
        """Whether the destinations changed, or may have."""
        return self.doubtful == "destinations" or (self.destinations is not None and self.destinations.plan.changed)

    @property
    def changed(self) -> bool:
        """Whether anything changed, or may have."""
        return self.agent_changed or self.destinations_changed

    def result(self) -> dict[str, Any]:
        """Return the server's part of the return values."""
        shown = self.destinations.result() if self.destinations else self.found or NOTHING_KNOWN
        acted_on = self.agent.account_alias if self.agent else None
        return {
            "server_name": self.wanted.server_name,
            "account_alias": shown["account_alias"] or acted_on or self.wanted.account_alias,
            "agent": self._shown_agent(shown["account_alias"] or self.wanted.account_alias),
            "agent_changed": self.agent_changed,
            "destinations": shown["destinations"],
            "destinations_changed": self.destinations_changed,
            "warnings": self.warnings,
            **_end(self.failure),
            "changed": self.changed,
        }

    def _shown_agent(self, account_alias: Optional[str]) -> Optional[dict[str, Any]]:
        if self.known is not None:
            return agent.shown(self.wanted.server_name, account_alias, self.known.word, self.known.source)
        return self.agent.result()["agent"] if self.agent else None

    def diff(self, side: str) -> dict[str, Any]:
        """Return one side, "before" or "after", of what changes."""
        shown: dict[str, Any] = {"server_name": self.wanted.server_name}
        if self.agent is not None and self.agent.plan.changed:
            shown["agent"] = self.agent.plan.diff[side]["state"]
        if self.destinations is not None and self.destinations.plan.changed:
            shown.update(self.destinations.plan.diff[side])
        return shown


def ensure(service: Service, request: Request, *, check_mode: bool) -> dict[str, Any]:
    """Bring all servers to the desired state, and return module return values, including failures."""
    rows = work(service, request, check_mode=check_mode)
    changed = [row for row in rows if row.changed]
    diff = {side: {"servers": [row.diff(side) for row in changed]} for side in ("before", "after")}
    return {**_together(rows, [row.result() for row in rows]), "diff": diff}


def work(service: Service, request: Request, *, check_mode: bool) -> list[Row]:
    """Bring all servers to the desired state, and return the progress of each."""
    rows = [_row(service, wanted) for wanted in request.servers]
    failed: list[Row] = []

    def run(row: Row) -> None:
        if failed and request.stop:
            row.failure = NotAttempted("Not attempted, because another server failed.")
        else:
            row.run(check_mode)
        if row.failure:
            failed.append(row)

    service.each(run, rows, WRITING)
    written = [row.written for row in rows if row.written is not None]
    if written:
        notification.settle(written, lambda function, items: service.each(function, items, READING))
        for row in rows:
            row.take_over()
    return rows


def read(service: Service, servers: Sequence[Wanted]) -> dict[str, Any]:
    """Return the destinations of servers as module return values, including failures."""
    rows = look(service, servers, agents=False)
    left_out = {"agent", "agent_changed", "destinations_changed"}
    return _together(rows, [{name: value for name, value in row.result().items() if name not in left_out} for row in rows])


def look(service: Service, servers: Sequence[Wanted], *, agents: bool) -> list[Row]:
    """Read the destinations of servers and, if requested, what is known about their agents; return the progress of each."""
    rows = [_row(service, wanted) for wanted in servers]

    def run(row: Row) -> None:
        name = row.wanted.server_name
        try:
            row.found = notification.read(row.service, name)
        except IntrusionResponseError as error:
            row.fail(error, "destinations")
        if not agents:
            return
        with suppress(IntrusionResponseError):  # of a login that failed, which the destinations have told
            row.known = agent.known(row.service, name, (row.found or NOTHING_KNOWN)["destinations"])

    service.each(run, rows, READING)
    return rows


def servers_to_read(params: Mapping[str, Any]) -> tuple[Wanted, ...]:
    """Validate the option servers of an info module; raises InvalidInput, with the position of the invalid server."""
    integer_between("concurrency", params["concurrency"], 1, 64)
    servers = []
    for index, given in enumerate(_own(params)):
        merged = {**params, **given}
        with _naming(index):
            check_account(merged)
            servers.append(Wanted(path_name("server_name", merged["server_name"]), merged["account_alias"] or None))
    return tuple(servers)


def quoted(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the warnings of all servers, or some of them if there are many; all are in the results."""
    said = list(dict.fromkeys(text for result in results for text in result["warnings"]))
    if len(said) > EXAMPLES_SHOWN:
        said[EXAMPLES_SHOWN:] = [f"There are {len(said) - EXAMPLES_SHOWN} more warnings, each in the result of its server."]
    return said


def _own(params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the options that each server sets; raises InvalidInput for a server that is given twice, regardless of case."""
    seen: dict[str, int] = {}
    for index, given in enumerate(params["servers"]):
        name = str(given["server_name"]).strip()
        first = seen.setdefault(name.upper(), index)
        if first != index:
            raise InvalidInput(f"servers[{first}] and servers[{index}] are both {name!r}.")
    return [{name: value for name, value in given.items() if value is not None} for given in params["servers"]]


@contextmanager
def _naming(index: int) -> Iterator[None]:
    """Add the position of the server to InvalidInput."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"servers[{index}]: {error.message}", hint=error.hint) from None


def _row(service: Service, wanted: Wanted) -> Row:
    said = list(wanted.remarks)

    def warn(message: str) -> None:
        message = clean(message)
        if message not in said:
            said.append(message)

    return Row(wanted, service.of_account(wanted.account_alias, warn), said)


def _end(failure: Optional[IntrusionResponseError]) -> dict[str, Any]:
    return {**(failure.as_result() if failure else NO_FAILURE), "failed": failure is not None}


def _together(rows: Sequence[Row], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the return values of the task."""
    together: dict[str, Any] = {"changed": any(result["changed"] for result in results), "servers": results}
    failures = [(row.wanted.server_name, row.failure) for row in rows if row.failure is not None]
    if failures:
        examples = [(name, failure.message) for name, failure in failures[:EXAMPLES_SHOWN]]
        shown = "; ".join(message if name in message else f"{name}: {message}" for name, message in examples)
        more = f"; and {len(failures) - EXAMPLES_SHOWN} more" if len(failures) > EXAMPLES_SHOWN else ""
        error = ServersFailed(f"{len(failures)} of {len(rows)} servers failed. {shown}{more}", changed=together["changed"])
        together.update(error.as_result(), failed=True, retryable=all(failure.retryable for _name, failure in failures))
    return together
