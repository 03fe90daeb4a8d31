# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as people get it: written by the playbook, opened in a real browser; without one, some of this is skipped."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import shutil
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from acceptance.fleet import SERVERS, Fleet

from tools.environment import ROOT

REPORT = "intrusion.response.report"
PACKAGE = "ansible_collections.intrusion.response.plugins"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
QUIET = "--disable-background-networking --disable-component-update --disable-sync --no-first-run"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", *QUIET.split()]
ENTRIES = 10_000
NOW = 1_795_691_040.0
RULES = ("Invalid Traversal", "SQL Injection Prevention", "SSH brute force", "<script>alert(1)</script>")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser of this machine, or none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium (Debian: chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


class Opened:
    """A page in a browser that has no network, and what went wrong on it."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1440, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.context.close()

    def text(self, selector: str) -> str:
        return " ".join(self.page.inner_text(selector).split())

    def column(self, section: str, number: int) -> list[str]:
        """Return the first text of the cells of a column."""
        script = "(rows, n) => rows.map((row) => row.cells[n].firstElementChild.textContent)"
        return self.page.eval_on_selector_all(f"section[aria-labelledby={section}] tbody tr", script, number)


def sample(size: int) -> Any:
    """Two firewalls with so many entries, one that could not be read, and a ledger that knows all of it."""
    data = importlib.import_module(f"{PACKAGE}.plugin_utils._report.data")
    record = importlib.import_module(f"{PACKAGE}.module_utils._ledger.record")
    entries, records = [], []
    for number in range(size):
        address, rule = f"203.{number // 250}.113.{number % 250}", RULES[number % 4 if number % 100 else 3]
        ends = NOW + 60 + number * 7
        moment = datetime.fromtimestamp(ends, timezone.utc).isoformat().replace("+00:00", "Z")
        entries.append(
            {
                "host": address,
                "service": "all_services",
                "alert_type": "REST",
                "rule_name": rule,
                "description": f"seen {number}",
                "ttl": 60,
                "expires_at": moment,
            }
        )
        at = NOW - 86400 * (number % 29)
        records.append(
            record.Record(
                at,
                "block",
                "ok",
                address,
                "all_services",
                "https://192.0.2.1",
                int(ends - at),
                rule,
                "",
                origin="responder",
                event=f"{number:032x}",
                event_rule=rule,
                id=number + 1,
            )
        )
    firewalls = [
        data.Firewall("fw1", "https://192.0.2.1", entries),
        data.Firewall("fw2", "https://192.0.2.2", entries[:100]),
        data.Firewall("fw3", "https://192.0.2.3", None, "no connection"),
    ]
    email = [{"type": "email", "email_address": "a@example.com"}]
    agents = ("install_accepted", "registered", "uninstall_accepted", "unknown")
    servers = [
        {"server_name": f"VA1ACMEWEB{number:02}", "code": None, "destinations": email[: number % 2], "agent": {"state": agents[number % 4]}}
        for number in range(1, 9)
    ]
    past = data.Past("/var/lib/ledger.sqlite3", NOW - 30 * 86400, records, record.standing(records, NOW))
    return data.build(firewalls, servers, past, {"new_per_minute": {"in_use": 3, "of": 400}, "total": {"in_use": 4100, "of": 5000}}, NOW)


@pytest.fixture(scope="module")
def report() -> Any:
    return sample(ENTRIES)


def write(report: Any, path: Path) -> Path:
    path.write_text(importlib.import_module(f"{PACKAGE}.plugin_utils._report.page").render(report), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def written(report: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(report, tmp_path_factory.mktemp("report") / "page.html")


def test_the_numbers_of_the_page_are_those_of_the_data(browser: Any, written: Path, report: Any) -> None:
    with Opened(browser, written) as opened:
        assert opened.text("#blocked-now") == f"{ENTRIES:,}" and opened.text("#entries") == f"{ENTRIES + 100:,}"
        assert opened.text("#blocks") == f"{ENTRIES:,}" and opened.text("#firewalls-read") == "2 of 3"
        assert opened.text("#servers-heard") == "4 of 8" and opened.text("#silent").startswith("4 of 8 servers send nowhere")
        agents, events = opened.page.eval_on_selector_all(".coverage", "(all) => all.map((one) => one.getAttribute('aria-label'))")
        assert agents == "Agents: 4 installation accepted, or registered, 2 removal accepted, 2 not known"
        assert events == "Events: 4 go somewhere, 4 go nowhere, 0 could not be read"
        busiest = opened.page.locator("[aria-labelledby=limits] .column title").all_text_contents()
        most = max(int(re.search(r": ([\d,]+)", text)[1].replace(",", "")) for text in busiest)
        assert most == report.limits[-1].used and f"{most} of 400" in opened.text("[aria-labelledby=limits]")
        assert opened.page.locator("[aria-labelledby=limits] .limit").count() == 1
        assert opened.text("section[aria-labelledby=blocked] .where") == f"1\u201320 of {ENTRIES:,}"
        assert [row.address for row in report.blocked[:20]] == opened.column("blocked", 0)
        opened.page.click("section[aria-labelledby=blocked] [data-all]")
        assert [row.address for row in report.blocked] == opened.column("blocked", 0)
        columns = opened.page.locator(".timeline[data-by]:not([hidden]) .column title").all_text_contents()
        assert sum(int(re.search(r": ([\d,]+)", text)[1].replace(",", "")) for text in columns) == ENTRIES
        assert opened.complaints == [] and opened.requests == [written.as_uri()]


def test_tables_sort_and_search_and_charts_change(browser: Any, written: Path, report: Any) -> None:
    with Opened(browser, written) as opened:
        table = "section[aria-labelledby=blocked]"
        by_address = [row.address for row in sorted(report.blocked, key=lambda row: row.order)]
        opened.page.click(f"{table} th:nth-child(1) button")
        assert opened.column("blocked", 0) == by_address[:20]
        opened.page.click(f"{table} th:nth-child(1) button")
        assert opened.column("blocked", 0) == by_address[::-1][:20]
        assert opened.page.get_attribute(f"{table} th:nth-child(1)", "aria-sort") == "descending"
        opened.page.click(f"{table} [data-go='1']")
        assert opened.column("blocked", 0) == by_address[::-1][20:40]
        opened.page.fill(f"{table} input", "<SCRIPT> 203.4.113.")
        matching = [row for row in report.blocked if row.rule == RULES[3] and row.address.startswith("203.4.113.")]
        assert opened.text(f"{table} output") == f"{len(matching)} of {ENTRIES:,} match"
        assert set(opened.column("blocked", 1)) == {RULES[3]}
        opened.page.click(f"{table} th:nth-child(3) button")
        opened.page.click(f"{table} th:nth-child(3) button")
        assert opened.column("blocked", 0) == [row.address for row in sorted(matching, key=lambda row: row.ends)][:20]
        opened.page.fill(f"{table} input", "no such thing")
        assert opened.text(f"{table} tbody") == "Nothing matches."
        opened.page.click("button[data-tab=firewall]")
        assert opened.text(".timeline[data-by]:not([hidden]) .legend") == f"fw1 {ENTRIES:,}"
        assert opened.complaints == [] and opened.requests == [written.as_uri()]


def test_it_fits_the_screen_in_light_and_dark(browser: Any, tmp_path: Path) -> None:
    path = write(sample(300), tmp_path / "page.html")
    kept = ROOT / ".cache" / "screenshots"
    kept.mkdir(parents=True, exist_ok=True)
    beyond = (
        "() => [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && "
        "!one.closest('thead, .sr, svg')).map((one) => one.outerHTML.slice(0, 80))"
    )
    for scheme, width in itertools.product(("light", "dark"), (1440, 390)):
        with Opened(browser, path, width=width, scheme=scheme) as opened:
            opened.page.screenshot(path=kept / f"report-{scheme}-{width}.png", full_page=True)
            assert opened.page.evaluate("document.documentElement.scrollWidth") == width and opened.page.evaluate(beyond) == []
            background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", background))) > 600) is (scheme == "light")
            assert opened.complaints == []


def test_the_playbook_writes_what_it_has_read(tmp_path: Path) -> None:
    """Servers without destinations, a firewall that is down, and a rule that would like to be HTML; the run fails, the page is there."""
    page = tmp_path / "page.html"
    with Fleet(tmp_path, {"protect_detection": "receipt"}) as fleet:
        assert fleet.play("intrusion.response.onboard", "--limit", SERVERS[0]).status == 0
        why = json.dumps(
            {"blacklist_rule_name": "<b>port scan</b>", "blacklist_addresses": ["203.0.113.5", "203.0.113.6"], "blacklist_ttl": 3600}
        )
        assert fleet.play("intrusion.response.block", "-e", why).status == 0
        assert fleet.play("intrusion.response.unblock", "-e", "blacklist_addresses=203.0.113.6").status == 0
        before = fleet.writes()
        predicted = fleet.play(REPORT, "-e", f"blacklist_report={page}", "--check")
        assert predicted.status == 0 and not page.exists(), predicted.output
        inventory = json.loads((fleet.secret / "inventory.json").read_text(encoding="utf-8"))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        inventory["firewalls"]["hosts"]["fw2"]["cos_api_url"] = f"https://127.0.0.1:{port}"
        (fleet.secret / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
        played = fleet.play(
            REPORT, "-e", f"blacklist_report={page}", "-e", f"blacklist_responder=http://127.0.0.1:{port}", "-e", "blacklist_last=1h"
        )
        assert played.failed == {"fw2"} and not any(played.changes.values()), played.output
        assert fleet.writes() == before
        text = page.read_text(encoding="utf-8")
        assert page.stat().st_mode & 0o400 and list(tmp_path.glob(".report-*")) == []
        numbers = {
            name: re.search(rf'id="{name}"[^>]*>([\d,]+)', text)[1]
            for name in ("entries", "blocks", "undone", "firewalls-read", "servers-heard")
        }
        listed = fleet.control("GET", "state")["firewalls"]["fw1"]["entries"]
        assert numbers == {"entries": str(len(listed)), "blocks": "4", "undone": "2", "firewalls-read": "1", "servers-heard": "1"}
        agents = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r'data-label="Agent">(.*?)</td>', text)]
        assert agents == ["installation accepted", "not known", "not known"]  # this machine asked for one, and nothing tells of the others
        assert "<b>2 of 3</b> servers send nowhere" in text and f"https://127.0.0.1:{port}/" in text
        assert "&lt;b&gt;port scan&lt;/b&gt;" in text and "<b>port scan" not in text
        for bad, says in ((tmp_path, "must be a file"), (tmp_path / "none" / "page.html", "must be a file")):
            refused = fleet.play(REPORT, "--limit", "firewalls", "-e", f"blacklist_report={bad}")
            assert refused.status != 0 and says in refused.output and "GET " not in refused.output
        no_firewall = fleet.play(REPORT, "--limit", "servers", "-e", f"blacklist_report={page}")
        assert no_firewall.status != 0 and "No firewall takes part in this run" in no_firewall.output
