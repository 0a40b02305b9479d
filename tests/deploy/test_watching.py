"""Alerts and dashboards: they ask for what the code measures, are raised by what they are for, and each is explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

from deploy.grafana.generate import FILE, dashboard, written
from services.four import SERVICES
from shared.telemetry import metrics
from tests.support.tools import ROOT, ran, tool

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FETCHED = "promtool is in Debian's package prometheus"

SERIES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
NOT_OURS = {"up": {"job", "instance"}, "haproxy_backend_active_servers": {"proxy"}}
"""What Prometheus and the gateway tell; the gateway's test asks the gateway for it."""


def declared() -> dict[str, MetricWrapperBase]:
    """The metrics of `shared/telemetry/metrics.py`, by the names that Prometheus knows, without endings."""
    ours = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    return {described.name: metric for metric in ours for described in metric.describe()}


def measured() -> dict[str, set[str]]:
    """Every series that a process tells, with its labels; Prometheus adds which process it was."""
    whose = {"job", "instance"}
    found = {name: labels | whose for name, labels in NOT_OURS.items()}
    for name, metric in declared().items():
        for suffix in SERIES[str(metric._type)]:
            found[name + suffix] = {*metric._labelnames, *whose, *(["le"] if suffix == "_bucket" else [])}
    for process in ProcessCollector(registry=None).collect():
        found[process.name + SERIES[process.type][0]] = whose
    return found


def asked(expression: str) -> tuple[set[str], set[str]]:
    """The series and the labels that an expression names."""
    named = set(re.findall(r"\b(?:huiyin|process|haproxy)_[a-z_]+\b|\bup\b", expression))
    labels = {
        label for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.replace(" ", "").split(",")
    }
    return named, labels | set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ()))


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_only_what_is_measured_is_asked_for(expression: str) -> None:
    known = measured()
    series, labels = asked(expression)
    assert series
    assert series <= known.keys()
    assert labels <= set().union(*(known[name] for name in series))


def test_the_dashboard_is_the_one_that_the_code_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), "run: make dashboards"
    assert json.loads(written())["title"]


def test_every_metric_is_on_the_dashboard_or_raises_an_alert() -> None:
    named = {name for expression in expressions() for name in asked(expression)[0]}
    whole = {re.sub("_(total|bucket|sum|count)$", "", name) for name in named}
    assert declared().keys() - whole == set()


def test_prometheus_understands_its_files() -> None:
    promtool = tool("promtool", fetched=FETCHED)
    ran(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    ran(promtool, "check", "rules", PROMETHEUS / "alerts.yml")


def test_each_alert_is_raised_by_what_it_is_for_and_by_nothing_on_a_quiet_day() -> None:
    ran(tool("promtool", fetched=FETCHED), "test", "rules", "alerts.test.yml", cwd=PROMETHEUS)
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    raised = [case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]]
    silent = [case["alertname"] for test in tests for case in test["alert_rule_test"] if not case["exp_alerts"]]
    names = [rule["alert"] for rule in RULES]
    assert raised == names
    assert silent == names


def test_each_alert_has_its_paragraph_and_no_paragraph_is_about_nothing() -> None:
    headings = re.findall(r"(?m)^### (\w+)$", PAGE)
    assert headings == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")
        paragraph = PAGE.partition(f"### {rule['alert']}\n")[2].partition("\n#")[0]
        assert "**First:**" in paragraph, f"{rule['alert']}: what to do first"


def test_every_service_is_asked_at_its_operators_port() -> None:
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    found = {job["job_name"]: job["dns_sd_configs"][0] for job in jobs}
    for service in SERVICES:
        assert found[service.name]["names"] == [service.name]
        assert found[service.name]["port"] == service.port + 1000
    assert found.keys() - {service.name for service in SERVICES} == {"gateway"}


def test_the_commands_of_the_page_exist() -> None:
    targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())
    for target in re.findall(r"`make ([a-z-]+)", PAGE):
        assert target in targets, target
    for path in re.findall(r"`((?:deploy|docs|samples)/[\w./-]+)`", PAGE):
        assert Path(ROOT / path).exists(), path
