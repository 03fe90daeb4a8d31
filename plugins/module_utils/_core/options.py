# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection options, each written once: argument specification, environment variables and documentation follow this table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any, Optional, Union

from .call import Call
from .errors import InvalidInput

LONGEST_NAME = 200
#: Seconds; what a time to live is bounded by everywhere, since what lies beyond 31 bits is anybody's guess.
LONGEST_TTL = 2**31 - 1
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Network = Union[IPv4Network, IPv6Network]


@dataclass(frozen=True)
class Option:
    """One connection option.

    Attributes:
        name: as written in a task.
        type: an Ansible argument type.
        default: value if neither the task nor the environment sets one.
        env: environment variables that can set the value; the first that is set wins.
        required: whether a value must come from somewhere.
        secret: whether the value must never be shown.
    """

    name: str
    type: str = "str"
    default: Any = None
    env: tuple[str, ...] = ()
    required: bool = False
    secret: bool = False


STATE_DIR_ENV = "INTRUSION_RESPONSE_STATE_DIR"
NEVER_BLOCK_ENV = "INTRUSION_RESPONSE_NEVER_BLOCK"

IPS_CONNECTION = (
    Option("ips_url", default="https://api.client-security.ctl.io/ips/api", env=("IPS_API_URL",)),
    Option("clc_url", default="https://api.ctl.io", env=("CLC_V2_API_URL",)),
    Option("token", env=("CLC_V2_API_TOKEN",), secret=True),
    Option("username", env=("CLC_V2_API_USERNAME",)),
    Option("password", env=("CLC_V2_API_PASSWD", "CLC_V2_API_PASSWORD"), secret=True),
    Option("account_alias", env=("CLC_ACCT_ALIAS",)),
    Option("validate_certs", "bool", True, env=("IPS_VALIDATE_CERTS",)),
    Option("ca_path", "path", env=("IPS_CA_PATH",)),
    Option("allow_http", "bool", False),
    Option("use_proxy", "bool", True),
    Option("timeout", "float", 30.0, env=("IPS_TIMEOUT",)),
    Option("retries", "int", 3, env=("IPS_RETRIES",)),
    Option("state_dir", "path", env=(STATE_DIR_ENV,)),
)

COS_CONNECTION = (
    Option("api_url", env=("COS_API_URL",), required=True),
    Option("username", env=("COS_USERNAME",)),
    Option("password", env=("COS_PASSWORD",), secret=True),
    Option("validate_certs", "bool", True, env=("COS_VALIDATE_CERTS",)),
    Option("ca_path", "path", env=("COS_CA_PATH",)),
    Option("allow_http", "bool", False),
    Option("use_proxy", "bool", False),
    Option("timeout", "float", 10.0, env=("COS_TIMEOUT",)),
    Option("retries", "int", 3, env=("COS_RETRIES",)),
)

LEDGER = (Option("ledger", env=("INTRUSION_RESPONSE_LEDGER",)),)

#: What a module that writes takes besides; a ledger in which nothing is removed has no fixed size.
LEDGER_WRITING = (
    *LEDGER,
    Option("ledger_keep", "int", 400),
    Option("ledger_user"),
    Option("event"),
    Option("event_rule"),
)


def refuse_control_characters(name: str, value: str) -> str:
    """Return value, or raise InvalidInput if it contains control characters or line separators."""
    if CONTROL_CHARACTERS.search(value):
        raise InvalidInput(f"{name} must not contain control characters or line breaks.")
    return value


def path_name(name: str, value: Optional[str]) -> str:
    """Return a name that becomes a URL path segment, or raise InvalidInput.

    Names keep their case: hosts of "IPS Anywhere" are lower-case FQDNs, CLC servers upper-case.
    """
    value = refuse_control_characters(name, value or "").strip()
    if not value:
        raise InvalidInput(f"{name} must not be empty.")
    if value in (".", "..") or re.search(r"[\s/\\?#%]", value) or len(value) > 255:
        raise InvalidInput(
            f"{name} must be a plain name of at most 255 characters, such as VA1ACMEWEB01 or web01.example.com, "
            f"without spaces and without any of / \\ ? # %; got {value[:80]!r}."
        )
    return value


def parse_ipv4(name: str, value: str) -> str:
    """Return one IPv4 address in its normal form; raises InvalidInput for everything else."""
    value = refuse_control_characters(name, value).strip()
    kind = "this is not an IPv4 address"
    if "/" in value or re.fullmatch(r"[\d.]+\s*-\s*[\d.]+", value):
        kind = "networks and ranges are not accepted"
    elif ":" in value:
        kind = "IPv6 is not accepted"
    elif re.fullmatch(r"\d+(\.\d+){3}", value):
        if any(len(part) > 1 and part.startswith("0") for part in value.split(".")):
            kind = "leading zeros are ambiguous"
        else:
            try:
                return str(IPv4Address(value))
            except ValueError:
                kind = "each of its numbers must be from 0 to 255"
    raise InvalidInput(f"{name} must be a single IPv4 address such as 203.0.113.5; {kind}. Got {value[:80]!r}.")


def parse_name(name: str, value: Optional[str]) -> Optional[str]:
    """Return a name that is only used for the record, or None if empty; raises InvalidInput."""
    value = refuse_control_characters(name, value or "").strip()
    if len(value) > LONGEST_NAME:
        raise InvalidInput(f"{name} must have at most {LONGEST_NAME} characters.")
    return value or None


def integer_between(name: str, value: Any, low: int, high: int) -> int:
    """Return value as an integer, or raise InvalidInput naming the option and the accepted range."""
    try:
        number = int(str(value).strip())
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise InvalidInput(f"{name} must be an integer from {low} to {high}; got {str(value)[:80]!r}.")
    return number


def check_connection(call: Call) -> None:
    """Raise InvalidInput for invalid connection settings, and warn about unsafe ones, for either API."""
    params = call.params
    if not 0 < params["timeout"] <= 3600:
        raise InvalidInput(f"timeout must be more than 0 and at most 3600 seconds; got {params['timeout']}.")
    integer_between("retries", params["retries"], 0, 20)
    for name in ("username", "password", "token"):
        value = params.get(name)
        if value is not None and CONTROL_CHARACTERS.search(value):
            raise InvalidInput(f"{name} must not contain control characters or line breaks (is there a trailing newline?).")
    if params.get("password") and not params.get("username"):
        raise InvalidInput("password is set, but username is not.")
    if not params["validate_certs"]:
        call.warn("validate_certs is false: anybody between here and the service can read and change what is sent, including credentials.")
