"""An event loop whose time is counted, not waited for: a day of timers runs in a moment, and the same way every time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


class NothingLeft(Exception):
    """Everybody waits for somebody, and nothing will ever come: a deadlock."""


class _NoWaiting(selectors.BaseSelector):
    """Instead of waiting for files, moves the loop's time to the next timer."""

    def __init__(self) -> None:
        self.loop: VirtualLoop | None = None
        self._files: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self._files[fileobj] = key = selectors.SelectorKey(fileobj, -1, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert self.loop is not None
        if timeout is None:
            raise NothingLeft
        self.loop.passed += max(timeout, 0.0)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files


class VirtualLoop(asyncio.SelectorEventLoop):
    """`passed` seconds have gone by. What other loops give to a thread is done at once."""

    def __init__(self) -> None:
        self.passed = 0.0
        selector = _NoWaiting()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.passed

    def run_in_executor(  # type: ignore[override]  # nothing is told about the arguments
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class WorldClock:
    """The time of the world: the loop's, and whole nights that pass at once."""

    START = datetime(2026, 9, 7, 1, 0, tzinfo=UTC)
    """Nine o'clock on a working Monday in the sample's town."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.skipped = timedelta(0)

    def now(self) -> datetime:
        moment = self.START + self.skipped + timedelta(seconds=self._loop.passed)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return self._loop.passed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SkewedClock:
    """A process's clock, which goes wrong by a constant."""

    def __init__(self, world: WorldClock, skew: float) -> None:
        self._world = world
        self._skew = timedelta(milliseconds=round(skew * 1000))

    def now(self) -> datetime:
        return self._world.now() + self._skew

    def monotonic(self) -> float:
        return self._world.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._world.sleep(seconds)
