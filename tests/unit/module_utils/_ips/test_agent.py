# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's evidence: what speaks first wins, and nobody says "installed" who cannot know."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import (
    BadResponse,
    NotPermitted,
    NotVerified,
    ServerFault,
    TimeoutUnknown,
    Unreachable,
    WrongService,
)
from ansible_collections.intrusion.response.plugins.module_utils._core.state import StateDir
from ansible_collections.intrusion.response.plugins.module_utils._ips import agent as agent_module
from ansible_collections.intrusion.response.plugins.module_utils._ips.agent import (
    UNDER_WAY,
    WORDS,
    Evidence,
    Receipt,
    Wanted,
    ensure,
    gather,
    known,
    plan_agent,
    weigh,
)
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
        self.warnings: list[str] = []
        self.warn = self.warnings.append

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
    ensure(service, Wanted("SERVER", "absent", installed=True), check_mode=False)
    assert gather(service, Wanted("server")) == Evidence("receipt", False), "names differ only in case"
    assert gather(service, Wanted("SERVER", detection=("api", "receipt"))) == Evidence("api", True)
    assert gather(service, Wanted("SERVER", detection=())) == Evidence("none")
    assert gather(service, Wanted("SERVER", agent_path=str(tmp_path))) == Evidence("receipt", False), "it will go from there"
    assert gather(service, Wanted("SERVER", agent_path=str(tmp_path), detection=())) == Evidence("host", True)
    assert gather(service, Wanted("SERVER", agent_path=str(tmp_path), installed=False)) == Evidence("host", False)


def test_what_is_known_without_a_request(state: StateDir) -> None:
    service, email = Service(state), [{"type": "email"}]
    assert [known(service, "SERVER", found) for found in (email, [], None)] == [Evidence("api", True), Evidence("none"), Evidence("none")]
    ensure(service, Wanted("SERVER"), check_mode=False)
    assert known(service, "server", None) == Evidence("receipt", True)
    ensure(service, Wanted("SERVER", "absent"), check_mode=False)
    assert known(service, "SERVER", email) == Evidence("receipt", False)
    assert service.requests == ["destinations", "install", "uninstall"], "the first of them to decide on the installation"


def test_no_destinations_prove_nothing(state: StateDir) -> None:
    assert gather(Service(state), Wanted("server")) == Evidence("none")


def test_check_mode_leaves_no_receipt(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("server"), check_mode=True)
    assert service.requests == ["destinations"]
    assert gather(service, Wanted("server")) == Evidence("none")


def test_an_answer_against_the_evidence_is_believed_and_said(state: StateDir) -> None:
    service = Service(state, acts=False)
    outcome = ensure(service, Wanted("server", installed=False), check_mode=False)
    warnings = service.warnings
    assert not outcome.plan.changed and outcome.result()["agent"]["state"] == "installed"
    assert len(warnings) == 1 and "(host)" in warnings[0]


@pytest.mark.parametrize("content", ['{"state": "maybe"}', "{"])
def test_a_useless_receipt_is_no_evidence(tmp_path: Path, content: str) -> None:
    warnings: list[str] = []
    service = Service(StateDir(str(tmp_path), warnings.append))
    ensure(service, Wanted("server"), check_mode=False)
    (record,) = (tmp_path / "receipts").glob("*.json")
    record.write_text(content)
    assert gather(service, Wanted("server")) == Evidence("none")
    assert len(warnings) == 1


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("seen", [True, False, None])
@pytest.mark.parametrize("receipt", [None, *(Receipt(present, under_way) for present in (True, False) for under_way in (True, False))])
def test_host_and_receipt_weighed(wanted: bool, seen: bool | None, receipt: Receipt | None) -> None:
    """The table of docs/agent-evidence.md, line by line."""
    found = weigh(wanted, seen, receipt)
    if receipt is None or receipt.present == seen:
        expected = None if seen is None else Evidence("host", seen)
    elif seen is None or receipt.under_way:
        expected = Evidence("receipt", receipt.present)
    elif receipt.present and not wanted:
        expected = Evidence("receipt", True)
    else:
        expected = Evidence("host", seen)
    assert found == expected


def test_an_install_that_is_under_way_is_removed_though_the_host_does_not_show_it(state: StateDir) -> None:
    service = Service(state)
    assert ensure(service, Wanted("server", installed=False), check_mode=False).plan.changed
    assert not ensure(service, Wanted("server", installed=False), check_mode=False).plan.changed, "asked for already"
    removed = ensure(service, Wanted("server", "absent", installed=False), check_mode=False)
    assert removed.plan.changed and removed.evidence == "receipt"
    assert service.requests == ["install", "uninstall"]
    again = ensure(service, Wanted("server", "absent", installed=False), check_mode=False)
    assert not again.plan.changed and again.evidence == "host"


def test_an_install_of_long_ago_is_removed_too_and_not_asked_for_again_when_it_failed(state: StateDir, monkeypatch) -> None:
    service = Service(state)
    ensure(service, Wanted("server"), check_mode=False)
    later = agent_module.time.time() + UNDER_WAY + 1
    monkeypatch.setattr(agent_module.time, "time", lambda: later)
    assert gather(service, Wanted("server", "absent", installed=False)) == Evidence("receipt", True)
    assert gather(service, Wanted("server", installed=False)) == Evidence("host", False), "it has failed by now, and is asked for again"


def test_an_agent_that_is_on_its_way_out_is_installed_again(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("server", "absent", installed=True), check_mode=False)
    assert ensure(service, Wanted("server", installed=True), check_mode=False).plan.changed
    assert service.requests == ["uninstall", "install"]


def test_an_agent_that_is_not_there_yet_is_not_said_to_be_gone(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("server"), check_mode=False)
    service.acts = False
    with pytest.raises(NotVerified) as caught:
        ensure(service, Wanted("server", "absent", installed=False), check_mode=False)
    assert caught.value.retryable and not caught.value.changed


def test_a_receipt_against_which_the_service_spoke_does_not_speak_again(state: StateDir, monkeypatch) -> None:
    service = Service(state)
    ensure(service, Wanted("server"), check_mode=False)
    later = agent_module.time.time() + UNDER_WAY + 1
    monkeypatch.setattr(agent_module.time, "time", lambda: later)
    service.acts = False
    wanted = Wanted("server", "absent", installed=False)
    assert ensure(service, wanted, check_mode=False).evidence == "answer"
    service.requests.clear()
    assert not ensure(service, wanted, check_mode=True).plan.changed
    assert not ensure(service, wanted, check_mode=False).plan.changed and not service.requests


@pytest.mark.parametrize("there", [True, False])
def test_waiting_proves_nothing_where_the_host_looked_as_wanted_before(state: StateDir, tmp_path: Path, there: bool) -> None:
    """An agent that is still to come is missing already, one that is about to go is still there."""
    path = tmp_path / "ds_agent"
    first, second = ("absent", "present") if there else ("present", "absent")
    service = Service(state)
    ensure(service, Wanted("server", first), check_mode=False)
    ensure(service, Wanted("server", second), check_mode=False)
    ensure(service, Wanted("server", first), check_mode=False)
    if there:
        path.touch()
    service.warnings.clear()
    outcome = ensure(service, Wanted("server", second, agent_path=str(path), wait=True, wait_timeout=1), check_mode=False)
    shown = outcome.result()["agent"]
    assert outcome.plan.changed and shown["evidence"] == "receipt"
    assert shown["state"] == ("install_accepted" if there else "uninstall_accepted")
    assert len(service.warnings) == 1 and str(path) in service.warnings[0]


def test_receipts_of_another_account_are_no_evidence(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("web01", installed=False), check_mode=False)
    service.account_alias = "OTHR"
    assert gather(service, Wanted("web01", "absent", installed=False)) == Evidence("host", False)
    ensure(service, Wanted("web01", installed=False), check_mode=False)
    service.account_alias = "ACME"
    assert gather(service, Wanted("web01", "absent", installed=False)) == Evidence("receipt", True)


@pytest.mark.parametrize("error", [ServerFault("down."), BadResponse("no list."), NotPermitted("no."), TimeoutUnknown("slow.")])
def test_destinations_that_cannot_be_read_are_no_evidence_and_no_reason_to_stop(state: StateDir, error: Exception) -> None:
    service = Service(state)

    def fail(_server: str) -> None:
        raise error

    service.destinations = fail
    assert ensure(service, Wanted("server"), check_mode=False).plan.changed
    assert service.requests == ["install"]
    assert len(service.warnings) == 1 and error.code in service.warnings[0]


def test_a_service_that_is_not_there_or_another_one_is(state: StateDir) -> None:
    for error in (Unreachable("gone."), WrongService("a page.")):
        service = Service(state)

        def fail(_server: str, error: Exception = error) -> None:
            raise error

        service.destinations = fail
        with pytest.raises(type(error)):
            ensure(service, Wanted("server", "absent"), check_mode=True)


def test_an_agent_that_was_seen_and_got_lost_is_asked_for_again_at_once(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("server", installed=False), check_mode=False)
    assert not ensure(service, Wanted("server", installed=True), check_mode=False).plan.changed
    assert ensure(service, Wanted("server", installed=False), check_mode=True).plan.changed
    assert ensure(service, Wanted("server", installed=False), check_mode=False).plan.changed
    assert service.requests == ["install", "install"]


def test_check_mode_settles_nothing(state: StateDir) -> None:
    service = Service(state)
    ensure(service, Wanted("server", installed=False), check_mode=False)
    ensure(service, Wanted("server", installed=True), check_mode=True)
    assert not ensure(service, Wanted("server", installed=False), check_mode=False).plan.changed
