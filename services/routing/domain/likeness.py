"""How alike two cases are: by the rare words that both have, and how near they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import asin, cos, log, radians, sin, sqrt

from shared.events.intake import Point

COUNTED = 1_000
"""Where counting ends: a word that so many cases have says next to nothing about any of them."""

ALIKE = 0.15
"""From here on two cases are alike.

Measured on the sample: of what is shown, the three likest, three quarters are of the same category, and of those beside
one of the thirty reports of one outage nine in ten are reports of it; a quarter of the texts finds nothing. With a bar a
fifth lower a third is about something else.
"""

SAME = 3.0
"""How much more counts what is of the same category: pairs of characters meet by chance, a category does not."""

NEAR = 500.0
"""Metres. What lies nearer counts for more."""

CLOSER = 1.25
"""How much more."""

SATURATED, BY_LENGTH = 1.2, 0.75
"""The two constants of BM25, as they are usually chosen."""

EARTH = 6_371_000.0


def weights_of(counts: Mapping[str, int], of: int) -> Mapping[str, float]:
    """What each word of a text weighs, from how many of so many cases have it: the rarer the more (the inverse document
    frequency of Okapi BM25, never negative). What nobody has yet weighs most: it is what sets the text apart."""
    return {word: log(1 + (max(of - count, 0) + 0.5) / (count + 0.5)) for word, count in counts.items()}


def likeness(weights: Mapping[str, float], words: Collection[str], usual: float, same: bool = False) -> float:
    """The score of Okapi BM25, as a share of the whole weight: what both have counts more where the other case has fewer
    words than `usual`, less where it has more, and much more where both are of the `same` category. One word alone
    makes alike only those. A text of the usual length is 1 to itself."""
    shared = weights.keys() & set(words)
    whole = sum(weights.values())
    if not whole or len(shared) < (1 if same else 2):
        return 0.0
    score = (SATURATED + 1) / (1 + SATURATED * (1 - BY_LENGTH + BY_LENGTH * len(words) / usual))
    return (SAME if same else 1.0) * score * sum(weights[word] for word in shared) / whole


def metres(one: Point, other: Point) -> float:
    """The distance along the surface of the earth."""
    phi, psi = radians(one.lat), radians(other.lat)
    across, along = sin((psi - phi) / 2), sin(radians(other.lon - one.lon) / 2)
    return 2 * EARTH * asin(min(1.0, sqrt(across**2 + cos(phi) * cos(psi) * along**2)))
