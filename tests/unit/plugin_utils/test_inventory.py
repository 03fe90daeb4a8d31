# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of an inventory's hosts, with Ansible's own inventory, variables and templates."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.intrusion.response.plugins.plugin_utils import _inventory
from ansible_collections.intrusion.response.plugins.plugin_utils._inventory import Known, find_addresses, known_addresses

VAULTED = """!vault |
        $ANSIBLE_VAULT;1.1;AES256
        33363965326261303234376339643735356337636331336136303834643533323463303932383461
        3964343165653031386563353262646664366131326230340a653739653133376432313465653033
        36626434316466356463643030343262613535316338643437323036633239333731636161326264
        3533663932363534640a663830393264653738323537316230613039336636396538376664323839
        3736
"""


class Play:
    """An inventory and the variables of a task on localhost."""

    def __init__(self, directory: Path, inventory: str) -> None:
        source = directory / "inventory.yml"
        source.write_text(inventory, encoding="utf-8")
        self.loader = DataLoader()
        self.inventory = InventoryManager(self.loader, sources=[str(source)])
        manager = VariableManager(self.loader, self.inventory)
        self.variables: dict[str, Any] = {
            "hostvars": HostVars(self.inventory, manager, self.loader),
            "groups": self.inventory.get_groups_dict(),
        }

    def find(self) -> Known:
        return find_addresses(self.variables, self.loader)

    def known(self, play: str = "one") -> Known:
        return known_addresses(self.variables, self.loader, play)


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that Ansible makes for one run."""
    directory = tmp_path / "run"
    directory.mkdir()
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(directory))
    return directory


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Known]:
    """What was found, each time that somebody looked."""
    found: list[Known] = []

    def look(*arguments: Any) -> Known:
        found.append(find_addresses(*arguments))
        return found[-1]

    monkeypatch.setattr(_inventory, "find_addresses", look)
    return found


def hosts(lines: str) -> str:
    return "all:\n  hosts:\n" + "".join(f"    {line}\n" for line in lines.splitlines())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("' 192.0.2.1  '", "192.0.2.1"),
        ("'::ffff:192.0.2.1'", "192.0.2.1"),
        ("'[::ffff:c000:201]'", "192.0.2.1"),
        ("'{{ number }}.2.1'", "192.0.2.1"),
        ("'{{ nested.address }}'", "192.0.2.1"),
        ("'{{ nested[\"address\"] }}'", "192.0.2.1"),
        ("'{{ list[1] }}'", "192.0.2.1"),
        ("'{{ indirect }}'", "192.0.2.1"),
        ("'{{ nested.indirect }}'", "192.0.2.1"),
        ("'{% if true %}192.0.2.1{% else %}192.0.2.9{% endif %}'", "192.0.2.1"),
        ("'{#- a remark -#} 192.0.2.1'", "192.0.2.1"),
        ("'{{ \"192.0.2.1/24\" | split(\"/\") | first }} '", "192.0.2.1"),
        ("'{{ nowhere | default(\"192.0.2.1\") }}'", "192.0.2.1"),
        ("\"{{ hostvars['other'].ansible_host }}\"", "192.0.2.1"),
        ("web01.example.com", None),
        ("'{{ inventory_hostname }}.example.com'", None),
        ("'{{ nowhere | default(omit) }}'", None),
        ("'2001:db8::1'", None),
        ("", None),
        ("[192.0.2.1]", None),
    ],
)
@pytest.mark.parametrize("variable", ["ansible_host", "ansible_ssh_host"])
def test_spellings(tmp_path: Path, variable: str, value: str, expected: str | None) -> None:
    more = "number: 192.0, list: [1, 192.0.2.1], indirect: '{{ nested.address }}', nested: {address: 192.0.2.1, indirect: '{{ list[1] }}'}"
    play = Play(tmp_path, hosts(f"web: {{{variable}: {value}, {more}}}\nother: {{ansible_host: 192.0.2.1}}"))
    play.variables["groups"]["all"] = ["web"]
    assert play.find() == Known({expected: "web"} if expected else {}, [])


def test_names_and_groups(tmp_path: Path) -> None:
    play = Play(
        tmp_path,
        "all:\n  hosts:\n    192.0.2.7:\n    192.0.2.8: {ansible_host: 192.0.2.9}\n"
        "  children:\n    web:\n      hosts: {web1: {n: 1}, web2: {n: 2}}\n      vars: {ansible_host: '198.51.100.{{ n }}'}\n",
    )
    assert play.find().addresses == {
        "192.0.2.7": "192.0.2.7", "192.0.2.8": "192.0.2.8", "192.0.2.9": "192.0.2.8", "198.51.100.1": "web1", "198.51.100.2": "web2",
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        "'{{ nowhere }}'", "'{{ nowhere.address }}'",
        "'{{ lookup(\"file\", \"/nowhere/at/all\") }}'", "'{{ ansible_host }}'", "'{{ 1 / 0 }}'",
        "'{{ broken( }}'", "'{{ secret }}'", VAULTED,
    ],
)  # fmt: skip
def test_one_bad_host_costs_its_own_address_only(tmp_path: Path, value: str) -> None:
    inventory = f"all:\n  hosts:\n    web1: {{ansible_host: 192.0.2.1}}\n    bad:\n      secret: {VAULTED}\n      ansible_host: {value}\n"
    play = Play(tmp_path, inventory + "\n    web2: {ansible_host: 192.0.2.2}\n    192.0.2.3: {ansible_host: '{{ nowhere }}'}\n")
    known = play.find()
    assert known == Known({"192.0.2.1": "web1", "192.0.2.2": "web2", "192.0.2.3": "192.0.2.3"}, ["bad", "192.0.2.3"])
    assert "addresses of bad, 192.0.2.3 are" in known.warning and "not protected" in known.warning


def test_a_long_warning_is_cut_and_clean() -> None:
    warning = Known({}, [f"web\x1b[31m{number}" for number in range(9)]).warning
    assert "web?[31m0, web?[31m1" in warning and "and 4 more" in warning and "\x1b" not in warning


def test_once_a_play(tmp_path: Path, shared: Path, counted: list[Known]) -> None:
    play = Play(tmp_path, hosts("web1: {ansible_host: '{{ address }}', address: 192.0.2.1}\nbad: {ansible_host: '{{ nowhere }}'}"))
    found = play.known()
    assert found == Known({"192.0.2.1": "web1"}, ["bad"])
    assert play.known() == found and len(counted) == 1
    assert play.known("another") == found and len(counted) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in shared.iterdir()} == {0o600}


def test_a_host_that_comes_or_moves_is_seen(tmp_path: Path, counted: list[Known]) -> None:
    play = Play(tmp_path, hosts("web1: {ansible_host: 192.0.2.1}"))
    assert set(play.known().addresses) == {"192.0.2.1"}
    play.inventory.get_host("web1").set_variable("ansible_host", "192.0.2.2")
    assert set(play.known().addresses) == {"192.0.2.2"}
    play.variables["groups"]["all"] = [*play.variables["groups"]["all"], "192.0.2.3"]
    play.inventory.add_host("192.0.2.3")
    assert set(play.known().addresses) == {"192.0.2.2", "192.0.2.3"} and len(counted) == 3


def garbage(content: bytes) -> Any:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        garbage(b""), garbage(b"{"), garbage(b"\xff\xfe"), garbage(b"[1, 2]"), garbage(b"7"), garbage(b'[{"192.0.2.1": 7}, []]'),
        garbage(b"[{}, {}]"), garbage(b'{"a": 1, "b": 2}'), garbage(b"[" * 100_000), lambda path: path.chmod(0o622),
        lambda path: (path.unlink(), path.mkdir()), lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.rename(path.with_suffix(".real")), path.symlink_to(path.with_suffix(".real"))),
    ],
)  # fmt: skip
def test_odd_files_are_not_trusted(tmp_path: Path, shared: Path, counted: list[Known], spoil: Any) -> None:
    play = Play(tmp_path, hosts("web1: {ansible_host: 192.0.2.1}"))
    expected = play.known()
    spoil(next(shared.glob("*.json")))
    assert play.known() == expected and len(counted) == 2


@pytest.mark.parametrize("place", ["missing", "file", "lock"])
def test_without_the_directory_each_task_looks_itself(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    play = Play(tmp_path, hosts("web1: {ansible_host: 192.0.2.1}"))
    if place == "lock":
        play.known()
        for path in shared.iterdir():
            path.unlink()
            path.mkdir()
    else:
        (shared / "file").write_text(json.dumps([]), encoding="utf-8")
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(shared / place))
    assert play.known().addresses == {"192.0.2.1": "web1"}
