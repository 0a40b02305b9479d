"""Serving an installation: its ports, the operator's way in, and the end with a word."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import httpx2

from shared.errors import Misconfigured
from shared.http.health import operations
from shared.http.server import Server, as_operator, server_config
from shared.runtime.installation import Installation, cancelled, opened
from shared.service import Service
from shared.settings import PlatformSettings
from shared.telemetry.logs import log

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


def _port(host: str, port: int) -> socket.socket:
    """A port, taken before the files are opened: links need its number. Who comes early waits."""
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise Misconfigured(f"port {port} of {host} cannot be used: {reason}") from None


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
    alone = settings.distributed and len(services) == 1
    if alone and "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": services[0].port})
    async with AsyncExitStack() as stack:
        port = stack.enter_context(contextlib.closing(_port(settings.host, settings.port)))
        host, number, *_ = port.getsockname()
        settings = settings.model_copy(update={"port": number, "operations_port": _operations_port(settings)})
        own = _port(settings.host, settings.operations_port) if settings.operations_port is not None else None
        if own:
            stack.enter_context(contextlib.closing(own))
        installation = await stack.enter_async_context(opened(services, settings, prelude.begins if prelude else None))
        control = stack.enter_context(_control_socket(settings.data))
        per_address = None if settings.trusted_proxies else settings.connections
        public = Server(server_config(installation.app, GRACE, per_address))
        private = Server(server_config(as_operator(installation.app), GRACE))
        ports = [(public, port), (private, control)]
        if own:
            ports.append((Server(server_config(operations(installation.health), GRACE)), own))
        serving = [asyncio.create_task(server.serve(sockets=[at])) for server, at in ports]
        waiting = asyncio.create_task(stop.wait())
        more: Sequence[str] = ()
        if prelude and not installation.timers.is_set():
            playing = asyncio.create_task(_played(prelude, installation))
            await asyncio.wait([waiting, playing, *serving], return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                more = await playing
            else:
                await cancelled([playing])
        if not stop.is_set():
            base = f"http://{host}:{number}"
            beside = [f"  for operators   http://{host}:{own.getsockname()[1]}/metrics"] if own else []
            for line in (*_addresses(base, services[0].name if alone else None), *beside, *more):
                say(line)
        await asyncio.wait([waiting, *serving], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        log("runtime").info("stopping")
        installation.health.ending.set()
        if stop.is_set():
            await installation.clock.sleep(settings.drain)
        for server, _ in ports:
            server.should_exit = True
        await asyncio.wait(serving, timeout=GRACE)


async def _played(prelude: Prelude, installation: Installation) -> Sequence[str]:
    transport = httpx2.ASGITransport(app=as_operator(installation.app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://control", timeout=PATIENCE) as client:
        said = await prelude.play(client)
    installation.timers.set()
    return said


def _operations_port(settings: PlatformSettings) -> int | None:
    """Distributed processes have a port for probes and metrics: unless it is given, a thousand above the public one."""
    if settings.operations_port is not None or not settings.distributed:
        return settings.operations_port
    return settings.port + 1000 if settings.port else 0


def _addresses(base: str, service: str | None) -> Sequence[str]:
    if service:
        return (f"{service} is running on {base}",)
    return (
        f"Huiyin is running on {base}",
        f"  say something   {base}/",
        f"  follow a case   {base}/track",
        f"  open figures    {base}/insights",
        "  stop            Ctrl-C",
    )
