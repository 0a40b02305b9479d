"""Cases like a text: found by the rare words that they share, over keyed digests, without opening anybody's words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from services.routing.domain.case import Case
from services.routing.domain.likeness import ALIKE, CLOSER, COUNTED, NEAR, likeness, metres, weights_of
from services.routing.domain.states import is_open
from services.routing.domain.stop_words import STOP_WORDS
from services.routing.domain.terms import Terms, findable
from services.routing.store import Cases, Selection
from shared.events.intake import Point
from shared.http.access import Scope
from shared.text import words

LOOKED_AT = 24
"""Words of a text that are counted: of a long one the first."""

FIRST = 40
"""Characters of the first words."""

EACH = 20
"""Cases looked at for one word, the newest first."""

COMPARED = 100
"""Cases compared with a text: those with its rarest word, then with the next, until they are so many."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A case that is like the text: how much, and how far away in metres where both places are known."""

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
        self, text: str, scope: Scope, point: Point | None = None, category: str | None = None, most: int = COMPARED
    ) -> list[Alike]:
        """The cases in the scope that are like a text, the likest first: open ones and those that were answered."""
        about = _About(self._terms.asked(findable(words(text))), point, category)
        return await self._ranked(about, scope, most)

    async def of_case(self, case: Case, scope: Scope) -> list[Alike]:
        """The same for a case, which is not among them."""
        return await self._ranked(_About(case.words, case.point, case.category, case.number), scope, COMPARED)

    async def _ranked(self, about: _About, scope: Scope, most: int) -> list[Alike]:
        asked = [term for term in about.terms if term not in self._empty][:LOOKED_AT]
        every, *having = await asyncio.gather(
            self._cases.count(scope, Selection(), COUNTED),
            *(self._cases.having(scope, term, COUNTED) for term in asked),
        )
        itself = about.number is not None
        counts = {term: n - itself for term, n in zip(asked, having, strict=True)}
        pages = await asyncio.gather(
            *(self._cases.search(scope, (term,), None, EACH, None) for term in _rarest(counts, most))
        )
        found = {kept.id: kept.value for page, _ in pages for kept in page if kept.value.number != about.number}
        others = [case for case in found.values() if is_open(case.state) or case.answered]
        weights = weights_of(counts, every - itself)
        usual = fmean(len(case.words) for case in others) if others else 1.0
        alike = [about.alike(case, weights, usual) for case in others]
        return sorted((one for one in alike if one.likeness >= ALIKE), key=lambda one: -one.likeness)


@dataclass(frozen=True, slots=True)
class _About:
    """What others are compared with. `number`: it is a case itself."""

    terms: tuple[str, ...]
    point: Point | None
    category: str | None
    number: str | None = None

    def alike(self, case: Case, weights: Mapping[str, float], usual: float) -> Alike:
        far = metres(self.point, case.point) if self.point and case.point else None
        nearer = CLOSER if far is not None and far <= NEAR else 1.0
        same = self.category is not None and case.category == self.category
        return Alike(case, likeness(weights, case.words, usual, same) * nearer, far)


def _rarest(counts: Mapping[str, int], most: int) -> list[str]:
    """The terms to look up, the rarest first, until they lead to so many cases."""
    chosen, led = [], 0
    for term in sorted((term for term, count in counts.items() if count), key=lambda term: counts[term]):
        if led >= most:
            break
        chosen.append(term)
        led += min(counts[term], EACH)
    return chosen
