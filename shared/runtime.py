"""The composition root: the only module that names adapters. `run` starts services until they are told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from shared.vault.vault import COLLECTIONS as VAULT_COLLECTIONS
from shared.vault.vault import Vault

GRACE = 10.0
"""Seconds that requests, and then running deliveries, get to finish at the end."""

SOCKET_PATH = 100
"""The longest path, in bytes, that a socket may have on every system."""


@dataclass(frozen=True)
class Installation:
    """Services put together over open files, running, without a port."""

    app: Edge
    health: Health
    members: dict[str, Member]
    settings: PlatformSettings
    clock: Clock


@asynccontextmanager
async def opened(services: Sequence[Service], settings: PlatformSettings) -> AsyncIterator[Installation]:
    """Open the data folder, start everything but the ports, and close it in the reverse order.

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
        health = Health()
        members: dict[str, Member] = {}
        routers: list[APIRouter] = []
        doors: dict[tuple[str, str], Door] = {}
        jobs: list[Callable[[], Awaitable[None]]] = []
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
            if wiring.timers:
                jobs.append(TimerLoop(service.name, wiring.timers, bus, pipeline, clock).run)
            wirings.append(wiring)
        routers.append(router(members, bus, access))
        app = build_app(routers, doors, settings=settings, clock=clock, ids=ids, access=access, health=health)
        for wiring in wirings:
            if wiring.start:
                await wiring.start()
        tasks = [asyncio.create_task(_kept_running(job, clock)) for job in jobs]
        stack.push_async_callback(_cancelled, tasks)
        stack.push_async_callback(bus.close)
        for member in members.values():
            await member.begin()
        yield Installation(app, health, members, settings, clock)
        health.stopping = True


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


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
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


async def serve(services: Sequence[Service], settings: PlatformSettings, say: Callable[[str], None] = print) -> None:
    """Run the services until SIGTERM or SIGINT: answer what is in flight, save positions, close the files."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        port = stack.enter_context(contextlib.closing(_port(settings)))
        host, number, *_ = port.getsockname()
        installation = await stack.enter_async_context(opened(services, settings.model_copy(update={"port": number})))
        control = stack.enter_context(_control_socket(settings.data))
        public = Server(server_config(installation.app, GRACE))
        private = Server(server_config(as_operator(installation.app), GRACE))
        serving = [
            asyncio.create_task(public.serve(sockets=[port])),
            asyncio.create_task(private.serve(sockets=[control])),
        ]
        for line in _addresses(f"http://{host}:{number}"):
            say(line)
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        log("runtime").info("stopping")
        installation.health.stopping = True
        if stop.is_set():
            await installation.clock.sleep(settings.drain)
        public.should_exit = private.should_exit = True
        await asyncio.wait(serving, timeout=GRACE)


def _addresses(base: str) -> Sequence[str]:
    return (
        f"Huiyin is running on {base}",
        f"  say something   {base}/",
        f"  follow a case   {base}/track",
        f"  open figures    {base}/insights",
        "  stop            Ctrl-C",
    )


def run(*services: Service) -> int:
    """Serve until told to stop; the exit status. Anything the operator must mend is one line on standard error."""
    import uvloop

    try:
        settings = read_settings()
        configure(settings.log)
        tracing.configure()
        uvloop.run(serve(services, settings, lambda line: print(line, flush=True)))
    except Misconfigured as error:
        log("runtime").error(str(error))
        return 1
    except ValidationError as error:
        log("runtime").error(wrong_setting(error))
        return 1
    return 0
