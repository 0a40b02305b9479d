"""Every metric there is: its name, its meaning, its labels. `exposition` is what `/metrics` answers.

No label ever holds what a person wrote: services, event types of the published language, route templates, outcomes.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REGISTRY = CollectorRegistry(auto_describe=True)
"""Ours alone, so that importing a library never adds a series."""

ProcessCollector(registry=REGISTRY)

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of what should take milliseconds."""

PATIENT = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 86400.0, 604800.0)
"""Seconds of what a person waits for."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Counts of things taken together."""

HTTP_REQUESTS = Counter(
    "huiyin_http_requests",
    "Requests answered, by method, route template (`unmatched` where no route fits) and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
FEEDBACK_ACCEPTED = Counter(
    "huiyin_feedback_accepted",
    "Feedbacks that are on disk and have a number, by channel.",
    ["channel"],
    registry=REGISTRY,
)
FEEDBACK_REPEATED = Counter(
    "huiyin_feedback_repeated",
    "Submissions that found the feedback of their idempotency key.",
    registry=REGISTRY,
)
EVENTS_CONSUMED = Counter(
    "huiyin_events_consumed",
    "Records given to a service's pipeline, repetitions included.",
    ["service"],
    registry=REGISTRY,
)
EVENTS_APPLIED = Counter(
    "huiyin_events_applied",
    "Events folded into a document, by service and type.",
    ["service", "type"],
    registry=REGISTRY,
)
EVENTS_DUPLICATE = Counter(
    "huiyin_events_duplicate",
    "Events a document had already seen, which change nothing.",
    ["service"],
    registry=REGISTRY,
)
EVENTS_UNKNOWN = Counter(
    "huiyin_events_unknown",
    "Events of a type or version this code does not know, which are skipped.",
    ["service"],
    registry=REGISTRY,
)
EVENTS_PARKED = Counter(
    "huiyin_events_parked",
    "Records put aside as dead letters, by reason: `gap`, `failure`, or `tail` (behind one of the same case).",
    ["service", "reason"],
    registry=REGISTRY,
)
DEAD_LETTERS = Gauge(
    "huiyin_dead_letters",
    "Records that lie as dead letters now.",
    ["service"],
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "huiyin_batch_size",
    "Records in a batch that a pipeline worked on.",
    ["service"],
    buckets=SIZES,
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "huiyin_batch_seconds",
    "Seconds from a batch's delivery until its effects were durable.",
    ["service"],
    buckets=FAST,
    registry=REGISTRY,
)
CONSUMER_LAG = Gauge(
    "huiyin_consumer_lag",
    "Records between a service's saved position and the end of the log.",
    ["service"],
    registry=REGISTRY,
)
CONSUMER_STOPPED = Gauge(
    "huiyin_consumer_stopped",
    "1 while a consumer has stopped itself because too many cases failed, else 0.",
    ["service"],
    registry=REGISTRY,
)
OUTBOX_SIZE = Gauge(
    "huiyin_outbox_size",
    "Events that are durable and not yet in the log.",
    ["service"],
    registry=REGISTRY,
)
OUTBOX_AGE_SECONDS = Gauge(
    "huiyin_outbox_age_seconds",
    "Age of the oldest event that is not yet in the log; 0 when there is none.",
    ["service"],
    registry=REGISTRY,
)
PUBLISH_SECONDS = Histogram(
    "huiyin_publish_seconds",
    "Seconds a publish took until the log had it.",
    ["service"],
    buckets=FAST,
    registry=REGISTRY,
)
WRITE_SECONDS = Histogram(
    "huiyin_write_seconds",
    "Seconds a write waited until it was durable.",
    ["file"],
    buckets=FAST,
    registry=REGISTRY,
)
TIMERS_FIRED = Counter(
    "huiyin_timers_fired",
    "Timers whose effect was written.",
    ["service"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "huiyin_deliveries",
    "Deliveries by channel and outcome: `sent`, `failed` (comes again), `unknown`, `dead`.",
    ["channel", "outcome"],
    registry=REGISTRY,
)
PROMISE_SECONDS = Histogram(
    "huiyin_promise_seconds",
    "Seconds from a feedback's receipt until its sender was told by a message.",
    buckets=PATIENT,
    registry=REGISTRY,
)
RATE_REFUSED = Counter(
    "huiyin_rate_refused",
    "Submissions over the rate.",
    registry=REGISTRY,
)


def exposition() -> bytes:
    """Every series in Prometheus' text format."""
    return generate_latest(REGISTRY)
