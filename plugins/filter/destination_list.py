# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations of events, however they were written."""

from __future__ import annotations

DOCUMENTATION = r"""
name: destination_list
short_description: Convert destinations of events to a list
version_added: 1.0.0
author:
  - intrusion.response contributors (@intrusion-response)
description:
  - Returns a list of destinations from a list, or from a YAML or JSON string that contains one, since an AWX survey cannot deliver a list.
  - Fails for destinations that M(intrusion.response.ips_notification) would refuse. An empty string gives an empty list.
options:
  _input:
    description:
      - A list or a string.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Set the destinations from a survey's text area
  intrusion.response.ips_notification:
    server_name: VA1ACMEWEB01
    destinations: "{{ protect_destinations | intrusion.response.destination_list }}"
"""

RETURN = r"""
_value:
  description: The destinations.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.intrusion.response.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.intrusion.response.plugins.module_utils._core.text import clean
from ansible_collections.intrusion.response.plugins.module_utils._ips.destination import NEEDS, parse_destination

NAME = "protect_destinations"
FIELDS = {"type", *NEEDS.values()}


def destination_list(value: Any) -> list[dict[str, Any]]:
    """Return the destinations; raises AnsibleFilterError, which shows neither the string nor URLs, since they may be secrets."""
    if value is None or isinstance(value, str):
        try:
            value = yaml.safe_load(value or "") or []
        except yaml.YAMLError:
            value = None
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, Mapping) for one in value):
        example = '[{"type": "email", "email_address": "secops@example.com"}]'
        raise AnsibleFilterError(f"{NAME} must be a list of destinations, or a YAML or JSON string that contains one, such as {example}.")
    for index, one in enumerate(value):
        _check(f"{NAME}[{index}]", one)
    return [dict(one) for one in value]


def _check(name: str, destination: Mapping[str, Any]) -> None:
    unknown = sorted(clean(field) for field in destination if field not in FIELDS)
    if unknown:
        raise AnsibleFilterError(f"{name} has an unknown field {unknown[0]}; supported are {', '.join(sorted(FIELDS))}.")
    if destination.get("type") not in NEEDS:
        raise AnsibleFilterError(f"{name}.type must be one of {', '.join(sorted(NEEDS))}.")
    try:
        parse_destination(name, destination)
    except InvalidInput as error:
        raise AnsibleFilterError(error.message) from None
    except (AttributeError, KeyError, TypeError):
        raise AnsibleFilterError(f"{name} does not have the form that type {destination['type']} requires.") from None


class FilterModule:
    """The filter as Ansible finds it."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by its name."""
        return {"destination_list": destination_list}
