"""Figures of one window as one caller may see them: exact for staff, safe against subtraction for the public."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from services.analytics.domain.days import in_zone
from services.analytics.domain.flow import WHOLE, Step
from services.analytics.domain.publicity import Run
from services.analytics.domain.published import Extent, Published
from services.analytics.store import Board, Window

By = Literal["hour", "day", "channel", "kind", "category", "department", "area", "state"]


class AsOf(BaseModel):
    """How far the log is counted: `positions` per partition, and when that was asked."""

    time: str
    positions: dict[str, int]


@dataclass(frozen=True)
class Look:
    """`window` is the one that is told, for the public perhaps wider than the one asked for. `open` and `overdue` are None
    for a window of the public's; `runs` are the days the public sees as one, None: each day is told."""

    as_of: AsOf
    window: Window
    full: bool
    total: int
    open: int | None
    overdue: int | None
    cells: Callable[[str], dict[str, int]]
    steps: dict[Step, dict[int, int]]
    ranges: dict[str, int]
    late: str | None = None
    runs: tuple[Run, ...] | None = None

    @property
    def answered(self) -> dict[int, int]:
        """The histogram of the time to the first answer."""
        return self.steps.get(WHOLE[0], {})


def in_full(board: Board, as_of: AsOf, window: Window, zone: ZoneInfo) -> Look:
    """Everything, exactly."""

    def cells(by: str) -> dict[str, int]:
        found = in_zone(board.quarters, by, zone) if by in ("hour", "day") else board.by[by]
        return {key: n for key, n in found.items() if n}

    return Look(
        as_of=as_of,
        window=window,
        full=True,
        total=board.total,
        open=board.open,
        overdue=board.overdue,
        cells=cells,
        steps={step: dict(found) for step, found in board.flow.items() if any(found.values())},
        ranges={name: n for name, n in board.ranges.items() if n},
        late=min(board.late, default=None),
    )


def in_public(published: Published, as_of: AsOf, window: Window, extent: Extent) -> Look:
    """What the public may see of these runs."""

    def cells(by: str) -> dict[str, int]:
        if by == "hour":
            return published.hours(extent)
        return published.days(extent) if by == "day" else published.cells(by, extent)

    overdue = published.overdue(extent)
    steps = {}
    for step, histogram in published.steps(extent).items():
        start, _, end = step.partition(">")
        steps[start, end] = histogram
    return Look(
        as_of=as_of,
        window=window,
        full=False,
        total=published.total(extent),
        open=published.open(extent),
        overdue=overdue,
        cells=cells,
        steps=steps,
        ranges=published.ranges(extent),
        late=published.late if overdue else None,
        runs=tuple(published.runs[slice(*extent)]),
    )
