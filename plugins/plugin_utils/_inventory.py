# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of an inventory's hosts, determined once per play rather than once per task."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..module_utils._core.text import clean
from ..module_utils._cos.guard import parse_address

#: Where Ansible's connections get the address of a host from, apart from its name.
VARIABLES = ("ansible_host", "ansible_ssh_host", "ansible_winrm_host", "ansible_psrp_host")
NAMED = 5
LARGEST_FILE = 100_000_000


class Known(NamedTuple):
    """What is known about the inventory.

    Attributes:
        addresses: IPv4 addresses, each with the name of a host.
        unknown: names of hosts whose variables cannot be read.
    """

    addresses: dict[str, str]
    unknown: list[str]

    @property
    def warning(self) -> str:
        """The warning about unknown hosts; Ansible shows equal warnings once per run."""
        names = ", ".join(clean(name, 100) for name in self.unknown[:NAMED])
        more = f" and {len(self.unknown) - NAMED} more" if len(self.unknown) > NAMED else ""
        return (
            f"The inventory addresses of {names}{more} are unknown, because a template or a vaulted value cannot be read. "
            "Unknown addresses are not protected from being blocked."
        )


NOTHING = Known({}, [])


def known_addresses(task_vars: Mapping[str, Any], loader: DataLoader, play: str) -> Known:
    """Return find_addresses(), computed once for the same play and hosts.

    Ansible runs each task in its own process. They share only a directory that Ansible creates for one run and then removes.

    Args:
        task_vars: of a task, with groups and hostvars.
        loader: for the lookups of templates.
        play: identifies the play in this run.
    """
    try:
        path = Path(constants.DEFAULT_LOCAL_TMP, f"intrusion.response-{_digest(task_vars, play)}.json")  # type: ignore[attr-defined]
        known = _load(path)
        if known is not None:
            return known
        with open(path.with_suffix(".lock"), "ab", opener=functools.partial(os.open, mode=0o600)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the other workers would only find the same addresses
            known = _load(path) or find_addresses(task_vars, loader)
            _save(path, known)
            return known
    except OSError:
        return find_addresses(task_vars, loader)


def find_addresses(task_vars: Mapping[str, Any], loader: DataLoader) -> Known:
    """Return the IPv4 addresses of an inventory's hosts, from their names and VARIABLES, and the hosts whose addresses are unknown."""
    known = Known({}, [])
    hostvars = task_vars["hostvars"]
    templar = Templar(loader)
    for host in task_vars["groups"]["all"]:
        texts = [host]
        try:
            raw = hostvars.raw_get(host)  # much cheaper than hostvars[host], which templates each value again
            for name in VARIABLES:
                if raw.get(name) is not None:
                    texts.append(_text_of(raw[name], {**raw, "hostvars": hostvars}, templar))
        except Exception as error:  # whatever a template may raise
            if type(error).__name__ != "AnsibleValueOmittedError":  # {{ address | default(omit) }} is neither an address nor a failure
                known.unknown.append(str(host))
        for address in filter(None, map(parse_address, texts)):
            known.addresses.setdefault(str(address), str(host))
    return known


def _text_of(value: Any, variables: dict[str, Any], templar: Templar) -> str:
    """Return the text of a variable, rendered if it is a template, and decrypted if it is vaulted."""
    if isinstance(value, str):
        if "{" not in value:
            return str(value)
        simple = _simple_template(str(value))
        with suppress(TemplateError):
            if simple is not None:
                return simple.render(variables)
    templar.available_variables = variables
    return str(templar.template(value))


def _as_it_is(value: Any) -> Any:
    """Return the value of a variable in a simple template, or raise TemplateError if Ansible must process it first."""
    if not isinstance(value, (str, int)) or "{" in str(value):
        raise TemplateError("not plain")
    return value


SIMPLE = (nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const)
SIMPLE_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, finalize=_as_it_is)


@functools.lru_cache(1000)
def _simple_template(text: str) -> Optional[Template]:
    """Compile a template that only concatenates variables ({{ net }}.7), so that thousands of hosts can use it; None for any other.

    Ansible's Templar compiles a template again for each host, which takes many times as long as rendering it.
    """
    try:
        simple = all(isinstance(node, SIMPLE) for node in SIMPLE_ENVIRONMENT.parse(text).find_all(nodes.Node))
        return SIMPLE_ENVIRONMENT.from_string(text) if simple and not text.startswith("#jinja2:") else None
    except TemplateError:
        return None


def _digest(task_vars: Mapping[str, Any], play: str) -> str:
    """Return a digest that changes when hosts are added, are removed, or get another address (add_host, meta: refresh_inventory)."""
    inventory = getattr(task_vars["hostvars"], "_inventory", None)
    hosts: list[Union[str, list[str]]] = [play]
    for name in task_vars["groups"]["all"]:
        variables = getattr(inventory and inventory.get_host(name), "vars", {})
        values = [variables.get(variable) for variable in VARIABLES]
        hosts.append([str(name), *(value if isinstance(value, str) else "" for value in values)])
    return hashlib.sha256(json.dumps(hosts).encode()).hexdigest()[:32]


def _load(path: Path) -> Optional[Known]:
    """Return what another task found, or None if there is nothing that can be trusted."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
            addresses, unknown = json.loads(stream.read(LARGEST_FILE))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = [*addresses, *addresses.values(), *unknown] if isinstance(addresses, dict) and isinstance(unknown, list) else [None]
    return Known(addresses, unknown) if all(isinstance(text, str) for text in texts) else None


def _save(path: Path, known: Known) -> None:
    """Save the addresses for the next task, which determines them itself if that fails."""
    with suppress(OSError):
        handle, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
        with open(handle, "w", encoding="utf-8") as stream:
            json.dump(known, stream)
        os.replace(name, path)
