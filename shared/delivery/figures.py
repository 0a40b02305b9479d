"""The sums of all deltas, kept in memory and brought up to date by what is new: what every replica answers from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shared.bus.port import PARTITIONS
from shared.delivery.deltas import COLLECTION, PAGE, read_chain, walk
from shared.store.port import Document, DocumentStore, Query

AGAIN = 5
"""How often a chain that does not hold together, because it is being compacted, is read again; then what is not reached
from its beginning is off it and counts nothing."""


@dataclass(frozen=True, slots=True)
class Sums:
    """`cells` without zeros (none where the reader keeps them), and how far each partition of the log is counted in them.

    The mapping is live: it may grow with the next `Figures.current`, so use it up before awaiting anything.
    """

    cells: Mapping[str, int]
    positions: Mapping[int, int]


class Reader(Protocol):
    """Keeps sums in its own way."""

    def add(self, cell: str, n: int) -> None:
        """Add `n` to a cell."""

    def clear(self) -> None:
        """Everything begins at nothing again."""


_Place = tuple[str, int, int, int]
"""Epoch of a chain; start, end and revision of a delta."""


@dataclass(slots=True)
class _Known:
    """What was added of one chain: everything up to and with `last`, whose place is remembered to tell a change."""

    last: _Place | None = None
    end: int = 0
    cells: dict[str, int] = field(default_factory=dict)


class Figures:
    """One service's figures. `current` costs what is new since the last call.

    With `reader`, that is told every cell and what is added to it, and no sums are kept here.
    """

    def __init__(self, store: DocumentStore, reader: Reader | None = None) -> None:
        self._store = store
        self._reader = reader
        self._lock = asyncio.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew: the deltas were dropped."""
        self._broken = False
        if self._reader:
            self._reader.clear()
        self._total: dict[str, int] = {}
        self._known = {partition: _Known() for partition in range(PARTITIONS)}
        self._parked: dict[str, Mapping[str, int]] | None = None

    async def current(self) -> Sums:
        """Everything that is counted now. Raises `Unavailable`."""
        async with self._lock:
            await self._follow_all()
            while self._broken:
                self.forget()
                await self._follow_all()
            await self._add_parked()
            return Sums(self._total, {partition: known.end for partition, known in self._known.items()})

    async def _follow_all(self) -> None:
        following = (self._follow(partition) for partition in range(PARTITIONS))
        for result in await asyncio.gather(*following, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _follow(self, partition: int) -> None:
        """Add what came to a chain; where it no longer fits what is known, read it from the beginning."""
        for again in reversed(range(AGAIN)):
            known = self._known[partition]
            since = known.last[1] if known.last else 0
            documents = await read_chain(self._store, partition, since)
            chain, end = walk(documents, since)
            broken = any(document.body["from"] > end for document in documents)
            if known.last and (not chain or _place(chain[0]) != known.last):
                broken = True
            if not broken or not (again or known.last):
                for document in chain[1:] if known.last else chain:
                    self._add(document.body["deltas"], known.cells)
                if chain:
                    known.last, known.end = _place(chain[-1]), end
                return
            if self._reader and known.last:
                self._broken = True  # what was told of this chain alone cannot be taken back
                return
            self._add(_negative(known.cells), {})
            self._known[partition] = _Known()
            self._forget_parked()

    async def _add_parked(self) -> None:
        """Add what operators replayed: never swept, so it is read again only when there is more, or after a rebuild."""
        query = Query({"parked": tuple(range(PARTITIONS))}, limit=PAGE)
        if self._parked is not None and await self._store.count(COLLECTION.name, query) == len(self._parked):
            return
        found: dict[str, Mapping[str, int]] = {}
        cursor: str | None = None
        while True:
            page = await self._store.find(COLLECTION.name, query, cursor)
            found.update((document.id, document.body["deltas"]) for document in page.documents)
            cursor = page.next
            if cursor is None:
                break
        self._forget_parked()
        for cells in found.values():
            self._add(cells, {})
        self._parked = found

    def _forget_parked(self) -> None:
        for cells in (self._parked or {}).values():
            self._add(_negative(cells), {})
        self._parked = None

    def _add(self, deltas: Mapping[str, int], own: dict[str, int]) -> None:
        if self._reader:
            for cell, n in deltas.items():
                self._reader.add(cell, n)
            return
        for cells in (self._total, own):
            for cell, n in deltas.items():
                total = cells.get(cell, 0) + n
                if total:
                    cells[cell] = total
                else:
                    cells.pop(cell, None)


def _negative(cells: Mapping[str, int]) -> dict[str, int]:
    return {cell: -n for cell, n in cells.items()}


def _place(document: Document) -> _Place:
    return document.body["epoch"], document.body["from"], document.body["to"], document.revision
