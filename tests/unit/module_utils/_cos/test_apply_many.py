# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many entries at once: the same rules as for one, one listing, the fewest writes, and a truthful result for each."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError

from .test_matrix import LIVABLE, name

HOSTS = [f"203.0.113.{number}" for number in range(1, 13)]


def many(door, *, check: bool = False, **options):
    return door.run("cos_blacklist_entries", check=check, **options)


def entries(hosts=HOSTS, **fields):
    return [{"host": host, **fields} for host in hosts]


def actions(result) -> list[str]:
    return [entry["action"] for entry in result["entries"]]


def held(door) -> dict[str, dict]:
    state = door.emulator.state()["firewalls"]["fw1"]["entries"]
    return {entry["host"]: entry for entry in state if entry["alert_type"] == "REST"}


@pytest.mark.parametrize("switches", [(), *[(pair,) for pair in LIVABLE]], ids=name)
def test_life(door, switches) -> None:
    door.emulator.switch_many(dict(switches))
    request = {"entries": entries(), "ttl": 600, "rule_name": "feed", "description": "bulk"}
    predicted = many(door, check=True, **request)
    assert not door.writes("cos")
    done = many(door, **request)
    assert {**predicted, "entries": actions(predicted)} == {**done, "entries": actions(done)}
    assert done["counts"] == {"added": 12} and set(held(door)) == set(HOSTS)
    assert len(door.writes("cos")) == 12

    door.emulator.clear_journal()
    assert not many(door, **request)["changed"]
    assert [record["method"] for record in door.emulator.journal("cos")] == ["GET"], "exactly one request"

    mixed = (
        entries(HOSTS[:4], description="new")
        + entries(HOSTS[4:8], ttl=60)
        + entries(HOSTS[8:10], state="absent")
        + entries(["203.0.113.99"])
    )
    done = many(door, **{**request, "entries": mixed})
    assert actions(done) == ["updated"] * 8 + ["removed"] * 2 + ["added"]
    assert not many(door, **{**request, "entries": mixed})["changed"]
    now = held(door)
    assert [now[host]["description"] for host in HOSTS[:5]] == ["new"] * 4 + ["bulk"]
    assert HOSTS[8] not in now and HOSTS[11] in now, "what is not named is kept"

    kept = entries(HOSTS[:4], description="new")
    door.emulator.clear_journal()
    with pytest.raises(IntrusionResponseError) as caught:
        many(door, **{**request, "entries": kept}, purge=True, purge_limit="2")
    assert caught.value.code == "purge_limit_exceeded" and not door.writes("cos")
    purged = many(door, **{**request, "entries": kept}, purge=True, purge_limit="7")
    assert purged["counts"] == {"removed": 7, "unchanged": 4}
    assert set(held(door)) == set(HOSTS[:4])


def test_purge_touches_only_what_bears_the_mark(door) -> None:
    many(door, entries=entries(HOSTS[:2]), rule_name="feed-a")
    many(door, entries=entries(HOSTS[2:4]), rule_name="feed-b")
    door.entry(host=HOSTS[4], description="by hand")
    predicted = many(door, check=True, entries=entries(HOSTS[:1]), rule_name="feed-a", purge=True)
    done = many(door, entries=entries(HOSTS[:1]), rule_name="feed-a", purge=True)
    assert actions(predicted) == actions(done) == ["unchanged", "removed"]
    assert done["entries"][1]["purged"] and done["entries"][1]["host"] == HOSTS[1]
    assert set(held(door)) == {HOSTS[0], *HOSTS[2:5]}


def test_an_empty_feed_does_not_empty_the_blacklist(door) -> None:
    many(door, entries=entries(), rule_name="feed")
    with pytest.raises(IntrusionResponseError) as caught:
        many(door, entries=[], rule_name="feed", purge=True)
    assert caught.value.code == "purge_limit_exceeded" and len(held(door)) == 12
    assert many(door, entries=[], rule_name="feed", purge=True, purge_limit="100%")["counts"] == {"removed": 12}


def test_a_listing_can_be_written_back(door) -> None:
    many(door, entries=entries(), ttl=600, description="kept")
    listed = door.run("cos_blacklist_entry_info", alert_type="REST")["entries"]
    assert not many(door, entries=listed)["changed"]
    many(door, entries=entries(), state="absent")
    assert many(door, entries=listed)["counts"] == {"added": 12}
    everything = door.run("cos_blacklist_entry_info")["entries"]
    with pytest.raises(IntrusionResponseError, match="alert_type"):
        many(door, entries=everything)


def test_plain_addresses(door) -> None:
    done = many(door, hosts=HOSTS[:2], entries=entries(HOSTS[2:3], ttl=60), ttl=600, rule_name="feed")
    assert [(row["host"], row["action"], row["entry"]["ttl"]) for row in done["entries"]] == [
        (HOSTS[0], "added", 600), (HOSTS[1], "added", 600), (HOSTS[2], "added", 60),
    ]  # fmt: skip
    assert many(door, hosts=HOSTS[:3])["counts"] == {"unchanged": 3}
    assert many(door, hosts=HOSTS[:3], state="absent")["counts"] == {"removed": 3}
    assert many(door, hosts=[])["entries"] == []


def test_when_entries_end(door) -> None:
    def ends(result) -> list[float | None]:
        texts = [row["expires_at"] for row in result["entries"]]
        return [text and datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() for text in texts]

    begun = int(time.time())
    request = {"hosts": HOSTS[:2], "entries": entries(HOSTS[2:3], ttl=86400), "ttl": 600}
    for found in (many(door, check=True, **request), many(door, **request), many(door, **request)):
        short, _also, long = ends(found)
        assert begun + 598 <= short <= time.time() + 600 and begun + 86398 <= long <= time.time() + 86400
    assert ends(many(door, hosts=HOSTS[:2], state="absent")) == [None, None]
    assert ends(many(door, hosts=["127.0.0.1"])) == [None]


def test_the_same_address_for_several_services(door) -> None:
    done = many(door, entries=[{"host": HOSTS[0]}, {"host": HOSTS[0], "service": "ssh"}])
    assert done["counts"] == {"added": 2}


def test_every_service(door) -> None:
    many(door, entries=[{"host": HOSTS[0]}, {"host": HOSTS[0], "service": "ssh"}, {"host": HOSTS[1], "service": "ssh"}])
    removed = many(door, entries=entries(HOSTS[:3]), state="absent", every_service=True)
    assert removed["counts"] == {"removed": 3, "unchanged": 1} and not held(door)


@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_protected_addresses(door, on_error: str) -> None:
    result = many(door, entries=entries(), never_block=[HOSTS[3]], on_error=on_error)
    assert result["failed"]
    assert result["entries"][3]["action"] == "protected" and result["entries"][3]["code"] == "protected_address"
    if on_error == "continue":
        assert "1 of 12" in result["msg"]
        assert result["changed"] and set(held(door)) == set(HOSTS) - {HOSTS[3]}
    else:
        assert not result["changed"] and not door.writes("cos")
        assert {entry["code"] for entry in result["entries"]} == {"protected_address", "not_attempted"}


def test_override_of_the_guard_is_in_the_result(door) -> None:
    result = many(door, entries=entries(HOSTS[:2]), never_block=[HOSTS[0]], allow_protected=True)
    assert [entry["protected"] is not None for entry in result["entries"]] == [True, False]


@pytest.mark.parametrize(("on_error", "added"), [("continue", 11), ("stop", 3)])
def test_one_refused_entry(door, on_error: str, added: int) -> None:
    request = entries()
    request[3]["service"] = "no-such-service"
    result = many(door, entries=request, on_error=on_error, concurrency=1)
    assert result["failed"] and result["changed"] and len(held(door)) == added
    assert result["entries"][3]["code"] == "rejected"
    if on_error == "stop":
        assert {entry["code"] for entry in result["entries"][4:]} == {"not_attempted"}


@pytest.mark.parametrize("concurrency", [1, 4, 12])
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "garbage"])
def test_lost_answers_are_recovered(door, kind: str, concurrency: int) -> None:
    door.emulator.fault(kind=kind, service="cos", method="POST", times=5, skip=2)
    result = many(door, entries=entries(), concurrency=concurrency)
    assert result["counts"] == {"added": 12} and len(held(door)) == 12


def test_the_listing_fails_after_the_writes(door) -> None:
    door.emulator.fault(kind="status", status=500, service="cos", method="GET", times=None, skip=1)
    result = many(door, entries=entries(), retries=1)
    assert result["failed"] and result["changed"]
    assert {entry["code"] for entry in result["entries"]} == {"timeout_unknown"}


@pytest.mark.parametrize("switch", ["reject:8", "truncate:8"])
def test_refused_texts_leave_the_addresses_blocked(door, switch: str) -> None:
    many(door, entries=entries(), description="short")
    door.emulator.switch("cos.text_limit", switch)
    result = many(door, entries=entries(), description="far too long for this firewall")
    assert result["failed"] and result["changed"] and len(held(door)) == 12
    code = "rejected" if switch.startswith("reject") else "stored_differently"
    assert {entry["code"] for entry in result["entries"]} == {code}
    assert ("previous entry was restored" in result["entries"][0]["msg"]) == (code == "rejected")


def test_a_full_firewall(door) -> None:
    door.emulator.switch("cos.capacity", "7:400")
    result = many(door, entries=entries(), concurrency=1)
    assert result["counts"] == {"added": 5, "failed": 7}


def test_foreign_entries_that_still_block(door) -> None:
    result = many(door, entries=entries(["198.51.100.7"]), state="absent")
    assert not result["changed"] and result["still_blocked"] and door.warnings
