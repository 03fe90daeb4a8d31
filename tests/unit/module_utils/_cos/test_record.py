# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules record: every write with its outcome, nothing else, and never at the cost of a block."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._cos.client import CosClient
from ansible_collections.intrusion.response.plugins.module_utils._cos.record import who
from ansible_collections.intrusion.response.plugins.module_utils._ledger import sqlite as sqlite_file
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

from tools.database import Server

HOST = "203.0.113.5"


def recorded(door) -> list[Record]:
    """Oldest first."""
    return Ledger(str(door.ledger), pytest.fail).find(Filter())[0][::-1]


def brief(door) -> list[tuple[str, str, str | None]]:
    return [(one.action, one.outcome, one.code) for one in recorded(door)]


def info(door, **options: Any) -> dict[str, Any]:
    return door.run("response_ledger_info", **options)


def many(door, hosts: list[str], **options: Any) -> dict[str, Any]:
    return door.run("cos_blacklist_entries", entries=[{"host": host} for host in hosts], **options)


def lots(count: int) -> list[str]:
    return [f"203.0.{number // 250 + 113}.{number % 250 + 1}" for number in range(count)]


def test_the_life_of_an_entry(door) -> None:
    door.environ = {"JOB_ID": "77", "AWX_HOST": "https://awx.example.com"}
    before = time.time()
    door.entry(host=HOST, ttl=600, rule_name="IPS", description="scan", event="e1", event_rule="Port Scan", ledger_user="alice")
    door.entry(host=HOST, ttl=600, rule_name="IPS")
    door.entry(host=HOST, ttl=60)
    door.entry(host=HOST, ttl=600, renew_below=500)
    door.entry(host=HOST, state="absent")
    door.entry(host=HOST, state="absent")
    first, update, renew, unblock = recorded(door)
    assert before <= first.at <= time.time()
    assert first._replace(at=0, write=None) == Record(
        at=0, action="block", outcome="ok", address=HOST, service="all_services", firewall=door.emulator.firewalls[0].api_url, ttl=600,
        rule_name="IPS", description="scan", origin="cos_blacklist_entry", user="alice", job="77", event="e1", event_rule="Port Scan", id=2,
    )  # fmt: skip
    assert (update.action, update.ttl, update.rule_name, update.event) == ("update", 60, "IPS", None)
    assert (renew.action, renew.ttl) == ("renew", 600)
    assert (unblock.action, unblock.ttl, unblock.rule_name, unblock.description) == ("unblock", None, "IPS", "scan")


def test_nothing_is_recorded_that_was_not_written(door) -> None:
    door.entry(host=HOST, check=True)
    many(door, [HOST, "203.0.113.6"], check=True)
    door.entry(host=HOST, ledger="none")
    door.entry(host=HOST)
    door.entry(host="203.0.113.7", state="absent")
    door.run("cos_blacklist_entry_info")
    with pytest.raises(IntrusionResponseError):
        door.entry(host="127.0.0.1")
    assert many(door, ["127.0.0.1"])["failed"]
    assert not door.ledger.exists()


def test_many_at_once(door) -> None:
    first = {"host": "203.0.113.1", "event": "e1", "event_rule": "A"}
    entries = [first, {"host": "203.0.113.2"}, {"host": "203.0.113.3", "rule_name": "x"}]
    door.run("cos_blacklist_entries", entries=entries, event="e0", rule_name="feed", ttl=600)
    assert [(one.address, one.event, one.event_rule, one.rule_name) for one in recorded(door)] == [
        ("203.0.113.1", "e1", "A", "feed"), ("203.0.113.2", "e0", None, "feed"), ("203.0.113.3", "e0", None, "x"),
    ]  # fmt: skip
    entries = [{"host": "203.0.113.3", "state": "absent"}, {"host": "203.0.113.4"}]
    door.run("cos_blacklist_entries", entries=entries, rule_name="feed", purge=True, purge_limit="100%", event="e2")
    latest = {(one.address, one.action, one.event) for one in recorded(door)[3:]}
    removed = {("203.0.113.1", "unblock", "e2"), ("203.0.113.2", "unblock", "e2"), ("203.0.113.3", "unblock", "e2")}
    assert latest == {("203.0.113.4", "block", "e2")} | removed


def test_an_overridden_guard(door) -> None:
    door.entry(host="192.0.2.7", never_block=["192.0.2.0/24"], allow_protected=True)
    many(door, ["192.0.2.8", HOST], never_block=["192.0.2.0/24"], allow_protected=True)
    assert [one.overridden for one in recorded(door)] == ["it is in never_block (192.0.2.0/24)"] * 2 + [None]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "status", "status": 403}, ("block", "failed", "not_permitted")),
        ({"kind": "status", "status": 400}, ("block", "failed", "rejected")),
        ({"kind": "status", "status": 500}, ("block", "unknown", "server_fault")),
        ({"kind": "drop_before"}, ("block", "unknown", "timeout_unknown")),
    ],
)
def test_failures(door, fault: dict[str, Any], expected: tuple[str, str, str]) -> None:
    door.emulator.fault(method="POST", times=None, **fault)
    with pytest.raises(IntrusionResponseError):
        door.entry(host=HOST, rule_name="IPS", retries=0)
    assert many(door, [HOST], retries=0)["failed"]
    assert brief(door) == [expected] * 2
    assert len(info(door)["standing"]) == (expected[1] == "unknown")


def test_a_write_that_cannot_be_verified(door) -> None:
    door.emulator.fault(kind="status", status=500, method="GET", times=None, skip=1)
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host=HOST, retries=0)
    assert brief(door) == [("block", "unknown", caught.value.code)]


def test_an_entry_that_is_stored_differently_stands(door) -> None:
    door.emulator.switch("cos.text_limit", "truncate:8")
    with pytest.raises(IntrusionResponseError):
        door.entry(host=HOST, rule_name="r" * 300)
    assert brief(door) == [("block", "ok", "stored_differently")]
    (listed,) = door.owned(HOST)
    (found,) = info(door)["standing"]
    assert found["rule_name"] == listed["rule_name"] != "r" * 300


def test_a_failed_removal(door) -> None:
    many(door, [HOST, "203.0.113.6"])
    door.emulator.fault(kind="status", status=403, method="DELETE", times=1)
    assert many(door, [HOST, "203.0.113.6"], state="absent", concurrency=1)["failed"]
    assert brief(door)[2:] == [("unblock", "failed", "not_permitted"), ("unblock", "ok", None)]
    assert [one["host"] for one in info(door)["standing"]] == [HOST]


def test_what_was_not_attempted_is_no_block(door) -> None:
    door.emulator.fault(kind="status", status=403, method="POST", times=None)
    assert many(door, [HOST, "203.0.113.6"], on_error="stop", concurrency=1)["failed"]
    assert brief(door) == [("block", "failed", "not_permitted"), ("block", "failed", "not_attempted")]
    assert info(door)["standing_total"] == 0


def test_trouble_with_the_ledger_is_one_warning_and_the_block_happens(door) -> None:
    door.state_dir.mkdir()
    door.ledger.write_text("not a ledger, certainly")
    assert door.entry(host=HOST)["changed"]
    assert many(door, ["203.0.113.6"])["changed"]
    assert len(door.warnings) == 1 and "not recorded" in door.warnings[0]
    assert door.owned(HOST) and door.owned("203.0.113.6")


def test_a_database_that_stands_still_delays_no_block_and_loses_no_record(
    door, postgresql: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    door.ledger = database
    door.entry(host=HOST, event="e1")
    postgresql.freeze()
    try:
        assert door.entry(host="203.0.113.6", event="e2")["changed"]
    finally:
        postgresql.freeze(False)
    assert door.owned("203.0.113.6")
    (warning,) = [one for one in door.warnings if "will be lost" not in one]
    assert "did not answer within" in warning or "has not answered" in warning
    assert "not recorded yet" in warning and "will be lost" in door.warnings[-1]
    found = info(door)
    assert found["shared"] and found["ledger"] == database and [one["host"] for one in found["standing"]] == [HOST, "203.0.113.6"]
    assert found["total"] == 2 and all(one["outcome"] == "ok" for one in found["records"])


@pytest.mark.parametrize(
    "options",
    [{"ledger_keep": -1}, {"ledger_user": "\0"}, {"ledger": "mysql://u:pw@h/d"}, {"ledger": "postgresql://u:p@w@h/d"}, {"ledger": "/"}],
)
def test_bad_input(door, options: dict[str, Any]) -> None:
    for function in (lambda: door.entry(host=HOST, **options), lambda: many(door, [HOST], **options)):
        with pytest.raises(IntrusionResponseError) as caught:
            function()
        assert caught.value.code == "invalid_input" and next(iter(options)) in caught.value.message
    assert not door.emulator.journal()


def test_the_way_back(door) -> None:
    many(door, [HOST, "203.0.113.6"], ttl=600, rule_name="IPS", event="e1")
    door.entry(host="203.0.113.6", rule_name="theirs", ledger="none")
    door.entry(host="203.0.113.7", service="http-all", rule_name="", event="e2")
    standing = info(door, event="e1")["standing"]
    assert [one["host"] for one in standing] == [HOST, "203.0.113.6"]
    for check in (True, False):
        result = door.run("cos_blacklist_entries", check=check, entries=standing, state="absent", match_rule_name=True)
        assert [one["action"] for one in result["entries"]] == ["removed", "unchanged"]
        assert "'theirs', not 'IPS', and was left alone" in result["entries"][1]["msg"]
    assert door.owned("203.0.113.6") and not door.owned(HOST)
    assert [(one.address, one.event) for one in recorded(door) if one.action == "unblock"] == [(HOST, "e1")]
    again = door.run("cos_blacklist_entries", entries=info(door, event="e1")["standing"], state="absent", match_rule_name=True)
    assert not again["changed"]
    result = door.run("cos_blacklist_entries", entries=info(door)["standing"][1:], state="absent", match_rule_name=True)
    assert [one["action"] for one in result["entries"]] == ["removed"], "an empty rule name is one, too"


def test_one_entry_is_left_alone_as_well(door) -> None:
    door.entry(host=HOST, rule_name="theirs")
    door.entry(host=HOST, service="http-all", rule_name="IPS")
    result = door.entry(host=HOST, state="absent", match_rule_name=True, rule_name="IPS", every_service=True)
    assert result["changed"] and "left alone" in door.warnings[0]
    assert [entry["rule_name"] for entry in door.owned(HOST)] == ["theirs"]
    result = door.entry(host=HOST, state="absent", match_rule_name=True, rule_name="IPS")
    assert (result["action"], result["entry"]["rule_name"]) == ("unchanged", "theirs")
    for options in ({"state": "absent"}, {"rule_name": "IPS"}):
        with pytest.raises(IntrusionResponseError, match="match_rule_name requires"):
            door.entry(host=HOST, match_rule_name=True, **options)


def test_an_entry_of_another_firewall_is_refused(door) -> None:
    door.entry(host=HOST)
    (standing,) = info(door)["standing"]
    with pytest.raises(IntrusionResponseError, match="recorded for another firewall"):
        door.run("cos_blacklist_entries", entries=[standing], state="absent", api_url=door.emulator.firewalls[1].api_url)


def test_one_thousand_entries_are_a_few_transactions(door, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    monkeypatch.setattr(Ledger, "record", lambda self, records: batches.append((len(records), records[0].outcome)) or True)
    many(door, lots(1000))
    assert batches == [(500, "unknown")] * 2 + [(1000, "ok")]


def test_a_run_that_is_interrupted_leaves_nothing_unknown_that_it_knows(door, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = lots(300)
    add, sent = CosClient.add, []

    def interrupted(client: CosClient, fields: dict[str, str]) -> dict[str, Any]:
        if len(sent) == 255:
            raise KeyboardInterrupt
        sent.append(fields["host"])
        return add(client, fields)

    monkeypatch.setattr(CosClient, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        many(door, hosts, rule_name="feed", concurrency=1)
    monkeypatch.undo()
    found = {one.address: (one.outcome, one.code) for one in recorded(door)}
    assert [found[host] for host in hosts[:256]] == [("unknown", None)] * 256, "sent, and not verified"
    assert [found[host] for host in hosts[256:]] == [("failed", "not_attempted")] * 44
    undone = door.run("cos_blacklist_entries", entries=info(door, limit=0)["standing"], state="absent", match_rule_name=True)
    assert undone["counts"] == {"removed": 255, "unchanged": 1}


def test_what_stands_is_bounded_as_records_are(door) -> None:
    hosts = [f"203.0.113.{number}" for number in range(1, 6)]
    many(door, hosts, ttl=600)
    found = info(door, limit=2)
    assert [one["host"] for one in found["standing"]] == hosts[-2:] and len(found["records"]) == 2
    assert found["standing_total"] == found["total"] == 5
    assert len(info(door, limit=0)["standing"]) == 5


def older(door, **values: Any) -> None:
    """Add a record as it is, as an older release did."""
    with closing(sqlite3.connect(door.ledger, isolation_level=None)) as connection:
        columns = [name for name in Record._fields if name != "id"]
        (row,) = connection.execute(f"SELECT {', '.join(columns)} FROM records WHERE outcome = 'ok' LIMIT 1")
        given = {**dict(zip(columns, row)), "write": None, **values}
        places = ", ".join("?" * len(columns))
        connection.execute(f"INSERT INTO records ({', '.join(columns)}) VALUES ({places})", [given[name] for name in columns])


def test_no_event_disables_undo(door) -> None:
    firewall = {"host": "203.0.113.7", "ttl": 600, "alert_type": "REST", "rule_name": "bad\trule\x07", "service": "all_services"}
    door.emulator.seed({"firewalls": {"fw1": {"entries": [firewall]}}})
    long, controls = "r" * 300, "\x1b[2J\nrule"
    many(door, [HOST], ttl=600, rule_name=long, event_rule=long, event="e" * 201)
    door.entry(host="203.0.113.6", ttl=600, rule_name="IPS", event_rule=controls)
    older(door, address="203.0.113.7", rule_name="bad\trule\x07", event_rule=controls * 40, event="e\n1")
    older(door, address="not an address", event="\x1b[2J")
    older(door, address="203.0.113.8", service="two\nlines")
    found = info(door, limit=0)
    assert {one["host"] for one in found["standing"]} == {HOST, "203.0.113.6", "203.0.113.7"}
    assert len([warning for warning in door.warnings if "is not counted as standing" in warning]) == 2
    assert not any("\n" in warning or "\x1b" in warning for warning in door.warnings)
    undone = door.run("cos_blacklist_entries", entries=found["standing"], state="absent", match_rule_name=True)
    assert undone["counts"] == {"removed": 3}, undone


def test_a_module_waits_a_second_at_most_for_its_ledger(door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.entry(host=HOST)
    patience: list[float] = []
    wait = sqlite_file.wait
    monkeypatch.setattr(sqlite_file, "wait", lambda connection, seconds: wait(connection, patience.append(seconds) or seconds))
    with closing(sqlite3.connect(door.ledger, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        many(door, lots(600))
        connection.execute("ROLLBACK")
    assert patience[:-2] == [1.0] * 3, "two questions which addresses are exempt, for which nobody waits, and the first write"
    assert len(patience) == 5 and max(patience[-2:]) < 0.2
    assert door.warnings == [f"The ledger {door.ledger} cannot be written: database is locked. What was done is not recorded."]


@pytest.mark.parametrize("home", [True, False])
def test_a_ledger_that_will_not_last_is_said_once(door, home: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path if home else tmp_path / "elsewhere"))
    door.entry(check=True, host=HOST)
    assert not door.warnings
    many(door, lots(501))
    assert len([warning for warning in door.warnings if "will be lost" in warning]) == home


def test_who() -> None:
    user, job = who({})
    assert user and job is None
    assert who({"JOB_ID": "5"})[1] is None, "that may be another scheduler's"
    assert who({"JOB_ID": "5", "AWX_HOST": "https://awx.example.com"})[1] == "5"
    assert who({"AD_HOC_COMMAND_ID": "6", "AWX_HOST": ""})[1] == "6"
