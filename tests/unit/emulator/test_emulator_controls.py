# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls over HTTP, the journal, seeds and the process interface."""
from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from emulator.seed import DEFAULT
from emulator.testing import PACKAGE_PARENT, EmulatorProcess, running_emulator

EMAIL = [{"typeCode": "EMAIL", "emailAddress": "secops@example.com"}]


def test_controls_over_http(api):
    assert api.control("GET", "health").json() == {"ok": True}
    assert api.control("PATCH", "switches", {"ips.get_none": "404", "cos.repost": "duplicate"}).status == 200
    assert api.control("PATCH", "switches?firewall=fw2", {"cos.repost": "ignore"}).status == 200
    switches = api.control("GET", "switches").json()
    assert (switches["ips.get_none"], switches["firewalls"]["fw1"]["cos.repost"],
            switches["firewalls"]["fw2"]["cos.repost"]) == ("404", "duplicate", "ignore")
    assert api.get().status == 404
    assert api.control("POST", "clock", {"now": 1000.0, "advance": 5}).json() == {"now": 1005.0, "frozen": True}
    assert api.control("GET", "clock").json()["now"] == 1005.0
    assert api.control("POST", "seed", {"servers": [{"name": "X1", "alias": "ACME"}]}).status == 200
    assert "X1" in [server["name"] for server in api.control("GET", "state").json()["servers"]]
    assert api.control("PATCH", "settings", {"install_delay": 3}).status == 200
    assert api.control("GET", "settings").json()["install_delay"] == 3.0
    assert api.control("POST", "tokens/revoke", {"username": "ips-admin"}).json() == {"revoked": 1}
    assert api.control("POST", "faults", [{"kind": "status", "status": 503, "times": None}]).status == 200
    assert api.cos("GET").status == 503
    assert api.control("DELETE", "faults").status == 200
    assert api.cos("GET").status == 200
    journal = api.control("GET", "journal?service=cos&firewall=fw1&writes=false").json()
    assert [record["status"] for record in journal] == [503, 200]
    assert api.control("DELETE", "journal").status == 200
    assert api.control("GET", "journal").json() == []
    assert api.control("POST", "reset", {"switches": {"cos.auth": "none"}}).status == 200
    state = api.control("GET", "state").json()
    assert "X1" not in [server["name"] for server in state["servers"]]
    assert state["settings"]["install_delay"] == 0.0
    assert state["firewalls"]["fw2"]["switches"]["cos.auth"] == "none"
    assert state["firewalls"]["fw2"]["switches"]["cos.repost"] == "renew_all"


@pytest.mark.parametrize("method, path, body, status", [
    ("PATCH", "switches", {"cos.nothing": "1"}, 400), ("PATCH", "switches", {"cos.repost": "x"}, 400),
    ("PATCH", "switches?firewall=fw9", {"cos.repost": "ignore"}, 400), ("PATCH", "settings", {"x": 1}, 400),
    ("POST", "seed", {"planets": []}, 400), ("POST", "seed", {"servers": [{"name": "X1"}]}, 400),
    ("POST", "seed", {"servers": [{"name": "../x", "alias": "ACME"}]}, 400),
    ("POST", "seed", {"agents": [{"server": "VA1ACMEWEB99"}]}, 400),
    ("POST", "seed", {"firewalls": {"fw9": {}}}, 400), ("POST", "clock", {"speed": 2}, 400),
    ("POST", "events", {"server": "VA1ACMEWEB99"}, 400), ("POST", "events", {}, 400),
    ("POST", "events", {"server": "VA1ACMEWEB01", "event": []}, 400),
    ("GET", "nothing", None, 404), ("PUT", "journal", {}, 405), ("POST", "reset", [1], 400)])
def test_bad_controls_are_refused_with_a_message(api, method, path, body, status):
    answer = api.control(method, path, body)
    assert answer.status == status
    assert answer.json()["message"]


def test_controls_are_foreign_to_the_apis(api):
    api.emulator.clear_journal()
    api.control("GET", "state")
    assert api.emulator.journal() == []
    assert api.cos("GET", path="/_emulator/state").status == 404
    assert api.ips("GET", "_emulator/state").status == 404


def test_journal_tells_reads_from_writes_and_keeps_secrets(api):
    password = next(u["password"] for u in api.emulator.users if u["username"] == "ips-admin")
    token = api.token()
    form = f"Username=ips-admin&Password={password}".encode()
    api.send("POST", api.emulator.clc_url + "/v2/authentication/login", form,
             {"Content-Type": "application/x-www-form-urlencoded"})
    api.send("POST", api.emulator.clc_url + "/v2/authentication/login", f'{{"password":"{password}"'.encode())
    api.ips("PUT", "notifications/ACME/VA1ACMEWEB01", EMAIL, token=token)
    api.cos("GET", "?alert_type=REST")
    records = api.emulator.journal()
    assert [(r["service"], r["method"], r["status"], r["write"]) for r in records] == [
        ("clc", "POST", 200, False), ("clc", "POST", 200, False), ("clc", "POST", 400, False),
        ("ips", "PUT", 204, True), ("cos", "GET", 200, False)]
    assert [r["seq"] for r in records] == [1, 2, 3, 4, 5]
    assert json.loads(records[3]["body"]) == EMAIL
    assert (records[4]["firewall"], records[4]["query"]) == ("fw1", "alert_type=REST")
    assert records[3]["headers"]["authorization"]["scheme"] == "Bearer"
    assert records[4]["headers"]["authorization"] == {"scheme": "Basic", "user": "blocker"}
    text = json.dumps(records)
    cos_password = next(u["password"] for u in api.emulator.firewall_users if u["username"] == "blocker")
    assert not any(secret in text for secret in (password, token, cos_password))
    assert len(api.emulator.journal(writes=True)) == 1


def test_default_seed_is_a_fleet(api):
    names = [server["name"] for server in DEFAULT["servers"]]
    assert [name for name in names if "WEB" in name and "ACME" in name] == [f"VA1ACMEWEB0{n}" for n in range(1, 9)]
    api.emulator.reset()
    assert {e["alert_type"] for e in api.entries()}.isdisjoint({"REST"})
    assert any("/" in e["host"] for e in api.entries())


def test_reset_with_a_seed_replaces_sections(api):
    api.emulator.reset(seed={"servers": [{"name": "VA1ACMEONE01", "alias": "ACME"}],
                             "agents": [{"server": "va1acmeone01"}],
                             "destinations": [{"server": "VA1ACMEONE01", "destinations": EMAIL}],
                             "tokens": [{"token": "fixed", "username": "ips-admin", "life": 60}]})
    (server,) = api.emulator.state()["servers"]
    assert (server["agent"]["state"], server["destinations"][0]["typeCode"]) == ("installed", "EMAIL")
    assert api.ips("GET", "notifications/ACME/VA1ACMEONE01", token="fixed").status == 200
    api.emulator.advance(61)
    assert api.ips("GET", "notifications/ACME/VA1ACMEONE01", token="fixed").status == 401


def test_clock_ticks_unless_frozen():
    with running_emulator() as handle:
        first = handle.now()
        assert handle.now() > first
        handle.freeze()
        handle.set_now(500)
        assert handle.now() == handle.now() == 500
        handle.reset()
        assert handle.now() > first


def test_answer_is_one_piece(api):
    """Headers and body leave in one write: the first packet that arrives holds the whole answer."""
    host, port = api.emulator.firewalls[0].http_url.removeprefix("http://").split(":")
    api.emulator.switch("cos.auth", "none")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for _unused in range(50):
            connection.sendall(b"GET /api/oper/blacklist HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _unused, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
            assert body.endswith(b"}")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_certificate_covers_the_names_of_loopback(api, name):
    assert api.send("GET", api.emulator.control_url.replace("127.0.0.1", name) + "/health").status == 200


# The process

def _start(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", "--ready-file", str(tmp_path / "ready.json"), *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": PACKAGE_PARENT}, capture_output=True, text=True,
                          timeout=60, check=False)


def test_process_announces_itself_and_leaves_nothing():
    with EmulatorProcess("--firewalls", "north,south", "--switch", "cos.repost=duplicate", "--latency", "1") as process:
        ready = process.ready
        assert ready["pid"] == process.process.pid
        assert [one["name"] for one in ready["firewalls"]] == ["north", "south"]
        assert ready["ips_url"] == ready["clc_url"] + "/ips/api"
        assert Path(ready["ca_path"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
        directory = Path(process._directory.name)
        assert process.stop() == 0
    assert not Path(ready["ca_path"]).exists()
    assert not directory.exists()


def test_ready_file_goes_with_the_process(tmp_path):
    ready = tmp_path / "ready.json"
    process = subprocess.Popen([sys.executable, "-m", "emulator", "--ready-file", str(ready)],
                               env={**os.environ, "PYTHONPATH": PACKAGE_PARENT})
    try:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []


def test_process_stops_with_its_parent(tmp_path):
    """A parent that dies without a word takes the emulator with it."""
    script = ("import os, sys\nfrom emulator.testing import EmulatorProcess\n"
              "print(EmulatorProcess().__enter__().ready['clc_url'], flush=True)\nos._exit(0)\n")
    environment = {**os.environ, "PYTHONPATH": PACKAGE_PARENT, "TMPDIR": str(tmp_path)}
    parent = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True,
                            timeout=60, check=True)
    host, port = parent.stdout.strip().removeprefix("https://").split(":")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.05)
    pytest.fail("the emulator outlived its parent")


@pytest.mark.parametrize("suffix, text", [(".json", '{"servers": [{"name": "S1", "alias": "ACME"}]}'),
                                          (".yml", "servers: [{name: S1, alias: ACME}]\n")])
def test_process_reads_seed_files(tmp_path, suffix, text):
    path = tmp_path / ("seed" + suffix)
    path.write_text(text)
    with EmulatorProcess("--seed", str(path)) as process:
        context = ssl.create_default_context(cafile=process.ready["ca_path"])
        with urllib.request.urlopen(process.ready["control_url"] + "/state", context=context) as answer:
            assert [server["name"] for server in json.load(answer)["servers"]] == ["S1"]


@pytest.mark.parametrize("arguments", [
    ("--switch", "cos.repost=x"), ("--switch", "nonsense"), ("--firewalls", "0"), ("--firewalls", "a,a"),
    ("--seed", "/no/such/file.json")])
def test_process_refuses_bad_options_in_one_line(tmp_path, arguments):
    _refused(tmp_path, *arguments)


@pytest.mark.parametrize("name, text", [("s.json", "{"), ("s.yml", "a: [\nb"), ("s.yml", "- 1"), ("s.yml", "x: 1")])
def test_process_refuses_bad_seeds_in_one_line(tmp_path_factory, tmp_path, name, text):
    path = tmp_path_factory.mktemp("seed") / name
    path.write_text(text)
    _refused(tmp_path, "--seed", str(path))


def _refused(tmp_path, *arguments):
    result = _start(tmp_path, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("emulator: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
