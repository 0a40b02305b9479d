"""Trying again in place. What fails because the outside world is away is tried for ever: skipping would lose order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.clock import Clock, Ids
from shared.errors import Unavailable
from shared.telemetry.logs import log
from shared.telemetry.metrics import RETRIES

T = TypeVar("T")

FIRST, LONGEST = 0.2, 30.0
"""Seconds of the first and of the longest pause."""


class Backoff:
    """Pauses that double from 0.2 to 30 s, each shortened by up to a half at random, so that many do not come at once."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._next = FIRST

    async def pause(self) -> None:
        seconds, self._next = self._next, min(2 * self._next, LONGEST)
        await self._clock.sleep(seconds * (1 - self._ids.jitter() / 2))

    def reset(self) -> None:
        """It worked: the next pause is a first one again."""
        self._next = FIRST


async def persist(work: Callable[[], Awaitable[T]], name: str, clock: Clock, ids: Ids) -> T:
    """What `work` answers in the end. `Unavailable` and timeouts are tried again, for ever; any other error is raised.

    One log line when it begins to fail and one when it works again, under `name`.
    """
    backoff, failures = Backoff(clock, ids), 0
    while True:
        try:
            result = await work()
        except (Unavailable, TimeoutError) as error:
            if not failures:
                log(name).warning("trying again until it works", error=str(error))
            failures += 1
            RETRIES.labels(name).inc()
            await backoff.pause()
        else:
            if failures:
                log(name).info("works again", failures=failures)
            return result
