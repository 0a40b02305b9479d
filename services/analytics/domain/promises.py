"""How many first answers came by their deadline: per department and week, and what of it the public may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.analytics.domain.cases import PROMISE
from services.analytics.domain.days import week_of
from services.analytics.domain.publicity import Block, blocks, suppressed, tells
from services.analytics.domain.tally import Table

WEEKS = 12
"""Weeks shown, the last one being this week."""

EVERYONE = ""
"""Stands for all departments together."""

Verdicts = Mapping[str, int]
"""`kept` and `missed`."""


@dataclass(frozen=True, slots=True)
class Point:
    """What is told of the weeks from `start` to before `end`, counted from the first one shown."""

    start: int
    end: int
    kept: int
    missed: int

    @property
    def share(self) -> float:
        return self.kept / (self.kept + self.missed)


@dataclass(frozen=True, slots=True)
class Kept:
    """One department over the weeks shown. `missed` None: some, but too few to tell; `share` is then the least it can be."""

    department: str
    count: int
    missed: int | None
    share: float
    points: tuple[Point, ...] = ()


def first_week(today: date) -> date:
    """The Monday of the first week shown."""
    return week_of(today) - timedelta(weeks=WEEKS - 1)


def weeks_of(days: Mapping[str, Table], today: date) -> dict[str, list[dict[str, int]]]:
    """Department → per week its verdicts."""
    found: dict[str, list[dict[str, int]]] = {}
    first = first_week(today)
    for day, table in days.items():
        at = (date.fromisoformat(day) - first).days // 7
        if not 0 <= at < WEEKS:
            continue
        for value, n in table.get(PROMISE, {}).items():
            department, _, verdict = value.rpartition("|")
            week = found.setdefault(department, [{} for _ in range(WEEKS)])[at]
            week[verdict] = week.get(verdict, 0) + n
    return found


def kept_in_full(weeks: Mapping[str, Sequence[Verdicts]]) -> list[Kept]:
    """Everyone first, then the departments, those with most first."""
    everyone = [_add([own[at] for own in weeks.values()]) for at in range(WEEKS)]
    return [
        _told(name, [Block(at, at + 1, verdicts) for at, verdicts in enumerate(own)])
        for name, own in [(EVERYONE, everyone), *_by_count(weeks)]
        if any(_count(verdicts) for verdicts in own)
    ]


def kept_in_public(weeks: Mapping[str, Sequence[Verdicts]], smallest: int) -> list[Kept]:
    """What may be told: departments with enough answers; weeks joined until both verdicts are none or enough; where not
    even all weeks together are so, the least share. Everyone together only if that tells nothing of the others."""
    told: list[Kept] = []
    counts = {name: sum(map(_count, own)) for name, own in weeks.items()}
    for name, own in _by_count({name: weeks[name] for name in suppressed(counts, smallest) if name in weeks}):
        found = blocks(own, ("kept", "missed"), smallest)
        total = _add(own)
        if found:
            told.append(_told(name, found))
        elif total.get("kept", 0) >= smallest:
            told.append(Kept(name, counts[name], None, 1 - (smallest - 1) / counts[name]))
    everyone = _add([_add(own) for own in weeks.values()])
    exact = [one for one in told if one.missed is not None]
    missed = everyone.get("missed", 0) - sum(one.missed or 0 for one in exact)
    rest = _count(everyone) - sum(one.count for one in exact)
    parts = (missed, rest - missed, everyone.get("missed", 0), everyone.get("kept", 0))
    if _count(everyone) and all(tells(part, smallest) for part in parts):
        told.insert(0, _told(EVERYONE, [Block(0, WEEKS, everyone)]))
    return told


def _told(name: str, found: Sequence[Block]) -> Kept:
    total = _add([block.cells for block in found])
    points = tuple(
        Point(block.start, block.end, block.cells.get("kept", 0), block.cells.get("missed", 0))
        for block in found
        if _count(block.cells)
    )
    count = _count(total)
    return Kept(name, count, total.get("missed", 0), total.get("kept", 0) / count, points)


def _by_count(weeks: Mapping[str, Sequence[Verdicts]]) -> list[tuple[str, Sequence[Verdicts]]]:
    return sorted(weeks.items(), key=lambda item: (-sum(map(_count, item[1])), item[0]))


def _count(verdicts: Verdicts) -> int:
    return verdicts.get("kept", 0) + verdicts.get("missed", 0)


def _add(tables: Sequence[Verdicts]) -> dict[str, int]:
    return {name: sum(table.get(name, 0) for table in tables) for name in ("kept", "missed")}
