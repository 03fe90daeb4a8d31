# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take events of the IPS by webhook, block the attackers, and hand the verdicts to the rules. Also a service of its own."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DOCUMENTATION = r"""
---
short_description: Take events of the CenturyLink Cloud IPS by webhook, and block the attackers
description:
  - Listens for what the WEBHOOK destinations of the IPS post, one JSON object a request, at C(/ips/<secret>).
  - Answers with success only when the event is on the disk. What was acknowledged is acted on, also after a crash. An event that is
    sent again is acknowledged again and has no second effect.
  - With O(respond) it also blocks the attacker on one or more Clavister cOS Core firewalls, within milliseconds, and the rules get
    one event with the verdict. Without, the rules get every event as it is.
  - The first event says how it runs - C({type: started, address, tls, dry_run, firewalls, never_block}).
  - Beyond loopback it refuses to listen without TLS (unless O(allow_http)) and without at least one of O(path_secrets),
    O(hmac_secrets), O(tls.client_ca_file) and O(allow_from).
options:
  host:
    description: Address to listen on.
    type: str
    default: 127.0.0.1
  port:
    description: Port to listen on.
    type: int
    default: 5005
  allow_http:
    description: Listen beyond loopback without TLS. Whoever is on the way can read the secret then.
    type: bool
    default: false
  tls:
    description:
      - C(cert_file) and C(key_file) of the door's certificate.
      - With C(client_ca_file), senders must present a certificate of one of its authorities. The IPS itself cannot.
    type: dict
  path_secrets:
    description:
      - Secrets of at least 16 letters, digits and C(. _ ~ -), of which the URL must hold one. Give the old and the new one to rotate.
      - Or O(path_secrets_file), a file with one a line; lines that begin with C(#) are comments.
    type: list
  hmac_secrets:
    description:
      - Keys for signatures, for relays; the IPS itself cannot sign. C(X-Signature-256) is C(sha256=) and the hexadecimal HMAC-SHA256
        of C(<timestamp>.<body>), C(X-Timestamp) is the time in seconds since the epoch. Any of the keys is right.
      - Or O(hmac_secrets_file), a file with one a line.
    type: list
  replay_window:
    description: Seconds by which C(X-Timestamp) may differ from the time here.
    type: float
    default: 300
  allow_from:
    description: Addresses and networks that may connect. All may where it is not given.
    type: list
  limits:
    description:
      - C(body) (bytes, 65536), C(rate) (requests a second, 500), C(burst) (ten seconds' worth), C(rate_per_source) (none),
        C(connections) (200), C(body_timeout) (seconds, 10), C(queue) (events without a verdict, 10000).
    type: dict
  state_dir:
    description:
      - Where events are recorded. One running source per directory.
      - The default is C(responder) in E(INTRUSION_RESPONSE_STATE_DIR).
    type: path
    default: ~/.local/state/intrusion.response/responder
  monitor:
    description: C(host) (127.0.0.1) and C(port) (9105) for C(/healthz) and C(/metrics). There is no monitor where it is not given.
    type: dict
  respond:
    description:
      - What to do about events. Without it they are only recorded and handed on.
      - C(firewalls) is a list of C(name), C(api_url), C(username), C(password) or C(password_file), C(validate_certs), C(ca_path),
        C(allow_http), C(use_proxy), C(timeout), C(retries) (0, since the responder sends again by itself) and C(concurrency) (4).
        What is not given comes from the environment variables of the modules, such as E(COS_API_URL).
      - C(policy) tells which events lead to a block, and the block itself - C(directions) ([incoming]), C(flows) ([connection]),
        C(severities) (of low, medium, high and critical - all), C(actions) and C(rules) (all), C(exclude_rules), C(detect_only) (true),
        C(private) (private and reserved networks that may be blocked), C(service) (all_services), C(ttl) (3600), C(renew_below)
        (half the ttl), C(rule_name) (IPS), C(close_established) (true).
      - C(escalation) makes blocks of repeat offenders longer - C(multipliers) ([1, 4, 24]), C(cap) (604800 seconds), C(memory)
        (2592000 seconds). It goes by the ledger.
      - C(limits) are C(new_per_minute) (100) and C(total) (5000) addresses, past which nothing new is blocked.
      - C(never_block) is a list of addresses and networks, in addition to E(INTRUSION_RESPONSE_NEVER_BLOCK).
      - C(ledger) (the modules' default, or none), C(ledger_keep) (400 days).
      - C(verdict_after) (10 seconds), after which a verdict goes out although a firewall has not answered.
      - C(dry_run) (false) decides everything and writes nothing.
    type: dict
"""

EXAMPLES = r"""
- intrusion.response.ips_webhook:
    host: 0.0.0.0
    port: 5005
    tls:
      cert_file: /etc/ips/door.pem
      key_file: /etc/ips/door.key
    path_secrets_file: /etc/ips/path-secrets
    monitor: {}
    respond:
      firewalls:
        - name: edge
          api_url: https://192.0.2.1
          username: blocker
          password_file: /etc/ips/edge-password
          ca_path: /etc/ips/firewalls.pem
      policy:
        severities: [high, critical]
      never_block: [198.51.100.0/24]
"""

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"


def _shared(name: str) -> ModuleType:
    """Import from the collection, which ansible-rulebook does not make importable; another copy of it gets another name."""
    package = f"intrusion_response_{hashlib.sha256(str(PLUGINS).encode()).hexdigest()[:16]}"
    if package not in sys.modules:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(PLUGINS)]
    return importlib.import_module(f"{package}.plugin_utils._responder.{name}")


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Serve until cancelled; raises InvalidInput for arguments that cannot work."""
    await _shared("source").run(args, queue.put)


if __name__ == "__main__":
    sys.exit(_shared("service").main())
