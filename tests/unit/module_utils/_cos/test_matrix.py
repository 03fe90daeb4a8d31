# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a blacklist entry on every firewall that the documents allow for: each switch moved alone, and pairs of them."""

from __future__ import annotations

import itertools
import random

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import IntrusionResponseError
from ansible_collections.intrusion.response.plugins.module_utils._cos.guard import Guard

from emulator.switches import deviations

HOST = "203.0.113.5"
DEVIATIONS = [pair for pair in deviations() if pair[0].startswith("cos.")]
#: Deviations under which a block cannot be made, and the code of the failure.
REFUSALS = {
    ("cos.access", "read_only"): "not_permitted",
    ("cos.list_cap", "2"): "listing_truncated",
    ("cos.text_limit", "truncate:8"): "stored_differently",
    ("cos.text_limit", "reject:8"): "rejected",
    ("cos.longest_ttl", "200"): "stored_differently",
    ("cos.capacity", "2:400"): "rejected",
    ("cos.capacity", "2:500"): "server_fault",
    ("cos.capacity", "2:silent"): "not_listed_after_write",
}
LIVABLE = [pair for pair in DEVIATIONS if pair not in REFUSALS]
PAIRS = [pair for pair in itertools.combinations(LIVABLE, 2) if pair[0][0] != pair[1][0]]
SAMPLE = random.Random(20261122).sample(PAIRS, 80)


def name(switches) -> str:
    return "+".join(f"{switch}={value}" for switch, value in switches)


def timeless(result):
    """Results of different seconds can be compared without it."""
    return {name: value for name, value in result.items() if name != "expires_at"}


def life(door, switches) -> None:
    """Predict, block, repeat, change, shorten, renew, and take off again."""
    door.emulator.switch_many(dict(switches))
    request = {"host": HOST, "ttl": 600, "description": "port scan & more", "rule_name": "Invalid Traversal"}

    predicted = door.entry(check=True, **request)
    assert not door.writes("cos")
    done = door.entry(**request)
    assert timeless(predicted) == timeless(done)
    assert done["changed"] and done["action"] == "added" and done["entry"]["ttl"] in (599, 600)
    (held,) = door.owned(HOST)
    assert (held["description"], held["rule_name"], held["service"]) == ("port scan & more", "Invalid Traversal", "all_services")

    door.emulator.clear_journal()
    door.emulator.advance(5)
    again = door.entry(**request)
    assert not again["changed"] and again["action"] == "unchanged" and not door.writes("cos")
    assert not door.entry(host=HOST)["changed"], "what is not given is never a difference"

    changed = door.entry(host=HOST, description="reviewed")
    assert changed["action"] == "updated"
    (held,) = door.owned(HOST)
    assert held["description"] == "reviewed"
    assert held["rule_name"] == "Invalid Traversal", "what was not given must survive a rewrite"
    assert not door.entry(host=HOST, description="reviewed")["changed"]

    shortened = door.entry(host=HOST, ttl=60)
    assert shortened["action"] == "updated" and shortened["entry"]["ttl"] <= 62
    assert not door.entry(host=HOST, ttl=60)["changed"]

    door.emulator.advance(40)
    door.emulator.clear_journal()
    renewed = door.entry(host=HOST, ttl=60, renew_below=30)
    if ("cos.ttl_in_list", "configured") in switches:
        assert renewed["action"] == "unchanged" and not door.writes("cos")
    else:
        assert renewed["action"] == "renewed" and renewed["entry"]["ttl"] >= 58
    assert not door.entry(host=HOST, ttl=60, renew_below=30)["changed"]
    assert len(door.owned(HOST)) == 1

    assert not door.entry(host=HOST, service="http-all", state="absent")["changed"], "another service is another entry"
    predicted = door.entry(check=True, host=HOST, state="absent")
    removed = door.entry(host=HOST, state="absent")
    assert predicted == removed and removed["action"] == "removed"
    assert not door.owned(HOST)
    door.emulator.clear_journal()
    assert not door.entry(host=HOST, state="absent")["changed"] and not door.writes("cos")


@pytest.mark.parametrize("switches", [(), *[(pair,) for pair in LIVABLE], *SAMPLE], ids=name)
def test_life(door, switches) -> None:
    life(door, switches)


@pytest.mark.parametrize("switch", REFUSALS, ids=lambda pair: name([pair]))
def test_refusal_is_typed_and_truthful(door, switch) -> None:
    door.emulator.switch_many(dict([switch]))
    if switch[0] == "cos.list_cap":
        door.emulator.seed(
            {"firewalls": {"fw1": {"entries": [{"host": f"192.0.2.{number}", "ttl": 900, "alert_type": "IDP"} for number in (1, 2, 3)]}}}
        )
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host=HOST, ttl=600, description="a long description")
    assert caught.value.code == REFUSALS[switch]
    stored = switch[0] in ("cos.text_limit", "cos.longest_ttl") and bool(door.owned(HOST))
    assert caught.value.changed == (stored or switch[1] == "2:silent")
    assert "\n" not in caught.value.as_result()["msg"]


def test_every_deviation_is_in_the_suite() -> None:
    assert set(LIVABLE) | set(REFUSALS) == set(DEVIATIONS)


@pytest.mark.parametrize("value", ["silent", "400"])
def test_whitelisted_host(door, value: str) -> None:
    door.emulator.switch("cos.whitelist", value)
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host="192.0.2.250", ttl=600)
    assert caught.value.code == ("not_listed_after_write" if value == "silent" else "rejected")
    assert not door.owned("192.0.2.250")


def test_a_refused_change_leaves_the_address_blocked(door) -> None:
    door.entry(host=HOST, ttl=600, description="short")
    door.emulator.switch_many({"cos.text_limit": "reject:8"})
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host=HOST, description="far too long for this firewall")
    assert caught.value.code == "rejected" and caught.value.changed
    assert "previous entry was restored" in caught.value.hint
    (held,) = door.owned(HOST)
    assert held["description"] == "short"


@pytest.mark.parametrize("reading", ["remaining", "configured"])
def test_a_time_that_is_cut_short_is_never_a_success_without_a_word(door, reading: str) -> None:
    door.emulator.switch_many({"cos.longest_ttl": "200", "cos.ttl_in_list": reading})
    told = "200 seconds are listed, 86400 were requested"
    with pytest.raises(IntrusionResponseError, match=told) as caught:
        door.entry(host=HOST, ttl=86400)
    assert caught.value.code == "stored_differently" and caught.value.changed and door.owned(HOST)
    assert "text" not in caught.value.hint
    door.emulator.advance(50)
    with pytest.raises(IntrusionResponseError, match=told):
        door.entry(host=HOST, ttl=86400, renew_below=3600)
    bulk = door.run("cos_blacklist_entries", hosts=[HOST, "203.0.113.6"], ttl=86400, renew_below=3600)
    assert [row["code"] for row in bulk["entries"]] == ["stored_differently"] * 2 and told in bulk["entries"][1]["msg"]

    door.emulator.advance(50)
    renewed = door.entry(host=HOST, ttl=86400, renew_below=3600, stored_mismatch="warn")
    assert renewed["action"] == "renewed" and renewed["entry"]["ttl"] == 200 and any(told in warning for warning in door.warnings)
    bulk = door.run("cos_blacklist_entries", hosts=["203.0.113.7"], ttl=86400, stored_mismatch="warn")
    assert bulk["counts"] == {"added": 1} and any(told in warning for warning in door.warnings)
    assert door.entry(host="203.0.113.8", ttl=200)["action"] == "added" and not door.warnings


def test_a_renewal_that_is_cut_short_leaves_no_gap(door) -> None:
    door.emulator.switch("cos.longest_ttl", "200")
    door.entry(host=HOST, ttl=200)
    door.emulator.advance(100)
    door.emulator.clear_journal()
    assert door.entry(host=HOST, ttl=600, renew_below=300, stored_mismatch="warn")["action"] == "renewed"
    assert [request["method"] for request in door.writes("cos")] == ["POST"], "it was renewed, and removing it would not make it longer"


@pytest.mark.parametrize(
    ("switch", "value", "named"),
    [
        ("cos.all_services_in_list", "All_Services", f"{HOST} (All_Services, REST)"),
        ("cos.own_alert_type", "API", f"{HOST} (all_services, API)"),
    ],
)
def test_an_entry_in_another_spelling_is_named(door, switch: str, value: str, named: str) -> None:
    door.entry(host=HOST, ttl=600)
    door.emulator.switch(switch, value)
    for check in (True, False):
        result = door.entry(check=check, host=HOST, state="absent")
        assert result["action"] == "unchanged" and [entry["host"] for entry in result["still_blocked"]] == [HOST]
        assert any(named in warning for warning in door.warnings)
        bulk = door.run("cos_blacklist_entries", check=check, hosts=[HOST, "203.0.113.6"], state="absent")
        assert named in bulk["entries"][0]["msg"] and bulk["entries"][1]["msg"] is None
        assert any(named in warning for warning in door.warnings) and len(bulk["still_blocked"]) == 1
    assert door.owned(HOST)
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host="203.0.113.9", ttl=600)
    assert caught.value.code == "not_listed_after_write" and named.replace(HOST, "203.0.113.9") in caught.value.message


def test_what_blocks_nothing_asks_no_guard(door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.entry(host=HOST, ttl=600)
    monkeypatch.setattr(Guard, "from_call", lambda *_arguments: pytest.fail("the guard was asked"))
    assert door.entry(host=HOST, state="absent")["action"] == "removed"
    assert not door.run("cos_blacklist_entries", entries=[{"host": HOST, "state": "absent"}], rule_name="feed", purge=True)["changed"]


def test_a_text_that_is_stored_differently_may_be_a_warning(door) -> None:
    door.emulator.switch("cos.text_limit", "truncate:8")
    result = door.entry(host=HOST, description="a long description", stored_mismatch="warn")
    assert result["changed"] and result["entry"]["description"] == "a long d"
    assert any("description" in warning for warning in door.warnings)


def test_foreign_entries_are_left_alone_and_reported(door) -> None:
    result = door.entry(host="198.51.100.7", state="absent")
    assert not result["changed"] and not door.writes("cos")
    assert [entry["host"] for entry in result["still_blocked"]] == ["198.51.100.0/24"]
    assert any("198.51.100.7 is still blocked by 198.51.100.0/24 (all_services, " in warning for warning in door.warnings)

    assert door.entry(host="192.0.2.66", service="http-all", ttl=60)["action"] == "added"
    removed = door.entry(host="192.0.2.66", service="http-all", state="absent")
    assert removed["action"] == "removed" and removed["still_blocked"]


def test_every_service(door) -> None:
    for service in ("all_services", "http-all", "ssh"):
        door.entry(host=HOST, service=service, ttl=600)
    predicted = door.entry(check=True, host=HOST, state="absent", every_service=True)
    removed = door.entry(host=HOST, state="absent", every_service=True)
    assert predicted == removed and removed["changed"] and not door.owned(HOST)
    assert not door.entry(host=HOST, state="absent", every_service=True)["changed"]


def test_close_established_is_an_action_never_a_difference(door) -> None:
    door.entry(host=HOST, ttl=600, close_established=True)
    assert "close_established=yes" in door.writes("cos")[0]["body"]
    assert not door.entry(host=HOST, ttl=600, close_established=False)["changed"]


def test_only_what_was_given_is_sent(door) -> None:
    door.entry(host=HOST)
    assert [request["body"] for request in door.writes("cos")] == [f"host={HOST}"]


def test_an_entry_that_ran_off_is_added_again(door) -> None:
    door.entry(host=HOST, ttl=60)
    door.emulator.advance(61)
    assert door.entry(host=HOST, ttl=60)["action"] == "added"


def test_short_ttl_that_ran_off_before_it_could_be_read_is_no_failure(door) -> None:
    door.emulator.fault(kind="delay_after", service="cos", method="POST", seconds=1.2)
    assert door.entry(host=HOST, ttl=1)["changed"]


def test_without_credentials(door) -> None:
    door.emulator.switch("cos.auth", "none")
    assert door.entry(host=HOST, username=None, password=None)["changed"]
    assert "authorization" not in door.writes("cos")[0]["headers"]


def test_wrong_credentials_are_tried_once(door) -> None:
    with pytest.raises(IntrusionResponseError) as caught:
        door.entry(host=HOST, password="wrong-password")
    assert caught.value.code == "auth_failed"
    assert len(door.emulator.journal("cos")) == 1
