# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' own functions, called without AnsibleModule, against an emulator in this process."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.intrusion.response.plugins.module_utils._core import http
from ansible_collections.intrusion.response.plugins.module_utils._core.call import Call
from ansible_collections.intrusion.response.plugins.module_utils._ips.client import IpsClient

from emulator.testing import Handle, running_emulator

SERVER = "VA1ACMEWEB01"
PACKAGE = "ansible_collections.intrusion.response.plugins.modules"


class Door:
    """Runs modules the way an in-process caller does: validated options in, result out."""

    def __init__(self, emulator: Handle, state_dir: Path) -> None:
        self.emulator = emulator
        self.state_dir = state_dir
        self.ledger = state_dir / "ledger.sqlite3"
        self.warnings: list[str] = []
        self.environ: dict[str, str] = {}

    def connection(self, name: str) -> dict[str, Any]:
        if name.startswith("cos_"):
            user = self.emulator.firewall_users[0]
            return {
                "api_url": self.emulator.firewalls[0].api_url,
                "username": user["username"],
                "password": user["password"],
                "ca_path": self.emulator.ca_path,
                "timeout": 5,
                **({} if name.endswith("_info") else {"ledger": str(self.ledger)}),
            }
        if name.startswith("response_"):
            return {"ledger": str(self.ledger)}
        user = self.emulator.users[0]
        return {
            "ips_url": self.emulator.ips_url,
            "clc_url": self.emulator.clc_url,
            "username": user["username"],
            "password": user["password"],
            "ca_path": self.emulator.ca_path,
            "state_dir": str(self.state_dir),
            "timeout": 5,
        }

    def call(self, name: str, check: bool, options: dict[str, Any]) -> Call:
        spec = importlib.import_module(f"{PACKAGE}.{name}").ARGUMENT_SPEC
        spec = {key: {k: v for k, v in value.items() if k != "fallback"} for key, value in spec.items()}
        validated = ArgumentSpecValidator(spec).validate({**self.connection(name), **options})
        assert not validated.error_messages, validated.error_messages
        return Call(params=validated.validated_parameters, check_mode=check, environ=self.environ)

    def client(self, **options: Any) -> IpsClient:
        return IpsClient.from_call(self.call("ips_agent", False, {"server_name": SERVER, **options}))

    def run(self, name: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        call = self.call(name, check, options)
        try:
            return importlib.import_module(f"{PACKAGE}.{name}").run(call)
        finally:
            self.warnings = call.warnings

    def entry(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.run("cos_blacklist_entry", check=check, **options)

    def agent(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.run("ips_agent", check=check, **{"server_name": SERVER, **options})

    def notification(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return self.run("ips_notification", check=check, **{"server_name": SERVER, "verify_timeout": 3, **options})

    def writes(self, service: str) -> list[dict[str, Any]]:
        return self.emulator.journal(service, writes=True)

    def owned(self, host: str) -> list[dict[str, Any]]:
        """What the firewall really holds for a host and came in through the API."""
        entries = self.emulator.state()["firewalls"]["fw1"]["entries"]
        return [entry for entry in entries if entry["host"] == host and entry["alert_type"] == "REST"]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Handle]:
    with running_emulator(firewalls=("fw1", "fw2")) as handle:
        yield handle


@pytest.fixture
def door(emulator: Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.001)
    emulator.reset()
    return Door(emulator, tmp_path / "state")
