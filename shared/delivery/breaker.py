"""When so many cases fail that the fault must lie with this service: stop, rather than park the whole town."""

from __future__ import annotations

from collections import deque

LIMIT = 10
"""Cases newly parked by failure among the last `WINDOW` records; one more stops the consumer."""

WINDOW = 1_000


class Breaker:
    """Counts records and failures as they come. More than 10 failures in a row, or more than 1 % of 1,000, open it."""

    def __init__(self) -> None:
        self._records = 0
        self._failures: deque[int] = deque()

    def take(self, records: int) -> None:
        """So many records were taken without a case being newly parked."""
        self._records += records

    def fail(self) -> None:
        """A case was newly parked by a failure."""
        self._records += 1
        self._failures.append(self._records)

    @property
    def open(self) -> bool:
        while self._failures and self._failures[0] <= self._records - WINDOW:
            self._failures.popleft()
        return len(self._failures) > LIMIT
