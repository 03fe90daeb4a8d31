# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection settings of the firewalls, after the same table as those of the modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils._core.call import Call
from ...module_utils._core.errors import InvalidInput
from ...module_utils._core.options import COS_CONNECTION, NEVER_BLOCK_ENV, Option
from ...module_utils._core.wire import REQUESTS_IMPORT_ERROR
from ...module_utils._cos.client import CosClient
from ...module_utils._cos.guard import parse_networks
from ...module_utils._ledger.record import firewall_name
from .section import Section

#: The worker sends again by itself, with the listing in view; further repetitions below it would only hold others up.
RETRIES = 0
NUMBERS = {"timeout": (0.1, 3600.0), "retries": (0, 20)}


@dataclass(frozen=True)
class FirewallSettings:
    """One firewall.

    Attributes:
        name: what verdicts and metrics call it.
        call: its connection and guard options, complete.
    """

    name: str
    call: Call = field(repr=False)

    @property
    def address(self) -> str:
        """The firewall as the ledger knows it."""
        return firewall_name(self.call.params["api_url"])


def read_firewalls(
    sections: Sequence[Section], never_block: Sequence[str], dry_run: bool, environ: Mapping[str, str]
) -> list[FirewallSettings]:
    """Read `respond.firewalls`; raises InvalidInput for settings that cannot work. Nothing is opened."""
    if REQUESTS_IMPORT_ERROR is not None:
        raise InvalidInput("The responder needs the Python package requests.")
    found: list[FirewallSettings] = []
    parse_networks("respond.never_block", never_block)
    parse_networks(NEVER_BLOCK_ENV, environ.get(NEVER_BLOCK_ENV, "").replace(",", " ").split())
    for section in sections:
        params: dict[str, Any] = {option.name: _value(section, option, environ) for option in COS_CONNECTION}
        params["concurrency"] = section.integer("concurrency", 4, 1, 64)
        name = section.text("name")
        section.done()
        if not params["api_url"]:
            raise section.error("api_url", "is required.")
        params["never_block"] = list(never_block)
        params["allow_protected"] = False
        call = Call(params, check_mode=dry_run, environ=environ)
        try:
            with CosClient.from_call(call):
                settings = FirewallSettings(name or firewall_name(params["api_url"]), call)
        except InvalidInput as error:
            raise InvalidInput(f"{section.path}: {error.message}", hint=error.hint) from None
        if any(settings.name == other.name or settings.address == other.address for other in found):
            raise section.error("name", "and api_url must differ from those of the other firewalls.")
        found.append(settings)
    return found


def _value(section: Section, option: Option, environ: Mapping[str, str]) -> Any:
    """Return the value of an option: as given, from the environment, or its default."""
    name = option.name
    default: Any = RETRIES if name == "retries" else option.default
    source = section
    if not section.has(name) and not (option.secret and section.has(f"{name}_file")):
        variable = next((variable for variable in option.env if environ.get(variable)), None)
        if variable is not None and name != "retries":
            source = Section({name: environ[variable]}, f"the environment variable {variable}, which gives {section.path}")
    if option.secret:
        return source.secret(name)
    if option.type == "bool":
        return source.boolean(name, default)
    if option.type == "path":
        return source.file(name, default)
    if option.type == "int":
        return source.integer(name, default, *(int(bound) for bound in NUMBERS[name]))
    if option.type == "float":
        return source.number(name, default, *NUMBERS[name])
    return source.text(name, default)
