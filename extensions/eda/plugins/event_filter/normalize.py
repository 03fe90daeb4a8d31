# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a detector's raw event from another source into the event that rules see."""

from __future__ import annotations

import functools
import json
import logging
import runpy
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Optional

DOCUMENTATION = r"""
---
short_description: Convert the raw event of an intrusion detector to the form of intrusion.response.webhook
description:
  - Looks for what a detector sends in C(payload) (ansible.eda.webhook, event streams of an EDA controller), in C(body)
    (ansible.eda.kafka and other message buses), in C(journald.message) (ansible.eda.journald), and in the event itself
    (ansible.eda.pg_listener), as an object, a list of objects, JSON text or a line of CEF.
  - Adds it to the event as C(intrusion), with the fields that the events of intrusion.response.webhook have. The rest of the event is
    kept. If one message contains several events, C(intrusion) is the first one with an attacker, and C(intrusions) has all of them.
  - An event that does not come from a detector, is not an attack (such as Suricata's flow records), or already has C(intrusion) passes
    unchanged, so the filter works on mixed streams. So does one with a field of the wrong type; a warning names the field.
options:
  format:
    description:
      - The format of the events. V(auto) recognises it by the content; an event that fits no format, or more than one, passes unchanged.
      - V(custom) is a user-defined format, see O(custom).
    type: str
    default: auto
    choices: [clc_ips, auto, deep_security_cef, deep_security_json, suricata_eve, wazuh, crowdsec, custom]
  home_networks:
    description:
      - Your own addresses, which are never an attacker's, and by which some formats determine the attacker.
      - By default, the private and reserved ones.
    type: list
    elements: str
  private:
    description: Networks among O(home_networks) that may still be an attacker's.
    type: list
    elements: str
  custom:
    description:
      - For each field of the event, a path into the object such as V(data.client.address), or an object with C(text) for a fixed text, or
        with C(path), C(table) and C(otherwise) for a table of values; C(only) has the values, by path, that make an object an event.
      - Nothing is evaluated. docs/detectors.md lists the fields.
    type: dict
  detect_only:
    description: Whether events of agents in detect mode count. Otherwise, they pass unchanged.
    type: bool
    default: false
"""

EXAMPLES = r"""
- ansible.eda.webhook:
    host: 127.0.0.1
    port: 5000
  filters:
    - intrusion.response.normalize:

- ansible.eda.kafka:
    host: broker.example.com
    port: 9092
    topic: suricata
  filters:
    - intrusion.response.normalize:
        format: suricata_eve
        home_networks: [10.0.0.0/8, 198.51.100.0/24]

- ansible.eda.kafka:
    host: broker.example.com
    port: 9092
    topic: honeypot
  filters:
    - intrusion.response.normalize:
        format: custom
        custom:
          attacker: src_ip
          reason: eventid
          severity: {text: high}
          only: {eventid: [cowrie.login.success, cowrie.command.input]}
"""

load = runpy.run_path(str(Path(__file__).resolve().parents[4] / "plugins/module_utils/_core/load.py"))["load"]
logger = logging.getLogger(__name__)

body = load("module_utils._events.body")
ends = load("module_utils._events.ends")
normal = load("module_utils._events.event")
custom_format = load("module_utils._events.formats.custom")
reading = load("module_utils._events.reader")


@functools.lru_cache(maxsize=64)
def _reader(arguments: str) -> tuple[Any, Any]:
    """Return our own addresses and the reader for a filter's arguments, which are the same for each of its events; raises ValueError."""
    given = json.loads(arguments)
    name = given["format"]
    if name not in reading.NAMES:
        raise ValueError(f"format must be one of {', '.join(reading.NAMES)}.")
    if (name == reading.CUSTOM) != (given["custom"] is not None):
        raise ValueError("format: custom requires custom, and vice versa.")
    networks = {
        option: None if given[option] is None else [ip_network(text) for text in given[option]] for option in ("home_networks", "private")
    }
    home = ends.Home(networks["home_networks"] or None, (), networks["private"] or ())
    custom = None if given["custom"] is None else custom_format.Custom(given["custom"])
    return home, reading.Reader(name, home, custom, given["detect_only"])


def main(
    event: dict[str, Any],
    format: str = "auto",
    home_networks: Optional[list[str]] = None,
    private: Optional[list[str]] = None,
    custom: Optional[dict[str, Any]] = None,
    detect_only: bool = False,
) -> dict[str, Any]:
    """Return the event with the detector's event as `intrusion`, or unchanged; raises ValueError for invalid arguments."""
    arguments = {"format": format, "home_networks": home_networks, "private": private, "custom": custom, "detect_only": detect_only}
    home, reader = _reader(json.dumps(arguments))
    if not isinstance(event, dict) or normal.is_normal(event.get("intrusion")):
        return event
    if "intrusion" in event:
        logger.warning("An event has an invalid field intrusion, which is ignored.")
        event = {name: value for name, value in event.items() if name != "intrusion"}
    for given in _candidates(event, reader):
        try:
            found = [_told(one, home) for one in given() if isinstance(one, normal.Event)]
        except body.InvalidEvent as error:
            logger.warning("An event looks like that of a detector but is invalid: %s", error)
            return event
        if found:
            intrusion = next((one for one in found if one["attacker"]), found[0])
            return {**event, "intrusion": intrusion, **({"intrusions": found} if len(found) > 1 else {})}
    return event


def _told(event: Any, home: Any) -> dict[str, Any]:
    """Return the event as rules see it; behind a responder its policy says of the attackers of the IPS whether they are ours."""
    told: dict[str, Any] = event.as_dict()
    return {**told, "attacker": None, "attacker_reason": ends.OURS} if home.is_ours(event.attacker) else told


def _candidates(event: dict[str, Any], reader: Any) -> Iterator[Callable[[], list[Any]]]:
    """Yield functions that read the possible events of the detector."""
    journald = event.get("journald")
    places = (event.get("payload"), event.get("body"), journald.get("message") if isinstance(journald, Mapping) else None)
    # meta is what sources and filters add to every event
    for part in (*places, {name: value for name, value in event.items() if name != "meta"}):
        given = part if isinstance(part, list) else [part]
        if isinstance(part, (str, bytes)):
            try:
                given = list(reader.parts(part if isinstance(part, bytes) else part.encode("utf-8", "replace")))
            except body.InvalidEvent:
                continue
        if given and all(isinstance(one, (str, Mapping)) and reader.recognises(one) for one in given):
            yield lambda given=given: [found for one in given for found in reader.one(one, time.time())]
