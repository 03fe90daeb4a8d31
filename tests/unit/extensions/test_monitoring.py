# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard and alert rules name only metrics and labels that the responder's monitor serves, and promtool takes them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "extensions" / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
#: What Prometheus itself adds.
SCRAPED = {"job", "instance"}
#: What of Grafana's variables stands in an expression, and what takes its place for promtool.
VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
monitor = importlib.import_module("ansible_collections.intrusion.response.plugins.plugin_utils._responder.monitor")


def expressions() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*(rule["expr"] for rule in RULES), *panels]


def served() -> dict[str, dict[str, set[str]]]:
    """Return what the monitor serves: the values of the labels of each metric."""
    metrics = monitor.Metrics()
    metrics.latency.observe(0.1)
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(metrics.render({"firewalls": {"fw1": "up"}}).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def test_every_metric_and_every_label_is_served():
    metrics = served()
    for expression in expressions():
        named = re.findall(r"\b(intrusion_response_\w+)(?:\{([^}]*)\})?", expression)
        assert named or expression.startswith("up{"), expression
        for name, selector in named:
            assert name in metrics, expression
            for label, _operator, values in re.findall(r'(\w+)(=~|=)"([^"]*)"', selector or ""):
                assert label in SCRAPED or set(values.split("|")) <= metrics[name][label], expression
        known = {label for name, _selector in named for label in metrics[name]} | SCRAPED
        for labels in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in labels.split(",")} <= known, expression


def test_every_metric_is_on_the_dashboard():
    text = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    missing = {name for name in served() if not re.search(rf"\b{name}\b", text) and not name.endswith("_created")}
    assert not missing


def test_panels_do_not_overlap_and_alerts_say_what_to_do():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning", "info") and set(rule["annotations"]) == {"summary", "description"}


def promtool(*arguments: Any) -> None:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("there is no promtool (Debian: prometheus)")
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_every_expression(tmp_path):
    promtool("check", "rules", MONITORING / "alerts.yml")
    recorded = []
    for number, expression in enumerate(expressions()):
        filled = re.sub(r"\$\w+", lambda found: VARIABLES[found[0]], expression)
        recorded.append({"record": f"tested:{number}", "expr": filled})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "tested", "rules": recorded}]}), encoding="utf-8")
    promtool("check", "rules", path)


#: For each alert, what the monitor tells for half an hour (a week for the last but one), in promtool's notation.
STORIES = {
    "ResponderDown": ('up{job="intrusion-response"}', "0x30"),
    "ResponderFirewallDown": ('intrusion_response_firewall_up{firewall="fw1"}', "0x30"),
    "ResponderBlocksFail": ('intrusion_response_verdicts_total{verdict="failed"}', "0+1x30"),
    "ResponderLimited": ("intrusion_response_limited", "1x30"),
    "ResponderBacklog": ("intrusion_response_queue", "501x30"),
    "ResponderSlow": ("intrusion_response_latency_seconds_bucket", "0+10x30"),
    "ResponderRecordsLost": ('intrusion_response_lost{what="ledger"}', "1x30"),
    "ResponderStrangers": ('intrusion_response_events_refused_total{reason="path"}', "0+9x30"),
    "ResponderHearsNothing": ("intrusion_response_events_accepted_total", "5x384"),
    "ResponderDryRun": ("intrusion_response_dry_run", "1x384"),
}


#: What is told when all is well, where that is not a zero.
QUIET = {"ResponderDown": "1+0x", "ResponderFirewallDown": "1+0x", "ResponderHearsNothing": "0+1x"}


def test_every_alert_fires_when_it_should_and_only_then(tmp_path):
    assert set(STORIES) == {rule["alert"] for rule in RULES}
    files: dict[str, list[dict[str, Any]]] = {"1m": [], "30m": []}
    for name, (series, values) in STORIES.items():
        interval, late = ("30m", "8d") if values.endswith("x384") else ("1m", "25m")
        given = {series: values}
        if name == "ResponderSlow":
            given = {f'{series}{{le="{le}"}}': "0x30" if le == "1.0" else values for le in ("1.0", "2.5", "+Inf")}
        quiet = {one: re.sub(r"^(\d+)(\+\d+)?x", QUIET.get(name, "0+0x"), shown) for one, shown in given.items()}
        for told, fires in ((given, True), (quiet, False)):
            query = f'count by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"}}) > 0'
            samples = [{"labels": f'{{alertname="{name}"}}', "value": 1}] if fires else []
            files[interval].append({
                "interval": interval, "input_series": [{"series": one, "values": shown} for one, shown in told.items()],
                "promql_expr_test": [{"expr": query, "eval_time": late, "exp_samples": samples}],
            })
    for interval, tests in files.items():
        path = tmp_path / f"{interval}.yml"
        document = {"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": interval, "tests": tests}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        promtool("test", "rules", path)
