# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds out how a firewall behaves where its documentation is silent (cos-core-api.md sections 4 and 5), with an address to spare."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

from .._core.errors import (
    AuthFailed,
    BadResponse,
    IntrusionResponseError,
    InvalidInput,
    ListingTruncated,
    NotFound,
    NotPermitted,
    Rejected,
    ServerFault,
)
from .._core.options import integer_between, parse_ipv4, parse_name
from .blacklist import ALL_SERVICES, OWNED, Listing, normal_host, normal_ttl
from .client import CosClient
from .record import Recorder

UNKNOWN = "unknown"
FIRST, SECOND = "one", "two"
LONG, LONGER = 3600, 7200
SHORT = 60
TEXT = 300
#: Duplicates are removed one at a time.
MOST_REMOVALS = 20

#: The text of each question, and what each answer means for the settings; "", or else the first meaning, is for any other answer.
QUESTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "auth": ("Does reading require credentials?", {
        "basic": "Yes, as it should.", "none": "No: whoever reaches the firewall can change its blacklist. Require credentials."}),
    "access": ("May this user write?", {
        "read_write": "Yes.", "read_only": "No: nothing can be blocked with this user, or an administrator is logged in."}),
    "error_http_status": ("Which HTTP status do errors have?", {
        "mirror": "Their own.", "always_200": "200; the collection reads the body, but other clients may mistake errors for success."}),
    "list_cap": ("Is the listing complete?", {
        "none": "Yes.", "": "No: the modules fail with listing_truncated, since it is unknown what is blocked."}),
    "count": ("What does the count of a filtered listing mean?", {
        "length": "The listed entries.", "total": "All entries. The collection never filters, so this does not matter."}),
    "list_order": ("In which order are entries listed?", {"insertion": "Oldest entry first.", "reversed": "Newest entry first."}),
    "host_in_list": ("How is an address listed?", {"address": "As it is.", "network": "As a /32 network; the collection reads both."}),
    "own_alert_type": ("Which source do entries of the API have?", {
        "REST": "REST.", "": "Another spelling, which the collection also reads."}),
    "all_services_in_list": ("How are all services listed?", {"": "As the collection expects, or in another spelling that it knows."}),
    "all_services_in_reply": ("How are all services confirmed?", {"": "As the collection expects, or in another spelling that it knows."}),
    "empty_text": ("How is an empty text shown?", {"": "As the collection expects, or in another spelling that it knows."}),
    "ttl_json_type": ("Which JSON type does ttl have?", {"string": "String.", "number": "Number; the collection reads both."}),
    "ttl_in_list": ("Which time does the listing show?", {
        "remaining": "The remaining time: expires_at and renew_below work as documented.",
        "configured": "The time that was given: set ttl_meaning to configured, and do not use renew_below."}),
    "longest_ttl": ("Is a long time kept?", {
        "none": "Yes.", "": "No, it is cut to this many seconds: request no more, or blocks end with stored_differently."}),
    "repost": ("What does adding an entry again do?", {
        "renew_all": "It renews time and texts.",
        "renew_ttl_only": "It renews only the time; to change texts, the collection removes the entry and adds it again.",
        "ignore": "Nothing; the collection removes the entry and adds it again, with a moment without a block.",
        "duplicate": "It creates a second entry; the collection removes duplicates.",
        "reject_400": "It is refused; the collection removes the entry and adds it again, with a moment without a block."}),
    "renew_can_shorten": ("Can a renewal shorten the time?", {
        "yes": "Yes.", "no": "No; the collection removes the entry and adds it again, with a moment without a block."}),
    "text_limit": ("Are long texts kept?", {
        "none": "Yes, up to 300 characters at least.",
        "": "No: keep rule_name and description shorter, or blocks end with stored_differently or rejected."}),
    "ttl_zero": ("What does a ttl of 0 mean?", {
        "400": "It is refused.", "infinite": "Forever. The collection never sends it.",
        "default_300": "The default time. The collection never sends it."}),
    "delete_missing": ("How is the removal of a missing entry answered?", {"404": "With an error.", "200": "With success."}),
    "delete_foreign": ("How is the removal of another source's entry answered?", {"": "With an error; the collection never tries."}),
    "whitelist": ("What happens to a whitelisted address?", {
        "silent": "It is accepted, but not listed: not_listed_after_write.", "400": "It is refused: rejected.",
        "blocked": "It is blocked: it is not on the firewall's whitelist."}),
    "capacity": ("Is there room for an entry?", {
        "none": "Yes.", "": "No: the blacklist is full, or this address is on the firewall's whitelist."}),
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A validated request.

    Attributes:
        host: the address to spare.
        service: a second service for it.
        wait: seconds between two readings of the time.
        whitelisted: an address on the firewall's whitelist, to try to block it as well.
        foreign: an address that a source other than the API blocks, to try to remove it.
    """

    host: str
    service: str
    wait: int
    whitelisted: Optional[str]
    foreign: Optional[str]

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Wanted:
        """Validate module options; raises InvalidInput."""
        optional = {name: None if not params[name] else parse_ipv4(name, params[name]) for name in ("whitelisted", "foreign")}
        service = parse_name("service", params["service"]) or "http-all"
        found = cls(parse_ipv4("host", params["host"]), service, integer_between("wait", params["wait"], 2, 60), **optional)
        if len({found.host, found.whitelisted, found.foreign} - {None}) < 1 + len([one for one in optional.values() if one]):
            raise InvalidInput("host, whitelisted and foreign must be different addresses.")
        return found

    @property
    def hosts(self) -> list[str]:
        """The addresses to be blocked."""
        return [self.host, *([self.whitelisted] if self.whitelisted else [])]


class Probe:
    """Answers the questions for one firewall; `answers` has the answers by the names of QUESTIONS."""

    def __init__(self, client: CosClient, anonymous: CosClient, wanted: Wanted, recorder: Recorder) -> None:
        self._client = client
        self._anonymous = anonymous
        self._wanted = wanted
        self._recorder = recorder
        self.answers = dict.fromkeys(QUESTIONS, UNKNOWN)

    def read(self) -> None:
        """Answer the questions that need only reading; raises InvalidInput if an address is already blocked."""
        self._cut(self._client.blacklist())
        for host in self._wanted.hosts:
            if self._listed(host):
                raise InvalidInput(f"{host} is already on the blacklist; use an address that is not, and that you can spare.")
        try:
            self._anonymous.blacklist()
            self.answers["auth"] = "none"
        except (AuthFailed, NotPermitted):
            self.answers["auth"] = "basic"

    def write(self) -> None:
        """Answer the questions that need writing, and clean up; do nothing if the listing is truncated, since entries may be invisible."""
        if self.answers["list_cap"] != "none":
            return
        self._note("block", "unknown", LONGER)
        try:
            self._status()
            if self.answers["access"] == "read_write" and self._first():
                self._second()
                self._again()
                self._texts()
                self._zero()
                self._removals()
            if self.answers["access"] == "read_write" and self.answers["list_cap"] == "none" and self._wanted.whitelisted:
                self._whitelisted(self._wanted.whitelisted)
        finally:
            self._clean()
            self._note("unblock", "ok")

    def _note(self, action: str, outcome: str, ttl: Optional[int] = None) -> None:
        """Record the entries that are about to be added, or that they are gone."""
        for host, service in [(host, ALL_SERVICES) for host in self._wanted.hosts] + [(self._wanted.host, self._wanted.service)]:
            self._recorder.note(action, outcome, host, service, ttl)

    def _cut(self, answer: Mapping[str, Any]) -> None:
        """Note whether a listing is complete."""
        try:
            Listing.from_wire(answer)
            self.answers["list_cap"] = "none"
        except ListingTruncated:
            self.answers["list_cap"] = str(len(answer["blacklist_hosts"]))

    def _status(self) -> None:
        """Send a request that must be refused: an entry without a host."""
        try:
            self._client.add({"ttl": "1"})
        except IntrusionResponseError as error:
            self.answers["access"] = "read_only" if isinstance(error, NotPermitted) else "read_write"
            self.answers["error_http_status"] = "always_200" if error.http_status == 200 else "mirror"
        else:
            raise BadResponse("The firewall accepted an entry without an address.")

    def _first(self) -> bool:
        """Add an entry with only a host; return whether it is listed."""
        answers, host = self.answers, self._wanted.host
        try:
            echo = self._client.add({"host": host})["blacklist_entry"]
        except (Rejected, ServerFault) as error:
            answers["capacity"] = "500" if isinstance(error, ServerFault) else "400"
            return False
        answers["all_services_in_reply"] = str(echo.get("service", ""))
        answers["empty_text"] = str(echo.get("description", ""))
        answers["ttl_json_type"] = "string" if isinstance(echo.get("ttl"), str) else "number"
        listed = self._listed(host)
        if not listed:
            self._cut(self._client.blacklist())
            if answers["list_cap"] == "none":
                answers["capacity"] = "silent"
            return False
        answers["capacity"] = "none"
        answers["host_in_list"] = "network" if "/" in str(listed[0]["host"]) else "address"
        answers["own_alert_type"] = str(listed[0].get("alert_type"))
        answers["all_services_in_list"] = str(listed[0].get("service", ""))
        before = normal_ttl(listed[0].get("ttl"))
        time.sleep(self._wanted.wait)
        after = normal_ttl(self._listed(host)[0].get("ttl"))
        if before is not None and after is not None:
            answers["ttl_in_list"] = "remaining" if after < before else "configured"
        return True

    def _second(self) -> None:
        """Add an entry with a long time for another service, and examine the whole listing."""
        host, service = self._wanted.host, self._wanted.service
        with suppress(Rejected, NotFound):
            self._client.add({"host": host, "service": service, "ttl": str(LONG)})
            listed = self._listed(host)
            last = next((index for index, raw in enumerate(listed) if raw.get("service") == service), None)
            if last is not None and len(listed) == 2:
                self.answers["list_order"] = "insertion" if last == 1 else "reversed"
                kept = normal_ttl(listed[last].get("ttl"))
                self.answers["longest_ttl"] = "none" if kept is None or kept > LONG - SHORT else str(kept)
        with suppress(Rejected, NotFound):
            everything, mine = self._client.blacklist()["blacklist_hosts"], self._client.blacklist_of(OWNED)
            if len(mine["blacklist_hosts"]) < len(everything):
                self.answers["count"] = "total" if mine.get("blacklist_count") == len(everything) else "length"

    def _again(self) -> None:
        """Add the first entry again, for longer and with texts, and then for a shorter time."""
        host = self._wanted.host
        if not self._replace({"host": host, "ttl": str(LONG // 4), "description": FIRST}):
            return
        before = self._first_of(host)
        try:
            self._client.add({"host": host, "ttl": str(LONGER), "description": SECOND})
        except (Rejected, ServerFault):
            self.answers["repost"] = "reject_400"
            return
        listed = [raw for raw in self._listed(host) if raw.get("service") != self._wanted.service]
        if len(listed) > 1:
            self.answers["repost"] = "duplicate"
            return
        longer = (normal_ttl(listed[0].get("ttl")) or 0) > (normal_ttl(before.get("ttl")) or 0)
        if listed[0].get("description") == SECOND:
            self.answers["repost"] = "renew_all"
        elif longer:
            self.answers["repost"] = "renew_ttl_only"
        elif self.answers["longest_ttl"] == "none":
            self.answers["repost"] = "ignore"
        if self.answers["repost"] in ("renew_all", "renew_ttl_only"):
            self._client.add({"host": host, "ttl": str(SHORT), "description": SECOND})
            left = normal_ttl(self._first_of(host).get("ttl"))
            self.answers["renew_can_shorten"] = UNKNOWN if left is None else "yes" if left <= SHORT else "no"

    def _texts(self) -> None:
        try:
            added = self._replace({"host": self._wanted.host, "ttl": str(SHORT), "description": "x" * TEXT})
        except (Rejected, ServerFault):
            self.answers["text_limit"] = "reject"
            return
        if added:
            kept = len(str(self._first_of(self._wanted.host).get("description", "")))
            self.answers["text_limit"] = "none" if kept == TEXT else f"truncate:{kept}"

    def _zero(self) -> None:
        try:
            added = self._replace({"host": self._wanted.host, "ttl": "0"})
        except (Rejected, ServerFault):
            self.answers["ttl_zero"] = "400"
            return
        if added:
            self.answers["ttl_zero"] = "infinite" if normal_ttl(self._first_of(self._wanted.host).get("ttl")) is None else "default_300"

    def _removals(self) -> None:
        self._remove_all(self._wanted.host)
        self.answers["delete_missing"] = self._removal({"host": self._wanted.host})
        if self._wanted.foreign is None:
            return
        raws = [raw for raw in self._client.blacklist()["blacklist_hosts"] if normal_host(raw.get("host")) == self._wanted.foreign]
        if raws and all(str(raw.get("alert_type")).upper() != OWNED for raw in raws):
            named = {"service": str(raws[0]["service"])} if raws[0].get("service") else {}
            self.answers["delete_foreign"] = self._removal({"host": self._wanted.foreign, **named})

    def _removal(self, fields: Mapping[str, str]) -> str:
        try:
            self._client.remove(fields)
        except NotFound:
            return "404"
        except NotPermitted:
            return "403"
        except Rejected:
            return "400"
        return "200"

    def _whitelisted(self, host: str) -> None:
        try:
            self._client.add({"host": host, "ttl": str(SHORT)})
        except (Rejected, ServerFault):
            self.answers["whitelist"] = "400"
        else:
            self.answers["whitelist"] = "blocked" if self._listed(host) else "silent"

    def _listed(self, host: str) -> list[dict[str, Any]]:
        """Return the raw entries of an address that were added through the API."""
        raws = self._client.blacklist()["blacklist_hosts"]
        return [raw for raw in raws if normal_host(raw.get("host")) == host and str(raw.get("alert_type")).upper() == OWNED]

    def _first_of(self, host: str) -> dict[str, Any]:
        return next((raw for raw in self._listed(host) if raw.get("service") != self._wanted.service), {})

    def _replace(self, fields: Mapping[str, str]) -> bool:
        """Remove the entries of a host and add this one; return whether it is listed."""
        self._remove_all(fields["host"])
        self._client.add(fields)
        return bool(self._first_of(fields["host"]))

    def _remove_all(self, host: str) -> None:
        for _removal in range(MOST_REMOVALS):
            raws = self._listed(host)
            if not raws:
                return
            service = raws[0].get("service")
            self._client.remove({"host": host, **({"service": str(service)} if service else {})})

    def _clean(self) -> None:
        for host in self._wanted.hosts if self.answers["access"] == "read_write" else ():
            self._remove_all(host)
            with suppress(Rejected):  # an entry may have been accepted without being listed
                self._client.remove({"host": host})


def result(answers: Mapping[str, str]) -> list[dict[str, str]]:
    """Return module return values: each question with its answer and what it means."""
    rows = []
    for name, (question, meanings) in QUESTIONS.items():
        answer = answers[name]
        means = "Not answered." if answer == UNKNOWN else meanings.get(answer) or meanings.get("") or next(iter(meanings.values()))
        rows.append({"name": name, "question": question, "answer": answer, "means": means})
    return rows
