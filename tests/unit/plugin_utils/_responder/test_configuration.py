# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration never leaves the webhook open, and the examples and the documentation are what it says."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.options import COS_CONNECTION
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import (
    Configuration,
    Firewall,
)
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.monitor import MonitorSettings
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.settings import declared, read, schema
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.limits import WebhookLimits
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.webhook.listener import is_loopback
from hypothesis import given
from hypothesis import strategies as st

from .table import table

ROOT = Path(__file__).resolve().parents[4]
SOURCE = ROOT / "extensions" / "eda" / "plugins" / "event_source"
SECRET = "correct-horse-battery"
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def webhook(environ: dict[str, str] | None = None, **given: Any) -> Configuration:
    return Configuration.from_args(given, environ or {})


def test_the_schema_the_table_and_the_source_say_what_is_declared() -> None:
    assert json.loads((SOURCE / "schemas" / "webhook.json").read_text(encoding="utf-8")) == schema(Configuration)
    documented = (ROOT / "docs" / "responder.md").read_text(encoding="utf-8")
    begin, end = "<!-- settings -->\n", "<!-- end of settings -->"
    rows = documented[documented.index(begin) + len(begin) : documented.index(end)].splitlines()
    assert rows[2:] == table(Configuration)
    text = (SOURCE / "webhook.py").read_text(encoding="utf-8")
    options = yaml.safe_load(text[text.index("---\n") : text.index('"""\n\nEXAMPLES')])["options"]
    names = {name for name, _how in declared(Configuration)} | {"path_secrets_file", "hmac_secrets_file"}
    assert options.keys() == names


def test_firewalls_take_the_connection_options_of_the_modules_but_no_retries() -> None:
    assert {name for name, _how in declared(Firewall)} == {"name", "concurrency", *(option.name for option in COS_CONNECTION)} - {"retries"}
    respond = {"firewalls": [{"api_url": "https://192.0.2.1", "retries": 3}]}
    with pytest.raises(InvalidInput, match=r"'respond\.firewalls\[0\]\.retries' is not a setting"):
        webhook(respond=respond)


@pytest.mark.parametrize(
    ("allowed", "is_a_lock"),
    [
        (["0.0.0.0/1", "128.0.0.0/1"], False), (["0.0.0.0/0"], False), (["::/0"], False), (["::/1", "8000::/1"], False),
        ([f"{number}.0.0.0/8" for number in range(1, 4)], False), (["192.0.2.1", "::/0"], False), (["10.0.0.0/8"], True),
        (["192.0.2.1"], True), (["2001:db8::/48", "192.0.2.0/24"], True),
    ],
    ids=str,
)  # fmt: skip
def test_a_large_part_of_all_addresses_is_no_list_of_senders(allowed: list[str], is_a_lock: bool) -> None:
    assert webhook(allow_from=allowed).authenticates == is_a_lock


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 70000])
def test_unusable_files_of_secrets_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secrets"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match="path_secrets_file"):
        webhook(path_secrets_file=str(path))


@pytest.mark.parametrize("name", ["path_secrets_file", "hmac_secrets_file"])
@pytest.mark.parametrize("line", ["hunter2", "hunter2-and\x01more-of-it"])
def test_bad_secrets_in_files_are_named_by_line(tmp_path: Path, name: str, line: str) -> None:
    path = tmp_path / "secrets"
    path.write_text(f"{SECRET}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        webhook(**{name: str(path)})
    assert f"{name} ({path}, line 3) m" in caught.value.message and "hunter2" not in caught.value.message


def test_files_of_secrets_that_everybody_reads_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {name: tmp_path / name for name in ("path_secrets_file", "hmac_secrets_file", "key_file", "cert_file")}
    for path in files.values():
        path.write_text(SECRET)
        path.chmod(0o640)
    tls = {name: str(files[name]) for name in ("key_file", "cert_file")}
    arguments = {"tls": tls, **{name: str(files[name]) for name in ("path_secrets_file", "hmac_secrets_file")}}
    webhook(**arguments)
    assert not caplog.text
    for path in files.values():
        path.chmod(0o644)
    webhook(**arguments)
    warned = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert sorted(warned) == ["hmac_secrets_file", "path_secrets_file", "tls.key_file"]
    webhook(tls={"cert_file": tls["cert_file"]})
    assert "tls.cert_file: " in caplog.text and SECRET not in caplog.text


def test_a_monitor_beyond_loopback_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    read(MonitorSettings, {"host": "localhost"})
    assert not caplog.text
    read(MonitorSettings, {"host": "192.0.2.1"})
    assert "monitor: everybody who can reach 192.0.2.1 port 9105" in caplog.text


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_hosts_that_can_be_none_are_refused(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"^host must be an address"):
        webhook(host=host, path_secrets=[SECRET], allow_http=True)


def test_a_secret_and_its_file_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="exclude each other"):
        webhook(path_secrets=[SECRET], path_secrets_file=str(tmp_path))


@pytest.mark.parametrize("secrets", [[f"{SECRET}/"], [f"{SECRET}\n"], ["hunter2"], [SECRET, "hunter2"], [SECRET, 5], "hunter2", [""]])
def test_bad_secrets_are_refused_unseen(secrets: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        webhook(path_secrets=secrets)
    text = str(caught.value.as_result())
    assert "path_secrets" in text and "hunter2" not in text and SECRET not in text


def test_representations_hide_secrets() -> None:
    settings = webhook(path_secrets=[SECRET], hmac_secrets=[SECRET])
    assert settings.path_secrets == (SECRET,) and settings.hmac_secrets == (SECRET,)
    assert SECRET not in repr(settings)


def test_defaults_listen_on_loopback_only() -> None:
    settings = webhook()
    assert (settings.host, settings.port, settings.limits) == ("127.0.0.1", 5005, read(WebhookLimits, {}))
    assert not settings.authenticates


def test_everything_can_be_set() -> None:
    settings = webhook(
        host="0.0.0.0", port="5006", tls={"cert_file": "/c", "key_file": "/k", "client_ca_file": "/a"}, path_secrets=SECRET,
        hmac_secrets=[SECRET], replay_window=60, allow_from="192.0.2.0/24,2001:db8::/32",
        limits={"body": 1024, "rate": 5, "rate_per_source": 1, "connections": 3, "body_timeout": 1, "queue": 7},
    )  # fmt: skip
    assert settings.allow_from == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert settings.limits == WebhookLimits(1024, 5.0, 50, 1.0, 3, 1, 1.0, 7)
    assert settings.tls is not None and settings.tls.client_ca_file == "/a"
    assert read(MonitorSettings, {"port": 0}) == MonitorSettings(port=0)


TLS = {"cert_file": "/c"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "without authentication"),
        ({"tls": TLS}, "without authentication"),
        ({"tls": TLS, "allow_from": ["0.0.0.0/0"]}, "without authentication"),
        ({"tls": TLS, "path_secrets": []}, "without authentication"),
        ({"allow_http": True}, "without authentication"),
        ({"path_secrets": [SECRET]}, "without TLS"),
        ({"path_secrets": [SECRET], "tls": {}}, r"^tls\.cert_file is required"),
        ({"path_secrets": [SECRET], "allow_http": True}, None),
        ({"path_secrets": [SECRET], "tls": TLS}, None),
        ({"hmac_secrets": [SECRET], "tls": TLS}, None),
        ({"allow_from": ["192.0.2.1"], "tls": TLS}, None),
        ({"tls": {**TLS, "client_ca_file": "/a"}}, None),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "webhook.example.com"])
def test_beyond_loopback_there_is_a_lock(host: str, given: dict[str, Any], complaint: str | None) -> None:
    if complaint is None:
        assert webhook(host=host, **given).host == host
    else:
        with pytest.raises(InvalidInput, match=complaint):
            webhook(host=host, **given)


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
        settings = read(Configuration, given, "", {})
    except InvalidInput:
        return
    assert is_loopback(settings.host) or (settings.authenticates and (settings.tls or settings.allow_http))


def test_a_comment_in_a_file_of_keys_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# the relay in the branch office\n{SECRET}\n")
    assert webhook(hmac_secrets_file=str(path)).hmac_secrets == (SECRET,)


def test_relays_are_known() -> None:
    assert {str(address) for address in webhook(allow_from=["192.0.2.1", "198.51.100.0/24", "2001:db8::1", "192.0.2.9/32"]).relays} == {
        "192.0.2.1", "192.0.2.9",
    }  # fmt: skip
