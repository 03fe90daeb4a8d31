# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples for each detector work: ours are settings, and those of the detectors say what ours expect."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import AUTO, CUSTOM, NAMES, Reader
from ansible_collections.intrusion.response.plugins.plugin_utils._responder.configuration import Configuration

from emulator import events

EXAMPLES = Path(__file__).resolve().parents[4] / "extensions" / "eda" / "examples" / "detectors"
OURS = sorted(EXAMPLES.glob("*-responder.yml"))
URL = re.compile(r"https://[\w.]+:5005/ips/([\w-]{16,})")


def settings(path: Path, folder: Path) -> Configuration:
    for name in ("webhook.pem", "webhook.key", "firewall-password", "path-secrets"):
        (folder / name).write_text("sixteen-characters", encoding="utf-8")
        (folder / name).chmod(0o600)
    text = path.read_text(encoding="utf-8").replace("/etc/intrusion-responder/firewalls.pem", "null")
    text = text.replace("$CREDENTIALS_DIRECTORY", str(folder)).replace("$STATE_DIRECTORY", str(folder))
    return Configuration.from_args(yaml.safe_load(text), {})


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_ours_are_settings(path: Path, tmp_path: Path) -> None:
    found = settings(path, tmp_path)
    assert found.respond is not None and found.respond.dry_run
    for follow in (None, *found.follow):
        assert isinstance(found.reader(follow), Reader)


def test_there_is_one_for_each_detector(tmp_path: Path) -> None:
    formats = {one.format for path in OURS for one in (settings(path, tmp_path), *settings(path, tmp_path).follow)}
    assert formats == set(NAMES) - {AUTO, "deep_security_json"}
    assert "deep_security_json" in (EXAMPLES / "deep-security-responder.yml").read_text(encoding="utf-8")


def test_theirs_say_what_ours_expect(tmp_path: Path) -> None:
    crowdsec = yaml.safe_load((EXAMPLES / "crowdsec-http.yaml").read_text(encoding="utf-8"))
    assert (crowdsec["type"], crowdsec["method"], crowdsec["format"].strip()) == ("http", "POST", "{{.|toJson}}")
    wazuh = ElementTree.parse(EXAMPLES / "wazuh-ossec.conf").getroot()
    told = {one.tag: one.text or "" for one in wazuh[0]}
    assert (told["name"], told["alert_format"], int(told["level"])) == ("shuffle", "json", 10)
    assert URL.fullmatch(crowdsec["url"]) and URL.fullmatch(told["hook_url"])
    eve: dict[str, Any] = yaml.safe_load((EXAMPLES / "suricata.yaml").read_text(encoding="utf-8"))["outputs"][0]["eve-log"]
    assert eve["filename"] == Path(settings(EXAMPLES / "suricata-responder.yml", tmp_path).follow[0].path).name
    assert "alert" in eve["types"]


def test_the_line_that_rsyslog_writes_is_read(tmp_path: Path) -> None:
    found = settings(EXAMPLES / "deep-security-responder.yml", tmp_path)
    text = (EXAMPLES / "rsyslog.conf").read_text(encoding="utf-8")
    [template] = re.findall(r'string="(.+)\\n"', text)
    assert f'file="{found.follow[0].path}"' in text
    sent = events.syslog(events.build("VA1ACMEWEB01", 1440646622.5, {}), 16).decode()
    line = template.replace("%timegenerated:::date-rfc3339%", "2015-08-27T05:37:02.500000+02:00").replace("%rawmsg-after-pri%",
                                                                                                          sent.partition(">")[2])
    [event] = found.reader(found.follow[0]).line(line.encode(), 0.0)
    assert (event.attacker, event.started_at) == ("203.0.113.5", "2015-08-27T03:37:02.500Z")


def test_the_honeypot_s_line_is_read(tmp_path: Path) -> None:
    found = settings(EXAMPLES / "custom-responder.yml", tmp_path)
    assert found.follow[0].format == CUSTOM
    line = b'{"eventid": "cowrie.command.input", "src_ip": "203.0.113.50", "sensor": "h", "timestamp": "2026-11-26T11:30:00Z"}'
    [event] = found.reader(found.follow[0]).line(line, 0.0)
    assert (event.attacker, event.severity, event.ttl) == ("203.0.113.50", "critical", 86400)


@pytest.mark.skipif(shutil.which("suricata") is None, reason="suricata is not installed")
def test_suricata_takes_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "no.rules").touch()
    command = ["suricata", "-T", "-c", str(EXAMPLES / "suricata.yaml"), "-S", str(tmp_path / "no.rules"), "-l", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
