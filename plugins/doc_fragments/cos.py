# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options of the modules that talk to Clavister cOS Core firewalls."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment intrusion.response.cos."""

    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - URL of the firewall, such as V(https://192.0.2.1), with the address of the interface on which the firewall's
        REST management object accepts connections.
      - When not set, the environment variable E(COS_API_URL) is used.
    type: str
    required: true
  username:
    description:
      - User name for HTTP Basic authentication, which is optional in cOS Core. Without it, no credentials are sent.
      - When not set, the environment variable E(COS_USERNAME) is used.
    type: str
  password:
    description:
      - Password for HTTP Basic authentication.
      - When not set, the environment variable E(COS_PASSWORD) is used.
    type: str
  validate_certs:
    description:
      - Whether to verify the firewall's TLS certificate. Firewalls usually have a self-signed one; give it in O(ca_path)
        rather than switching verification off.
      - When not set, the environment variable E(COS_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_path:
    description:
      - A file of CA certificates in PEM format, or a directory of them, to trust instead of the system's.
      - When not set, the environment variable E(COS_CA_PATH) is used.
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
    default: false
  timeout:
    description:
      - How many seconds one request may take. A longer answer is still read as long as 32 KiB of it arrive each second.
      - A call with all its retries takes at most O(timeout) times (O(retries) + 1) seconds.
      - When not set, the environment variable E(COS_TIMEOUT) is used.
    type: float
    default: 10.0
  retries:
    description:
      - How often a request is repeated if that is safe. A write whose answer was lost is repeated only if the
        firewall's own listing shows that it had no effect.
      - When not set, the environment variable E(COS_RETRIES) is used.
    type: int
    default: 3
requirements:
  - requests
"""
