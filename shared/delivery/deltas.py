"""Figures that survive anything: one delta document a batch, whose insertion is the commit point and the position.

The deltas of a partition are a chain: each begins where the one before ends, the first at 0. Figures are sums along the
chains. A delta that is not on its chain, left by an owner who had lost the partition without knowing, counts nothing and
is deleted by the next owner. What an operator replays is counted by deltas beside the chain, one for each dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.clock import Ids
from shared.delivery.dead_letters import Letter
from shared.store.port import (
    Collection,
    Delete,
    Document,
    DocumentStore,
    Done,
    Duplicate,
    Index,
    Insert,
    Query,
    Replace,
)

COLLECTION = Collection("deltas", "derived", indexes=(Index(("chain", "from")), Index(("parked",))))
"""`{chain: partition, epoch, from, to, deltas: {cell: n}, cases: {about: [id]}}`, and `{parked: partition, deltas}`.

A chain has one epoch from its first delta on, so that readers tell a chain from the one before a rebuild."""

LONGEST = 200
"""Deltas of a partition before all but the last become one."""

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Link:
    """One delta of the chain of an epoch: it covers the offsets from `start` to before `end`. `cases` is empty once compacted."""

    id: str
    revision: int
    start: int
    end: int
    epoch: str
    cases: Mapping[str, Sequence[str]]


def sum_of(adds: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of each cell, without those that come to nothing."""
    total: dict[str, int] = {}
    for cells in adds:
        for cell, n in cells.items():
            total[cell] = total.get(cell, 0) + n
    return {cell: n for cell, n in total.items() if n}


def walk(documents: Iterable[Document], start: int = 0) -> tuple[list[Document], int]:
    """The deltas that are on the chain from `start` on, and where it ends."""
    by_start = {document.body["from"]: document for document in documents}
    chain: list[Document] = []
    while document := by_start.get(start):
        chain.append(document)
        start = document.body["to"]
    return chain, start


async def read_chain(store: DocumentStore, partition: int, since: int = 0) -> list[Document]:
    """Every delta of a partition, on its chain or not, that begins at `since` or later."""
    query = Query({"chain": partition}, order="from", since=since, limit=PAGE)
    documents: list[Document] = []
    cursor: str | None = None
    while True:
        page = await store.find(COLLECTION.name, query, cursor)
        documents += page.documents
        cursor = page.next
        if cursor is None:
            return documents


class Chain:
    """The chains of the partitions that this process owns, as it last saw them. Raises `Unavailable`; then `forget`."""

    def __init__(self, store: DocumentStore, ids: Ids) -> None:
        self._store = store
        self._ids = ids
        self._links: dict[int, list[Link]] = {}

    def known(self, partition: int) -> bool:
        return partition in self._links

    def end(self, partition: int) -> int:
        """The offset from which nothing is counted yet: the position."""
        links = self._links[partition]
        return links[-1].end if links else 0

    def forget(self, partition: int) -> None:
        """Whatever was known may no longer be so."""
        self._links.pop(partition, None)

    async def load(self, partition: int) -> Link | None:
        """Read the chain, delete what is off it, answer its last link."""
        documents = await read_chain(self._store, partition)
        chain, end = walk(documents)
        on = {document.id for document in chain}
        off = [document for document in documents if document.id not in on and document.body["from"] < end]
        await self._delete((document.id, document.revision) for document in off)
        links = [_link(document) for document in chain]
        self._links[partition] = links
        return links[-1] if links else None

    async def append(
        self, partition: int, to: int, adds: Mapping[str, int], cases: Mapping[str, Sequence[str]]
    ) -> bool:
        """Commit a batch that ends before `to`. False: another owner has gone on from here, so this counts nothing.

        That the link before still ends where this one begins is asked after the insertion: a chain that went on, and
        was then compacted, would let a late owner insert beside it.
        """
        links, start = self._links[partition], self.end(partition)
        epoch = links[-1].epoch if links else self._ids.document()
        body = {
            "chain": partition,
            "epoch": epoch,
            "from": start,
            "to": to,
            "deltas": dict(adds),
            "cases": dict(cases),
        }
        insert = Insert(COLLECTION.name, f"{partition}:{start}", body)
        (outcome,) = await self._store.write([insert])
        if not isinstance(outcome, Done):
            self.forget(partition)
            return False
        link = Link(insert.id, outcome.revision, start, to, epoch, cases)
        if links:
            before = (await self._store.get(COLLECTION.name, [links[-1].id])).get(links[-1].id)
            if before is None or (before.body["epoch"], before.body["to"]) != (epoch, start):
                await self._delete([(link.id, link.revision)])
                self.forget(partition)
                return False
        links.append(link)
        return True

    async def compact(self, partition: int) -> None:
        """Make one delta of all but the last, in place of the first, if there are many; then delete what it covers."""
        links = self._links[partition]
        if len(links) <= LONGEST:
            return
        *covered, last = links
        first = covered[0]
        chain, _ = walk(await read_chain(self._store, partition))
        documents = [document for document in chain if document.body["to"] <= last.start]
        if [(d.id, d.revision) for d in documents] != [(link.id, link.revision) for link in covered]:
            self.forget(partition)
            return
        deltas = sum_of(document.body["deltas"] for document in documents)
        body = {
            "chain": partition,
            "epoch": first.epoch,
            "from": first.start,
            "to": last.start,
            "deltas": deltas,
            "cases": {},
        }
        (outcome,) = await self._store.write([Replace(COLLECTION.name, first.id, first.revision, body)])
        if not isinstance(outcome, Done):
            self.forget(partition)
            return
        links[:] = [Link(first.id, outcome.revision, first.start, last.start, first.epoch, {}), last]
        await self._delete((link.id, link.revision) for link in covered[1:])

    async def counted(self, letters: Sequence[Letter]) -> set[str]:
        """The ids of those letters that an operator's replay has counted already."""
        ids = {f"parked:{letter.id}": letter.id for letter in letters}
        return {ids[id] for id in await self._store.get(COLLECTION.name, list(ids))} if ids else set()

    async def count_parked(self, adds: Sequence[tuple[Letter, Mapping[str, int]]]) -> None:
        """Count replayed letters, each once however often this is called."""
        inserts = [
            Insert(
                COLLECTION.name,
                f"parked:{letter.id}",
                {"parked": letter.record.partition, "deltas": sum_of([cells])},
            )
            for letter, cells in adds
        ]
        if inserts:
            outcomes = await self._store.write(inserts)
            assert all(isinstance(outcome, (Done, Duplicate)) for outcome in outcomes)

    async def _delete(self, links: Iterable[tuple[str, int]]) -> None:
        deletes = [Delete(COLLECTION.name, id, revision) for id, revision in links]
        if deletes:
            await self._store.write(deletes)


def _link(document: Document) -> Link:
    body: dict[str, Any] = document.body
    return Link(document.id, document.revision, body["from"], body["to"], body["epoch"], body["cases"])
