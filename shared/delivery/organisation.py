"""The copy of the organisation that every service keeps from `organisation.published` and builds its words from."""

from __future__ import annotations

from dataclasses import dataclass

from shared.clock import Clock
from shared.delivery.subscription import Context
from shared.events.routing import Organisation, OrganisationPublished
from shared.store.documents import Decision, Documents
from shared.store.port import Collection, DocumentStore

KEY = "organisation"
"""The message key and document id: one body per installation."""

COLLECTION = Collection("organisation", "derived")

FRESH = 1.0
"""How old, in seconds, an answer of `OrganisationCopy.current` may be."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The organisation as last announced."""

    version: str
    content: Organisation


def keep_organisation(
    known: Announced | None, event: OrganisationPublished, context: Context
) -> Decision[Announced] | None:
    """The newest announcement replaces the one before."""
    del known, context
    return Decision(Announced(event.organisation_version, event.content))


class OrganisationCopy:
    """Answers what the organisation is, at most one second late."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.documents: Documents[Announced] = Documents(store, COLLECTION, Announced, clock)
        self._clock = clock
        self._known: Announced | None = None
        self._read = float("-inf")

    async def current(self) -> Announced | None:
        """The last announcement, or None before the first."""
        if self._known is None or self._clock.monotonic() - self._read > FRESH:
            kept = await self.documents.get(KEY)
            self._known, self._read = kept.value if kept else None, self._clock.monotonic()
        return self._known

    @property
    def last(self) -> Announced | None:
        """What `current` answered last; for callers that cannot wait."""
        return self._known

    async def ready(self) -> str | None:
        """Why a service that needs the organisation is not ready; None: it is."""
        return None if await self.current() else "the organisation has not been announced yet"
