# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing a file over into a database, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._ledger import bring
from ansible_collections.intrusion.response.plugins.module_utils._ledger.record import Filter, Record
from ansible_collections.intrusion.response.plugins.module_utils._ledger.store import Ledger

NOW = time.time() - 3000


def record(number: int, action: str = "block", outcome: str = "ok", **more: object) -> Record:
    return Record(NOW + number, action, outcome, f"203.0.113.{number}", "all_services", "https://192.0.2.1", 3600, "IPS", "why", **more)


def test_all_of_it_once(ledger: Ledger, path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring, "BATCH", 3)
    ledger.record([record(number, event=f"e{number}", user="alice") for number in range(7)])
    ledger.record([record(8, outcome="unknown", write="w"), record(8, outcome="failed", write="w")])
    ahead = record(9)._replace(at=NOW + 1800)
    ledger.record([ahead, ahead._replace(at=NOW + 10, action="unblock"), record(1), record(1)])
    shared = Ledger.from_option(database, pytest.fail)
    shared.record([record(200)])
    said: list[str] = []
    assert bring.main([str(path), database], said.append) == 0
    assert f"{path} has 13 records; 13 of them are new in {database}." in said[-1]
    ledger.record([record(20)])
    monkeypatch.setenv("INTRUSION_RESPONSE_LEDGER", database)
    assert bring.main([str(path)], said.append) == 0 and "14 records; 1 of them" in said[-1]

    def content(one: Ledger) -> list[Record]:
        return sorted((found._replace(id=None) for found in one.find(Filter(until=NOW + 199))[0]), key=repr)

    assert content(shared) == content(ledger)
    wanted = Filter(until=NOW + 1801)
    brought, kept = (
        [(one.began.address, one.began.event, one.last.outcome) for one in found.standing(wanted, NOW + 100)] for found in (shared, ledger)
    )
    assert [one for one in brought if one[0] != "203.0.113.200"] == kept and ("203.0.113.9", None, "ok") not in kept
    shared.close()


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("none", "postgresql://u:s3cret@127.0.0.1:1/x", "FILE must be"),
        ("{path}", "{path}", "DATABASE must be"),
        ("{path}x", "postgresql://u:s3cret@127.0.0.1:1/x", "There is no ledger"),
        ("{path}", "postgresql://u:s3cret@127.0.0.1:1/x", "cannot be imported"),
        ("{path}", "mysql://u:s3cret@127.0.0.1:1/x", "ledger must be"),
    ],
)
def test_what_cannot_be_brought(
    source: str, target: str, said: str, ledger: Ledger, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.record([record(1)])
    assert bring.main([source.format(path=path), target.format(path=path)]) == 1
    shown = capsys.readouterr()
    assert said in shown.err and "s3cret" not in shown.err + shown.out and shown.err.count("\n") == 1
