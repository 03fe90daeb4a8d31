# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments are read with their types, refused by their full names, and never leave the door open."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.section import Section
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import (
    DoorLimits,
    DoorSettings,
    MonitorSettings,
    is_loopback,
)
from hypothesis import given
from hypothesis import strategies as st

SECRET = "correct-horse-battery"
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def door(**given: Any) -> DoorSettings:
    section = Section(given)
    settings = DoorSettings.from_section(section)
    section.done()
    settings.refuse_open_door()
    return settings


def any_secret(_secret: str) -> None:
    """Object to nothing."""


def test_values_and_their_texts_are_the_same() -> None:
    for arguments in ({"a": 3600, "b": True, "c": 1.5, "d": ["x", "y"]}, {"a": "3600", "b": "yes", "c": " 1.5 ", "d": "x, y"}):
        section = Section(arguments)
        assert section.integer("a", 1, 1, 9999) == 3600
        assert section.boolean("b", False) is True
        assert section.number("c", 1, 0, 9) == 1.5
        assert section.texts("d") == ("x", "y")
        section.done()


def test_missing_and_null_take_the_default() -> None:
    section = Section({"a": None})
    assert section.text("a", "x") == "x"
    assert section.text("b") is None
    assert section.integer("a", 5, 1, 2) == 5
    assert section.boolean("a", None) is None
    assert section.texts("a", ("x",)) == ("x",)
    assert section.numbers("a", (1, 4), 0, 9) == (1, 4)
    assert section.secret("a") is None and section.secrets("a", any_secret, False) == ()
    assert section.sections("a") == [] and not section.has("a")
    assert Section(None).section("x").text("y", "z") == "z"


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda section: section.integer("x", 1, 1, 10), 11),
        (lambda section: section.integer("x", 1, 1, 10), "1.5"),
        (lambda section: section.integer("x", 1, 1, 10), True),
        (lambda section: section.number("x", 1, 0, 10), "nan"),
        (lambda section: section.number("x", 1, 0, 10), 10**400),
        (lambda section: section.numbers("x", (), 0, 10), [1, "two"]),
        (lambda section: section.boolean("x", False), "perhaps"),
        (lambda section: section.text("x"), 5),
        (lambda section: section.text("x"), "  "),
        (lambda section: section.text("x"), "a\nb"),
        (lambda section: section.words("x", (), ("a", "b")), ["a", "c"]),
        (lambda section: section.texts("x"), {"a": 1}),
        (lambda section: section.networks("x"), ["192.0.2.1/24"]),
        (lambda section: section.networks("x"), ["example.com"]),
        (lambda section: section.section("x"), "text"),
        (lambda section: section.sections("x"), {"a": 1}),
        (lambda section: section.sections("x"), ["a"]),
        (lambda section: section.secret("x"), 123456),
        (lambda section: section.secrets("x", any_secret, False), {"a": 1}),
        (lambda section: section.file("x"), "$NOT_SET_ANYWHERE/file"),
    ],
)
def test_errors_name_the_argument_in_full(read: Any, value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^respond\.policy\.x"):
        read(Section({"x": value}, "respond.policy"))


def test_lists_of_sections_are_numbered() -> None:
    top = Section({"firewalls": [{"name": "one"}, {"name": 2}]})
    one, two = top.sections("firewalls")
    assert one.text("name") == "one"
    with pytest.raises(InvalidInput, match=r"^firewalls\[1\]\.name "):
        two.text("name")


def test_unknown_arguments_are_refused_with_the_nearest_name() -> None:
    top = Section({"respond": {"polcy": {}}})
    top.section("respond").section("policy")
    with pytest.raises(InvalidInput, match=r"'respond\.polcy' is not an argument; did you mean policy\?"):
        top.done()
    with pytest.raises(InvalidInput, match=r"there are .*path_secrets"):
        door(qqqqqq=1)


def test_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").write_text("pass word \n")
    (tmp_path / "many").write_text(f"\ufeff{SECRET}-1\r\n\n# the old one:\n {SECRET}-2 \n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    section = Section({"password_file": "$CREDENTIALS_DIRECTORY/one", "path_secrets_file": str(tmp_path / "many")})
    assert section.secret("password") == "pass word "
    assert section.secrets("path_secrets", any_secret, comments=True) == (f"{SECRET}-1", f"{SECRET}-2")
    assert section.secrets("path_secrets", any_secret, comments=False) == (f"{SECRET}-1", "# the old one:", f"{SECRET}-2")
    section.done()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 70000])
def test_unusable_files_of_secrets_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secrets"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match="path_secrets_file"):
        door(path_secrets_file=str(path))


@pytest.mark.parametrize("name", ["path_secrets_file", "hmac_secrets_file"])
@pytest.mark.parametrize("line", ["hunter2", "hunter2-and\x01more-of-it"])
def test_bad_secrets_in_files_are_named_by_line(tmp_path: Path, name: str, line: str) -> None:
    path = tmp_path / "secrets"
    path.write_text(f"{SECRET}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        door(**{name: str(path)})
    assert f"{name} ({path}, line 3) m" in caught.value.message and "hunter2" not in caught.value.message


def test_files_of_secrets_that_everybody_reads_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {name: tmp_path / name for name in ("path_secrets_file", "hmac_secrets_file", "key_file", "cert_file")}
    for path in files.values():
        path.write_text(SECRET)
        path.chmod(0o640)
    tls = {name: str(files[name]) for name in ("key_file", "cert_file")}
    arguments = {"tls": tls, **{name: str(files[name]) for name in ("path_secrets_file", "hmac_secrets_file")}}
    door(**arguments)
    assert not caplog.text
    for path in files.values():
        path.chmod(0o644)
    door(**arguments)
    warned = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert sorted(warned) == ["hmac_secrets_file", "path_secrets_file", "tls.key_file"]
    door(tls={"cert_file": tls["cert_file"]})
    assert "tls.cert_file: " in caplog.text and SECRET not in caplog.text


def test_a_monitor_beyond_loopback_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    MonitorSettings.from_section(Section({"host": "localhost"}))
    assert not caplog.text
    MonitorSettings.from_section(Section({"host": "192.0.2.1"}))
    assert "monitor: everybody who reaches 192.0.2.1 port 9105" in caplog.text


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_hosts_that_can_be_none_are_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"^host must be an address"):
        door(host=host, path_secrets=[SECRET], allow_http=True)


def test_a_secret_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="exclude each other"):
        door(path_secrets=[SECRET], path_secrets_file=str(tmp_path))


@pytest.mark.parametrize("secrets", [[f"{SECRET}/"], [f"{SECRET}\n"], ["hunter2"], [SECRET, "hunter2"], [SECRET, 5], "hunter2", [""]])
def test_bad_secrets_are_refused_unseen(secrets: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        door(path_secrets=secrets)
    text = str(caught.value.as_result())
    assert "path_secrets" in text and "hunter2" not in text and SECRET not in text


def test_representations_hide_secrets() -> None:
    settings = door(path_secrets=[SECRET], hmac_secrets=[SECRET])
    assert settings.path_secrets == (SECRET,) and settings.hmac_secrets == (SECRET,)
    assert SECRET not in repr(settings)


def test_defaults_listen_on_loopback_only() -> None:
    settings = door()
    assert (settings.host, settings.port, settings.limits) == ("127.0.0.1", 5005, DoorLimits())
    assert not settings.authenticates


def test_everything_can_be_set() -> None:
    settings = door(
        host="0.0.0.0", port="5006", tls={"cert_file": "/c", "key_file": "/k", "client_ca_file": "/a"}, path_secrets=SECRET,
        hmac_secrets=[SECRET], replay_window=60, allow_from="192.0.2.0/24,2001:db8::/32",
        limits={"body": 1024, "rate": 5, "rate_per_source": 1, "connections": 3, "body_timeout": 1, "queue": 7},
    )  # fmt: skip
    assert settings.allow_from == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert settings.limits == DoorLimits(1024, 5.0, 50, 1.0, 3, 1.0, 7)
    assert settings.tls is not None and settings.tls.client_ca_file == "/a"
    assert MonitorSettings.from_section(Section({"port": 0})) == MonitorSettings("127.0.0.1", 0)


TLS = {"cert_file": "/c"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "for everybody"),
        ({"tls": TLS}, "for everybody"),
        ({"tls": TLS, "allow_from": ["0.0.0.0/0"]}, "for everybody"),
        ({"tls": TLS, "path_secrets": []}, "for everybody"),
        ({"allow_http": True}, "for everybody"),
        ({"path_secrets": [SECRET]}, "without TLS"),
        ({"path_secrets": [SECRET], "tls": {}}, r"^tls\.cert_file is required"),
        ({"path_secrets": [SECRET], "allow_http": True}, None),
        ({"path_secrets": [SECRET], "tls": TLS}, None),
        ({"hmac_secrets": [SECRET], "tls": TLS}, None),
        ({"allow_from": ["192.0.2.1"], "tls": TLS}, None),
        ({"tls": {**TLS, "client_ca_file": "/a"}}, None),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "door.example.com"])
def test_beyond_loopback_the_door_has_a_lock(host: str, given: dict[str, Any], complaint: str | None) -> None:
    if complaint is None:
        assert door(host=host, **given).host == host
    else:
        with pytest.raises(InvalidInput, match=complaint):
            door(host=host, **given)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LOCALHOST", True), ("0.0.0.0", False), ("::", False),
     ("localhost.example.com", False), ("127.0.0.1.example.com", False), ("2130706433", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


@given(st.dictionaries(st.sampled_from(["host", "port", "tls", "path_secrets", "hmac_secrets", "replay_window", "allow_from",
                                        "allow_http", "limits", "path_secrets_file", "other"]), PLAIN) | PLAIN)  # fmt: skip
def test_whatever_is_given_is_read_or_refused(given: Any) -> None:
    try:
        section = Section(given)
        settings = DoorSettings.from_section(section)
        section.done()
        settings.refuse_open_door()
    except InvalidInput:
        return
    assert is_loopback(settings.host) or (settings.authenticates and (settings.tls or settings.allow_http))
