"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """`now` and `monotonic` move only by `advance`, which wakes the sleepers whose time has come."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        now = self._start + timedelta(seconds=self._passed)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._passed + seconds, woken))
        await woken

    @property
    def awaited(self) -> bool:
        """Whether somebody sleeps."""
        return any(not woken.done() for _, woken in self._sleepers)

    def advance(self, seconds: float) -> None:
        self._passed += seconds
        for at, woken in self._sleepers:
            if at <= self._passed and not woken.done():
                woken.set_result(None)
        self._sleepers = [(at, woken) for at, woken in self._sleepers if not woken.done()]
