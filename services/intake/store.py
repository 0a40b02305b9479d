"""What intake remembers: feedback and who looked at a contact (records), and the citizen's view of the case (derived)."""

from __future__ import annotations

from collections.abc import Sequence

from services.intake.domain import Feedback, Look, View
from shared.clock import Clock
from shared.errors import Unsettled
from shared.store.documents import Documents, Kept
from shared.store.port import Change, Collection, DocumentStore, Done, Duplicate, Index, Outcome, Query

FEEDBACK = Collection("feedback", "record", unique=("number", "code_hash", "key_hash"))
VIEWS = Collection("views", "derived")
AUDIT = Collection("audit", "record", indexes=(Index(("number", "at")),), urgent=True)


class Feedbacks(Documents[Feedback]):
    """Questions about feedback."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        super().__init__(store, FEEDBACK, Feedback, clock, source="/intake")

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """As any collection's, but where the disk left it open whether new feedback was kept, it is asked: whatever is
        there meets itself."""
        try:
            return await super().write(changes)
        except Unsettled:
            outcomes = await super().write(changes)
            return [Done(1) if outcome == Duplicate("_id") else outcome for outcome in outcomes]

    async def by_code(self, code_hash: str) -> Kept[Feedback] | None:
        """The feedback whose code has this digest."""
        found, _ = await self.find(Query({"code_hash": code_hash}, limit=1))
        return found[0] if found else None

    async def by_number(self, number: str) -> Kept[Feedback] | None:
        """The feedback with this number."""
        found, _ = await self.find(Query({"number": number}, limit=1))
        return found[0] if found else None

    async def by_key(self, key_hashes: list[str]) -> dict[str, Kept[Feedback]]:
        """The feedback that was accepted under each of these idempotency keys."""
        found: dict[str, Kept[Feedback]] = {}
        for start in range(0, len(key_hashes), 100):
            chunk = tuple(key_hashes[start : start + 100])
            page, _ = await self.find(Query({"key_hash": chunk}, limit=len(chunk)))
            found.update((kept.value.key_hash, kept) for kept in page if kept.value.key_hash)
        return found


class Views(Documents[View]):
    """The citizen's views, by case id."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        super().__init__(store, VIEWS, View, clock)


class Looks(Documents[Look]):
    """Who looked at what."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        super().__init__(store, AUDIT, Look, clock)

    async def at(self, number: str, limit: int, cursor: str | None) -> tuple[list[Kept[Look]], str | None]:
        """The looks at one case, the oldest first. Raises ValueError for a cursor that is not one of ours."""
        return await self.find(Query({"number": number}, order="at", limit=limit), cursor)
