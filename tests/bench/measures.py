"""What a benchmark comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Measure:
    """`ratio` is ours to the bound measured in the same run, or, where there is no bound, to the limit that is the goal.

    `least`: the ratio has to be at least `goal`; otherwise at most. `more` is told beside it.
    """

    id: str
    work: str
    ours: float
    bound: float
    unit: str
    goal: float
    least: bool
    against: str
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.ours / self.bound

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.least else self.ratio <= self.goal

    def told(self) -> dict[str, Any]:
        """As it stands in `bench.json`."""
        numbers = {"ratio": round(self.ratio, 3), "goal": self.goal, "sense": "at least" if self.least else "at most"}
        return {
            **numbers,
            "met": self.met,
            "ours": round(self.ours, 3),
            "bound": round(self.bound, 3),
            "unit": self.unit,
            "work": self.work,
            "against": self.against,
            **self.more,
        }


def of_rounds(rounds: list[tuple[float, float]]) -> tuple[float, float, dict[str, Any]]:
    """Medians of ours and of the bound over interleaved rounds, and every round's ratio beside them."""
    ratios = [round(ours / bound, 3) for ours, bound in rounds]
    return median(ours for ours, _ in rounds), median(bound for _, bound in rounds), {"rounds": ratios}
