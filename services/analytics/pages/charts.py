"""Where the parts of a chart stand: widths in per cent, so that words keep their size on every screen; heights in pixels."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.analytics.domain.promises import WEEKS, Kept, Point
from services.analytics.domain.publicity import Run

PLOT = 150
"""Height of the plot of days."""

SMALL = 44
"""Height of a small multiple."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A day, a week, or days told as one: `count` of all of them, drawn as high as their mean."""

    first: date
    last: date
    count: int
    free: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar on the plot."""

    bar: Bar
    x: float
    width: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 2)


@dataclass(frozen=True, slots=True)
class Bars:
    """A plot of bars over the days from `first` to `last`. `top` is the number at its upper edge."""

    first: date
    last: date
    top: int
    bars: Sequence[Drawn]

    def x(self, day: date) -> float:
        """The middle of a day, in per cent."""
        return round(((day - self.first).days + 0.5) / ((self.last - self.first).days + 1) * 100, 2)


def daily(counts: Mapping[date, int], first: date, last: date, free: Collection[date]) -> list[Bar]:
    """A bar for each day, also for those without cases."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [Bar(day, day, counts.get(day, 0), day in free) for day in days]


def of_runs(runs: Sequence[Run], free: Collection[date]) -> list[Bar]:
    """A bar for each run of days."""
    found = []
    for run in runs:
        first, last = date.fromisoformat(run.first), date.fromisoformat(run.last)
        found.append(Bar(first, last, run.total, first == last and first in free))
    return found


def weekly(bars: Sequence[Bar], first: date, last: date) -> list[Bar]:
    """Bars of weeks, the outer ones cut at `first` and `last`; what began in a week counts in it."""
    counts: dict[date, int] = {}
    for bar in bars:
        monday = bar.first - timedelta(days=bar.first.weekday())
        counts[monday] = counts.get(monday, 0) + bar.count
    return [
        Bar(max(monday, min(first, monday + timedelta(days=6))), min(monday + timedelta(days=6), last), n)
        for monday, n in sorted(counts.items())
    ]


def plot(bars: Sequence[Bar], first: date, last: date, each: int = 1) -> Bars:
    """The bars on a plot; heights are for `each` days."""
    first = min([first, *(bar.first for bar in bars)])
    last = max([last, *(bar.last for bar in bars)])
    days = (last - first).days + 1
    means = [bar.count / max(1, math.ceil(((bar.last - bar.first).days + 1) / each)) for bar in bars]
    top = nice(max(means, default=0))
    drawn = []
    for bar, mean in zip(bars, means, strict=True):
        width = (bar.last - bar.first).days + 1
        height = round(mean / top * PLOT, 1)
        x = (bar.first - first).days + 0.08
        drawn.append(
            Drawn(bar, round(x / days * 100, 2), round((width - 0.16) / days * 100, 2), round(PLOT - height, 1), height)
        )
    return Bars(first, last, top, drawn)


def nice(most: float) -> int:
    """The smallest of 2, 4, 8 and 10 times a power of ten that is not below `most`; at least 4."""
    power = 1
    while True:
        for digit in (4, 8, 10, 20):
            if digit * power >= most:
                return digit * power
        power *= 10


@dataclass(frozen=True, slots=True)
class Line:
    """One department's shares over the weeks, on the scale that all share. `points` is for a plot of 120 × 100 units."""

    kept: Kept
    points: str
    dot: tuple[float, float]
    target: float


def lines(kept: Sequence[Kept], target: float) -> tuple[int, list[Line]]:
    """The lowest per cent of the common scale, and the lines. What has no points is told in words alone."""
    shares = [point.share for one in kept for point in one.points]
    low = min(80, math.floor(min(shares, default=1) * 10) * 10)
    return low, [_line(one, low, target) for one in kept]


def _line(kept: Kept, low: int, target: float) -> Line:
    def y(share: float) -> float:
        return round((1 - (share * 100 - low) / (100 - low)) * 100, 1)

    def x(point: Point) -> float:
        return round((point.start + point.end) / 2 * 120 / WEEKS, 1)

    places = [(x(point), y(point.share)) for point in kept.points]
    if len(places) == 1:
        (only,) = kept.points
        places = [(only.start * 120 / WEEKS, places[0][1]), (only.end * 120 / WEEKS, places[0][1])]
    last = places[-1] if places else (0.0, 0.0)
    return Line(
        kept,
        " ".join(f"{across:g},{down:g}" for across, down in places),
        (round(last[0] / 120 * 100, 1), round(last[1] / 100 * SMALL, 1)),
        round(y(target) / 100 * SMALL, 1),
    )
