# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deep Security's lines: published samples and the emulator's, from agents, managers and syslog servers."""

from __future__ import annotations

import json

import pytest
from ansible_collections.intrusion.response.plugins.module_utils._events.body import InvalidEvent
from ansible_collections.intrusion.response.plugins.module_utils._events.reader import Reader
from hypothesis import example, given
from hypothesis import strategies as st

from emulator import events

from ..anything import TEXT
from ..reading import RECEIVED, found, harmless, told

LABELS = "cs3=DF cs3Label=Fragmentation Bits proto=TCP spt=53439 dpt=80 cs2=0x18 ACK PSH cs2Label=TCP Flags cnt=1"
#: A published sample of an agent in detect mode, with its packet.
DETECT = (
    "Sep 27 00:13:42 dsm-01.corp.example CEF:0|Trend Micro|Deep Security Agent|20.0.877|1011143|WordPress 'ProfilePress' Plugin Privilege "
    "Escalation Vulnerability (CVE-2021-34621)|8|cn1=1035 cn1Label=Host ID dvchost=web-07.corp.example TrendMicroDsTenant=Primary "
    "TrendMicroDsTenantId=0 dmac=00:50:56:1E:E4:CB smac=00:1C:73:4A:0E:01 TrendMicroDsFrameType=IP src=198.51.100.228 dst=10.50.20.41 "
    f"in=283 {LABELS} act=IDS:Reset cn3=34 cn3Label=Intrusion Prevention Packet Position cs5=1046 cs5Label=Intrusion Prevention Stream "
    "Position cs6=8 cs6Label=Intrusion Prevention Flags TrendMicroDsPacketData=UE9TVCAvd3AtYWRtaW4\\="
)
#: A published sample of the firewall module, from a relay without a host name.
FIREWALL = (
    "<142>Oct  2 16:41:16 CEF:0|Trend Micro|Deep Security Agent|9.6.3177|21|Unsolicited UDP|5|cn1=34 cn1Label=Host ID dvchost=workstation "
    "TrendMicroDsTenant=Primary TrendMicroDsTenantId=0 act=Deny dmac=B0:B9:B9:F8:E7:8F smac=39:D2:AE:D6:1F:05 TrendMicroDsFrameType=IP "
    "src=198.51.100.130 dst=10.0.102.94 in=291 cs3= cs3Label=Fragmentation Bits proto=UDP spt=445 dpt=42 cnt=1"
)
MALWARE = "CEF: 0|Trend Micro|Deep Security Agent|20.0.913|4000000|Eicar_test_file|6|cn1=1 dvc=10.148.81.188 act=Pass msg=Realtime"
SYSTEM = "Jan 18 11:07:53 dsm CEF:0|Trend Micro|Deep Security Manager|12.0.327|600|Administrator Signed In|4|suser=Master src=198.51.100.20"


def line(extension: str, header: str = "", severity: str = "8", name: str = "Rule", signature: str = "1000128") -> str:
    return f"{header}CEF:0|Trend Micro|Deep Security Agent|20.0.877|{signature}|{name}|{severity}|{extension}"


@pytest.mark.parametrize(("text", "who"), [
    (DETECT, "198.51.100.228"),
    (line(f"dvchost=web src=203.0.113.5 dst=10.0.0.80 in=103 {LABELS} act=Reset", "<134>"), "203.0.113.5"),
    # an answer of the protected host, whose packet goes out
    (line("dvchost=web src=10.0.0.80 dst=203.0.113.5 out=103 act=Block"), "203.0.113.5"),
    # the host known by its address, whichever way the packet goes
    (line("dvc=10.0.0.80 src=10.0.0.80 dst=203.0.113.5 in=103 act=Block"), "203.0.113.5"),
    (line("dvc=198.51.100.7 src=203.0.113.5 dst=198.51.100.7 act=Block"), "203.0.113.5"),
    # nothing but the ends
    (line("dvchost=web src=203.0.113.5 dst=10.0.0.80 act=Block"), "203.0.113.5"),
    (line("dvchost=web src=10.0.0.80 dst=203.0.113.5 act=Block"), "203.0.113.5"),
    (line("dvchost=web src=10.0.0.80 dst=10.0.0.81 act=Block"), "both ends are our own addresses"),
    (line("dvchost=web src=203.0.113.5 dst=198.51.100.7 act=Block"), "neither end is one of our own addresses, and there is no direction"),
    (line("dvchost=web src=10.0.0.9 dst=10.0.0.80 in=103 act=Block"), "the attacker's address is one of our own"),
    (line("dvchost=web src=2001:db8::5 dst=2001:db8::80 in=103 act=Block"), "the source address is not a plain IPv4 address"),
    (line("dvchost=web dst=10.0.0.80 in=103 act=Block"), "the event has no source address"),
    (line("dvchost=web src=203.0.113.5 dst=10.0.0.80 in=103 act=Block", "<14>1 2021-11-03T10:30:04.120Z relay ds - - - "), "203.0.113.5"),
    (FIREWALL, "other_type"), (MALWARE, "other_type"), (SYSTEM, "other_type"),
    (line("src=203.0.113.5", signature="2000000"), "other_type"), (line("src=203.0.113.5", signature="9" * 4000), "other_type"),
    ("CEF:0|Fortinet|Fortigate|v7|1000001|x|8|src=203.0.113.5 dst=10.0.0.80 in=1", "foreign"),
    ("CEF:0|Trend Micro|Apex Central|2019|1000001|x|8|src=203.0.113.5 dst=10.0.0.80 in=1", "foreign"),
])
def test_the_attacker_is_who_a_person_would_name(text, who):
    assert told("deep_security_cef", text) == who
    for carried in ({"message": text}, {"event": {"original": text}}, {"event.original": text, "@timestamp": "x"}, {"full_log": text}):
        assert told("deep_security_cef", carried) == who
    if who != "foreign":
        assert told("auto", text) == told("auto", {"message": text}) == who


def test_the_normal_form():
    [event] = found("deep_security_cef", DETECT)
    told = {name: value for name, value in event.as_dict().items() if value not in (None, [], {}) and name not in ("id", "other")}
    assert told == {
        "received_at": "2015-08-27T03:38:10.250Z", "format": "deep_security_cef", "detector": "Deep Security Agent",
        "attacker": "198.51.100.228", "host_name": "web-07.corp.example", "rule_id": "1011143", "severity": "high", "action": "reset",
        "reason": "WordPress 'ProfilePress' Plugin Privilege Escalation Vulnerability (CVE-2021-34621)", "detect_only": True,
        "direction": "incoming", "protocol": "TCP", "source_ip": "198.51.100.228", "source_port": 53439, "source_mac": "00:1C:73:4A:0E:01",
        "destination_ip": "10.50.20.41", "destination_port": 80, "destination_mac": "00:50:56:1E:E4:CB", "flags": "0x18 ACK PSH",
        "packet_size": 283, "data": "UE9TVCAvd3AtYWRtaW4=",
    }  # fmt: skip
    assert event.other["cs5Label"] == "Intrusion Prevention Stream Position"
    levels = [found("deep_security_cef", line("in=1", severity=level))[0].severity for level in ("0", "3", "4", "6", "7", "8", "9", "10",
                                                                                                 "11", "")]
    assert levels == ["low", "low", "medium", "medium", "high", "high", "critical", "critical", None, None]
    [dated] = found("deep_security_cef", line("in=1", "<14>1 2021-11-03T11:30:04.120+01:00 relay ds - - - "))
    assert dated.started_at == "2021-11-03T10:30:04.120Z"


def test_escapes_and_blanks():
    [event] = found("deep_security_cef", line(
        r"dvchost=web one act=Reset TrendMicroDsTags=a, b msg=a\=b \\ c\nd src\=6.6.6.6 src=203.0.113.5 dst=10.0.0.80 in=1",
        name=r"Pipe \| and \\ back", severity="10"))  # fmt: skip
    assert event.reason == "Pipe | and \\ back"
    assert event.host_name == "web one"
    assert event.other["msg"] == "a=b \\ c\nd src=6.6.6.6"
    assert event.attacker == "203.0.113.5"
    assert event.tags == ("a", "b")


def test_the_syslog_destination_of_the_ips_sends_such_lines():
    post = events.build("VA1ACMEWEB01", 1440646622.5, {"reason": "Pipe | and = and \\"})
    for changes, attacker in (({}, "203.0.113.5"), ({"direction": "Outgoing", "sourceIP": "10.0.0.80", "destinationIP": "203.0.113.9"},
                                                    "203.0.113.9")):
        text = events.syslog({**post, **changes}, 16).decode()
        [event] = found("deep_security_cef", text)
        assert (event.attacker, event.reason, event.host_name) == (attacker, post["reason"], "VA1ACMEWEB01")
        assert event.data == post["data"]


@pytest.mark.parametrize("text", [
    "", "x", "CEF:", "CEF:0", "CEF:0|", "CEF:0|a|b|c|d|e|f", "CEF:0|Trend Micro|Deep Security Agent|1|1000001|x|8" + "\\",
    line("src=203.0.113.5 dst=10.0.0.80 in=1 src=203.0.113.6"), "CEF:0|Trend Micro|Deep Security Agent|1|1000001|" + "x" * 1_000_000,
    "CEF:0|Trend Micro|Deep Security Agent|1|1000001|" + "\\|" * 500_000, "CEF:" * 250_000, "CEF:x|" * 100_000, "\0" * 100_000,
])
def test_what_is_no_cef_is_refused(text):
    for name in ("deep_security_cef", "auto"):
        with pytest.raises(InvalidEvent) as refused:
            found(name, text)
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize("extension", [
    "=" * 1_000_000, "a=" * 1, "a" * 1_000_000, " a" * 500_000, "\\" * 999_999, "msg=" + "\\n" * 500_000, "\0=\0 src=203.0.113.5\0 in=1",
])
def test_hostile_extensions_are_read_in_one_go(extension):
    harmless(Reader("deep_security_cef"), line(extension))


def test_lines_in_one_post():
    body = "\n".join((DETECT, "", FIREWALL, line("src=203.0.113.5 dst=10.0.0.80 in=1"))).encode()
    for name in ("deep_security_cef", "auto"):
        for counts, first in ((True, "198.51.100.228"), (False, "detect_only")):
            read = Reader(name, detect_only=counts).body(body, RECEIVED)
            assert [getattr(one, "kind", None) or one.attacker for one in read] == [first, "other_type", "203.0.113.5"]
        with pytest.raises(InvalidEvent, match="Event 2"):
            Reader(name).body(DETECT.encode() + b"\nx\n" + DETECT.encode(), RECEIVED)
    with pytest.raises(InvalidEvent):
        Reader("suricata_eve").body(body, RECEIVED)
    with pytest.raises(InvalidEvent):
        Reader("deep_security_cef").body(json.dumps({"message": 5}).encode(), RECEIVED)


SPOOF = line("src=203.0.113.53 dst=10.0.0.80 in=1 act=Reset")


@pytest.mark.parametrize("header", [
    "", "<134>", "\ufeff", "Oct  2 16:41:16 ", "<134>Oct  2 16:41:16 dsm ", "<134>Oct 12 2021 16:41:16 dsm ",
    "2026-11-26T11:30:00+00:00 Sep 27 00:13:42 dsm ", "2026-11-26T11:30:00.123456+00:00 dsm ", "Sep 27 00:13:42 relay deepsecurity: ",
    "<14>1 2021-11-03T11:30:04.120+01:00 relay ds 123 - - ", '<14>1 2021-11-03T11:30:04Z relay ds - ID47 [a@1 b="c \\" d\\]"][x] \ufeff',
    "2026-11-26T11:30:00+00:00 1 2021-11-03T11:30:04Z relay ds - - - ",
])
def test_cef_stands_behind_a_header_of_syslog(header):
    assert told("deep_security_cef", header + SPOOF) == told("auto", {"message": header + SPOOF}) == "203.0.113.53"


@pytest.mark.parametrize("quoting", [
    "Sep 27 00:13:42 web sshd[7]: Invalid user ", "Sep 27 00:13:42 web sshd[7]: Invalid user - ", "GET ", "a b c d - ", "x: ",
    "<134>Sep 27 00:13:42 web sshd[7]: Failed password for a - ", '198.51.100.7 - - [27/Sep/2026:00:13:42 +0000] "GET / HTTP/1.1" 200 0 "',
    "CEF:0|Other|Thing|1|1000001|a|5|request=",
])
def test_cef_that_a_line_quotes_blocks_nobody(quoting):
    for given_ in (quoting + SPOOF, {"message": quoting + SPOOF}, {"full_log": quoting + SPOOF}):
        for name in ("deep_security_cef", "auto"):
            try:
                assert told(name, given_) == "foreign"
            except InvalidEvent:
                continue


def test_only_an_end_of_line_ends_a_line():
    hostile = line("src=203.0.113.5 dst=10.0.0.80 in=1 act=Reset msg=a")
    spoof = SPOOF.replace("=", r"\=")  # as whoever writes such lines spells what others wrote
    for end in ("\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r"):
        read = Reader("deep_security_cef").body(f"{hostile}{end}{spoof}\r\n{hostile}\r\n".encode(), RECEIVED)
        assert [one.attacker for one in read] == ["203.0.113.5", "203.0.113.5"]


KEYS = st.sampled_from(["src", "dst", "dvc", "dvchost", "in", "out", "act", "spt", "msg", "proto"])
VALUES = st.one_of(st.sampled_from(["203.0.113.5", "10.0.0.80", "2001:db8::1", "1", "", "IDS:Reset", "a\\=b", "a\\", "a=b", "\0"]), TEXT)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), TEXT, st.one_of(st.just("8"), TEXT), TEXT)
@example([], "", "8", "\ud800")
def test_whatever_comes_does_no_harm(pairs, name, severity, header):
    text = line(" ".join(f"{key}={value}" for key, value in pairs), header, severity, name)
    for given_ in (text, {"message": text}):
        harmless(Reader("deep_security_cef"), given_)
        harmless(Reader("auto"), given_)


@given(TEXT)
def test_any_text_is_refused_or_ignored(text):
    harmless(Reader("deep_security_cef"), text)
    harmless(Reader("deep_security_cef"), f"CEF:0|{text}")
