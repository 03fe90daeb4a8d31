# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as a resource. The API cannot read its state, so every decision names the evidence that it is based on."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

from .._core.errors import (
    BadResponse,
    IntrusionResponseError,
    InvalidInput,
    NotPermitted,
    NotVerified,
    RateLimited,
    Rejected,
    ServerFault,
    TimeoutUnknown,
)
from .._core.options import integer_between, path_name
from .._core.plan import Plan
from .._core.state import StateDir

RECEIPTS = "receipts"
POLL = 1.0
#: Seconds for which an accepted request counts as under way. How long the work takes is not documented; a script package
#: that runs through a queue takes minutes (ips-api.md 2.2).
UNDER_WAY = 1800
#: Failures that concern only the destinations, without which the agent can still be managed.
UNREADABLE = (BadResponse, NotPermitted, RateLimited, Rejected, ServerFault, TimeoutUnknown)

#: The states that a task reports, by evidence; "installed" only on reliable evidence.
WORDS = {
    ("host", True): "installed",
    ("host", False): "not_installed",
    ("answer", True): "installed",
    ("answer", False): "not_installed",
    ("receipt", True): "install_accepted",
    ("receipt", False): "uninstall_accepted",
    ("api", True): "registered",
    ("none", None): "unknown",
}

Warn = Callable[[str], None]


class Service(Protocol):
    """What the resource needs of a client."""

    url: str
    state: StateDir
    warn: Warn

    @property
    def account_alias(self) -> str:
        """The account acted on; determining it may require a login."""

    def install(self, server_name: str) -> bool:
        """Request an agent; return False if there is one already."""

    def uninstall(self, server_name: str) -> bool:
        """Request the agent's removal; return False if there is none."""

    def destinations(self, server_name: str) -> list[dict[str, Any]]:
        """Return the raw destinations."""

    def check_server(self, server_name: str) -> None:
        """Raise NotFound for a server that the account does not have."""


@dataclass(frozen=True)
class Wanted:
    """A validated request for one server's agent; times in seconds."""

    server_name: str
    state: str = "present"
    installed: Optional[bool] = None
    agent_path: Optional[str] = None
    detection: tuple[str, ...] = ("receipt", "api")
    check_server: bool = False
    wait: bool = False
    wait_timeout: int = 600

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Wanted:
        """Validate module options; raises InvalidInput before anything is sent."""
        if params["wait"] and not params["agent_path"]:
            raise InvalidInput("wait requires agent_path: the service cannot be asked whether an agent is installed.")
        return cls(
            server_name=path_name("server_name", params["server_name"]),
            state=params["state"],
            installed=params["installed"],
            agent_path=params["agent_path"],
            detection=tuple(params["detection"]),
            check_server=params["check_server"],
            wait=params["wait"],
            wait_timeout=integer_between("wait_timeout", params["wait_timeout"], 1, 86400),
        )


@dataclass(frozen=True)
class Evidence:
    """What is known about the agent, and its source: host, receipt, api, answer or none."""

    source: str
    present: Optional[bool] = None

    @property
    def word(self) -> str:
        """The state as returned."""
        return WORDS[self.source, self.present]


@dataclass(frozen=True)
class Outcome:
    """What was done or is predicted."""

    server_name: str
    account_alias: Optional[str]
    plan: Plan[str]
    evidence: str

    def result(self) -> dict[str, Any]:
        """Return the module's return values."""
        agent = shown(self.server_name, self.account_alias, self.plan.after["state"], self.evidence)
        return {"changed": self.plan.changed, "agent": agent, "diff": self.plan.diff}


def shown(server_name: str, account_alias: Optional[str], state: str, evidence: str) -> dict[str, Any]:
    """Return an agent as it is returned."""
    return {"server_name": server_name, "account_alias": account_alias, "state": state, "evidence": evidence}


def plan_agent(wanted: Wanted, evidence: Evidence) -> Plan[str]:
    """Compare, and act unless the evidence says that there is nothing to do. The operations are "install" and "uninstall"."""
    before = {"server_name": wanted.server_name, "state": evidence.word}
    if evidence.present == (wanted.state == "present"):
        return Plan(before, before)
    if wanted.state == "present":
        return Plan(before, {**before, "state": "install_accepted"}, ("install",))
    return Plan(before, {**before, "state": "uninstall_accepted"}, ("uninstall",))


@dataclass(frozen=True)
class Receipt:
    """The last request of this collection that the service accepted.

    Attributes:
        present: whether it was for an installation.
        under_way: whether it is so recent that the host may not show its effect yet.
    """

    present: bool
    under_way: bool


def weigh(wanted_present: bool, seen: Optional[bool], receipt: Optional[Receipt]) -> Optional[Evidence]:
    """Return the combined evidence of host and receipt; None if there is neither.

    A recent request is not visible on the host yet, so the receipt says what will be there. Later the host
    is more reliable, with one exception: for a removal, a requested installation counts however old it is. It may have waited for a
    server that was off, the agent is charged for until it is removed, and an unnecessary removal does no harm (ips-api.md 2.4 and 2.5).
    """
    if receipt is not None and receipt.present != seen:
        unwanted = receipt.present and not wanted_present
        if seen is None or receipt.under_way or unwanted:
            return Evidence("receipt", receipt.present)
    return None if seen is None else Evidence("host", seen)


def gather(service: Service, wanted: Wanted) -> Evidence:
    """Return the decisive evidence: host and receipt weighed together, the others in the order of the option detection."""
    seen = wanted.installed
    if seen is None and wanted.agent_path is not None:
        seen = os.path.exists(wanted.agent_path)
    present = wanted.state == "present"
    for source in wanted.detection if seen is None else {"receipt"}.intersection(wanted.detection):
        if source == "receipt":
            found = weigh(present, seen, _receipt(service, wanted, seen))
            if found is not None:
                return found
        elif _registered(service, wanted):
            return Evidence("api", True)
    return weigh(present, seen, None) or Evidence("none")


def known(service: Service, server_name: str, destinations: Optional[Sequence[object]]) -> Evidence:
    """Return what can be told of an agent without a look at its host, and without a request.

    Args:
        destinations: of the server, None where they could not be read. That there are none proves nothing.
    """
    receipt = _receipt(service, Wanted(server_name), None)
    if receipt is not None:
        return Evidence("receipt", receipt.present)
    return Evidence("api", True) if destinations else Evidence("none")


def _registered(service: Service, wanted: Wanted) -> bool:
    """Whether the service has destinations for the server; False if they cannot be read."""
    try:
        return bool(service.destinations(wanted.server_name))
    except UNREADABLE as error:
        service.warn(
            f"The destinations of {wanted.server_name}, which would be evidence of an agent, could not be read ({error.code}: "
            f"{error.message}) The agent was managed without them."
        )
        return False


def ensure(service: Service, wanted: Wanted, *, check_mode: bool) -> Outcome:
    """Bring the agent to the desired state, as far as the service allows.

    Raises:
        NotVerified: the agent did not appear at agent_path, or disappear from it, in time; and whatever the client raises.
    """
    evidence = gather(service, wanted)
    if evidence.source == "host" and not check_mode:
        _settle(service, wanted, evidence)
    plan = plan_agent(wanted, evidence)
    alias = None
    if plan.changed or evidence.source != "host":
        alias = service.account_alias
    if not plan.changed:
        return Outcome(wanted.server_name, alias, plan, evidence.source)
    if wanted.check_server:
        service.check_server(wanted.server_name)
    if check_mode:
        return Outcome(wanted.server_name, alias, plan, evidence.source)
    installing = wanted.state == "present"
    # If the path already looks as desired, because other work is under way, waiting would prove nothing.
    telling = wanted.agent_path is not None and os.path.exists(wanted.agent_path) != installing
    if not _ask(service, wanted, installing):
        _refuse_too_early(service, wanted, installing)
        _forget(service, wanted)
        if evidence.present is not None:
            service.warn(
                f"The service answered that the agent of {wanted.server_name} is already {'installed' if installing else 'removed'}, "
                f"contrary to the evidence ({evidence.source})."
            )
        answered = plan_agent(wanted, Evidence("answer", installing))
        return Outcome(wanted.server_name, alias, answered, "answer")
    if wanted.wait and not telling:
        service.warn(
            f"{wanted.agent_path} already {'existed' if installing else 'was missing'} when the request was sent, because other work is "
            "under way on the server, so there was nothing to wait for. Check again later."
        )
    elif wanted.wait:
        _wait(wanted.agent_path or "", installing, wanted)
        seen = Evidence("host", installing)
        return Outcome(wanted.server_name, alias, Plan(plan.before, {**plan.after, "state": seen.word}, plan.operations), "host")
    return Outcome(wanted.server_name, alias, plan, evidence.source)


def _refuse_too_early(service: Service, wanted: Wanted, installing: bool) -> None:
    """Raise NotVerified if the service knows of no agent to remove, but recently accepted an installation."""
    receipt = _receipt(service, wanted, None) if "receipt" in wanted.detection and not installing else None
    if receipt is not None and receipt.present and receipt.under_way:
        raise NotVerified(
            f"The service knows of no agent on {wanted.server_name} yet, but accepted its installation within the last "
            f"{UNDER_WAY // 60} minutes, so it may still arrive.",
            hint="Run the task again when the installation is done.",
        )


def _ask(service: Service, wanted: Wanted, installing: bool) -> bool:
    """Send the request and keep a receipt; return False if the service says that there is nothing to do."""
    act = service.install if installing else service.uninstall
    try:
        acted = act(wanted.server_name)
    except IntrusionResponseError as error:
        if error.outcome_unknown:
            error.changed = True
            error.hint = "The service may have accepted the request. Check the host before running the task again."
        raise
    key = _receipt_key(service, wanted)
    if acted:
        by_account = service.state.read(RECEIPTS, key) or {}
        kept = {"state": wanted.state, "at": int(time.time())}
        service.state.write(RECEIPTS, key, {**by_account, service.account_alias.upper(): kept})
    return acted


def _forget(service: Service, wanted: Wanted) -> None:
    """Discard a receipt that the service contradicted, so that the next run does not use it again."""
    key = _receipt_key(service, wanted)
    by_account = service.state.read(RECEIPTS, key) or {}
    kept = {alias: receipt for alias, receipt in by_account.items() if alias != service.account_alias.upper()}
    if kept != by_account:
        service.state.write(RECEIPTS, key, kept)


def _wait(path: str, installing: bool, wanted: Wanted) -> None:
    end = time.monotonic() + wanted.wait_timeout
    while os.path.exists(path) != installing:
        if time.monotonic() >= end:
            verb, became = ("installation", "appear at") if installing else ("removal", "disappear from")
            raise NotVerified(
                f"The service accepted the {verb} of the agent of {wanted.server_name}, but it did not {became} "
                f"{path} within {wanted.wait_timeout} s.",
                changed=True,
            )
        time.sleep(POLL)


def _receipt(service: Service, wanted: Wanted, seen: Optional[bool]) -> Optional[Receipt]:
    """Return the receipt for the server; the account, which may require a login, is determined only if it matters."""
    by_account = service.state.read(RECEIPTS, _receipt_key(service, wanted)) or {}
    states = {kept.get("state") for kept in by_account.values() if isinstance(kept, dict)}
    if not states - {"present" if seen else "absent"} and seen is not None:
        return None
    kept = by_account.get(service.account_alias.upper()) if by_account else None
    if not isinstance(kept, dict) or kept.get("state") not in ("present", "absent") or not isinstance(kept.get("at"), (int, float)):
        return None
    return Receipt(kept["state"] == "present", 0 <= time.time() - kept["at"] < UNDER_WAY)


def _settle(service: Service, wanted: Wanted, evidence: Evidence) -> None:
    """Note that the request took effect, so that it is no longer under way, and an agent that is lost later is requested again."""
    key, state = _receipt_key(service, wanted), "present" if evidence.present else "absent"
    kept = service.state.read(RECEIPTS, key) or {}
    done = {alias for alias, one in kept.items() if isinstance(one, dict) and one.get("state") == state and one.get("at")}
    if done:
        service.state.write(RECEIPTS, key, {alias: {**one, "at": 0} if alias in done else one for alias, one in kept.items()})


def _receipt_key(service: Service, wanted: Wanted) -> tuple[str, ...]:
    return service.url, wanted.server_name.upper()
