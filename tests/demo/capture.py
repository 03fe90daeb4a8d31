# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture of one attack over HTTP, made packet by packet, as libpcap keeps it: Ethernet, IPv4, TCP with right checksums."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

SYN, ACK, PSH = 2, 16, 8
GAP = 0.01  # seconds between two packets


def write_attack(path: Path, attacker: str, server: str) -> None:
    """Write the capture of a connection in which the attacker asks the server for a file outside of the website."""
    request = b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    there, back = (attacker, 40000, server, 80), (server, 80, attacker, 40000)
    packets = [
        _packet(there, 1000, 0, SYN), _packet(back, 5000, 1001, SYN | ACK), _packet(there, 1001, 5001, ACK),
        _packet(there, 1001, 5001, ACK | PSH, request), _packet(back, 5001, 1001 + len(request), ACK | PSH, answer),
        _packet(there, 1001 + len(request), 5001 + len(answer), ACK),
    ]  # fmt: skip
    content = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, packet in enumerate(packets):
        at = time.time() + number * GAP
        content += struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(packet), len(packet)) + packet
    path.write_bytes(content)


def _packet(ends: tuple[str, int, str, int], sequence: int, acknowledged: int, flags: int, payload: bytes = b"") -> bytes:
    source, source_port, destination, destination_port = ends
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    tcp = struct.pack("!HHIIBBHHH", source_port, destination_port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp) + len(payload))
    tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp + payload)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(payload), 1, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    return bytes.fromhex("020000000002 020000000001 0800") + ip + tcp + payload


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
