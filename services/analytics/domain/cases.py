"""What figures know of one case, and which cells it stands in.

A cell is `<quarter>|<dimension>|<value>`: the cases received in one UTC quarter-hour that have this value now. Days, zones
and labels are made when figures are shown, so no cell depends on the organisation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from services.analytics.domain.flow import FLOW
from shared.clock import Moment, rfc3339

DIMENSIONS = ("channel", "kind", "category", "department", "area", "state")

UNSPECIFIED = "unspecified"

QUARTER = 900
"""Seconds of the window that cells are kept by."""

OVERDUE = "overdue"

LATE = "late"
"""Dimension of overdue cases; the value is the quarter-hour of the deadline that passed."""

PROMISE = "promise"
"""Dimension of first answers that were due: the value is `<department>|kept` or `<department>|missed`."""

Promise = Literal["", "kept", "missed"]


def quarter_of(moment: datetime) -> str:
    """The start of the UTC quarter-hour that a moment is in, as `YYYY-MM-DDTHH:MMZ`; sorts as text."""
    start = datetime.fromtimestamp(moment.timestamp() // QUARTER * QUARTER, UTC)
    return start.isoformat(timespec="minutes").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Reached:
    """When a state was first or last reached, and whether an importer said so."""

    at: Moment
    imported: bool = False


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """One case as figures know it. All dimensions hold current values; `steps` are those it took, as flow tells them.

    `promise`: whether the first answer came by its deadline; decided by that answer or by the deadline's passing, then
    it stays. Empty before, and for what had no deadline.
    """

    received_at: str
    channel: str
    kind: str = UNSPECIFIED
    category: str = UNSPECIFIED
    department: str = UNSPECIFIED
    area: str = UNSPECIFIED
    state: str = "received"
    overdue: bool = False
    deadline: str | None = None
    promise: Promise = ""
    last: Reached | None = None
    reached: Mapping[str, Reached] = field(default_factory=dict)
    steps: tuple[str, ...] = ()

    @property
    def quarter(self) -> str:
        return quarter_of(datetime.fromisoformat(self.received_at))

    def cells(self) -> Counter[str]:
        """The cells that this case stands in: each once, but a step as often as it was taken."""
        quarter = self.quarter
        found = Counter({f"{quarter}|{name}|{getattr(self, name)}": 1 for name in DIMENSIONS})
        if self.overdue:
            found[f"{quarter}|{OVERDUE}|yes"] = 1
            if self.deadline:
                found[f"{quarter}|{LATE}|{quarter_of(datetime.fromisoformat(self.deadline))}"] = 1
        if self.promise:
            found[f"{quarter}|{PROMISE}|{self.department}|{self.promise}"] = 1
        found.update(f"{quarter}|{FLOW}|{step}" for step in self.steps)
        return found


def moved(before: CaseFigures | None, after: CaseFigures) -> dict[str, int]:
    """What has to be added to the cells when a case changes from `before` to `after`."""
    adds = after.cells()
    if before is not None:
        adds.subtract(before.cells())
    return {cell: n for cell, n in adds.items() if n}


def stamp(moment: datetime) -> str:
    """A moment as it is stored and compared."""
    return rfc3339(moment)
