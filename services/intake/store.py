"""What intake remembers: feedback (the record) and the citizen's view of the case (derived from `case.*`)."""

from __future__ import annotations

from services.intake.domain import Feedback, View
from shared.clock import Clock
from shared.store.documents import Documents, Kept
from shared.store.port import Collection, DocumentStore, Query

FEEDBACK = Collection("feedback", "record", unique=("number", "code_hash", "key_hash"))
VIEWS = Collection("views", "derived")


class Feedbacks(Documents[Feedback]):
    """Questions about feedback."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        super().__init__(store, FEEDBACK, Feedback, clock, source="/intake")

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
