"""Time, randomness, ids and sleeping come from here and nowhere else (a linter rule bans the rest).

So a simulation can run all four services in virtual time and replay a history from its seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Protocol

from pydantic import PlainSerializer

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = tuple(first + second for first in CROCKFORD for second in CROCKFORD)
"""The 1,024 pairs of characters, in order: two at a time take half the steps."""

DOUBLED = tuple((total % 10 or 10) * 2 % 11 for total in range(20))
"""One step of ISO 7064 MOD 11,10, by the sum of what was carried over and the digit."""


class Clock(Protocol):
    """Wall time in UTC, monotonic seconds, and sleeping."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC, cut to the millisecond: what is stored equals what was in memory."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. For leases and rates, never stored."""

    async def sleep(self, seconds: float) -> None:
        """Suspend the calling task for so many seconds."""


class Ids(Protocol):
    """Everything that must be unpredictable or unique."""

    def document(self) -> str:
        """26 Crockford base32 characters, unique, ordered by the millisecond of creation (48 bits of time, 80 random)."""

    def number(self, day: date) -> str:
        """A public case number `YYYYMMDD-NNNNNNNN-C` with its check digit. Random: the caller handles a clash."""

    def code(self) -> str:
        """A secret of 26 Crockford base32 characters (130 bits)."""

    def token(self, size: int) -> bytes:
        """`size` unpredictable bytes."""

    def jitter(self) -> float:
        """A float in [0, 1), for spreading retries. Not for secrets."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class CorrectedClock:
    """A machine's clock, put right by one that several machines share. `ahead`: how far that one is ahead of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = timedelta()

    def now(self) -> datetime:
        now = self._clock.now() + self.ahead
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


POOL = 4096
"""Bytes of entropy taken from the machine at once: each call lets go of Python's global lock, and has to win it back."""


class SystemIds:
    """Ids from the machine's entropy. No byte is used twice; not for use across a fork."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool = b""
        self._used = 0

    def document(self) -> str:
        millis = int(self._clock.now().timestamp() * 1000)
        return base32((millis << 80) | int.from_bytes(self.token(10)), 26)

    def number(self, day: date) -> str:
        digits = f"{day.isoformat().replace('-', '')}{int.from_bytes(self.token(8)) % 100_000_000:08d}"
        return f"{digits[:8]}-{digits[8:]}-{check_digit(digits)}"

    def code(self) -> str:
        return base32(int.from_bytes(self.token(17)) >> 6, 26)

    def token(self, size: int) -> bytes:
        if size > POOL:
            return os.urandom(size)
        start, end = self._used, self._used + size
        if end > len(self._pool):
            self._pool, start, end = os.urandom(POOL), 0, size
        self._used = end
        return self._pool[start:end]

    def jitter(self) -> float:
        return random.random()  # noqa: S311 (spreading retries, not a secret)


def base32(value: int, length: int) -> str:
    """`value` in Crockford base32, most significant first, padded to `length` characters."""
    pairs = [PAIRS[value >> shift & 1023] for shift in range((length + length % 2) * 5 - 10, -1, -10)]
    return "".join(pairs)[length % 2 :]


def check_digit(digits: str) -> str:
    """The ISO 7064 MOD 11,10 check digit of a string of decimal digits."""
    product = 10
    for character in digits:
        product = DOUBLED[product + int(character)]
    return str((11 - product) % 10)


def valid_number(number: str) -> bool:
    """Whether `number` has the shape `YYYYMMDD-NNNNNNNN-C` (ASCII digits) and the right check digit."""
    return (
        len(number) == 19
        and number.isascii()
        and number[8] == number[17] == "-"
        and (digits := number[:8] + number[9:17] + number[18]).isdigit()
        and check_digit(digits[:16]) == digits[16]
    )


@lru_cache(4096)
def rfc3339(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds and `Z`; sorts as text.

    Remembered, for a feedback's few moments are written some forty times on its way.
    """
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat("T", "milliseconds")[:-6] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The inverse of `rfc3339`; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return moment.astimezone(UTC)


Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A moment in UTC for the fields of events and documents; stored as `rfc3339`, which sorts as text."""
