"""Every metric there is: its name, its meaning, its labels. Operators' ports answer them at `/metrics`.

No label ever holds what a person wrote: services, types of the published language, route templates, outcomes.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry(auto_describe=True)
"""Ours alone, so that importing a library never adds a series."""

ProcessCollector(registry=REGISTRY)

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of what should take milliseconds."""

SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 86400.0, 604800.0)
"""Seconds of what a person waits for."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Counts of things taken together."""


def counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"huiyin_{name}", meaning, labels, registry=REGISTRY)


def gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"huiyin_{name}", meaning, labels, registry=REGISTRY)


def histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"huiyin_{name}", meaning, labels, buckets=buckets, registry=REGISTRY)


REQUESTS = counter(
    "http_requests", "Requests answered; `route` is the template, `other` if none fits.", "route", "status"
)
REQUEST_SECONDS = histogram("http_request_seconds", "Seconds from a request's headers to its answer.", FAST, "route")
LIMITED = counter("submissions_limited", "Submissions refused because they came faster than the rate allows.")

ACCEPTED = counter("feedback_accepted", "Feedbacks that are on disk and have a number.", "channel")
REPEATED = counter("feedback_repeated", "Submissions that found the feedback of their idempotency key.", "channel")

CONSUMED = counter("events_consumed", "Records given to a service's pipeline, repetitions included.", "service")
APPLIED = counter("events_applied", "Events that a service folded into a document.", "service")
DUPLICATE = counter("events_duplicate", "Events that a document had seen before, which change nothing.", "service")
UNKNOWN = counter("events_unknown", "Events of a type or version this code does not know; they are skipped.", "service")
PARKED = counter("events_parked", "Records put aside as dead letters, by reason.", "service", "reason")
DEAD_LETTERS = gauge("dead_letters", "Records that lie as dead letters now.", "service")
GAPS_OVERDUE = gauge("gaps_overdue", "Cases that have waited over a minute for a missing event.", "service")
RETRIES = counter("batch_retries", "Tries of a batch that failed because something was away.", "service")
BATCH_SIZE = histogram("batch_size", "Records in a batch.", SIZES, "service")
BATCH_SECONDS = histogram(
    "batch_seconds", "Seconds from a batch's delivery until its effects are durable.", FAST, "service"
)
LAG = gauge("consumer_lag", "Records between a service's saved position and the end of the log.", "service")
STOPPED = gauge("consumer_stopped", "1 while a consumer has stopped itself: too many cases failed.", "service")

PUBLISHED = counter("events_published", "Events that the log has acknowledged.", "service")
PUBLISH_SECONDS = histogram("publish_seconds", "Seconds until the log had acknowledged a publish.", FAST, "service")
OUTBOX_SIZE = gauge(
    "outbox_size", "Events that have waited over a second for the log; a thousand may stand for more.", "service"
)
OUTBOX_AGE = gauge("outbox_age_seconds", "Age of the oldest of them; 0: none.", "service")
DISK_FULL = gauge("disk_full", "1 while there is so little space that only what is urgent is written.")
WRITE_SECONDS = histogram("write_seconds", "Seconds until a service's write was durable.", FAST, "service")

TIMERS = counter("timers_fired", "Timers whose effect was written.", "service")
DELIVERIES = counter("deliveries", "Attempts to tell a person: sent, failed or dead.", "channel", "outcome")
PROMISE_SECONDS = histogram("promise_seconds", "Seconds from a feedback's receipt until its sender was told.", SLOW)
