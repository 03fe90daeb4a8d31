# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role protect: sends the requests for all servers of a play together, and reports each host's outcome.

A task for a host costs Ansible as much time as dozens of requests. So one task, for one of the hosts, sends the requests for all of them,
and one task for each host returns the host's part without a request. If a host must be checked, or the first task cannot be sure that
it takes part, its own task sends its requests.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ansible import constants
from ansible.errors import AnsibleError
from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.loader import become_loader, connection_loader
from ansible.template import Templar

from ..filter.protect_summary import result_of
from ..module_utils._core.errors import IntrusionResponseError, InvalidInput
from ..module_utils._core.text import clean
from ..modules import ips_servers
from ..plugin_utils._in_process import prepare
from ..plugin_utils._look import LookingAction
from ..plugin_utils._progress import Progress
from ..plugin_utils._protect import GROUP, MODULE, PREFIX, VARIABLES, Reader, Request, carry_out, chosen, outcome, truth

prepare(ips_servers.ARGUMENT_SPEC)
#: Strategies that keep all hosts at the same task, and run a task with run_once for one of them.
LOCKSTEP = {"linear", "debug", "mitogen_linear"}
#: The variables with which a task begins, but not the passwords, whose templates may be slow.
CONNECTED_BY = tuple(name for names in constants.MAGIC_VARIABLE_MAPPING.values() for name in names if "pass" not in name)
LOCAL = ("local", "ansible.builtin.local")
#: The role's variables with the name of its entry point, and with what was done for all hosts.
ENTRY = "__protect_entry"
REGISTERED = "__protect_together"


class ActionModule(LookingAction):
    """Action plugin of the role."""

    _supports_check_mode = True
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"together"})

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the documented result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        tags = self._templar.template(list(self._task.tags))
        entry = chosen(str(variables[ENTRY]), tags, variables["ansible_run_tags"], variables["ansible_skip_tags"])
        if self._task.args.get("together"):
            servers = self._together(entry, variables) if self._all_take_part() else {}
            number = self._run_number(variables, variables["ansible_play_hosts_all"]) if self._is_lockstep() else None
            return {**result, "changed": False, "entry": entry, "play": self._task.play._uuid, "run": number, "servers": servers}
        before = variables.get(REGISTERED)
        together = before if isinstance(before, Mapping) and before.get("entry") == entry else {}
        part = together.get("servers", {}).get(variables["inventory_hostname"]) or self._alone(entry, variables)
        run = together.get("run") or self._run_number(variables, [variables["inventory_hostname"]])
        told = {"msg": f"{part['server_name']}: {part['reason']}"} if part["code"] else {}
        shown = {name: value for name, value in part.items() if name != "diff" or self._task.diff}
        failed = bool(part["code"]) and self._fails(variables)
        return {**result, **shown, **told, "play": self._task.play._uuid, "run": run, "failed": failed}

    def _fails(self, variables: Mapping[str, Any]) -> bool:
        """Whether a failure makes the host fail in Ansible; true if the variable cannot be read."""
        try:
            return truth("fail", {"fail": _filled(variables.get("protect_fail"), self._templar)}, True)
        except Exception:
            return True

    def _together(self, entry: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of each host that certainly takes part in this task and need not be checked."""
        requests: dict[str, Request] = {}
        reader = Reader(entry)
        hosts, everyone = variables["ansible_play_batch"], variables["ansible_play_hosts_all"]
        manager, inventory = variables["hostvars"]._variable_manager, variables["hostvars"]._inventory
        for name in hosts:
            host = inventory.get_host(name)
            own = manager.get_vars(play=self._task.play, host=host, task=self._task, _hosts=hosts, _hosts_all=everyone)
            try:
                request = self._request(reader, own)
                connection = self._connection_of(own)
            except Exception:  # noqa: S112  whatever a template raises; the host's own task will report it
                continue
            if not self._to_be_looked_at(request, own, connection):
                requests[name] = request
        return self._carry_out(entry, requests)

    def _connection_of(self, variables: dict[str, Any]) -> str:
        """Return a host's connection plugin; raises whatever makes its own task, which uses that connection, fail at once."""
        templar = Templar(self._loader, variables=variables)
        given = {name: _filled(variables[name], templar) for name in CONNECTED_BY if name in variables}
        connection = str(given.get("ansible_connection") or self._task.connection or "ssh")
        method = given.get("ansible_become_method")
        if not connection_loader.has_plugin(connection) or (method and not become_loader.has_plugin(str(method))):
            raise AnsibleError("There is no such plugin.")
        return connection

    def _is_lockstep(self) -> bool:
        return str(self._task.play.strategy).rpartition(".")[2] in LOCKSTEP

    def _run_number(self, variables: Mapping[str, Any], hosts: Iterable[str]) -> int:
        """Return a run number that none of the hosts has had in this play."""
        return 1 + max(result_of(variables["hostvars"], host, self._task.play._uuid).get("run", 0) for host in hosts)

    def _all_take_part(self) -> bool:
        """Whether every remaining host of the play runs this task, at the same time and under the same conditions."""
        task = self._task
        if not self._is_lockstep() or isinstance(task, Handler) or task.when or any(task.environment or ()):
            return False
        here = task._role.get_role_path()
        if any(role.get_role_path() != here for role in task.get_dep_chain() or ()):
            return False
        node = task._parent
        while node is not None:
            role = getattr(node, "_role", None)
            is_own = role is not None and role.get_role_path() == here
            if (role is not None and not is_own) or getattr(node, "delegate_to", None) or node.run_once:
                return False
            if isinstance(node, TaskInclude) and not node.statically_loaded:
                return False
            if isinstance(node, Block) and (node.rescue or node.always) and not is_own:
                return False
            node = node._parent
        return True

    def _alone(self, entry: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Check the host if requested, send its requests, and wait."""
        name = variables["inventory_hostname"]
        for environment in self._task.environment or ():
            os.environ.update({key: str(value) for key, value in (self._templar.template(environment) or {}).items()})
        try:
            name = clean(_filled(variables.get(f"{PREFIX}server_name"), self._templar) or name)
            request = self._request(Reader(entry), variables)
            return self._work(entry, request, variables)
        except IntrusionResponseError as error:
            return outcome(name, error)
        except Exception as error:  # whatever a template raises
            return outcome(name, InvalidInput(clean(str(error).splitlines()[0] if str(error) else type(error).__name__)))

    def _work(self, entry: str, request: Request, variables: dict[str, Any]) -> dict[str, Any]:
        host = variables["inventory_hostname"]
        seen, unseen = "unknown", False
        if self._to_be_looked_at(request, variables, self._connection.transport):
            elsewhere = self._task.delegate_to not in (None, host)
            seen, reason = ("unknown", "The task is delegated.") if elsewhere else self.look(request.paths, variables)
            if seen == "unknown" and request.detection == "host":
                part = outcome(request.wanted.server_name)
                return {**part, "code": "host", "reason": f"The host could not be checked for the agent: {reason}"}
            unseen = seen == "unknown"
        request = request.knowing(None if seen == "unknown" else seen == "present")
        wanted = request.wanted.agent and request.wanted.agent.state
        if request.wait is None or self._task.check_mode or seen in ("unknown", wanted):
            return {**self._carry_out(entry, {host: request})[host], "unseen": unseen}
        part = self._carry_out(entry, {host: request.of("agent")})[host]
        if part["code"]:
            return {**part, "unseen": unseen}
        now, _reason = self.look(request.paths, variables, wanted, *request.wait)
        if now != wanted:
            verb = "installation" if wanted == "present" else "removal"
            still = {"present": "was still there", "absent": "was still missing"}.get(now, "could not be checked")
            reason = f"The service accepted the {verb} of the agent, but it {still} after {request.wait[0]} s."
            return {**part, "unseen": unseen, "code": "host", "reason": reason}
        agent = {**part["agent"], "state": "installed" if now == "present" else "not_installed", "evidence": "host"}
        rest = self._carry_out(entry, {host: request.of("destinations")})[host]
        changed = {"changed": part["changed"] or rest["changed"], "agent": agent, "agent_changed": part["agent_changed"]}
        return {**rest, **changed, "unseen": unseen, "warnings": part["warnings"] + rest["warnings"], "diff": _both(part, rest)}

    def _request(self, reader: Reader, variables: dict[str, Any]) -> Request:
        """Return the request in a host's variables; raises InvalidInput, and whatever a template raises."""
        templar = Templar(self._loader, variables=variables)
        given = {name.removeprefix(PREFIX): _filled(variables[name], templar) for name in VARIABLES if name in variables}
        given["server_name"] = given.get("server_name") or variables["inventory_hostname"]
        defaults: dict[str, Any] = {}
        for one in self._task.module_defaults or ():
            defaults.update(one)
        return reader.read(given, {**_filled(defaults.get(GROUP) or {}, templar), **_filled(defaults.get(MODULE) or {}, templar)})

    def _to_be_looked_at(self, request: Request, variables: Mapping[str, Any], connection: str) -> bool:
        """Whether to check the host for the agent. A connection that is local only for this play leads to the controller."""
        if request.wanted.agent is None or request.detection not in ("auto", "host"):
            return False
        if request.detection == "host" or connection not in LOCAL:
            return True
        return "ansible_connection" in variables["hostvars"].raw_get(variables["inventory_hostname"])

    def _carry_out(self, entry: str, requests: Mapping[str, Request]) -> dict[str, dict[str, Any]]:
        progress = Progress(self._task.get_name())
        return carry_out(requests, reading=entry == "report", check_mode=self._task.check_mode, progress=progress)


def _filled(value: Any, templar: Templar) -> Any:
    """Return a variable with its templates rendered, if it has any."""
    return value if _is_plain(value) else templar.template(value)


def _is_plain(value: Any) -> bool:
    """Whether templating leaves a value unchanged: it has no braces, and nothing vaulted."""
    if isinstance(value, Mapping):
        return all(_is_plain(member) for member in value.values())
    if isinstance(value, list):
        return all(_is_plain(member) for member in value)
    return "{" not in value if isinstance(value, str) else value is None or isinstance(value, (bool, int, float))


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {side: {**first.get("diff", {}).get(side, {}), **second.get("diff", {}).get(side, {})} for side in ("before", "after")}
