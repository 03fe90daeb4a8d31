# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options of the modules that talk to the CLC Intrusion Prevention Service."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment intrusion.response.ips."""

    DOCUMENTATION = r"""
options:
  ips_url:
    description:
      - Base URL of the Intrusion Prevention Service API.
      - When not set, the environment variable E(IPS_API_URL) is used.
    type: str
    default: https://api.client-security.ctl.io/ips/api
  clc_url:
    description:
      - Base URL of the CenturyLink Cloud v2 API, used for the login, with or without C(/v2) at the end.
      - When not set, the environment variable E(CLC_V2_API_URL) is used.
    type: str
    default: https://api.ctl.io
  token:
    description:
      - A CLC v2 bearer token. Takes precedence over O(username) and O(password), and requires O(account_alias).
      - When not set, the environment variable E(CLC_V2_API_TOKEN) is used.
    type: str
  username:
    description:
      - User name for the CLC v2 login.
      - When not set, the environment variable E(CLC_V2_API_USERNAME) is used.
    type: str
  password:
    description:
      - Password for the CLC v2 login.
      - When not set, the environment variable E(CLC_V2_API_PASSWD) is used, then E(CLC_V2_API_PASSWORD).
    type: str
  account_alias:
    description:
      - Alias of the account that owns the server.
      - When not set, the environment variable E(CLC_ACCT_ALIAS) is used, then the home account of the user who logs in.
    type: str
  validate_certs:
    description:
      - Whether to verify TLS certificates. Switch this off only in a lab.
      - When not set, the environment variable E(IPS_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_path:
    description:
      - A file of CA certificates in PEM format, or a directory of them, to trust instead of the system's.
      - When not set, the environment variable E(IPS_CA_PATH) is used.
    type: path
  allow_http:
    description:
      - Allow plain C(http) addresses outside loopback, which send credentials in clear text.
    type: bool
    default: false
  use_proxy:
    description:
      - Whether to use the proxy set in the environment (E(HTTPS_PROXY) or E(ALL_PROXY), and E(NO_PROXY), which accepts
        names, addresses and networks). A SOCKS proxy needs the Python package PySocks.
    type: bool
    default: true
  timeout:
    description:
      - How many seconds one request may take. A longer answer is still read as long as 32 KiB of it arrive each second.
      - A call with all its retries takes at most O(timeout) times (O(retries) + 1) seconds.
      - When not set, the environment variable E(IPS_TIMEOUT) is used.
    type: float
    default: 30.0
  retries:
    description:
      - How often a request is repeated if that is safe. A request to install or remove an agent is repeated only if it
        certainly did not arrive, or if the service asked for it.
      - When not set, the environment variable E(IPS_RETRIES) is used.
    type: int
    default: 3
  state_dir:
    description:
      - Directory on the machine where the module runs, for the login token (so that a fleet needs only one login) and
        for receipts of what was done to which agent. Only their owner can read its files.
      - V(none) keeps nothing.
      - When not set, the environment variable E(INTRUSION_RESPONSE_STATE_DIR) is used, then C(intrusion.response) in
        E(XDG_STATE_HOME) or C(~/.local/state). Without a home directory, nothing is kept, and a warning says so.
    type: path
requirements:
  - requests
"""

    DESTINATIONS = r"""
options:
  destinations:
    description:
      - The destinations.
      - A webhook and a Slack channel are identified by their URL, an e-mail destination by its address, a syslog server by its
        address and port.
      - URLs that differ only in the case of scheme and host, in a default port or in a trailing slash are the same, and so are e-mail
        addresses that differ only in case. The existing spelling is kept.
    type: list
    elements: dict
    default: []
    suboptions:
      type:
        description:
          - Kind of destination.
        type: str
        required: true
        choices: [syslog, email, webhook, slack]
      url:
        description:
          - Where to post. Required for O(destinations[].type=webhook) and O(destinations[].type=slack).
          - Treated as a secret. Results and diffs show only the scheme, the host and a short digest.
        type: str
      email_address:
        description:
          - One address. Required for O(destinations[].type=email).
        type: str
      syslog:
        description:
          - The syslog server. Required for O(destinations[].type=syslog).
        type: dict
        suboptions:
          ip_address:
            description:
              - IP address of the server.
            type: str
            required: true
          udp_port:
            description:
              - UDP port, from V(1) to V(65535).
            type: int
            required: true
          facility:
            description:
              - Facility, as a number from V(16) to V(23) or a name from V(local0) to V(local7).
            type: str
            required: true
"""
