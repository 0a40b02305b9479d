"""What a case is found by: the pairs of characters and the words that were said on it, as keyed digests.

The words themselves are sealed; a digest under the vault's own key says nothing to whoever reads the store without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from shared.text import words

TERMS = 600
"""Terms kept of a case; of a longer text the first ones."""

ASKED = 40
"""Terms looked at of what is searched for."""

SIZE = 12
"""Characters of a term: 48 bits, so that of a million different words hardly two are taken for each other."""

KNOWN = 100_000
"""Digests kept in memory. People say the same words again and again."""


class Terms:
    """`digest` is keyed, and gives hexadecimal text."""

    def __init__(self, digest: Callable[[bytes], str]) -> None:
        self._of = lru_cache(KNOWN)(lambda word: digest(word.encode())[:SIZE])

    def with_words(self, terms: tuple[str, ...], *said: str | None) -> tuple[str, ...]:
        """The terms and those of what was said, each once, up to `TERMS`."""
        found = dict.fromkeys(terms)
        for text in said:
            if text and len(found) < TERMS:
                found.update(dict.fromkeys(map(self._of, words(text))))
        return tuple(found)[:TERMS]

    def each(self, some: Iterable[str]) -> frozenset[str]:
        """The terms of these words, as many as there are."""
        return frozenset(map(self._of, some))

    def asked(self, some: Iterable[str]) -> tuple[str, ...]:
        """The terms that a case must have to be found by these words."""
        return tuple(dict.fromkeys(map(self._of, some)))[:ASKED]


def findable(words: Iterable[str]) -> list[str]:
    """The words that something can be found by: a single Chinese character is none, only pairs are kept."""
    return [word for word in words if word.isascii() or len(word) > 1]
