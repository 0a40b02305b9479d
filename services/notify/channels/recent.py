"""What was told of late, for a page that was drawn a moment before it began to listen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

KEPT = 2_000
"""Messages kept in memory; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message about a case of `department`: when its event came to be, and the event as it is sent."""

    time: datetime
    department: str | None
    message: bytes


class Recent:
    """The last messages. What came to be before `whole_since` may be missing."""

    def __init__(self) -> None:
        self.whole_since = datetime.min.replace(tzinfo=UTC)
        self._told: deque[Told] = deque()

    def add(self, told: Told) -> None:
        self._told.append(told)
        if len(self._told) > KEPT:
            self.misses(self._told.popleft().time)

    def misses(self, until: datetime) -> None:
        """What came to be up to then is not here."""
        self.whole_since = max(self.whole_since, until)

    def __iter__(self) -> Iterator[Told]:
        """In the order in which they were told."""
        return iter(self._told)
