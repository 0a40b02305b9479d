"""What routing remembers: cases, and which organisation it announced last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from shared.clock import Clock
from shared.errors import NotFound
from shared.events.routing import State
from shared.http.access import Scope
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Collection, DocumentStore, Index, Query, Scalar, Words

FILTERS = ("worker", "kind", "channel", "category")
"""What a list of the desk can be narrowed by, besides department, state and time."""

CASES = Collection(
    "cases",
    "record",
    unique=("number",),
    indexes=(
        Index(("urgency",)),
        Index(("state", "urgency"), behind=FILTERS),
        Index(("department", "urgency")),
        Index(("department", "state", "urgency"), behind=FILTERS),
    ),
    words=Words("words", within=("department",)),
)

DONE = "3"
"""From here on, in the order of urgency, lie the cases that are closed or withdrawn."""

SOURCE = Collection("organisation-source", "record")


@dataclass(frozen=True, slots=True)
class Source:
    """The organisation file that was announced last, and the one by whose calendar all deadlines are: their SHA-256."""

    version: str
    scheduled: str | None = None


def sources(store: DocumentStore, clock: Clock) -> Documents[Source]:
    """The collection of the one document that announces the organisation."""
    return Documents(store, SOURCE, Source, clock, source="/routing")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases, in the order of urgency; None is any. A department or a category means everything below it too.

    `since` ≤ urgency < `until`. `newest` turns the order round.
    """

    states: tuple[State, ...] = get_args(State)
    department: str | None = None
    worker: tuple[str | None, ...] | None = None
    kind: str | None = None
    channel: str | None = None
    category: str | None = None
    since: str | None = None
    until: str | None = None
    newest: bool = False


class Cases:
    """Questions about cases. Each takes the `Scope` of who asks: another department's case does not exist for it."""

    def __init__(self, store: DocumentStore, clock: Clock, organisation: Organisation) -> None:
        self.documents: Documents[Case] = Documents(store, CASES, Case, clock, source="/routing")
        self._organisation = organisation

    async def by_number(self, number: str, scope: Scope) -> Kept[Case]:
        """The case with this number. Raises `NotFound` if there is none in the scope."""
        found, _ = await self.documents.find(Query({"number": number}, limit=1))
        if not found or not self._sees(scope, found[0].value):
            raise NotFound()
        return found[0]

    async def page(
        self, scope: Scope, selection: Selection, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[Kept[Case]], str | None]:
        """One page of cases, the most urgent first, and the cursor of the next.

        Raises ValueError for a cursor that is not one of ours.
        """
        return await self.documents.find(replace(self._query(scope, selection), limit=limit), cursor)

    async def search(
        self, scope: Scope, terms: tuple[str, ...], department: str | None, limit: int, cursor: str | None = None
    ) -> tuple[list[Kept[Case]], str | None]:
        """One page of the cases with all of these terms, the newest first. Raises ValueError as `page` does."""
        departments = self._departments(scope, department)
        where: dict[str, Scalar | tuple[Scalar, ...]] = {} if departments is None else {"department": departments}
        return await self.documents.find(Query(where, words=terms, limit=limit), cursor)

    async def having(self, scope: Scope, term: str, most: int) -> int:
        """How many cases have a term, or `most`."""
        departments = self._departments(scope, None)
        where: dict[str, Scalar | tuple[Scalar, ...]] = {} if departments is None else {"department": departments}
        return await self.documents.count(Query(where, words=(term,)), most)

    async def count(self, scope: Scope, selection: Selection, most: int) -> int:
        """How many there are, or `most`."""
        return await self.documents.count(self._query(scope, selection), most)

    async def neighbours(self, case: Case, scope: Scope) -> tuple[str | None, str | None]:
        """The numbers of the open cases before and after this one in the order of urgency, as far as there are any."""
        departments = self._departments(scope, None)
        where: dict[str, Scalar | tuple[Scalar, ...]] = {} if departments is None else {"department": departments}
        before, _ = await self.documents.find(
            Query(where, order="urgency", until=min(case.urgency, DONE), descending=True, limit=1)
        )
        after, _ = await self.documents.find(Query(where, order="urgency", since=case.urgency, until=DONE, limit=2))
        others = [kept.value.number for kept in after if kept.value.number != case.number]
        return before[0].value.number if before else None, others[0] if others else None

    async def with_deadline(self, cursor: str | None, limit: int = 200) -> tuple[list[Kept[Case]], str | None]:
        """One page of the open cases that have a deadline, the earliest first, and the cursor of the next."""
        return await self.documents.find(Query(order="urgency", since="1", until="2", limit=limit), cursor)

    async def change(self, id: str, scope: Scope, decide: Callable[[Kept[Case]], Decision[Case] | None]) -> Kept[Case]:
        """Read, decide, write under the guard, and again where someone was faster: the case as it is kept now.

        Raises `NotFound` if it is not, or no longer, in the scope, `Busy` after eight lost guards, and what `decide`
        raises.
        """

        def guarded(kept: Kept[Case] | None) -> Decision[Case] | None:
            if kept is None or not self._sees(scope, kept.value):
                raise NotFound()
            return decide(kept)

        if (after := await self.documents.change(id, guarded)) is None:
            raise NotFound()
        return after

    def _sees(self, scope: Scope, case: Case) -> bool:
        return scope.everything or case.department in self._organisation.subtrees(scope.departments)

    def _query(self, scope: Scope, wanted: Selection) -> Query:
        where: dict[str, Scalar | tuple[Scalar, ...]] = {"state": wanted.states}
        departments = self._departments(scope, wanted.department)
        if departments is not None:
            where["department"] = departments
        if wanted.category is not None:
            where["category"] = tuple(sorted(self._organisation.categories_below(wanted.category)))
        for name in ("worker", "kind", "channel"):
            if (value := getattr(wanted, name)) is not None:
                where[name] = value
        return Query(where, "urgency", wanted.newest, wanted.since, wanted.until)

    def _departments(self, scope: Scope, asked: str | None) -> tuple[str, ...] | None:
        """The departments to look in; None: all of them, also those that the organisation no longer has."""
        below = self._organisation.subtrees
        if scope.everything:
            return None if asked is None else tuple(sorted(below({asked}) or {asked}))
        seen = below(scope.departments)
        return tuple(sorted(seen if asked is None else seen & below({asked})))
