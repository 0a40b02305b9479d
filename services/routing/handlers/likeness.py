"""Cases like a text: found by the rare words that they share, over keyed digests, without opening anybody's words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from services.routing.domain.case import Case
from services.routing.domain.likeness import ALIKE, CLOSER, COUNTED, NEAR, likeness, metres, weights_of
from services.routing.domain.stop_words import STOP_WORDS
from services.routing.domain.terms import Terms, findable
from services.routing.store import Cases, Selection
from shared.events.intake import Point
from shared.http.access import Scope
from shared.text import words

LOOKED_AT = 24
"""Words of a text that are counted: of a long one the first."""

RAREST = 5
"""Of those, how many are looked up."""

FIRST = 40
"""Characters of the first words."""

EACH = 12
"""Cases looked at for one word, the newest first."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A case that is like the text: how much, from 0 to 1, and how far away in metres where both places are known."""

    case: Case
    likeness: float
    metres: float | None

    def first_words(self, text: str | None) -> str | None:
        """The beginning of what the citizen said, on one line."""
        if text is None:
            return None
        line = " ".join(text[: 2 * FIRST].split())
        return line if len(line) <= FIRST else f"{line[: FIRST - 1]}…"


class Likeness:
    """Finds cases by what they are about."""

    def __init__(self, cases: Cases, terms: Terms) -> None:
        self._cases, self._terms = cases, terms
        self._empty = terms.each(STOP_WORDS)

    async def of(
        self, text: str, scope: Scope, point: Point | None = None, each: int = EACH, but: str | None = None
    ) -> list[Alike]:
        """The cases in the scope that are like a text, the likest first; `but`: leave out the case with this number."""
        return await self.having(self._terms.asked(findable(words(text))), scope, point, each, but)

    async def having(
        self, terms: tuple[str, ...], scope: Scope, point: Point | None, each: int = EACH, but: str | None = None
    ) -> list[Alike]:
        """The same for terms as a case has them."""
        asked = [term for term in terms if term not in self._empty][:LOOKED_AT]
        every, *having = await asyncio.gather(
            self._cases.count(scope, Selection(), COUNTED),
            *(self._cases.having(scope, term, COUNTED) for term in asked),
        )
        itself = but is not None
        counts = {term: n - itself for term, n in zip(asked, having, strict=True)}
        weights = weights_of(counts, every - itself)
        rarest = sorted((term for term in asked if counts[term]), key=lambda term: counts[term])[:RAREST]
        pages = await asyncio.gather(*(self._cases.search(scope, (term,), None, each, None) for term in rarest))
        found = {kept.id: kept.value for page, _ in pages for kept in page if kept.value.number != but}
        alike = [_alike(case, weights, point) for case in found.values()]
        return sorted((one for one in alike if one.likeness >= ALIKE), key=lambda one: -one.likeness)


def _alike(case: Case, weights: Mapping[str, float], point: Point | None) -> Alike:
    far = metres(point, case.point) if point and case.point else None
    measure = likeness(weights, case.words) * (CLOSER if far is not None and far <= NEAR else 1.0)
    return Alike(case, min(measure, 1.0), far)
