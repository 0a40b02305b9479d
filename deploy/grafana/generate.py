"""`make dashboards`: writes the Grafana dashboard from the table below; a test holds it against the code's metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("dashboards") / "huiyin.json"

SOURCE = {"type": "prometheus", "uid": "prometheus"}

Query = tuple[str, str]
"""What is asked, and the legend."""

ROWS: dict[str, list[tuple[str, str, list[Query]]]] = {
    "Citizens": [
        (
            "Feedback accepted, by channel",
            "cpm",
            [("60 * sum by (channel) (rate(huiyin_feedback_accepted_total[5m]))", "{{channel}}")],
        ),
        (
            "From receipt until the sender was told",
            "s",
            [
                (f"histogram_quantile({q}, sum by (le) (rate(huiyin_promise_seconds_bucket[15m])))", f"{q:.0%}")
                for q in (0.5, 0.9, 0.99)
            ],
        ),
        (
            "Submissions repeated and refused",
            "cpm",
            [
                ("60 * sum(rate(huiyin_feedback_repeated_total[5m]))", "repeated"),
                ("60 * sum(rate(huiyin_submissions_limited_total[5m]))", "too fast"),
            ],
        ),
        (
            "Attempts to tell people",
            "cpm",
            [("60 * sum by (channel, outcome) (rate(huiyin_deliveries_total[5m]))", "{{channel}} {{outcome}}")],
        ),
    ],
    "Requests": [
        (
            "Requests, by status",
            "reqps",
            [("sum by (job, status) (rate(huiyin_http_requests_total[5m]))", "{{job}} {{status}}")],
        ),
        (
            "99 of 100 are answered within",
            "s",
            [
                (
                    'histogram_quantile(0.99, sum by (job, le) (rate(huiyin_http_request_seconds_bucket{route!="/v1/live"}[5m])))',
                    "{{job}}",
                )
            ],
        ),
    ],
    "The log": [
        ("Records behind", "short", [("max by (service) (huiyin_consumer_lag)", "{{service}}")]),
        ("Oldest event that is not on the log", "s", [("max by (service) (huiyin_outbox_age_seconds)", "{{service}}")]),
        ("Events that wait for the log", "short", [("max by (service) (huiyin_outbox_size)", "{{service}}")]),
        (
            "Events published and taken",
            "short",
            [
                ("sum by (service) (rate(huiyin_events_published_total[5m]))", "{{service}} published"),
                ("sum by (service) (rate(huiyin_events_applied_total[5m]))", "{{service}} applied"),
                ("sum by (service) (rate(huiyin_events_duplicate_total[5m]))", "{{service}} seen before"),
            ],
        ),
        (
            "99 of 100 publishes within",
            "s",
            [
                (
                    "histogram_quantile(0.99, sum by (service, le) (rate(huiyin_publish_seconds_bucket[5m])))",
                    "{{service}}",
                )
            ],
        ),
        (
            "99 of 100 batches take effect within",
            "s",
            [("histogram_quantile(0.99, sum by (service, le) (rate(huiyin_batch_seconds_bucket[5m])))", "{{service}}")],
        ),
        (
            "Records in a batch, on average",
            "short",
            [
                (
                    "sum by (service) (rate(huiyin_batch_size_sum[5m])) / sum by (service) (rate(huiyin_batch_size_count[5m]))",
                    "{{service}}",
                )
            ],
        ),
    ],
    "What does not go on": [
        ("Dead letters", "short", [("max by (service) (huiyin_dead_letters)", "{{service}}")]),
        (
            "Records put aside",
            "cpm",
            [("60 * sum by (service, reason) (rate(huiyin_events_parked_total[5m]))", "{{service}} {{reason}}")],
        ),
        ("Cases that miss an event", "short", [("max by (service) (huiyin_gaps_overdue)", "{{service}}")]),
        (
            "Batches tried again",
            "cpm",
            [("60 * sum by (service) (rate(huiyin_batch_retries_total[5m]))", "{{service}}")],
        ),
        ("Consumers that stopped themselves", "short", [("max by (service) (huiyin_consumer_stopped)", "{{service}}")]),
    ],
    "Machines": [
        (
            "99 of 100 writes are durable within",
            "s",
            [("histogram_quantile(0.99, sum by (service, le) (rate(huiyin_write_seconds_bucket[5m])))", "{{service}}")],
        ),
        ("Timers fired", "cpm", [("60 * sum by (service) (rate(huiyin_timers_fired_total[5m]))", "{{service}}")]),
        ("Memory", "bytes", [("process_resident_memory_bytes", "{{job}} {{instance}}")]),
        ("Processor", "percentunit", [("rate(process_cpu_seconds_total[5m])", "{{job}} {{instance}}")]),
        (
            "Replicas that the gateway sends to",
            "short",
            [("max by (proxy) (haproxy_backend_active_servers)", "{{proxy}}")],
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The whole of it, as Grafana reads it."""
    return {
        "uid": "huiyin",
        "title": "Huiyin 回音",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 1, 0
    for row, panels in ROWS.items():
        yield {"id": number, "type": "row", "title": row, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []}
        number, top = number + 1, top + 1
        for place, (title, unit, queries) in enumerate(panels):
            at = {"x": 8 * (place % 3), "y": top + 8 * (place // 3), "w": 8, "h": 8}
            yield _panel(number, title, unit, queries, at)
            number += 1
        top += 8 * (1 + (len(panels) - 1) // 3)


def _panel(number: int, title: str, unit: str, queries: list[Query], at: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for n, (expression, legend) in enumerate(queries)
        ],
    }


def written() -> str:
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(written(), encoding="utf-8")
