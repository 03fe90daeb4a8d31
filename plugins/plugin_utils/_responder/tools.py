# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools for operators: an end-to-end test, the status, and what these settings would have done."""

from __future__ import annotations

import json
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Optional

from ...module_utils._core.clock import utc_text
from ...module_utils._core.errors import InvalidInput, Unreachable
from ...module_utils._core.text import clean
from ...module_utils._cos.guard import Guard
from ...module_utils._events.body import InvalidEvent
from ...module_utils._events.event import Event
from ...module_utils._events.reader import Reader
from .configuration import Configuration
from .decide.limits import Limits
from .monitor import MonitorSettings
from .webhook.auth import PATH, test_headers

with suppress(ImportError):
    import aiohttp

Print = Callable[[str], None]

TIMEOUT = 15.0
#: What an agent of the IPS could post about an attack from a documentation network (RFC 5737).
SAMPLE = {
    "hostName": "TEST", "reason": "Test event", "action": "Reset", "direction": "Incoming", "flow": "Connection Flow", "severity": "High",
    "protocol": "TCP", "sourceIP": "203.0.113.1", "sourcePort": "40000", "destinationIP": "198.51.100.1", "destinationPort": "80",
    "iface": "00:00:5E:00:53:01", "destinationMAC": "00:00:5E:00:53:01", "sourceMAC": "00:00:5E:00:53:02", "eventOrigin": "AGENT",
}  # fmt: skip
VERDICTS_SHOWN = 10
#: Verdicts of the running service about an address to be blocked.
BLOCKS = {"blocked", "renewed", "already_blocked", "failed", "withdrawn"}


async def send_test(settings: Configuration, show: Print) -> int:
    """Post a sample event to the running service through its own webhook, and show the verdict that it would get; return the exit status.

    An authenticated header marks it as a test, so nothing is recorded or blocked.
    """
    body = json.dumps({**SAMPLE, "startTime": int(time.time() * 1000)}).encode()
    headers = {**test_headers(settings, body), "Content-Type": "application/json"}
    path = f"{PATH}/{settings.path_secrets[0]}" if settings.path_secrets else PATH
    status, text = await _request(settings.tls is not None, settings.host, settings.port, "POST", path, body, headers)
    if status != 200:
        show(f"The webhook answered with {status}: {clean(text, 200)}")
        return 1
    verdict = json.loads(text)["verdict"]
    why = f" ({clean(verdict['reason'])})" if verdict.get("reason") else ""
    show(f"The webhook takes events. Verdict: {verdict.get('verdict', 'handed on')}{why}")
    show(json.dumps(verdict, indent=2))
    return 0


async def show_status(settings: Configuration, show: Print) -> int:
    """Show the status of the running service, from its monitor; return the exit status, 0 if all is well."""
    monitor = settings.monitor or MonitorSettings()
    status, text = await _request(False, monitor.host, monitor.port, "GET", "/status")
    if status != 200:
        raise Unreachable(f"The monitor answered with {status}.")
    found = json.loads(text)
    address = " port ".join(str(part) for part in found["address"])
    state = "well" if found["healthy"] else "NOT WELL"
    show(f"intrusion.response {found['version']}, {state}, since {utc_text(found['since'])}, listens on {address}")
    show(f"inbox: {'recording' if found['recording'] else 'NOT RECORDING'}, {found.get('waiting', 0)} events without a verdict")
    show(f"output: {_writer(found['output'])}" + (f", ledger: {_writer(found['ledger'])}" if "ledger" in found else ""))
    for path, followed in found["follow"].items():
        state = "well" if followed["healthy"] else "NOT FOLLOWED"
        show(f"follows {clean(path)}: {state}, {followed['lines']} lines" + (", waits for room in the inbox" if followed["waits"] else ""))
    for name, code in found.get("firewalls", {}).items():
        waiting = found["addresses_waiting"].get(name, 0)
        writes = found["writes"].get(name)
        show(f"firewall {clean(name)}: {code}, {waiting} addresses under way" + (f", last write: {writes}" if writes else ""))
    for name, used in found.get("limits", {}).items():
        reached = " REACHED" if found["limited"] == name else ""
        show(f"limit {name}: {used['in_use']} of {used['of']}{reached}")
    if found.get("limited_events"):
        show(f"{found['limited_events']} addresses wait until the limits allow more")
    for one in found.get("exempt") or ():
        show(f"exempt {clean(one['host'])} until {clean(one['until'])}, by {clean(one['user'] or 'somebody')}")
    if found.get("exempt_total", 0) is None:
        show("exemptions: NOT KNOWN, the ledger cannot be read")
    elif found.get("exempt_total", 0) > len(found["exempt"] or ()):
        show(f"{found['exempt_total']} addresses are exempt in all")
    if found.get("dry_run"):
        show("DRY RUN: nothing is written")
    for verdict in found["verdicts"][:VERDICTS_SHOWN]:
        why = f" ({clean(verdict['reason'] or verdict['code'], 80)})" if verdict["reason"] or verdict["code"] else ""
        show(f"{verdict['at']} {verdict['verdict']:<15} {verdict['attacker'] or '-':<15} {verdict['id']}{why}")
    return 0 if found["healthy"] else 1


def _writer(state: dict[str, Any]) -> str:
    return ("well" if state["healthy"] else "CANNOT BE WRITTEN") + (f", {state['lost']} lost" if state["lost"] else "")


async def _request(
    tls: bool, host: str, port: int, method: str, path: str, body: Optional[bytes] = None, headers: Optional[dict[str, str]] = None
) -> tuple[int, str]:  # fmt: skip
    """Send a request to this machine's own server; its certificate is not verified, since the settings say where it is."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    url = f"{'https' if tls else 'http'}://{f'[{near}]' if ':' in near else near}:{port}{path}"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        timeout = aiohttp.ClientTimeout(TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as client, client.request(
            method, url, data=body, headers=headers, ssl=context, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text()
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        hint = "Does it run with these settings?"
        raise Unreachable(f"Nothing answers at {near} port {port} ({type(error).__name__}).", hint=hint) from None


def replay(settings: Configuration, path: str, show: Print) -> None:
    """Decide past events with these settings, and show what differs from the original verdicts.

    Limits use the events' own times. Firewalls and the ledger are not read.
    """
    respond = settings.respond
    if respond is None:
        raise InvalidInput("The settings have no section respond, so nothing would have been done.")
    guard = Guard(frozenset(respond.networks))
    limits = Limits(respond.limits)
    seen: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    ends: dict[str, float] = {}
    differences = 0
    for event, before in _past(path, settings.reader()):
        for address in [address for address, end in ends.items() if end <= event.received]:
            del ends[address]
            limits.settled(address)
        now, reason, _code = respond.policy.decide(event, guard)
        ttl, attacker = None, str(event.attacker)
        if now == "block":
            reason = limits.admit(attacker, event.received)
            if reason:
                now = "limited"
            elif attacker not in ends:
                ttl = respond.escalation.ttl(respond.policy.ttl, seen[attacker], event.ttl)
                seen[attacker] += 1
                ends[attacker] = event.received + ttl
        counts[now] += 1
        was = None if before is None else "block" if before in BLOCKS else before
        if was != now and (before is not None or now == "block"):
            differences += 1
            change = f"{was} -> {now}" if was else now
            more = (f" for {ttl} s" if ttl else "") + (f" ({clean(reason, 100)})" if reason else "")
            show(f"{event.received_at} {event.attacker or '-':<15} {change}{more}")
    summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    show(f"{sum(counts.values())} events: {summary}; {differences} differences")


def _past(path: str, reader: Reader) -> Iterator[tuple[Event, Optional[str]]]:
    """Yield events and their original verdicts, or None, from lines: verdicts, or what a detector sent."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    found = json.loads(line) if line.startswith("{") else None
                    kind = found.get("type") if isinstance(found, dict) else None
                    if isinstance(found, dict) and kind in ("verdict", "event"):
                        if not found.get("late"):
                            yield Event.from_dict(found["intrusion"]), found.get("verdict")
                    elif kind not in ("started", "limit"):
                        events = reader.line(line.encode("utf-8", "surrogatepass"), time.time())
                        yield from ((event, None) for event in events if isinstance(event, Event))
                except (ValueError, KeyError, RecursionError, InvalidEvent) as error:
                    reason = str(error) if isinstance(error, InvalidEvent) else "it is not an event."
                    raise InvalidInput(f"{path}, line {number}: {reason}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}.") from None
