# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many servers in one task: what each gets, on every service that the documents allow for, and when some of them fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core import each as crowd
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._core.redact import mask_url
from ansible_collections.intrusion.response.plugins.modules import ips_servers

from ..conftest import SERVER
from .test_matrix import EMAIL, MATRIX, SLACK, WEBHOOK, name, syslog

SERVERS = [f"VA1ACMEWEB0{number}" for number in range(1, 4)]
START = [WEBHOOK, syslog(16)]


@pytest.fixture
def fleet(door, monkeypatch: pytest.MonkeyPatch):
    """Runs the module on servers of which each is sure to be worked on in a thread, as behind a slow line."""
    monkeypatch.setattr(crowd, "AT_ONCE", 0)
    monkeypatch.setattr(crowd, "PROBED", 1)

    def run(servers: Any = SERVERS, *, check: bool = False, **options: Any) -> dict[str, Any]:
        given = [{"server_name": one} if isinstance(one, str) else one for one in servers]
        return door.run("ips_servers", check=check, servers=given, **{"verify_timeout": 3, **options})

    return run


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["server_name"]: one for one in result["servers"]}


def held(door, server: str) -> list[dict[str, Any]]:
    return door.run("ips_notification_info", server_name=server)["destinations"]


@pytest.mark.parametrize("switches", MATRIX, ids=name)
def test_life_of_a_fleet(door, fleet, switches) -> None:
    door.emulator.switch_many(dict(switches))
    deaf = ("ips.notifications", "500") in switches
    if deaf:
        result = fleet(manage=["agent"])
        assert result["changed"] and all(one["warnings"] for one in result["servers"])
        return
    predicted = fleet(check=True, destinations=START)
    assert predicted["changed"] and not door.writes("ips")
    done = fleet(destinations=START)
    if ("ips.normalise", "yes") in switches:
        for one in predicted["servers"]:
            one["destinations"][1]["url"] = mask_url(WEBHOOK["url"] + "/")
        predicted.pop("diff"), done.pop("diff")
    assert done == predicted
    assert [one["server_name"] for one in done["servers"]] == SERVERS
    assert {one["agent"]["evidence"] for one in done["servers"]} == {"none"}
    heard = [request["method"] for request in door.writes("ips") if request["status"] < 400]
    assert sorted(heard) == ["POST"] * 3 + ["PUT"] * 3
    assert len(door.emulator.journal("clc")) == 1, "one login"

    door.emulator.clear_journal()
    again = fleet(destinations=START[::-1])
    assert not again["changed"] and not door.writes("ips") and not door.emulator.journal("clc")
    assert {one["agent"]["evidence"] for one in again["servers"]} == {"receipt"}
    assert [one["destinations"] for one in again["servers"]] == [one["destinations"] for one in done["servers"]]
    assert not door.agent()["changed"] and not door.notification(destinations=START)["changed"], "the single modules agree"

    purged = {"server_name": SERVERS[1], "destinations": [SLACK], "purge": True}
    mixed = [SERVERS[0], purged, {"server_name": SERVERS[2], "state": "absent"}]
    predicted = fleet(mixed, check=True, destinations=[EMAIL])
    changed = fleet(mixed, destinations=[EMAIL])
    if not {("ips.normalise", "yes"), ("ips.uninstall_destinations", "clear")}.intersection(switches):
        assert changed == predicted
    kinds = {server: [one["type"] for one in result["destinations"]] for server, result in by_name(changed).items()}
    assert kinds == {SERVERS[0]: ["email", "syslog", "webhook"], SERVERS[1]: ["slack"], SERVERS[2]: []}
    assert [one["agent"]["state"] for one in changed["servers"]] == ["install_accepted", "install_accepted", "uninstall_accepted"]

    door.emulator.clear_journal()
    assert not fleet(mixed, destinations=[EMAIL])["changed"] and not door.writes("ips")
    assert fleet(state="absent")["changed"] and not fleet(state="absent")["changed"]
    assert [held(door, server) for server in SERVERS] == [[], [], []]


def test_one_of_a_fleet_is_what_the_single_modules_do(door, fleet) -> None:
    (one,) = fleet([SERVER], destinations=START)["servers"]
    door.emulator.reset()
    assert one["agent"] == door.agent(state_dir="none")["agent"]
    assert one["destinations"] == door.notification(destinations=START, state_dir="none")["destinations"]


def test_what_is_not_managed_is_left_alone(door, fleet) -> None:
    (one,) = fleet([SERVER], manage=["agent"], destinations=START)["servers"]
    assert one["agent_changed"] and one["destinations"] is None and not one["destinations_changed"]
    (one,) = fleet([SERVER], manage=["destinations"], destinations=START)["servers"]
    assert one["agent"] is None and one["destinations_changed"] and not one["agent_changed"]
    (one,) = fleet([SERVER])["servers"]
    assert one["destinations"] is None and not one["changed"], "no destinations given: they are left alone"
    fleet([SERVER], state="absent", manage=["agent"])
    assert held(door, SERVER) and [request["method"] for request in door.writes("ips")] == ["POST", "PUT", "DELETE"]


def test_evidence_of_each_server(door, fleet) -> None:
    seen = [{"server_name": SERVERS[0], "installed": True}, {"server_name": SERVERS[1], "installed": False}]
    first, second = fleet(seen)["servers"]
    assert first["agent"]["evidence"] == "host" and not first["changed"] and first["account_alias"] is None
    assert second["agent"]["state"] == "install_accepted" and second["changed"]
    assert not fleet(seen)["changed"]


def test_one_failure_is_one_servers_own(door, fleet) -> None:
    door.emulator.fault(kind="status", status=403, method="PUT", path=f".*{SERVERS[1]}", times=None)
    result = fleet(destinations=START)
    assert result["failed"] and result["changed"] and result["code"] == "servers_failed" and not result["retryable"]
    assert SERVERS[1] in result["msg"] and "1 of 3" in result["msg"]
    states = by_name(result)
    assert [one["failed"] for one in result["servers"]] == [False, True, False]
    failed = states[SERVERS[1]]
    assert failed["code"] == "not_permitted" and failed["http_status"] == 403 and failed["hint"] in failed["msg"]
    assert failed["agent_changed"] and not failed["destinations_changed"] and failed["destinations"] is None
    assert states[SERVERS[2]]["destinations_changed"]
    door.emulator.clear_faults()
    door.emulator.clear_journal()
    assert by_name(fleet(destinations=START))[SERVERS[1]]["destinations_changed"]
    assert len(door.writes("ips")) == 1


@pytest.mark.parametrize("part", ["POST", "PUT"])
def test_a_lost_answer_counts_as_a_change(door, fleet, part: str) -> None:
    door.emulator.fault(kind="drop_after", method=part, times=None, service="ips")
    result = fleet([SERVER], destinations=START, retries=0)
    (one,) = result["servers"]
    assert one["failed"] and one["code"] == "timeout_unknown" and one["changed"] and result["changed"]
    assert one["agent_changed"] and one["destinations_changed"] == (part == "PUT")


def test_stop_begins_with_no_other_server(door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "AT_ONCE", 3600)
    door.emulator.fault(kind="status", status=403, method="POST", times=None, service="ips")
    given = [{"server_name": one} for one in SERVERS]
    result = door.run("ips_servers", servers=given, on_error="stop")
    assert [one["code"] for one in result["servers"]] == ["not_permitted", "not_attempted", "not_attempted"]
    assert len(door.writes("ips")) == 1


@pytest.mark.parametrize(
    ("broken", "code"), [({"password": "wrong-password"}, "auth_failed"), ({"ips_url": "https://127.0.0.1:1/ips"}, "unreachable")]
)
@pytest.mark.parametrize("state_dir", ["kept", "none"])
def test_what_ails_all_is_met_once(door, fleet, broken, code: str, state_dir: str, tmp_path) -> None:
    many = [f"VA1ACMEWEB{number}" for number in range(40)]
    where = "none" if state_dir == "none" else str(tmp_path / "other")
    result = fleet(many, **broken, state_dir=where, retries=1)
    assert {one["code"] for one in result["servers"]} == {code} and not result["changed"]
    assert len(door.emulator.journal("clc")) == 1, "a wrong password is tried once"
    assert not door.emulator.journal("ips")
    if code == "unreachable":
        assert sum("was not sent" in one["msg"] for one in result["servers"]) >= len(many) - 3 - 8


def test_an_expired_token_costs_one_login_for_all(door, fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet(destinations=START)
    door.emulator.revoke_tokens()
    monkeypatch.setattr("ansible_collections.intrusion.response.plugins.module_utils._ips.login.YOUNG", 0)
    door.emulator.clear_journal()
    assert not fleet(destinations=START)["changed"]
    assert len(door.emulator.journal("clc")) == 1


def test_accounts_of_each_server(door, fleet) -> None:
    given = [SERVERS[0], {"server_name": SERVERS[1], "account_alias": "OTHR"}]
    assert [one["code"] for one in fleet(given, destinations=START)["servers"]] == [None, "not_permitted"]

    door.emulator.reset()
    parent = door.emulator.users[1]
    door.emulator.seed({"servers": [{"name": "VA1OTHRWEB01", "alias": "OTHR"}]})
    given = [{"server_name": "VA1OTHRWEB01", "account_alias": "OTHR"}, {"server_name": SERVERS[2], "account_alias": "ACME"}]
    result = fleet(given, username=parent["username"], password=parent["password"], destinations=START)
    assert [one["account_alias"] for one in result["servers"]] == ["OTHR", "ACME"] and not result.get("failed")
    assert [one["agent"]["account_alias"] for one in result["servers"]] == ["OTHR", "ACME"]
    paths = [request["path"] for request in door.writes("ips") if request["method"] == "PUT"]
    assert sorted(path.split("notifications/")[1] for path in paths) == [f"ACME/{SERVERS[2]}", "OTHR/VA1OTHRWEB01"]
    assert len(door.emulator.journal("clc")) == 1


def test_a_given_token_serves_servers_that_name_their_account(door, fleet) -> None:
    fleet([SERVER])
    (record,) = (door.state_dir / "tokens").glob("*.json")
    token = {"token": json.loads(record.read_text())["value"]["token"], "username": None, "password": None}
    assert not fleet([{"server_name": SERVER, "account_alias": "ACME"}], **token)["changed"]


def test_writes_that_show_late_are_waited_for_together(door, fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    transport = "ansible_collections.intrusion.response.plugins.module_utils._core.http.Transport.wait"
    monkeypatch.setattr(transport, lambda _self, attempt: waits.append(attempt))
    door.emulator.switch("ips.write_visibility", "delayed:3")
    result = fleet(destinations=START)
    assert not result.get("failed") and all(len(one["destinations"]) == 2 for one in result["servers"])
    assert waits == [0, 1, 2], "one wait for all in each round"


def test_what_never_shows_fails_in_the_end(door, fleet) -> None:
    door.emulator.switch("ips.unknown_server", "204")
    result = fleet([SERVER, "VA1ACMENONE99"], destinations=START, verify_timeout=1)
    one, other = result["servers"]
    assert not one["failed"] and one["destinations"]
    assert other["code"] == "not_verified" and other["changed"] and other["destinations"] is None and other["agent_changed"]


@pytest.mark.parametrize(
    ("servers", "options", "place", "expected"),
    [
        (["VA1ACMEWEB01", "va1acmeweb01"], {}, "servers[0] and servers[1]", "va1acmeweb01"),
        (["VA1ACMEWEB01", ""], {}, "servers[1]", "server_name"),
        (["VA1ACMEWEB01", "a b"], {}, "servers[1]", "server_name"),
        ([{"server_name": "A", "account_alias": "A/B"}], {}, "servers[0]", "account_alias"),
        ([{"server_name": "A", "destinations": [{"type": "slack"}]}], {}, "servers[0]", "destinations[0].url"),
        ([{"server_name": "A", "state": "absent", "destinations": [EMAIL]}], {}, "servers[0]", "state: present"),
        ([{"server_name": "A", "state": "absent", "purge": True}], {}, "servers[0]", "purge"),
        ([{"server_name": "A", "manage": []}], {}, "servers[0]", "manage"),
        ([{"server_name": "A", "verify_timeout": -1}], {}, "servers[0]", "verify_timeout"),
        (["A", "B"], {"token": "some-token"}, "servers[0]", "account_alias"),
        (["A"], {"manage": ["destinations"]}, "servers[0]", "must not be empty"),
        (["A"], {"state": "absent", "destinations": [EMAIL]}, "servers[0]", "state: present"),
        (["A"], {"concurrency": 0}, "concurrency", "from 1 to 64"),
        (["A"], {"concurrency": 65}, "concurrency", "from 1 to 64"),
        (["A"], {"timeout": 0}, "timeout", "more than 0"),
    ],
)
def test_bad_input_is_refused_before_any_request(door, fleet, servers, options, place: str, expected: str) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        fleet(servers, **options)
    assert caught.value.code == "invalid_input"
    assert place in caught.value.message and expected in caught.value.message
    assert not door.emulator.journal()


def test_nothing_to_do_for_nobody(door, fleet) -> None:
    result = fleet([])
    assert result == {"changed": False, "servers": [], "diff": {"before": {"servers": []}, "after": {"servers": []}}}
    assert not door.emulator.journal()


def test_diff_shows_what_changes_and_no_secret(door, fleet) -> None:
    fleet(SERVERS[:1], destinations=START)
    diff = fleet(check=True, destinations=START)["diff"]
    assert [one["server_name"] for one in diff["before"]["servers"]] == SERVERS[1:]
    assert {one["agent"] for one in diff["before"]["servers"]} == {"unknown"}
    assert {one["agent"] for one in diff["after"]["servers"]} == {"install_accepted"}
    assert "canary" not in json.dumps(diff)


def test_warnings_are_of_their_server_and_some_of_the_task(door, fleet) -> None:
    door.emulator.switch("ips.get_none", "404")
    door.emulator.switch("ips.error_body", "empty")
    many = [f"VA1ACMEWEB0{number}" for number in range(1, 4)] + ["VA1ACMEDB01"]
    result = fleet(many, check=True)
    assert all(any(one["server_name"] in text for text in one["warnings"]) for one in result["servers"])
    assert len(door.warnings) == 4 and "more warnings" in door.warnings[-1]


def test_progress_counts_every_server(door, fleet) -> None:
    seen: list[tuple[int, int]] = []
    call = door.call("ips_servers", False, {"servers": [{"server_name": one} for one in SERVERS]})
    call.progress = lambda done, of: seen.append((done, of))
    ips_servers.run(call)
    assert sorted(seen) == [(1, 3), (2, 3), (3, 3)]
    call.params = {**call.params, "destinations": [EMAIL]}
    seen.clear()
    ips_servers.run(call)
    assert len(seen) == 6, "writing, then reading back"


def test_reading_many(door, fleet) -> None:
    fleet(SERVERS[:2], destinations=START)
    door.emulator.clear_journal()
    given = [{"server_name": SERVERS[0]}, {"server_name": SERVERS[1].lower()}, {"server_name": SERVERS[2], "account_alias": "OTHR"}]
    result = door.run("ips_notification_info", servers=given)
    assert result["failed"] and result["code"] == "servers_failed" and not result["changed"]
    assert [one["server_name"] for one in result["servers"]] == [SERVERS[0], SERVERS[1].lower(), SERVERS[2]]
    assert result["servers"][0]["destinations"] == held(door, SERVERS[0]) == result["servers"][1]["destinations"]
    assert result["servers"][2]["code"] == "not_permitted" and result["servers"][2]["destinations"] is None
    assert not door.writes("ips")
    assert not door.run("ips_notification_info", servers=given[:2]).get("failed")
    for bad in ([{"server_name": "A"}, {"server_name": "a"}], [{"server_name": "a b"}]):
        with pytest.raises(IntrusionResponseError) as caught:
            door.run("ips_notification_info", servers=bad)
        assert "servers[" in caught.value.message
