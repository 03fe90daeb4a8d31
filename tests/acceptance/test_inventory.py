# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory with hosts whose address nobody can tell: what blocks says so and goes on, all else does not even look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from acceptance.fleet import BIN, Fleet, Played

INVENTORY = """\
all:
  children:
    web:
      hosts:
        web.undefined: {ansible_host: "{{ nowhere }}"}
        web.lookup: {ansible_host: "{{ lookup('ansible.builtin.file', '/nowhere/at/all') }}"}
        web.vaulted:
          ansible_host: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            33363965326261303234376339643735356337636331336136303834643533323463303932383461
            3964343165653031386563353262646664366131326230340a653739653133376432313465653033
            36626434316466356463643030343262613535316338643437323036633239333731636161326264
            3533663932363534640a663830393264653738323537316230613039336636396538376664323839
            3736
        web.chosen: {ansible_host: "{% if number == 7 %}203.0.113.107{% endif %}", number: 7}
        web.looked.up: {ansible_host: "{{ lookup('ansible.builtin.vars', 'place') }} ", place: 203.0.113.108}
        web.mapped: {ansible_host: "::ffff:203.0.113.109"}
    many:
      hosts:
        many[01:40]:
      vars:
        ansible_host: "198.51.100.{{ inventory_hostname[4:] | int }}"
"""
BAD = ("web.undefined", "web.lookup", "web.vaulted")
WARNING = re.compile(r"The inventory addresses of (.*) are unknown, because a template")
HOST = "203.0.113.5"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("inventory")) as found:
        (found.secret / "web.yml").write_text(INVENTORY, encoding="utf-8")
        yield found


@pytest.fixture(autouse=True)
def start_afresh(fleet: Fleet) -> None:
    fleet.control("POST", "reset", {})


def play(fleet: Fleet, playbook: str | Path, *arguments: str, **environment: str) -> Played:
    return fleet.play(playbook, "-i", str(fleet.secret / "web.yml"), *arguments, **environment)


def tasks(fleet: Fleet, *tasks: dict[str, Any]) -> Path:
    """A play on both firewalls, whose tasks run on the controller."""
    connection = {
        "api_url": "{{ cos_api_url }}", "username": "{{ cos_username }}", "password": "{{ cos_password }}", "ca_path": "{{ cos_ca_path }}",
    }  # fmt: skip
    module_defaults = {"group/intrusion.response.cos": connection}
    keywords = {"hosts": "firewalls", "gather_facts": False, "module_defaults": module_defaults}
    delegated = [{"delegate_to": "localhost", **task} for task in tasks]
    return fleet.write_playbook("play.yml", [{"name": "Play", **keywords, "tasks": delegated}])


def blocked(fleet: Fleet) -> set[str]:
    """The addresses that were written to either firewall."""
    return {parse_qs(write["body"])["host"][0] for write in fleet.writes() if write["method"] == "POST"}


def warned_of(played: Played) -> list[str]:
    """The hosts that each warning names."""
    return WARNING.findall(" ".join(played.output.split()))


def test_block_blocks_and_says_it_once(fleet: Fleet) -> None:
    played = play(fleet, "intrusion.response.block", "-e", f"blacklist_addresses={HOST},203.0.113.6", "-e", "blacklist_ttl=600")
    assert played.status == 0, played.output
    assert blocked(fleet) == {HOST, "203.0.113.6"}
    assert warned_of(played) == [", ".join(BAD)], played.output


@pytest.mark.parametrize("playbook", ["unblock", "undo"])
def test_what_takes_back_says_nothing(fleet: Fleet, playbook: str) -> None:
    before = play(fleet, "intrusion.response.block", "-e", f"blacklist_addresses={HOST}")
    assert before.status == 0 and before.changes == {"fw1": 1, "fw2": 1}, before.output
    played = play(fleet, f"intrusion.response.{playbook}", "-e", f"blacklist_addresses={HOST}")
    assert played.status == 0, played.output
    assert played.changes == {"fw1": 1, "fw2": 1} and not warned_of(played), before.output + played.output
    assert {write["method"] for write in fleet.writes()[-2:]} == {"DELETE"}


@pytest.mark.parametrize("way", ["in process", "module"])
def test_modules(fleet: Fleet, way: str) -> None:
    more: dict[str, Any] = {} if way == "in process" else {"environment": {"ANY": "thing"}}
    entry, entries = "intrusion.response.cos_blacklist_entry", "intrusion.response.cos_blacklist_entries"
    quiet = tasks(
        fleet,
        {entry: {"host": HOST, "state": "absent"}, **more},
        {entries: {"entries": [{"host": HOST}], "state": "absent"}, **more},
        {entries: {"entries": [{"host": HOST, "state": "absent"}]}, **more},
        {entry: {"host": "198.51.100.7", "allow_protected": True}, **more},
    )
    played = play(fleet, quiet)
    assert played.status == 0 and not warned_of(played), played.output
    loud = tasks(
        fleet,
        {entry: {"host": HOST}, **more},
        {entries: {"entries": [{"host": "203.0.113.6"}, {"host": "203.0.113.7", "state": "absent"}]}, **more},
        {entries: {"entries": [{"host": "203.0.113.8", "state": "present"}], "state": "absent"}, **more},
    )
    played = play(fleet, loud)
    assert played.status == 0 and warned_of(played) == [", ".join(BAD)], played.output
    assert blocked(fleet) == {HOST, "198.51.100.7", "203.0.113.6", "203.0.113.8"}


@pytest.mark.parametrize("way", ["in process", "module"])
def test_every_spelling_is_protected(fleet: Fleet, way: str) -> None:
    more: dict[str, Any] = {} if way == "in process" else {"environment": {"ANY": "thing"}}
    addresses = [*(f"203.0.113.{number}" for number in (107, 108, 109)), "198.51.100.1", "198.51.100.40"]
    task: dict[str, Any] = {"intrusion.response.cos_blacklist_entry": {"host": "{{ item }}"}, "loop": addresses, **more}
    task.update(register="refused", failed_when="refused.code | default('') != 'protected_address' or refused is changed")
    that = ["refused.results | map(attribute='invocation.module_args.never_block', default=[]) | flatten == []"]
    if way == "in process":
        that.append("'it is the address of web.mapped in the inventory' in refused.results[2].msg")
    played = play(fleet, tasks(fleet, task, {"ansible.builtin.assert": {"that": that}}))
    assert played.status == 0 and not fleet.writes(), played.output


def test_a_host_that_is_added_is_protected(fleet: Fleet) -> None:
    entry = "intrusion.response.cos_blacklist_entry"
    refused = {"register": "refused", "failed_when": "refused.code | default('') != 'protected_address'"}
    added = {"name": "web.new", "ansible_host": "203.0.113.120"}
    moved = {"name": "web.new", "ansible_host": "203.0.113.121"}
    playbook = tasks(
        fleet,
        {entry: {"host": HOST}},
        {"ansible.builtin.add_host": added},
        {entry: {"host": "203.0.113.120"}, **refused},
        {"ansible.builtin.add_host": moved},
        {entry: {"host": "203.0.113.121"}, **refused},
    )
    played = play(fleet, playbook)
    assert played.status == 0 and blocked(fleet) == {HOST}, played.output


@pytest.mark.parametrize(("state", "warnings"), [("absent", []), ("present", [", ".join(BAD)])])
def test_ad_hoc(fleet: Fleet, state: str, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = f"host={HOST} state={state} api_url={{{{ cos_api_url }}}} username={{{{ cos_username }}}} "
    options += "password={{ cos_password }} ca_path={{ cos_ca_path }}"
    inventories = [f"-i{fleet.secret / name}" for name in ("inventory.json", "web.yml")]
    command = [str(BIN / "ansible"), *inventories, "fw1", "-c", "local", "-m", "intrusion.response.cos_blacklist_entry", "-a", options]
    monkeypatch.setattr(fleet, "command", lambda *_unused: command)
    played = fleet.play("")
    assert played.status == 0 and warned_of(played) == warnings, played.output
