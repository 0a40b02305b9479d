"""Envelopes for tests that do not care what an event says."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.bus.port import PARTITIONS, partition_of
from shared.events.envelope import Envelope

MOMENT = datetime(2026, 3, 2, 8, 30, 0, 250_000, tzinfo=UTC)


def envelope(
    subject: str = "case",
    sequence: int = 1,
    *,
    source: str = "/intake",
    type: str = "feedback.received",
    key: str | None = None,
    time: datetime = MOMENT,
    traceparent: str | None = None,
    value: bytes = b'{"at":"2026-03-02T08:30:00.250Z"}',
) -> Envelope:
    """The `sequence`-th event that `subject` emitted; its key is the subject unless given."""
    return Envelope(source, subject, sequence, type, 1, key or subject, time, traceparent, value)


def story(subject: str, length: int, start: int = 1) -> list[Envelope]:
    """`length` events of one document, numbered from `start`."""
    return [envelope(subject, sequence) for sequence in range(start, start + length)]


def key_in(partition: int, nth: int = 0) -> str:
    """The `nth` of the keys `k0`, `k1`, … that lie in a partition."""
    numbers = (number for number in range(1_000_000) if partition_of(f"k{number}") == partition)
    for _ in range(nth):
        next(numbers)
    return f"k{next(numbers)}"


BEGINNING = dict.fromkeys(range(PARTITIONS), 0)
"""Every partition, from the beginning."""
