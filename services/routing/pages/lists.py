"""The lists of the queue and what narrows them: which cases an address of the queue asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args
from urllib.parse import urlencode

from services.routing.domain.calendar import Calendar
from services.routing.store import Selection
from shared.clock import rfc3339
from shared.errors import FieldError, Invalid
from shared.events.routing import OPEN_STATES, State
from shared.http.access import Principal
from shared.web.pages import LANGUAGES

Worker = Literal["mine", "free", "either", "any"]
"""Whose cases: one's own, nobody's, both, or everybody's."""

LATELY = timedelta(days=14)
"""How long a closed case stays in the list of those closed lately."""

LONGEST = 200
"""Characters of what is searched for."""

BANDS = ("late", "today", "later")

DONE: tuple[State, ...] = ("closed", "withdrawn")


@dataclass(frozen=True, slots=True)
class List:
    """One list of the queue. Only one that has `bands` is cut by deadline."""

    group: Literal["mine", "department"]
    states: tuple[State, ...]
    worker: Worker = "any"
    bands: bool = True


LISTS: Mapping[str, List] = {
    "todo": List("mine", ("triage", "returned", "routed", "accepted", "in-progress"), "either"),
    "citizen": List("mine", ("awaiting-citizen",), "mine", bands=False),
    "verdict": List("mine", ("answered",), "mine", bands=False),
    "new": List("department", ("routed",)),
    "returned": List("department", ("triage", "returned")),
    "open": List("department", tuple(state for state in get_args(State) if state in OPEN_STATES)),
    "closed": List("department", DONE, bands=False),
}
"""Every list, as they stand beside the queue."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address of the queue asks for. `worker` None: as the list has it."""

    list: str = "todo"
    department: str | None = None
    state: State | None = None
    kind: str | None = None
    channel: str | None = None
    category: str | None = None
    worker: Worker | None = None
    late: bool = False
    q: str = ""
    at: str | None = None
    cursor: str | None = None
    lang: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """The query of a request. Raises `Invalid` for a list, a state or a worker that there is not."""
        given = {name: value for name in cls.__slots__ if (value := query.get(name, "").strip())}
        known = {"list": LISTS, "state": get_args(State), "worker": get_args(Worker)}
        wrong = [name for name, values in known.items() if name in given and given[name] not in values]
        if wrong:
            raise Invalid([FieldError(f"/query/{name}", "unknown") for name in wrong])
        if len(given.get("q", "")) > LONGEST:
            raise Invalid([FieldError("/query/q", "too-long")])
        lang = given.get("lang") if given.get("lang") in LANGUAGES else None
        return cls(**{**given, "late": "late" in given, "lang": lang})  # type: ignore[arg-type]

    @property
    def whose(self) -> Worker:
        return self.worker or LISTS[self.list].worker

    def href(self, **changes: object) -> str:
        """The address that asks for this, changed. What is not about the page itself starts it anew."""
        if changes.keys() - {"at"}:
            changes = {"at": None, "cursor": None, **changes}
        asked = replace(self, **changes)  # type: ignore[arg-type]
        given = {name: getattr(asked, name) for name in self.__slots__}
        told = {name: "1" if value is True else value for name, value in given.items() if value}
        if told["list"] == "todo":
            del told["list"]
        return f"/desk?{urlencode(told)}" if told else "/desk"

    def selection(self, principal: Principal, now: datetime) -> Selection:
        """The cases it asks for."""
        chosen = LISTS[self.list]
        workers: Mapping[Worker, tuple[str | None, ...] | None] = {
            "mine": (principal.id,),
            "free": (None,),
            "either": (principal.id, None),
            "any": None,
        }
        selection = Selection(
            states=(self.state,) if self.state else chosen.states,
            department=self.department,
            worker=workers[self.whose],
            kind=self.kind,
            channel=self.channel,
            category=self.category,
        )
        if chosen.states == DONE:
            return replace(selection, since=f"3 {rfc3339(now - LATELY)}", newest=True)
        return replace(selection, until=_urgency(now)) if self.late else selection


def bands(selection: Selection, now: datetime, calendar: Calendar) -> Mapping[str, Selection]:
    """The selection cut in three: whose deadline has passed, whose ends today, and the rest."""
    tomorrow = (now.astimezone(calendar.zone) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    late, today = _urgency(now), _urgency(tomorrow)
    if selection.until is not None:
        return {"late": selection}
    return {
        "late": replace(selection, until=late),
        "today": replace(selection, since=late, until=today),
        "later": replace(selection, since=today),
    }


def _urgency(deadline: datetime) -> str:
    """Where a case with this deadline stands in the order of urgency."""
    return f"1 {rfc3339(deadline)}"
