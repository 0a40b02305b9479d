"""What the services of a process stand on: files of the data folder, or servers that several processes share.

The servers' adapters are imported only where a setting names servers: embedded mode needs none of their clients.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.bus.port import EventBus
from shared.bus.sqlite import SqliteBus
from shared.clock import Clock, CorrectedClock, SystemClock
from shared.errors import Misconfigured, Unavailable
from shared.settings import PlatformSettings
from shared.sqlite import Reserve
from shared.store.port import Collection, DocumentStore
from shared.store.sqlite import SqliteStore
from shared.telemetry.logs import log

if TYPE_CHECKING:
    from shared.bus.kafka import KafkaBus, Topic
    from shared.store.mongo import Mongo

SKEW = timedelta(seconds=2)
"""How far a machine's clock may be from the database's for a process to start; nearer ones are corrected."""

LOOK = 60.0
"""Seconds between two looks at the database's clock."""

AGAIN = 5.0
"""Seconds between two looks at a log that was away at the start."""


@dataclass(frozen=True)
class Ground:
    """A clock, the log, and a store by its name. The log is closed by whoever consumes it, the stores with the ground."""

    clock: Clock
    bus: EventBus
    store: Callable[[str, Sequence[Collection]], Awaitable[DocumentStore]]
    jobs: Sequence[Callable[[], Awaitable[None]]] = ()


@asynccontextmanager
async def ground(settings: PlatformSettings, needs_log: bool = True) -> AsyncIterator[Ground]:
    """What the settings name. `needs_log`: whether it is a mistake to start while the log is away.

    Raises `Misconfigured`, one line.
    """
    if settings.distributed:
        async with _servers(settings, needs_log) as found:
            yield found
    else:
        async with _files(settings) as found:
            yield found


@asynccontextmanager
async def _files(settings: PlatformSettings) -> AsyncIterator[Ground]:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        reserve = stack.enter_context(Reserve(settings.data, settings.reserve << 20))

        async def store(name: str, collections: Sequence[Collection]) -> DocumentStore:
            opened = await SqliteStore.open(settings.data / f"{name}.db", collections, clock, full=reserve.is_full)
            stack.push_async_callback(opened.close)
            return opened

        bus = await SqliteBus.open(settings.data / "log.db", clock)
        yield Ground(clock, bus, store, [partial(reserve.watch, clock)])


@asynccontextmanager
async def _servers(settings: PlatformSettings, needs_log: bool) -> AsyncIterator[Ground]:
    try:
        from shared.bus.kafka import KafkaBus
        from shared.store.mongo import Mongo
    except ImportError as error:
        raise Misconfigured(f"{error.name} is not installed: pip install 'huiyin[distributed]'") from None
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said once, by the adapter
    clock = CorrectedClock(SystemClock())
    assert settings.mongo_url
    mongo = await Mongo.connect(settings.mongo_url.get_secret_value(), settings.namespace, settings.mongo_driver)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(mongo.close)
        await _correct(clock, mongo)
        topic = _topic(settings)
        jobs: list[Callable[[], Awaitable[None]]] = [lambda: _keep_correct(clock, mongo)]
        bus = KafkaBus(topic, clock, settings.instance)
        try:
            await bus.check()
        except Unavailable as error:
            if needs_log:
                raise Misconfigured(str(error)) from None
            log("runtime").warning("the log is away; what is accepted waits for it")
            jobs.append(lambda: _check_later(bus, clock))
        yield Ground(clock, bus, mongo.store, jobs)


async def apply_topics(settings: PlatformSettings) -> str:
    """Make the log's topic what it has to be; what was done. Raises `Misconfigured` and `Unavailable`."""
    if settings.kafka_url is None:
        raise Misconfigured("HUIYIN_KAFKA_URL is not set: only the distributed mode has a topic")
    from shared.bus.kafka import apply

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return await apply(_topic(settings))


def _topic(settings: PlatformSettings) -> Topic:
    from shared.bus.kafka import Topic

    assert settings.kafka_url
    return Topic(settings.kafka_url, settings.namespace)


async def _correct(clock: CorrectedClock, mongo: Mongo) -> None:
    skew = await mongo.skew(SystemClock())
    if abs(skew) > SKEW:
        raise Misconfigured(
            f"this machine's clock is {abs(skew).total_seconds():.1f} s from the database's: set it right"
        )
    clock.ahead = skew


async def _keep_correct(clock: CorrectedClock, mongo: Mongo) -> None:
    """What a clock gains or loses while the process runs is corrected, however much it is."""
    while True:
        await clock.sleep(LOOK)
        try:
            clock.ahead = await mongo.skew(SystemClock())
        except Unavailable:
            continue
        if abs(clock.ahead) > SKEW:
            log("runtime").error("this machine's clock is wrong", seconds=clock.ahead.total_seconds())


async def _check_later(bus: KafkaBus, clock: Clock) -> None:
    """Look at a log that was away at the start once it is there."""
    while True:
        await clock.sleep(AGAIN)
        try:
            await bus.check()
        except Unavailable:
            continue
        except Misconfigured as error:
            log("runtime").critical(str(error))
        else:
            return
