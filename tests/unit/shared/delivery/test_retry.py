from __future__ import annotations

import asyncio

import pytest

from shared.clock import SystemIds
from shared.delivery.retry import Backoff, persist
from shared.errors import Unavailable
from tests.support.clock import ManualClock


class Restless(ManualClock):
    """A clock on which every sleep is over at once, and noted."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


async def test_pauses_double_up_to_half_a_minute_and_vary_by_half() -> None:
    clock = Restless()
    backoff = Backoff(clock, SystemIds(clock))
    for _ in range(12):
        await backoff.pause()
    longest = [min(0.2 * 2**n, 30.0) for n in range(12)]
    assert all(most / 2 < slept <= most for slept, most in zip(clock.slept, longest, strict=True))
    backoff.reset()
    await backoff.pause()
    assert clock.slept[-1] <= 0.2


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError()])
async def test_what_is_away_is_tried_until_it_is_back(error: Exception) -> None:
    clock, tries = Restless(), 0

    async def work() -> str:
        nonlocal tries
        tries += 1
        if tries < 50:
            raise error
        return "back"

    assert await persist(work, "toy", clock, SystemIds(clock)) == "back"
    assert len(clock.slept) == 49


async def test_a_mistake_is_not_tried_again() -> None:
    clock = Restless()

    async def work() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await persist(work, "toy", clock, SystemIds(clock))
    assert clock.slept == []
