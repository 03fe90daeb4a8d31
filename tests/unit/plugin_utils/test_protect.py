# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of the role protect to requests, and from requests to the result of each host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.each import say_nothing
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.plugin_utils import _protect
from ansible_collections.intrusion.response.plugins.plugin_utils._protect import Reader, carry_out, chosen, read_request

LOGIN = {"username": "user", "password": "canary-password"}
EMAIL = {"type": "email", "email_address": "secops@example.com"}


def read(entry: str = "main", **values: Any) -> _protect.Request:
    return read_request({"server_name": "A", **LOGIN, **values}, entry, {})


@pytest.mark.parametrize(
    ("entry", "values", "agent", "destinations"),
    [
        ("main", {"destinations": [EMAIL]}, "present", 1),
        ("main", {"destinations": []}, "present", None),
        ("main", {"destinations": "", "purge": "yes"}, "present", 0),
        ("install", {"destinations": [EMAIL]}, "present", None),
        ("notify", {"destinations": "[{type: email, email_address: a@example.com}]"}, None, 1),
        ("notify", {"destinations": ""}, None, None),
        ("remove", {"destinations": [EMAIL]}, "absent", 0),
        ("remove", {"keep_destinations": "true"}, "absent", None),
        ("remove_agent", {}, "absent", None),
        ("remove_destinations", {}, None, 0),
        ("remove_destinations", {"keep_destinations": True}, None, None),
        ("report", {"destinations": [EMAIL]}, None, None),
    ],
)
def test_what_an_entry_point_is_about(entry: str, values: dict[str, Any], agent: str | None, destinations: int | None) -> None:
    wanted = read(entry, **values).wanted
    assert (wanted.agent and wanted.agent.state) == agent
    assert (None if wanted.destinations is None else len(wanted.destinations.destinations)) == destinations


AGENT, DESTINATIONS = "protect_agent", "protect_destinations"


@pytest.mark.parametrize(
    ("more", "run", "skip", "main", "remove"),
    [
        ([], ["all"], [], "main", "remove"),
        ([], [AGENT], [], "install", "remove_agent"),
        ([], [DESTINATIONS, "other"], [], "notify", "remove_destinations"),
        ([], [AGENT, DESTINATIONS], [], "main", "remove"),
        ([], ["all"], [AGENT], "notify", "remove_destinations"),
        ([], ["tagged"], [DESTINATIONS, "other"], "install", "remove_agent"),
        ([], ["all", AGENT], [], "main", "remove"),
        (["site"], [AGENT], [], "install", "remove_agent"),
        (["site"], [AGENT, "site"], [], "main", "remove"),
        (["site"], ["site"], [AGENT], "notify", "remove_destinations"),
        (["always"], [AGENT], [], "main", "remove"),
    ],
)
def test_what_tags_leave_of_an_entry_point(more: list[str], run: list[str], skip: list[str], main: str, remove: str) -> None:
    tags = [AGENT, DESTINATIONS, *more]
    assert [chosen(entry, tags, run, skip) for entry in ("main", "remove", "install", "report")] == [main, remove, "install", "report"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"detection": "guess"}, "protect_detection must be one of auto"),
        ({"destinations": "https://hooks.example.com/canary-path"}, "protect_destinations must be a list"),
        ({"purge": "perhaps"}, "purge"),
        ({"wait": "perhaps"}, "protect_wait must be true or false"),
        ({"wait": True, "wait_timeout": "soon"}, "protect_wait_timeout must be an integer"),
        ({"server_name": "two words"}, "server_name must be a plain name"),
        ({"verify_timeout": -1}, "verify_timeout must be an integer"),
        ({"timeout": "canary-password"}, "timeout"),
        ({"token": "canary-token"}, "requires account_alias"),
    ],
)
def test_bad_variables_are_refused_without_their_secrets(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(**values)
    assert expected in caught.value.message and "canary" not in caught.value.message and "servers[0]" not in caught.value.message


def test_variables_win_over_module_defaults_and_empty_ones_do_not() -> None:
    defaults = {"username": "other", "timeout": 7, "retries": 1}
    params = read_request({"server_name": "A", **LOGIN, "timeout": "", "retries": 2}, "main", defaults).params
    assert (params["username"], params["timeout"], params["retries"]) == ("user", 7, 2)


def test_servers_that_are_alike_are_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, seen = Reader("main"), []
    monkeypatch.setattr(_protect, "read_request", lambda *given: seen.append(given) or read_request(*given))
    values = {**LOGIN, "destinations": [EMAIL]}
    found = [reader.read({"server_name": name, **values}, {}).wanted for name in ("A", "B", "C")]
    assert len(seen) == 1
    assert [one.server_name for one in found] == ["A", "B", "C"]
    assert [(one.agent.server_name, one.destinations.server_name) for one in found] == [("A", "A"), ("B", "B"), ("C", "C")]
    with pytest.raises(InvalidInput):
        reader.read({"server_name": "two words", **values}, {})
    reader.read({"server_name": "A", **values, "purge": True}, {})
    assert len(seen) == 2


def test_connections_and_repeated_names_make_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[list[str]] = []

    def carry(group: dict[str, _protect.Request], *_unused: Any) -> dict[str, Any]:
        groups.append(list(group))
        return {host: {} for host in group}

    monkeypatch.setattr(_protect, "_carry_out", carry)
    requests = {
        "a": read(), "b": read(server_name="B", account_alias="ACME"), "c": read(server_name="C", username="other"),
        "twice": read(server_name="a"), "thrice": read(server_name="A", account_alias="ACME"),
    }  # fmt: skip
    assert list(carry_out(requests, reading=False, check_mode=False, progress=say_nothing)) != []
    assert sorted(groups) == [["a", "b"], ["c"], ["thrice"], ["twice"]]
