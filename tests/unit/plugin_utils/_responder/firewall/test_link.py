# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a firewall is said, with what to check, and shown by the health until it is over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import (
    AuthFailed,
    NotAttempted,
    NotListedAfterWrite,
    NotPermitted,
    Unreachable,
)
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall import link as module
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.firewall.link import Health

from emulator.testing import running_emulator

from ..running import Running, firewall


@pytest.fixture
def health() -> Health:
    return Health("fw1")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_a_failure_is_said_when_it_changes(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    refused, wrong = Unreachable("connection refused."), AuthFailed("was answered with 401.", hint="Credentials are needed.")
    for error in (refused, refused, wrong):
        health.asked(error)
        assert health.code == error.code
    first, second = said(caplog)
    assert first.startswith("Firewall fw1: connection refused. Check api_url")
    assert second == "Firewall fw1: was answered with 401. Credentials are needed. Check username and password."
    health.asked()
    health.asked()
    assert said(caplog) == ["Firewall fw1 answers again."]
    assert health.code is None


def test_a_failed_write_is_said_once_for_each_code(
    health: Health, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _turn in range(3):
        health.wrote(NotPermitted("was answered with 403.", hint="Read-only access?"))
        assert health.writes == "not_permitted"
        health.wrote()
        assert health.writes is None
    health.wrote(NotListedAfterWrite("is not listed."))
    assert said(caplog) == [
        "Firewall fw1: an address could not be blocked (not_permitted): was answered with 403. Read-only access?",
        "Firewall fw1: an address could not be blocked (not_listed_after_write): is not listed.",
    ]
    health.wrote(NotAttempted("not sent"))
    assert health.writes == "not_listed_after_write"
    health.wrote(Unreachable("no connection"))
    assert health.writes == "unreachable"
    assert not said(caplog), "that the firewall cannot be reached is said elsewhere"
    monkeypatch.setattr(module, "LOG_PAUSE", 0.0)
    health.wrote(NotPermitted("was answered with 403."))
    assert len(said(caplog)) == 1


def test_a_user_who_may_only_read_is_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_emulator() as emulator, Running(tmp_path, {"firewalls": [firewall(emulator)]}) as running:
        emulator.fault(kind="status", status=403, service="cos", method="POST", times=2)
        assert [running.ask(sourceIP=f"203.0.113.{number}")["code"] for number in (1, 2)] == ["not_permitted"] * 2
        status, text = running.get("/healthz")
        assert (status, json.loads(text)["firewalls"], json.loads(text)["writes"]) == (200, {"fw1": "up"}, {"fw1": "not_permitted"})
        (message,) = [one for one in said(caplog) if "could not be blocked" in one]
        assert message.startswith("Firewall fw1: an address could not be blocked (not_permitted): ") and "read-only access" in message
        assert running.ask(sourceIP="203.0.113.3")["verdict"] == "blocked"
        assert json.loads(running.get("/healthz")[1])["writes"] == {"fw1": None}
