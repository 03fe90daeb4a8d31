# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the raw post of the IPS that came in through another source into the event that rules see."""

from __future__ import annotations

import hashlib
import importlib
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

DOCUMENTATION = r"""
---
short_description: Bring a raw post of the CenturyLink Cloud IPS into the form that intrusion.response.webhook has
description:
  - Looks for the post of a WEBHOOK destination of the IPS in the event itself, in C(payload) (ansible.eda.webhook, event streams of
    an EDA controller) and in C(body) (ansible.eda.kafka and other message buses), as an object or as JSON text.
  - Adds it to the event as C(intrusion), with the fields that the events of intrusion.response.webhook have. What else the event holds
    is kept.
  - An event that is no post of the IPS, or has C(intrusion) already, passes unchanged, so the filter can stand behind a mixed stream.
    A post has C(hostName), C(reason) and at least one of C(sourceIP) and C(destinationIP).
  - A post in which a field has a wrong type passes unchanged, too, and a warning names the field.
options: {}
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
    topic: ips
  filters:
    - intrusion.response.normalize:
"""

NEEDED = {"hostName", "reason"}
ADDRESSES = {"sourceIP", "destinationIP"}
PLUGINS = Path(__file__).resolve().parents[4] / "plugins"

logger = logging.getLogger(__name__)


def _shared(name: str) -> ModuleType:
    """Import from the collection, which ansible-rulebook does not make importable; another copy of it gets another name."""
    package = f"intrusion_response_{hashlib.sha256(str(PLUGINS).encode()).hexdigest()[:16]}"
    if package not in sys.modules:
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(PLUGINS)]
    return importlib.import_module(f"{package}.{name}")


events = _shared("module_utils._events.event")


def main(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with the normalised post as `intrusion`; unchanged where there is none."""
    if not isinstance(event, dict) or events.is_normal(event.get("intrusion")):
        return event
    if "intrusion" in event:
        logger.warning("An event came with an intrusion that is not one of ours; it is left out.")
        event = {name: value for name, value in event.items() if name != "intrusion"}
    for post in _candidates(event):
        if post.keys() >= NEEDED and not ADDRESSES.isdisjoint(post):
            try:
                return {**event, "intrusion": events.Event.from_post(post, time.time()).as_dict()}
            except events.InvalidEvent as error:
                logger.warning("An event looks like a post of the IPS and is none: %s", error)
                return event
    return event


def _candidates(event: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    # meta is what sources and filters add to every event
    yield {name: value for name, value in event.items() if name != "meta"}
    for name in ("payload", "body"):
        part = event.get(name)
        if isinstance(part, Mapping):
            yield part
        elif isinstance(part, (str, bytes)):
            try:
                yield events.parse_body(part if isinstance(part, bytes) else part.encode("utf-8", "replace"))
            except events.InvalidEvent:
                continue
