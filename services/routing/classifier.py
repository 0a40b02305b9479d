"""From words to a category and a department, with the reasons. A trained model may stand behind the same function.

Every keyword that occurs counts once, with its weight; one that is part of another that occurs does not count. The
points of a department are those of its categories. The confidence is `best / (best + second + 1)` over departments, so
a bar of one half asks for a lead of one point.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import add

from services.routing.domain.organisation import Organisation
from services.routing.domain.work import Assignment
from shared.events.routing import Explanation

ENGLISH = re.compile(r"[a-z0-9]+")

RUNNERS_UP = 5
"""How many scores an explanation keeps."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Immutable; built once from an organisation. Chinese words are found by their first two characters, English ones
    by their first word; `within` has the keywords that each is part of."""

    organisation: Organisation
    chinese: Mapping[str, tuple[str, ...]]
    english: Mapping[str, tuple[tuple[str, str], ...]]
    speaks_for: Mapping[str, tuple[tuple[str, float], ...]]
    within: Mapping[str, frozenset[str]]
    areas: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, organisation: Organisation) -> Classifier:
        """The classifier that the organisation's keywords make."""
        chinese: dict[str, list[str]] = defaultdict(list)
        english: dict[str, list[tuple[str, str]]] = defaultdict(list)
        speaks_for: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for category in organisation.categories.values():
            for language, keywords in category.keywords.items():
                for word, weight in keywords.items():
                    if not speaks_for[word]:
                        if language == "zh":
                            chinese[word[:2]].append(word)
                        else:
                            for form in forms_of(word):
                                english[form.partition(" ")[0]].append((f" {form} ", word))
                    speaks_for[word].append((category.id, weight))
        areas = ((word.lower(), a.id) for a in organisation.areas.values() for word in (a.label.zh, a.label.en))
        return cls(
            organisation,
            {start: tuple(words) for start, words in chinese.items()},
            {start: tuple(forms) for start, forms in english.items()},
            {word: tuple(categories) for word, categories in speaks_for.items()},
            _containing(speaks_for),
            tuple(sorted(areas, key=lambda area: -len(area[0]))),
        )

    def assign(self, text: str, given: str | None = None, place: str = "") -> Assignment:
        """Category, department and area of a text. `given` is the citizen's own choice of category or department."""
        organisation = self.organisation
        area = self._area(f"{place}\n{text}".lower()) if self.areas else None
        if given and (category := organisation.categories.get(given)):
            return Assignment(given, category.department, area, self._explanation("given", 1.0))
        if given and given in organisation.departments:
            return Assignment(None, given, area, self._explanation("given", 1.0))
        words = self._words(text.lower())
        scores = self._scores(words)
        departments: dict[str, float] = defaultdict(float)
        for id, score in scores.items():
            departments[organisation.categories[id].department] += score
        best, second, department = 0.0, 0.0, None
        for id, score in departments.items():
            if score > best:
                best, second, department = score, best, id
            elif score > second:
                second = score
        confidence = round(best / (best + second + 1), 4)
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        explanation = self._explanation("keywords", confidence, tuple(words), dict(ranked[:RUNNERS_UP]))
        if department is None or confidence < organisation.bar:
            return Assignment(None, None, area, explanation)
        top = next(id for id, _ in ranked if organisation.categories[id].department == department)
        return Assignment(top, department, area, explanation)

    def _words(self, text: str) -> list[str]:
        """The keywords that occur in `text` (in small letters), without those that are part of another, sorted."""
        found: set[str] = set()
        if not text.isascii():
            for start in self.chinese.keys() & set(map(add, text, text[1:])):
                found.update(word for word in self.chinese[start] if len(word) == 2 or word in text)
        tokens = ENGLISH.findall(text)
        if starts := self.english.keys() & set(tokens):
            line = f" {' '.join(tokens)} "
            for start in starts:
                found.update(word for form, word in self.english[start] if form in line)
        return sorted(word for word in found if self.within[word].isdisjoint(found))

    def _scores(self, words: Iterable[str]) -> dict[str, float]:
        scores: dict[str, float] = defaultdict(float)
        for word in words:
            for category, weight in self.speaks_for[word]:
                scores[category] += weight
        return scores

    def _area(self, text: str) -> str | None:
        return next((id for word, id in self.areas if word in text), None)

    def _explanation(
        self, method: str, confidence: float, words: tuple[str, ...] = (), scores: Mapping[str, float] | None = None
    ) -> Explanation:
        return Explanation(
            method=method,
            version=self.organisation.version,
            confidence=confidence,
            bar=self.organisation.bar,
            words=words,
            scores={id: round(score, 4) for id, score in (scores or {}).items()},
        )


def _containing(words: Collection[str]) -> dict[str, frozenset[str]]:
    """For each keyword those that it is part of: of their characters in Chinese, of their words in English."""
    containing: dict[str, set[str]] = {word: set() for word in words}
    for word in words:
        units, glue = (word.split(" "), " ") if word.isascii() else (list(word), "")
        for start, end in itertools.combinations(range(len(units) + 1), 2):
            part = glue.join(units[start:end])
            if part != word and part in containing and part.isascii() == word.isascii():
                containing[part].add(word)
    return {word: frozenset(others) for word, others in containing.items()}


def forms_of(word: str) -> set[str]:
    """A keyword and its plurals: of its last word, as English spells them."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return {word, f"{word[:-1]}ies"}
    if word.endswith(("s", "x", "sh", "ch")):
        return {word, f"{word}es"}
    return {word, f"{word}s"}
