# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cOS Core REST API: blacklist (REST guide 15.00, chapter 5), about (16) and high availability (11).

Of the error texts only ``Bad Request, malformed`` is attested; all others are invented.
"""
from __future__ import annotations

import ipaddress
import re
from typing import Any
from urllib.parse import parse_qsl

from .state import Entry, Firewall
from .wire import Reply, Req, basic_credentials, invented, json_reply

BLACKLIST = "/api/oper/blacklist"
FORM = "application/x-www-form-urlencoded"
ALL_SERVICES = "all_services"
OWNED = "REST"
DEFAULT_TTL = 300
MAX_TTL = 2**31 - 1
POST_PARAMETERS = {"host", "service", "ttl", "rule_name", "close_established", "description"}


class _Refused(Exception):
    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


def _bad(reason: str) -> _Refused:
    return _Refused(400, invented(f"Bad Request, {reason}"))


def handle(firewall: Firewall, req: Req) -> Reply:
    """Answer one request to one firewall."""
    firewall.expire()
    try:
        return _route(firewall, req)
    except _Refused as refused:
        status = refused.status
        if firewall.switches["error_http_status"] == "always_200" and status != 401:
            status = 200
        body = {"error": True, "error_code": refused.status, "error_message": str(refused)}
        reply = json_reply(status, body)
        reply.headers.update({name.replace("_", "-"): text for name, text in refused.headers.items()})
        return reply


def _route(firewall: Firewall, req: Req) -> Reply:
    access = _authenticate(firewall, req)
    if req.path == BLACKLIST:
        if req.method == "GET":
            return _list(firewall, req)
        if req.method not in ("POST", "DELETE"):
            raise _Refused(405, invented("Method Not Allowed"), Allow="GET, POST, DELETE")
        if "read_only" in (access, firewall.switches["access"]):
            raise _Refused(403, invented("Forbidden, read only"))
        return _add(firewall, req) if req.method == "POST" else _remove(firewall, req)
    if req.path in ("/api/about", "/api/oper/ha"):
        if req.method != "GET":
            raise _Refused(405, invented("Method Not Allowed"), Allow="GET")
        return json_reply(200, {"error": False, **(firewall.about if req.path == "/api/about" else firewall.ha)})
    raise _Refused(404, invented("Not Found"))


def _authenticate(firewall: Firewall, req: Req) -> str:
    """The access level of the request's user."""
    if firewall.switches["auth"] == "none":
        return "read_write"
    username, password = basic_credentials(req.headers.get("Authorization", "")) or ("", "")
    user = firewall.users.get(username)
    if user is None or user.password != password:
        raise _Refused(401, invented("Unauthorized"), WWW_Authenticate='Basic realm="cOS Core REST API"')
    return user.access


def _parameters(text: bytes | str, known: set[str]) -> dict[str, str]:
    """Decode ``a=b&c=d``; percent escapes, and ``+`` for a space."""
    try:
        raw = text if isinstance(text, str) else text.decode("ascii")
        if re.search(r"%(?![0-9A-Fa-f]{2})", raw):
            raise ValueError("bad escape")
        pairs = parse_qsl(raw, keep_blank_values=True, strict_parsing=True, errors="strict") if raw else []
    except ValueError:
        raise _Refused(400, "Bad Request, malformed") from None
    given = dict(pairs)
    if len(given) != len(pairs) or set(given) - known:
        raise _bad("duplicate or unknown parameter")
    return given


def _host(given: dict[str, str]) -> str:
    try:
        return str(ipaddress.IPv4Address(given.get("host", "")))
    except ValueError:
        raise _bad("host is missing or not an IPv4 address") from None


def _ttl(firewall: Firewall, given: dict[str, str]) -> int:
    text = given.get("ttl", str(DEFAULT_TTL))
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > MAX_TTL:
        raise _bad("ttl out of range")
    longest = firewall.switches["longest_ttl"]
    if longest != "none" and int(text) > int(longest):
        return int(longest)
    if int(text) == 0:
        rule = firewall.switches["ttl_zero"]
        if rule == "400":
            raise _bad("ttl out of range")
        return DEFAULT_TTL if rule == "default_300" else 0
    return int(text)


def _text(firewall: Firewall, given: dict[str, str], name: str) -> str:
    text = given.get(name, "")
    rule, _unused, limit = firewall.switches["text_limit"].partition(":")
    if limit and len(text) > int(limit):
        if rule == "reject":
            raise _bad(f"{name} too long")
        text = text[:int(limit)]
    return text


def _owned(firewall: Firewall, host: str, service: str) -> list[Entry]:
    return [entry for entry in firewall.entries.of(host, service) if entry.alert_type == OWNED]


def _add(firewall: Firewall, req: Req) -> Reply:
    if req.content_type != FORM:
        raise _Refused(400, "Bad Request, malformed")
    given = _parameters(req.body, POST_PARAMETERS)
    host = _host(given)
    service = given.get("service") or ALL_SERVICES
    if service not in firewall.services:
        raise _bad("unknown service")
    close = given.get("close_established", "no")
    if close not in ("yes", "no"):
        raise _bad("close_established")
    now = firewall.clock.now()
    ttl = _ttl(firewall, given)
    new = Entry(host, service, ttl, now, now + ttl if ttl else None,
                rule_name=_text(firewall, given, "rule_name"), description=_text(firewall, given, "description"))
    if _admit(firewall, new) and close == "yes":
        firewall.closed_established.append(host)
    return json_reply(200, {"error": False, "blacklist_entry": {
        "host": host, "service": _service(service, firewall.switches["all_services_in_reply"]),
        "ttl": _ttl_json(firewall, ttl), **_texts(firewall, new),
    }})


def _admit(firewall: Firewall, new: Entry) -> bool:
    """Put the entry on the list, or renew the one with the same key; False if it was dropped."""
    if any(ipaddress.IPv4Address(new.host) in network for network in firewall.whitelist):
        if firewall.switches["whitelist"] == "400":
            raise _bad("host is whitelisted")
        return False
    owned = _owned(firewall, new.host, new.service)
    repost = firewall.switches["repost"]
    if owned and repost != "duplicate":
        if repost == "reject_400":
            raise _bad("entry exists")
        if repost != "ignore":
            _renew(owned[0], new, repost == "renew_all", firewall.switches["renew_can_shorten"] == "yes")
            firewall.entries.touch(owned[0])
        return True
    limit, _unused, answer = firewall.switches["capacity"].partition(":")
    if answer and len(firewall.entries) >= int(limit):
        if answer != "silent":
            raise _Refused(int(answer), invented("Unable to allocate dynamic entry"))
        return False
    firewall.entries.append(new)
    return True


def _renew(entry: Entry, new: Entry, texts: bool, shorten: bool) -> None:
    later = new.expires is None or (entry.expires is not None and new.expires >= entry.expires)
    if shorten or later:
        entry.ttl, entry.created, entry.expires = new.ttl, new.created, new.expires
    if texts:
        entry.rule_name, entry.description = new.rule_name, new.description


def _remove(firewall: Firewall, req: Req) -> Reply:
    given = _parameters(req.query, {"host", "service"})
    host, service = _host(given), given.get("service") or ALL_SERVICES
    owned = _owned(firewall, host, service)
    if owned:
        # Invented: of two entries with one key (the "duplicate" reading) the first goes.
        firewall.entries.remove(owned[0])
    elif firewall.entries.of(host, service):
        raise _Refused(int(firewall.switches["delete_foreign"]), invented("Blacklist entry does not exist"))
    elif firewall.switches["delete_missing"] == "404":
        raise _Refused(404, invented("Blacklist entry does not exist"))
    return json_reply(200, {"error": False})


def _list(firewall: Firewall, req: Req) -> Reply:
    given = _parameters(req.query, {"alert_type"})
    wanted = given.get("alert_type")
    # ALL exists in the CLI only, says the guide.
    if wanted is not None and wanted not in firewall.alert_types | {OWNED}:
        raise _bad("unknown alert_type")
    found = [e for e in firewall.entries if wanted in (None, e.alert_type)]
    count = len(firewall.entries) if firewall.switches["count"] == "total" else len(found)
    if firewall.switches["list_order"] == "reversed":
        found.reverse()
    if firewall.switches["list_cap"] != "none":
        found = found[:int(firewall.switches["list_cap"])]
    return json_reply(200, {"error": False, "blacklist_count": count,
                            "blacklist_hosts": [_listed(firewall, entry) for entry in found]})


def _listed(firewall: Firewall, entry: Entry) -> dict[str, Any]:
    remaining = firewall.switches["ttl_in_list"] == "remaining"
    host = f"{entry.host}/32" if firewall.switches["host_in_list"] == "network" and "/" not in entry.host else entry.host
    return {
        "host": host, "service": _service(entry.service, firewall.switches["all_services_in_list"]),
        "ttl": _ttl_json(firewall, entry.remaining(firewall.clock.now()) if remaining else entry.ttl),
        "alert_type": firewall.switches["own_alert_type"] if entry.alert_type == OWNED else entry.alert_type, **_texts(firewall, entry),
    }


def _texts(firewall: Firewall, entry: Entry) -> dict[str, str]:
    empty = firewall.switches["empty_text"]
    return {"rule_name": entry.rule_name or empty, "description": entry.description or empty}


def _service(service: str, all_services: str) -> str:
    return all_services if service == ALL_SERVICES else service


def _ttl_json(firewall: Firewall, ttl: int) -> str | int:
    return str(ttl) if firewall.switches["ttl_json_type"] == "string" else ttl
