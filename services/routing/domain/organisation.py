"""The organisation as routing knows it: who answers what, by when, and which words say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.routing.domain.calendar import Calendar
from shared.events import routing as published

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Category:
    """What a case may be about. What the file leaves out comes from the parent.

    `hours`: working hours until the answer is due. `keywords`: language → word → weight.
    """

    id: str
    parent: str | None
    label: published.Label
    department: str
    hours: float
    priority: Literal["normal", "high"]
    keywords: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation file, checked.

    `version` is the file's SHA-256. `bar` is the confidence from which a case is routed without a person.
    `hours` is the deadline where no category says otherwise, `pause_hours` how long in all a case may wait for the
    citizen (both in working hours), `silence_days` the working days of silence that close an answered case.
    """

    version: str
    name: published.Label
    reception: str
    bar: float
    hours: float
    pause_hours: float
    silence_days: int
    reopen_days: int
    calendar: Calendar
    departments: Mapping[str, published.Department]
    categories: Mapping[str, Category]
    areas: Mapping[str, published.Area]
    _below: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def subtrees(self, roots: Iterable[str]) -> frozenset[str]:
        """The departments `roots` and everything below them; unknown ones are left out."""
        return frozenset().union(*(self._subtree(root) for root in roots if root in self.departments))

    def categories_below(self, root: str) -> frozenset[str]:
        """A category and everything below it; an unknown one alone."""
        below = {root}
        while children := {c.id for c in self.categories.values() if c.parent in below} - below:
            below |= children
        return frozenset(below)

    def budget(self, category: str | None) -> float:
        """Working seconds until the answer is due."""
        known = self.categories.get(category) if category else None
        return (known.hours if known else self.hours) * HOUR

    def published(self) -> published.Organisation:
        """What the other services are told."""
        return published.Organisation(
            name=self.name,
            time_zone=self.calendar.zone.key,
            reception=self.reception,
            reopen_days=self.reopen_days,
            departments=tuple(self.departments.values()),
            categories=tuple(
                published.Category(id=c.id, parent=c.parent, label=c.label, department=c.department)
                for c in self.categories.values()
            ),
            areas=tuple(self.areas.values()),
        )

    def _subtree(self, root: str) -> frozenset[str]:
        if root not in self._below:
            below = {root}
            grown = True
            while grown:
                children = {d.id for d in self.departments.values() if d.parent in below} - below
                below |= children
                grown = bool(children)
            self._below[root] = frozenset(below)
        return self._below[root]
