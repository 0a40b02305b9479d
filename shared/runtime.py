"""The composition root: the only module that names adapters. `run` starts services until they are told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx2
from fastapi import APIRouter
from pydantic import ValidationError

from shared.bus.sqlite import SqliteBus
from shared.clock import Clock, SystemClock, SystemIds
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.delivery.outbox import Outbox
from shared.delivery.pipeline import Pipeline
from shared.delivery.timers import TimerLoop
from shared.errors import Misconfigured
from shared.http.access import COLLECTIONS as ACCESS_COLLECTIONS
from shared.http.access import Access
from shared.http.edge import Door, Edge, build_app
from shared.http.health import Health
from shared.http.server import Server, as_operator, server_config
from shared.operations import MARKS, Member, router
from shared.service import Platform, Service, Wiring
from shared.settings import PlatformSettings, read_settings, wrong_setting
from shared.sqlite import FolderLock
from shared.store.port import Collection
from shared.store.sqlite import SqliteStore
from shared.telemetry import tracing
from shared.telemetry.logs import configure, log
from shared.telemetry.watchdog import watch_loop
from shared.vault.vault import COLLECTIONS as VAULT_COLLECTIONS
from shared.vault.vault import Vault

YOUNG = 10_000
"""Objects made before the collector of reference cycles looks for some. Hardly any are made here but by the pages (their
macros), so at Python's 700 a tenth of all time went into looking; at 100,000 every hundredth page waited 100 ms for it."""

GRACE = 10.0
"""Seconds that requests, and then running deliveries, get to finish at the end."""

PATIENCE = 60.0
"""Seconds that one call of the prelude may take."""

SOCKET_PATH = 100
"""The longest path, in bytes, that a socket may have on every system."""


class Prelude(Protocol):
    """What is done before time may act on cases, such as taking in a past that has deadlines of its own."""

    def begins(self, fresh: bool) -> bool:
        """Whether there is something to do, also after a start that did not finish it. `fresh`: the log is empty."""

    async def play(self, client: httpx2.AsyncClient) -> Sequence[str]:
        """Do it, as the operator; what to say when it is done. May be cancelled, and then comes again."""


@dataclass(frozen=True)
class Installation:
    """Services put together over open files, running, without a port. Timers fire once `timers` is set."""

    app: Edge
    health: Health
    members: dict[str, Member]
    settings: PlatformSettings
    clock: Clock
    timers: asyncio.Event


@asynccontextmanager
async def opened(
    services: Sequence[Service], settings: PlatformSettings, held: Callable[[bool], bool] = lambda fresh: False
) -> AsyncIterator[Installation]:
    """Open the data folder, start everything but the ports, and close it in the reverse order.

    `held` is told whether the log is empty, before anything starts, and says whether the timers have to wait.

    Raises `Misconfigured`, one line, if the folder is in use or not writable, or the key file is missing.
    """
    clock = SystemClock()
    ids = SystemIds(clock)
    async with AsyncExitStack() as stack:
        stack.enter_context(FolderLock(settings.data))

        async def store(name: str, collections: Sequence[Collection]) -> SqliteStore:
            opened = await SqliteStore.open(settings.data / f"{name}.db", collections, clock)
            stack.push_async_callback(opened.close)
            return opened

        vault = await Vault.open(
            await store("vault", VAULT_COLLECTIONS), settings.keys_folder / "huiyin.key", ids, clock
        )
        stack.push_async_callback(vault.close)
        access = Access(await store("access", ACCESS_COLLECTIONS), ids, clock, settings.link_base)
        bus = await SqliteBus.open(settings.data / "log.db", clock)
        timers = asyncio.Event()
        if not held(not any((await bus.ends()).values())):
            timers.set()
        health = Health()
        members: dict[str, Member] = {}
        routers: list[APIRouter] = []
        doors: dict[tuple[str, str], Door] = {}
        jobs: list[Callable[[], Awaitable[None]]] = [partial(watch_loop, clock)]
        wirings: list[Wiring] = []
        for service in services:
            own = await store(service.name, [*service.collections, DEAD_LETTERS, MARKS])
            outbox = Outbox(own, service.name, clock, ids)
            platform = Platform(settings, clock, ids, outbox, vault.held_by(service.opens), access)
            wiring = service.build(platform)
            pipeline = Pipeline(
                service.name,
                wiring.documents,
                service.subscriptions,
                store=outbox,
                vault=platform.vault,
                bus=bus,
                clock=clock,
                ids=ids,
                knows=wiring.knows,
            )
            members[service.name] = Member(service, outbox, pipeline, bus, clock)
            health.checks[service.name] = _check(wiring, pipeline)
            routers.append(wiring.router)
            doors.update(wiring.doors)
            jobs.append(partial(outbox.run, bus))
            jobs.extend([pipeline.watch, *wiring.jobs])
            jobs.extend(partial(follow, bus) for follow in wiring.followers)
            if wiring.timers:
                loop = TimerLoop(service.name, wiring.timers, bus, pipeline, clock)
                jobs.append(partial(_when, timers, loop.run))
            wirings.append(wiring)
        routers.append(router(members, bus, access))
        stray = next((wiring.stray for wiring in wirings if wiring.stray), None)
        app = build_app(
            routers, doors, settings=settings, clock=clock, ids=ids, access=access, health=health, stray=stray
        )
        for wiring in wirings:
            if wiring.start:
                await wiring.start()
        tasks = [asyncio.create_task(_kept_running(job, clock)) for job in jobs]
        stack.push_async_callback(_cancelled, tasks)
        stack.push_async_callback(bus.close)
        spare_the_collector()
        for member in members.values():
            await member.begin()
        yield Installation(app, health, members, settings, clock, timers)
        health.ending.set()


def spare_the_collector() -> None:
    """What is there now stays to the end: the garbage collector does not look through it again, and looks rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
    gc.enable()


def _check(wiring: Wiring, pipeline: Pipeline) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        if pipeline.stopped:
            return pipeline.stopped
        return await wiring.ready() if wiring.ready else None

    return check


async def _kept_running(job: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """A job that fails is said so and started again: the others depend on it."""
    while True:
        try:
            await job()
            return
        except Exception as error:
            log("runtime").error("a job failed and starts again", error=type(error).__name__)
            await clock.sleep(1)


async def _when(released: asyncio.Event, job: Callable[[], Awaitable[None]]) -> None:
    await released.wait()
    await job()


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _control_socket(folder: Path) -> Iterator[socket.socket]:
    """A listening `control.sock`, mode 0600; only who holds the folder's lock comes here, so a stale one is removed."""
    path = folder / "control.sock"
    pointer = folder / "control.path"
    pointer.unlink(missing_ok=True)
    if len(os.fsencode(path.resolve())) > SOCKET_PATH:
        path = Path(tempfile.mkdtemp(prefix="huiyin-")) / "control.sock"
        pointer.write_text(str(path), encoding="utf-8")
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    try:
        yield listening
    finally:
        listening.close()
        path.unlink(missing_ok=True)
        if pointer.exists():
            pointer.unlink()
            path.parent.rmdir()


def _port(settings: PlatformSettings) -> socket.socket:
    """The public port, taken before the files are opened: links need its number. Who comes early waits."""
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise Misconfigured(f"port {settings.port} of {settings.host} cannot be used: {reason}") from None


async def serve(
    services: Sequence[Service],
    settings: PlatformSettings,
    say: Callable[[str], None] = print,
    prelude: Prelude | None = None,
) -> None:
    """Run the services until SIGTERM or SIGINT: answer what is in flight, save positions, close the files."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        port = stack.enter_context(contextlib.closing(_port(settings)))
        host, number, *_ = port.getsockname()
        settings = settings.model_copy(update={"port": number})
        installation = await stack.enter_async_context(
            opened(services, settings, prelude.begins) if prelude else opened(services, settings)
        )
        control = stack.enter_context(_control_socket(settings.data))
        public = Server(server_config(installation.app, GRACE))
        private = Server(server_config(as_operator(installation.app), GRACE))
        serving = [
            asyncio.create_task(public.serve(sockets=[port])),
            asyncio.create_task(private.serve(sockets=[control])),
        ]
        waiting = asyncio.create_task(stop.wait())
        more: Sequence[str] = ()
        if prelude and not installation.timers.is_set():
            playing = asyncio.create_task(_played(prelude, installation))
            await asyncio.wait([waiting, playing, *serving], return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                more = await playing
            else:
                await _cancelled([playing])
        if not stop.is_set():
            for line in (*_addresses(f"http://{host}:{number}"), *more):
                say(line)
        await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        log("runtime").info("stopping")
        installation.health.ending.set()
        if stop.is_set():
            await installation.clock.sleep(settings.drain)
        public.should_exit = private.should_exit = True
        await asyncio.wait(serving, timeout=GRACE)


async def _played(prelude: Prelude, installation: Installation) -> Sequence[str]:
    transport = httpx2.ASGITransport(app=as_operator(installation.app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://control", timeout=PATIENCE) as client:
        said = await prelude.play(client)
    installation.timers.set()
    return said


def _addresses(base: str) -> Sequence[str]:
    return (
        f"Huiyin is running on {base}",
        f"  say something   {base}/",
        f"  follow a case   {base}/track",
        f"  open figures    {base}/insights",
        "  stop            Ctrl-C",
    )


def run(*services: Service, prelude: Callable[[PlatformSettings], Prelude] | None = None) -> int:
    """Serve until told to stop; the exit status. Anything the operator must mend is one line on standard error."""
    import uvloop

    try:
        settings = read_settings()
        configure(settings.log)
        tracing.configure()
        first = prelude(settings) if prelude else None
        uvloop.run(serve(services, settings, lambda line: print(line, flush=True), first))
    except Misconfigured as error:
        log("runtime").error(str(error))
        return 1
    except ValidationError as error:
        log("runtime").error(wrong_setting(error))
        return 1
    return 0
