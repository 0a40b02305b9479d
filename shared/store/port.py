"""The port to documents. Every numbered promise is one test in `tests/contract/store.py`, run by every adapter.

 1  A change is one document with the events it emits, all or nothing; no multi-document transaction anywhere.
 2  Insert refuses an existing id or unique field and names which (`Duplicate`).
 3  Replace and delete take effect only at the expected revision (`Conflict`); a document with pending events is not
    deleted (`Conflict`).
 4  `write` answers for each change, in order and independently, so adapters group commits.
 5  Returned means durable.
 6  A call that raised may have taken effect; repeating it is safe by 2 and 3.
 7  `get` sees one's own writes.
 8  `find` and `count` use declared indexes (equality prefix, one range, equalities on the fields behind it) or raise
    `NotDeclared`. A count with `most` costs no more than counting so many.
 9  `due` serves the scalar `due`, the earliest thing that a document waits for.
10  `pending` is in order per document, from its oldest event on, and begins with the oldest of all; `published` removes
    exactly those. The outbox is not part of the document.
11  `drop` only for collections declared `derived`; `record` collections are never dropped (`NotDeclared`).
12  A full disk or an absent server raises `Unavailable` within 5 s, and the store recovers by itself.
13  `find` and `count` with `words` take the documents that hold all of them, newest first (such documents have ids that
    are ordered by time), and cost what is found; a
    word is found from the write that brings it to the write that takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from shared.events.envelope import Envelope

Body = dict[str, Any]
"""A JSON object: str, int, float, bool, None, list, dict. Times in it are RFC 3339 text, which sorts."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Index:
    """A declared question: equality on a prefix of `fields` (dotted paths), then order and one range on the next one.

    The last field may be used as the range. Equalities on fields behind the range, and on those of `behind`, which serve
    for nothing else, narrow the walk's results without shortening the walk. Ties are ordered by id, so pages are stable.
    A declared field holds a scalar or nothing.
    """

    fields: tuple[str, ...]
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """A declared search: `field` (a dotted path) holds a list of words, each of small Latin letters and digits only.

    `within` names fields that hold text, of which equalities may be asked together with words.
    """

    field: str
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Collection:
    """What a service declares about its documents.

    `record` collections are the truth and are never dropped; `derived` ones can be built anew from the log.
    `unique` names fields that hold text, of which no two documents hold the same (absent or null never clashes). Only
    records emit events. `urgent` ones are written even from what is kept in reserve for a full disk.
    """

    name: str
    kind: Literal["record", "derived"]
    unique: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    words: Words | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A document as stored. `revision` counts its writes from 1 and guards the next one; it is never shown."""

    id: str
    revision: int
    body: Body
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    collection: str
    id: str
    body: Body
    due: datetime | None = None
    emit: Sequence[Envelope] = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """The whole new body of the document whose revision is `revision`."""

    collection: str
    id: str
    revision: int
    body: Body
    due: datetime | None = None
    emit: Sequence[Envelope] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    collection: str
    id: str
    revision: int


Change = Insert | Replace | Delete


@dataclass(frozen=True, slots=True)
class Done:
    """The change is durable; `revision` is the document's new one (0 after a delete)."""

    revision: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """The document is not at the expected revision, is gone, or has pending events (delete)."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An insert or replace met an existing id (`field == "_id"`) or a unique field of another document."""

    field: str


Outcome = Done | Conflict | Duplicate


@dataclass(frozen=True, slots=True)
class Query:
    """A question over one declared index.

    `where` holds equalities; a tuple of values means "one of". `order` is the field after the equality prefix that
    results are ordered by (None: by id); `since` ≤ value < `until` cuts the range on that same field. Absent and null
    come before numbers, numbers before text; ties are ordered by id in the same direction. `limit` is at least 1.
    With `words` it asks for documents that hold all of them: the last inserted come first, `where` holds equalities on
    the fields declared `within` only, and there is neither order nor range.
    """

    where: Mapping[str, Scalar | tuple[Scalar, ...]] = field(default_factory=dict)
    order: str | None = None
    descending: bool = False
    since: Scalar = None
    until: Scalar = None
    limit: int = 100
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in the asked order, and the cursor of the next page (None at the end). Cursors are opaque ASCII."""

    documents: Sequence[Document]
    next: str | None


class DocumentStore(Protocol):
    """See the module's promises."""

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        """The documents that exist among `ids`, by id, in one round trip."""

    async def find(self, collection: str, query: Query, cursor: str | None = None) -> Page:
        """One page. Raises `NotDeclared` without an index, `ValueError` for a cursor that is not one of ours."""

    async def count(self, collection: str, query: Query, most: int | None = None) -> int:
        """How many there are, whatever `query.limit` says; `most` if there are at least so many."""

    async def due(self, collection: str, now: datetime, limit: int) -> list[Document]:
        """Documents whose `due` is at or before `now`, earliest first."""

    async def write(self, changes: Sequence[Change]) -> list[Outcome]: ...

    async def pending(
        self, limit: int, ids: Sequence[str] | None = None, older_than: datetime | None = None
    ) -> list[Envelope]:
        """Unpublished events, in order per document: of the documents `ids`, or of every document
        whose oldest unpublished event has `time` before `older_than`, or of all."""

    async def published(self, event_ids: Sequence[str]) -> None:
        """Remove exactly these events from the outbox."""

    async def drop(self, collection: str) -> None:
        """Remove every document of a derived collection."""

    async def close(self) -> None: ...
