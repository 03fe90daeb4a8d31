# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take events of intrusion detectors by webhook, block the attackers, and hand the verdicts to the rules. Also a service of its own."""

from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
---
short_description: Take events of intrusion detectors by webhook and from files, and block the attackers
description:
  - Listens for what the WEBHOOK destinations of the IPS, Deep Security, Wazuh, CrowdSec and others post, one event or many a request,
    at C(/ips/<secret>), and follows files such as Suricata's. Which detectors, and who is the attacker, tells docs/detectors.md.
  - Answers with success only when all events of a request are on the disk. What was acknowledged is acted on, also after a crash. An
    event that is sent again is acknowledged again and has no second effect.
  - With O(respond) it also blocks the attacker on one or more Clavister cOS Core firewalls, within milliseconds, and the rules get
    one event with the verdict. Without, the rules get every event as it is.
  - The first event says how it runs - C({type: started, version, address, tls, dry_run, firewalls, never_block}).
  - Beyond loopback it refuses to listen without TLS (unless O(allow_http)) and without at least one of O(path_secrets),
    O(hmac_secrets), O(tls.client_ca_file) and O(allow_from).
  - The arguments are those of the service's configuration file, down to the last one. C(schemas/webhook.json) has all of them with
    their types and bounds, docs/responder.md has their table.
options:
  host:
    description: Where the webhook listens; beyond loopback, authentication and TLS are required.
    type: str
    default: 127.0.0.1
  port:
    description: Where the webhook listens.
    type: int
    default: 5005
  allow_http:
    description: Listen beyond loopback without TLS.
    type: bool
    default: false
  tls:
    description: TLS; without it, the webhook uses plain http.
    type: dict
  path_secrets:
    description: Secrets of the URL, C(/ips/<secret>); any of them is accepted.
    type: list
  path_secrets_file:
    description: A file with O(path_secrets), one per line; lines that begin with C(#) are ignored.
    type: path
  hmac_secrets:
    description: Keys for the signatures of relays; any of them is accepted.
    type: list
  hmac_secrets_file:
    description: A file with O(hmac_secrets), one per line; lines that begin with C(#) are ignored.
    type: path
  replay_window:
    description: Seconds by which the time of a signature may differ from ours.
    type: float
    default: 300
  allow_from:
    description: Addresses and networks that may connect. Single addresses are never blocked.
    type: list
  limits:
    description: What the webhook accepts at most.
    type: dict
  format:
    description: The format of events; C(auto) recognises it by the content.
    type: str
    default: clc_ips
  custom:
    description: A user-defined format, for O(format=custom); docs/detectors.md lists its fields.
    type: dict
  detect_only:
    description: Whether events of agents in detect mode count.
    type: bool
    default: false
  follow:
    description: Files with an event per line, each with C(path), C(format), C(custom), C(rotated) and C(from_start).
    type: list
    elements: dict
  state_dir:
    description: Directory of the inbox, for one running source only; by default C(responder) in C(INTRUSION_RESPONSE_STATE_DIR).
    type: path
  monitor:
    description: Health, metrics and status; by default on loopback, if the port is free.
    type: dict
  respond:
    description: What to do about events; without it, they are recorded and passed on.
    type: dict
"""

EXAMPLES = r"""
- intrusion.response.webhook:
    host: 0.0.0.0
    port: 5005
    tls:
      cert_file: /etc/ips/webhook.pem
      key_file: /etc/ips/webhook.key
    path_secrets_file: /etc/ips/path-secrets
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

# The whole of a configuration file's section
- intrusion.response.webhook:
    respond: "{{ respond }}"
"""

load = runpy.run_path(str(Path(__file__).resolve().parents[4] / "plugins/module_utils/_core/load.py"))["load"]


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Serve until cancelled; raises InvalidInput for arguments that cannot work."""
    await load("plugin_utils._responder.app").run(args, queue.put)


if __name__ == "__main__":
    sys.exit(load("plugin_utils._responder.service").main())
