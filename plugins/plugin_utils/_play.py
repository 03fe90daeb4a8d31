# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Selects the hosts of the collection's playbooks, and checks the names of extra variables, before the first task."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Optional

import yaml
from ansible import context as cli
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

from ..module_utils._core.options import COS_CONNECTION, IPS_CONNECTION
from ..module_utils._core.text import clean

ROLES = Path(__file__).resolve().parents[2] / "roles"
#: Roles whose variables may be extra variables; those of the others share the prefix of the variables that AWX sets for its jobs.
PLAYED = ("blacklist", "protect")
CONNECTION = {option.name for option in (*COS_CONNECTION, *IPS_CONNECTION)}
NAMES_SHOWN = 10
#: How similar two names must be, from 0 to 1, for one to be suggested for the other.
ALIKE = 0.85


class Kind(NamedTuple):
    """What kind of hosts a play works on."""

    role: str
    one: str  # as messages call it
    default: str  # the host pattern if none is given

    @property
    def target(self) -> str:
        """Return the variable with the host pattern."""
        return f"{self.role}_target"


def hosts_taking_part(groups: Mapping[str, Any], limit: Optional[str], kind: Kind, given: str, *, needed: bool) -> str:
    """Return the host pattern of a play.

    Args:
        groups: the names of the hosts of each group of the inventory.
        limit: the value of --limit, if any.
        given: the pattern that the user gave, or an empty string.
        needed: whether the default pattern must match a host; a given pattern always must.

    Raises:
        AnsibleFilterError: no host would take part, or a variable on the command line lacks its prefix.
    """
    check_names(load_extra_vars(DataLoader()), kind.role)
    pattern = given or kind.default
    if cli.CLIARGS.get("syntax"):
        return pattern
    if _matching(groups, pattern, limit) or not (needed or given):
        return pattern
    everyone = _matching(groups, pattern)
    if not everyone:
        where = f"{kind.target} is {clean(given)!r}" if given else f"the pattern is {kind.default!r}"
        raise AnsibleFilterError(f"No {kind.one} takes part in this run: {where}, which matches no host of the inventory.")
    names = ", ".join(everyone[:NAMES_SHOWN]) + (f" and {len(everyone) - NAMES_SHOWN} more" if len(everyone) > NAMES_SHOWN else "")
    raise AnsibleFilterError(f"No {kind.one} takes part in this run: the limit {clean(limit)!r} excludes {clean(names)}.")


def check_names(extra: Mapping[str, Any], role: str) -> None:
    """Check the names of extra variables against those of the roles and playbooks.

    Raises:
        AnsibleFilterError: a variable of the role lacks its prefix.
    """
    known = known_variables()
    for name in extra:
        if name in known:
            continue
        meant = f"{role}_{name}"
        if meant in known and name not in CONNECTION:
            raise AnsibleFilterError(f"Unknown extra variable {name}. Did you mean {meant}?")
        alike = get_close_matches(name, known, n=1, cutoff=ALIKE)
        if alike:
            Display().warning(f"{clean(name)} is not a variable of this collection. Did you mean {alike[0]}?")


@cache
def known_variables() -> frozenset[str]:
    """Return the names of the variables that roles and playbooks of the collection read."""
    known = {f"cos_{option.name}" for option in COS_CONNECTION}
    for role in PLAYED:
        known.add(f"{role}_target")
        path = ROLES / role / "meta" / "argument_specs.yml"
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            known.update(entry["options"])
    return frozenset(known)


def _matching(groups: Mapping[str, Any], pattern: str, limit: Optional[str] = None) -> list[str]:
    """Return the names of the hosts that a pattern matches, by Ansible's own rules."""
    manager = InventoryManager(None, parse=False)
    for group, hosts in groups.items():
        manager.add_group(group)
        for host in hosts:
            manager.add_host(host, group=group)
    if limit:
        manager.subset(limit)
    return [host.name for host in manager.get_hosts(pattern)]
