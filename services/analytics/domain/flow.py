"""Flow times: how long cases take from one state to the next, in buckets that can be added and never forget.

Bucket b holds the durations d with GROWTH**(b-1) < d ≤ GROWTH**b seconds; a percentile is told as the bucket's geometric
middle, so its error is at most 1.5 %. Bucket 0 holds everything up to a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

GROWTH = 1.03

WHOLE = (("received", "answered"), ("received", "closed"))
"""Steps that are told beside those between neighbouring states."""

ANSWERED = ">".join(WHOLE[0])
"""The step whose time is told as the time to an answer."""

FLOW = "flow"

Step = tuple[str, str]

RANGES = (
    (3_600, "hour"),
    (12 * 3_600, "half-day"),
    (86_400, "day"),
    (2 * 86_400, "two-days"),
    (3 * 86_400, "three-days"),
)
"""How the time to an answer is told: up to so many seconds, and the range's name. Beyond the last: `longer`."""

LONGER = "longer"


def bucket(seconds: float) -> int:
    """The bucket of a duration."""
    return 0 if seconds <= 1 else math.ceil(math.log(seconds, GROWTH) - 1e-9)


def middle(bucket: int) -> float:
    """The duration that a bucket is told as, in seconds."""
    return 0.0 if bucket == 0 else GROWTH ** (bucket - 0.5)


def step(start: str, end: str, since: datetime, until: datetime) -> str:
    """One step of one case, as the value of a flow cell."""
    return f"{start}>{end}>{bucket((until - since).total_seconds())}"


def percentile(counts: Mapping[int, int], share: float) -> float:
    """The duration that `share` of the steps did not exceed, in seconds: the nearest rank."""
    rank = max(1, math.ceil(share * sum(counts.values())))
    passed = 0
    for number in sorted(counts):
        passed += counts[number]
        if passed >= rank:
            return middle(number)
    return 0.0


def range_of(bucket: int) -> str:
    """The name of the range that a bucket is told in."""
    return next((name for limit, name in RANGES if middle(bucket) <= limit), LONGER)


def steps(counts: Iterable[tuple[str, int]]) -> dict[Step, dict[int, int]]:
    """Per step the histogram, from the values of flow cells."""
    found: dict[Step, dict[int, int]] = {}
    for value, n in counts:
        start, end, number = value.split(">")
        histogram = found.setdefault((start, end), {})
        histogram[int(number)] = histogram.get(int(number), 0) + n
    return found
