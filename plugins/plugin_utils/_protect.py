# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the variables of the role protect into requests to the service, for one server and for all of a play."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Optional

from ansible.errors import AnsibleError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.parsing.convert_bool import boolean

from ..filter.destination_list import destination_list
from ..module_utils._core.call import Call
from ..module_utils._core.each import Progress
from ..module_utils._core.errors import IntrusionResponseError, InvalidInput
from ..module_utils._core.module import masked, validated
from ..module_utils._core.options import IPS_CONNECTION, integer_between, path_name
from ..module_utils._core.text import clean
from ..module_utils._core.wire import REQUESTS_IMPORT_ERROR
from ..module_utils._ips import fleet
from ..module_utils._ips.client import IpsClient
from ..modules import ips_servers

MODULE = "intrusion.response.ips_servers"
GROUP = "group/intrusion.response.ips"
PREFIX = "protect_"
CONNECTION = tuple(option.name for option in IPS_CONNECTION)
OWN = ("server_name", "detection", "check_server", "destinations", "purge", "keep_destinations", "verify_timeout", "wait", "wait_timeout",
       "wait_delay", "agent_path_linux", "agent_path_windows", "fail")  # fmt: skip
VARIABLES = tuple(PREFIX + name for name in (*CONNECTION, *OWN))
DETECTION = {"auto": ("receipt", "api"), "host": ("receipt", "api"), "receipt": ("receipt",), "api": ("api",), "none": ()}
DONE = ("changed", "agent", "agent_changed", "destinations", "destinations_changed")
NOTHING_DONE = {"changed": False, "agent": None, "agent_changed": False, "destinations": None, "destinations_changed": False}


class Entry(NamedTuple):
    """What an entry point of the role manages."""

    state: str = "present"
    manage: tuple[str, ...] = ("agent", "destinations")


ENTRIES = {
    "main": Entry(),
    "install": Entry(manage=("agent",)),
    "notify": Entry(manage=("destinations",)),
    "remove": Entry(state="absent"),
    "remove_agent": Entry("absent", ("agent",)),
    "remove_destinations": Entry("absent", ("destinations",)),
    "report": Entry(manage=()),
}
#: Which entry point is left of one that does two things when tags choose one of the things.
TAGGED = {
    "main": {"protect_agent": "install", "protect_destinations": "notify"},
    "remove": {"protect_agent": "remove_agent", "protect_destinations": "remove_destinations"},
}


@dataclass(frozen=True)
class Request:
    """The request in the variables of one server.

    Attributes:
        params: validated options of the module, including those of the connection.
        wanted: the desired state of the server.
        detection: the value of the variable.
        paths: of the agent, on Linux and on Windows.
        wait: seconds to wait for the agent, and between two checks; None without waiting.
        secrets: values that must not be shown.
    """

    params: Mapping[str, Any]
    wanted: fleet.Wanted
    detection: str
    paths: tuple[str, str]
    wait: Optional[tuple[int, float]]
    secrets: frozenset[str]

    def of(self, *manage: str) -> Request:
        """Return the same request for only a part of what is managed."""
        left_out = {name: None for name in ("agent", "destinations") if name not in manage}
        return replace(self, wanted=replace(self.wanted, **left_out))  # type: ignore[arg-type]

    def named(self, server_name: str) -> Request:
        """Return the same request for another server."""
        wanted = replace(self.wanted, server_name=server_name)
        for part in ("agent", "destinations"):
            if getattr(wanted, part) is not None:
                wanted = replace(wanted, **{part: replace(getattr(wanted, part), server_name=server_name)})
        return replace(self, wanted=wanted)

    def knowing(self, installed: Optional[bool]) -> Request:
        """Return the same request with what was found on the host."""
        if self.wanted.agent is None:
            return self
        return replace(self, wanted=replace(self.wanted, agent=replace(self.wanted.agent, installed=installed)))


def chosen(entry: str, tags: Collection[str], run: Collection[str], skip: Collection[str]) -> str:
    """Return what is left of an entry point when a run is limited by tags.

    Args:
        tags: of the task, among them those of both things that the entry point does.
        run, skip: ansible_run_tags and ansible_skip_tags.
    """
    parts = TAGGED.get(entry, {})
    as_a_whole = {"all", "tagged"} & set(run) or (set(tags) - set(parts)) & {*run, "always"}
    left = [name for tag, name in parts.items() if (as_a_whole or tag in run) and tag not in skip]
    return left[0] if len(left) == 1 else entry


class Reader:
    """Reads requests; those that differ only in the server's name are validated once."""

    def __init__(self, entry: str) -> None:
        self._entry = entry
        self._seen: dict[str, Request] = {}

    def read(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Request:
        """Like read_request()."""
        rest = {name: value for name, value in values.items() if name != "server_name"}
        key = json.dumps([rest, defaults], sort_keys=True, default=repr)
        if key not in self._seen:
            self._seen[key] = read_request(values, self._entry, defaults)
        return self._seen[key].named(path_name("server_name", str(values["server_name"])))


def read_request(values: Mapping[str, Any], entry: str, defaults: Mapping[str, Any]) -> Request:
    """Validate the variables of a server.

    Args:
        values: the variables without their prefix; empty ones count as not given.
        entry: the entry point.
        defaults: options from module_defaults.

    Raises:
        InvalidInput: before anything is sent.
    """
    if REQUESTS_IMPORT_ERROR is not None:
        raise InvalidInput(f"{missing_required_lib('requests')}.")
    given = {name: value for name, value in values.items() if value is not None and value != ""}
    state, manage = ENTRIES[entry]
    detection = str(given.get("detection", "auto"))
    if detection not in DETECTION:
        raise InvalidInput(f"{PREFIX}detection must be one of {', '.join(DETECTION)}; got {clean(detection, 80)!r}.")
    setting = state == "present" and "destinations" in manage
    try:
        destinations = destination_list(given.get("destinations")) if setting else []
    except AnsibleError as error:
        raise InvalidInput(str(error)) from None
    server: dict[str, Any] = {
        "server_name": given.get("server_name"), "state": state, "detection": list(DETECTION[detection]), "destinations": destinations,
        **{name: given[name] for name in ("check_server", "verify_timeout") if name in given},
    }  # fmt: skip
    if state == "present":
        server["purge"] = given.get("purge", False)
        keeping = not destinations and not truth("purge", given, False)
    else:
        keeping = truth("keep_destinations", given, False)
    managed = [part for part in manage if part == "agent" or not keeping]
    server["manage"] = managed or ["agent"]
    arguments = {**defaults, **{name: given[name] for name in CONNECTION if name in given}, "servers": [server]}
    params, secrets = validated(MODULE, ips_servers.ARGUMENT_SPEC, arguments)
    try:
        (wanted,) = fleet.Request.from_params(params).servers
    except InvalidInput as error:
        raise InvalidInput(error.message.removeprefix("servers[0]: "), hint=error.hint) from None
    if not managed:
        wanted = replace(wanted, agent=None)
    wait = None
    if truth("wait", given, False) and wanted.agent is not None:
        timeout = integer_between(f"{PREFIX}wait_timeout", given.get("wait_timeout", 600), 0, 86400)
        wait = timeout, max(0.1, float(integer_between(f"{PREFIX}wait_delay", given.get("wait_delay", 5), 0, 86400)))
    paths = str(given.get("agent_path_linux", "")), str(given.get("agent_path_windows", ""))
    return Request(params, wanted, detection, paths, wait, frozenset(secrets))


def truth(name: str, given: Mapping[str, Any], default: bool) -> bool:
    """Return a variable as a boolean; raises InvalidInput."""
    value = given.get(name)
    try:
        return default if value is None or value == "" else bool(boolean(value))
    except TypeError:
        raise InvalidInput(f"{PREFIX}{name} must be true or false; got {clean(given[name], 80)!r}.") from None


def carry_out(requests: Mapping[str, Request], *, reading: bool, check_mode: bool, progress: Progress) -> dict[str, dict[str, Any]]:
    """Carry out the requests of many servers, those with the same connection settings together, and return the result of each.

    Args:
        requests: by name of the host. If several hosts represent the same server, their requests are sent one after the other.
        reading: whether to only read the destinations.
    """
    groups: dict[str, dict[str, Request]] = {}
    seen: dict[str, int] = {}
    for host, request in requests.items():
        name = request.wanted.server_name.upper()
        seen[name] = seen.get(name, 0) + 1
        settings = {option: request.params[option] for option in CONNECTION if option != "account_alias"}
        groups.setdefault(json.dumps([seen[name], settings], sort_keys=True), {})[host] = request
    results: dict[str, dict[str, Any]] = {}
    for _key, group in sorted(groups.items()):
        results.update(_carry_out(group, reading, check_mode, progress))
    return results


def _carry_out(group: Mapping[str, Request], reading: bool, check_mode: bool, progress: Progress) -> dict[str, dict[str, Any]]:
    call = Call(params=next(iter(group.values())).params, check_mode=check_mode or reading, progress=progress)
    wanted = tuple(request.wanted for request in group.values())
    try:
        with IpsClient.for_accounts(call) as client:
            rows = fleet.look(client, wanted, agents=True) if reading else fleet.work(client, fleet.Request(wanted), check_mode=check_mode)
    except IntrusionResponseError as error:
        return {host: outcome(request.wanted.server_name, error) for host, request in group.items()}
    results = {}
    for (host, request), row in zip(group.items(), rows):
        results[host] = masked(_result(row), set(request.secrets))
    return results


def _result(row: fleet.Row) -> dict[str, Any]:
    """Return the result of a server, with its diff and its warnings."""
    values = row.result()
    result = {**outcome(row.wanted.server_name, row.failure), **{name: values[name] for name in DONE}, "warnings": row.warnings}
    if row.changed:
        result["diff"] = {side: row.diff(side) for side in ("before", "after")}
    return result


def outcome(server_name: str, failure: Optional[IntrusionResponseError] = None) -> dict[str, Any]:
    """Return the result of a server about which only the failure is known, if anything."""
    values = failure.as_result() if failure else {}
    return {
        "server_name": server_name, **NOTHING_DONE, "unseen": False,
        "reason": values.get("msg"), "code": values.get("code"),
        "changed": bool(failure and failure.changed),
    }  # fmt: skip
