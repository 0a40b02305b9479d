"""Opening a case by its code: wrong, unknown and misspelt look alike, and nobody may be wrong all day."""

from __future__ import annotations

from services.intake.domain import Feedback
from services.intake.handlers.submitter import Submitter
from shared.clock import Clock
from shared.errors import NotFound
from shared.http.rates import Rate, neighbourhood
from shared.store.documents import Kept

MISSES = 20
"""Wrong codes from one address (IPv6: one /64): a burst of so many, refilled in an hour."""


class Lookups:
    """Who holds a case's code gets in. `limited`: whether misses are counted."""

    def __init__(self, submitter: Submitter, clock: Clock, limited: bool) -> None:
        self._submitter = submitter
        self._misses = Rate(f"{MISSES}/{MISSES / 3600}" if limited else "off", clock)

    async def identify(self, number: str, authorization: str | None, client: str) -> Kept[Feedback]:
        """The feedback that `Authorization: Code …` opens.

        Raises `NotFound`, for every reason the same, and after too many misses `TooMany`, with the seconds to wait. A
        right code is let in even then: a code of 130 bits is not found by trying, and whole towns share an address.
        """
        try:
            return await self._submitter.identify(number, authorization)
        except NotFound:
            self._misses.take(neighbourhood(client))
            raise
