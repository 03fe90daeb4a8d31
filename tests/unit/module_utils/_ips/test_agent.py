# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's evidence: what speaks first wins, and nobody says "installed" who cannot know."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.state import StateDir
from ansible_collections.intrusion.response.plugins.module_utils._ips.agent import WORDS, Evidence, Wanted, ensure, gather, plan_agent
from hypothesis import given
from hypothesis import strategies as st

EVIDENCE = [Evidence(*key) for key in WORDS]


class Service:
    """Counts requests; answers that there was nothing to do when told so."""

    url = "https://ips.example.com"
    account_alias = "ACME"

    def __init__(self, state: StateDir, registered: bool = False, acts: bool = True) -> None:
        self.state = state
        self.registered = registered
        self.acts = acts
        self.requests: list[str] = []

    def install(self, _server: str) -> bool:
        self.requests.append("install")
        return self.acts

    def uninstall(self, _server: str) -> bool:
        self.requests.append("uninstall")
        return self.acts

    def destinations(self, _server: str) -> list[dict]:
        self.requests.append("destinations")
        return [{"typeCode": "EMAIL", "emailAddress": "a@example.com"}] if self.registered else []

    def check_server(self, _server: str) -> None:
        self.requests.append("check_server")


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(str(tmp_path), pytest.fail)


@given(st.sampled_from(EVIDENCE), st.sampled_from(("present", "absent")))
def test_plan(evidence: Evidence, wanted_state: str) -> None:
    plan = plan_agent(Wanted("server", wanted_state), evidence)
    assert plan.changed == (evidence.present != (wanted_state == "present"))
    if plan.changed:
        assert plan.after["state"].endswith("_accepted"), "a request taken is not an agent installed"
        settled = Evidence("receipt", wanted_state == "present")
        assert not plan_agent(Wanted("server", wanted_state), settled).changed


def test_order_of_evidence(state: StateDir, tmp_path: Path) -> None:
    service = Service(state, registered=True)
    present = Wanted("SERVER")
    assert gather(service, present) == Evidence("api", True)
    ensure(service, Wanted("SERVER", "absent", installed=True), check_mode=False, warn=pytest.fail)
    assert gather(service, Wanted("server")) == Evidence("receipt", False), "names differ only in case"
    assert gather(service, Wanted("SERVER", detection=("api", "receipt"))) == Evidence("api", True)
    assert gather(service, Wanted("SERVER", detection=())) == Evidence("none")
    assert gather(service, Wanted("SERVER", agent_path=str(tmp_path))) == Evidence("host", True)
    assert gather(service, Wanted("SERVER", agent_path=str(tmp_path), installed=False)) == Evidence("host", False)


def test_no_destinations_prove_nothing(state: StateDir) -> None:
    assert gather(Service(state), Wanted("server")) == Evidence("none")


def test_check_mode_leaves_no_receipt(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("server"), check_mode=True, warn=pytest.fail)
    assert service.requests == ["destinations"]
    assert gather(service, Wanted("server")) == Evidence("none")


def test_an_answer_against_the_evidence_is_believed_and_said(state: StateDir) -> None:
    warnings: list[str] = []
    outcome = ensure(Service(state, acts=False), Wanted("server", installed=False), check_mode=False, warn=warnings.append)
    assert not outcome.plan.changed and outcome.result()["agent"]["state"] == "installed"
    assert len(warnings) == 1 and "(host)" in warnings[0]


@pytest.mark.parametrize("content", ['{"state": "maybe"}', "{"])
def test_a_useless_receipt_is_no_evidence(tmp_path: Path, content: str) -> None:
    warnings: list[str] = []
    service = Service(StateDir(str(tmp_path), warnings.append))
    ensure(service, Wanted("server"), check_mode=False, warn=warnings.append)
    (record,) = (tmp_path / "receipts").glob("*.json")
    record.write_text(content)
    assert gather(service, Wanted("server")) == Evidence("none")
    assert len(warnings) == 1
