# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger in a database that is far, full, frozen, foreign or gone: a warning, nothing lost, nothing twice, no secret shown."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import LedgerUnusable
from ansible_collections.intrusion.response.plugins.module_utils._ledger import postgresql as module
from ansible_collections.intrusion.response.plugins.module_utils._ledger import schema, sql
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.database import Server

NOW = 1_800_000_000.0


def record(**more: Any) -> Record:
    return Record(**{"at": NOW, "action": "block", "outcome": "ok", "address": "203.0.113.5", "service": "all_services",
                     "firewall": "https://192.0.2.1", "ttl": 3600, **more})  # fmt: skip


@contextmanager
def administrator(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path = intrusion_response")
        yield connection


def open_ledger(url: str, tmp_path: Path, warnings: list[str], **more: Any) -> Ledger:
    return Ledger.from_option(url, warnings.append, spool=str(tmp_path / "spool"), **more)


@pytest.fixture
def role(postgresql: Server, database: str) -> Iterator[str]:
    """A user who may only read and add records, as the documentation says."""
    name = f"role_{database.rpartition('_')[2][:12]}"
    with administrator(database) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")
        yield name
        connection.execute(f"DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE {name}")


def test_who_may_only_add_adds(postgresql: Server, database: str, role: str, tmp_path: Path, warnings: list[str]) -> None:
    theirs = database.replace("owner@", f"{role}@")
    ledger = open_ledger(theirs, tmp_path, warnings)
    with pytest.raises(LedgerUnusable, match="permission denied"):
        ledger.record([record()])  # waits
        with administrator(database) as connection:
            connection.execute("CREATE SCHEMA intrusion_response")
        ledger.find(Filter())
    owner = open_ledger(database, tmp_path / "owner", warnings)
    assert owner.record([record(event="e1")])
    with administrator(database) as connection:
        connection.execute(f"GRANT USAGE ON SCHEMA intrusion_response TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA intrusion_response TO {role}")
        ledger = open_ledger(theirs, tmp_path, warnings)
        assert ledger.find(Filter())[1] == 1, "it reads, and what waits goes on waiting"
        assert "permission denied for table records" in warnings[-1] and ledger.waiting == 1
        connection.execute(f"GRANT INSERT ON records TO {role}")
    ledger = open_ledger(theirs, tmp_path, warnings, keep=1)
    assert ledger.record([record(event="e3")]) and not ledger.waiting
    assert owner.find(Filter())[1] == 3, "what is too old is removed by the owner only"
    for statement in ("UPDATE records SET at = 0", "DELETE FROM records", "TRUNCATE records", "DROP TABLE records"):
        with pytest.raises(psycopg.Error, match=r"permission denied|must be owner"), administrator(theirs) as connection:
            connection.execute(statement)
        if "DROP" not in statement:
            with pytest.raises(psycopg.IntegrityError, match="append-only"), administrator(database) as connection:
                connection.execute(statement)
    for one in (ledger, owner):
        one.close()


def test_nobody_there(postgresql: Server, tmp_path: Path, warnings: list[str]) -> None:
    url = "postgresql://ledger:s3cret-word@127.0.0.1:1/nothing"
    ledger = open_ledger(url, tmp_path, warnings, patience=5.0)
    assert ledger.record([record()]) and ledger.record([record()]) and ledger.waiting == 2
    with pytest.raises(LedgerUnusable):
        ledger.past("203.0.113.5", 0)
    (said,) = warnings
    assert "postgresql://ledger@127.0.0.1:1/nothing cannot be written" in said and "waits in" in said
    with pytest.raises(LedgerUnusable, match="cannot be read") as caught:
        ledger.find(Filter())
    shown = "".join([*warnings, str(caught.value), repr(ledger), repr(vars(ledger))])
    assert "s3cret" not in shown and "\n" not in shown
    ledger.close()


def test_a_wrong_password(postgresql: Server, tmp_path: Path, warnings: list[str]) -> None:
    with administrator(postgresql.url()) as connection:
        connection.execute(f"DO $$ BEGIN CREATE ROLE secret LOGIN PASSWORD '{postgresql.PASSWORD}'; "
                           "EXCEPTION WHEN duplicate_object THEN NULL; END $$")  # fmt: skip
    url = postgresql.url(user="secret:wr%2Fng-word")
    ledger = open_ledger(url, tmp_path, warnings, patience=5.0)
    assert ledger.record([record()])
    assert len(warnings) == 1 and 'password authentication failed for user "secret"' in warnings[0]
    with pytest.raises(LedgerUnusable, match="password authentication failed") as caught:
        ledger.find(Filter())
    assert not any(word in f"{warnings}{caught.value}" for word in ("wr%2Fng", "wr/ng"))
    right = open_ledger(postgresql.url(user="secret:correct%20horse%2Fbattery"), tmp_path, warnings)
    assert not right.is_there()
    right.close()
    ledger.close()


def test_a_database_of_a_newer_release(database: str, tmp_path: Path, warnings: list[str]) -> None:
    open_ledger(database, tmp_path, warnings).record([record()])
    with administrator(database) as connection:
        connection.execute(f"UPDATE format SET version = {schema.FORMAT + 1}")
        ledger = open_ledger(database, tmp_path, warnings)
        assert ledger.record([record()]) and ledger.waiting == 1
        assert "a newer release of intrusion.response created it" in warnings[0]
        with pytest.raises(LedgerUnusable, match="newer release"):
            ledger.find(Filter())
        connection.execute(f"UPDATE format SET version = {schema.FORMAT}")
    assert open_ledger(database, tmp_path, warnings).find(Filter())[1] == 2


def test_many_bring_an_older_one_up_to_date(database: str, tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    open_ledger(database, tmp_path, warnings).record([record()])
    monkeypatch.setattr(module, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more (n integer); INSERT INTO more VALUES (1)"))
    monkeypatch.setattr(module, "FORMAT", schema.FORMAT + 1)
    done: list[bool] = []

    def work() -> None:
        done.append(open_ledger(database, tmp_path, warnings).record([record()]))

    threads = [threading.Thread(target=work) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with administrator(database) as connection:
        found = connection.execute("SELECT (SELECT count(*) FROM more), (SELECT max(version) FROM format)").fetchone()
    assert found == (1, schema.FORMAT + 1)
    assert done == [True] * 6 and not warnings


def test_a_full_disk(database: str, tmp_path: Path, warnings: list[str]) -> None:
    ledger = open_ledger(database, tmp_path, warnings)
    assert ledger.record([record()])
    with administrator(database) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$; "
            "CREATE TRIGGER full_disk BEFORE INSERT ON records EXECUTE FUNCTION full_disk()"
        )
        assert ledger.record([record()]) and ledger.waiting == 1 and "No space left on device" in warnings[0]
        connection.execute("DROP TRIGGER full_disk ON records")
    assert open_ledger(database, tmp_path, warnings).deliver() and ledger.find(Filter())[1] == 2


def test_what_was_added_without_an_answer_is_not_added_twice(database: str, tmp_path: Path, warnings: list[str]) -> None:
    ledger = open_ledger(database, tmp_path, warnings)
    assert ledger.record([record()])
    ledger.patience = 0.3
    with administrator(database) as connection, connection.transaction():
        connection.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
        assert ledger.record([record(event="e1"), record(event="e2")])
        assert "did not answer within 0.3 s" in warnings[0]
        assert ledger.record([record(event="e3")]) and ledger.waiting == 2, "nobody waits again"
    ledger.close()
    ledger = open_ledger(database, tmp_path, warnings)
    assert ledger.deliver() and ledger.waiting == 0
    found, total = ledger.find(Filter())
    assert total == 4 and sorted(one.event or "" for one in found) == ["", "e1", "e2", "e3"]


def test_what_waited_takes_the_place_that_it_had(database: str, tmp_path: Path, warnings: list[str]) -> None:
    """A block that was late in the database, but not on the firewall, does not follow its unblock."""
    here, there = open_ledger(database, tmp_path / "here", warnings), open_ledger(database, tmp_path / "there", warnings)
    assert here.record([record(address="203.0.113.9")])
    with administrator(database) as connection:
        connection.execute("ALTER TABLE records RENAME TO gone")
        assert here.record([record(at=NOW, write="w1", outcome="unknown"), record(address="203.0.113.6", write="w2", outcome="unknown")])
        assert here.record([record(at=NOW + 1, write="w1")])
        connection.execute("ALTER TABLE gone RENAME TO records")
    assert there.record([record(at=NOW + 2, action="unblock")])
    here = open_ledger(database, tmp_path / "here", warnings)
    assert here.deliver() and not here.waiting
    standing = [(one.last.address, one.last.outcome) for one in there.standing(Filter(), NOW + 3)]
    assert standing == [("203.0.113.9", "ok"), ("203.0.113.6", "unknown")]


def test_a_server_that_was_started_anew(postgresql: Server, database: str, tmp_path: Path, warnings: list[str]) -> None:
    ledger = open_ledger(database, tmp_path, warnings)
    assert ledger.record([record()])
    with administrator(postgresql.url()) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'intrusion.response'")
    assert ledger.record([record()]) and not warnings, "a connection that was lost is made anew"
    assert ledger.find(Filter())[1] == 2
    ledger.close()


def test_without_the_driver(database: str, tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    ledger = open_ledger(database, tmp_path, warnings)
    assert ledger.record([record()]) and ledger.waiting == 1
    assert "it requires the Python package psycopg, 3.1 or newer" in warnings[0]


def test_questions_are_looked_up(database: str, tmp_path: Path, warnings: list[str]) -> None:
    ledger = open_ledger(database, tmp_path, warnings)
    ledger.record([record(event=f"e{number}", address=f"203.0.113.{number % 250}", write=f"w{number}") for number in range(2000)])
    dialect = module.DIALECT
    asked = (
        ("records_of_an_address", sql.past("address = ANY(:addresses)"), {"addresses": ["203.0.113.5"], "since": 0.0}),
        ("records_of_an_event", *sql.find(dialect, Filter(event="e5"), 10)),
        ("records_of_an_event", sql.events(dialect), {"beginning": "e77", "most": 2}),
        ("records_by_time", *sql.find(dialect, Filter(since=NOW + 1), 10)),
        ("records_by_end", *sql.lives(dialect, Filter(), NOW + 9000)),
        ("records_by_time", *sql.lives(dialect, Filter(since=NOW + 1), NOW)),
        ("records_of_a_write", *sql.find(dialect, Filter(event="e5"), 10)),
    )
    with administrator(database) as connection:
        connection.execute("ANALYZE records")
        for index, text, values in asked:
            plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {module.named(text)}", values).fetchall())
            assert index in plan, plan
    ledger.close()


letters = st.sampled_from("aAbB-]^[*?\\.+(){}|$ :=\n\u00e4\u00c4")


@settings(max_examples=300)
@given(pattern=st.text(letters, max_size=7), text=st.text(letters, max_size=5))
@example(pattern="[]a]", text="]")
@example(pattern="[^]a]", text="b")
@example(pattern="[a-]", text="-")
@example(pattern="[b-a]", text="a")
@example(pattern="[", text="[")
def test_wildcards_mean_the_same_in_both(one_database: psycopg.Connection[Any], pattern: str, text: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        ((wanted,),) = connection.execute("SELECT lower(?) GLOB lower(?)", (text, pattern))
    expression = module.regular_expression(pattern.translate(module._FOLD))
    folded = text.translate(module._FOLD)
    found = expression is not None and one_database.execute("SELECT %s ~ (%s COLLATE \"C\")", (folded, expression)).fetchone() == (True,)
    assert found == bool(wanted), (pattern, expression, text)


@pytest.fixture(scope="module")
def one_database(postgresql: Server) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgresql.url(), autocommit=True) as connection:
        yield connection
