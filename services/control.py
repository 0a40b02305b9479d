"""The operator's way in: the running process over `control.sock`, or the files themselves where nothing runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import typer

from shared.errors import HuiyinError, Misconfigured
from shared.settings import PlatformSettings, read_settings
from shared.telemetry.logs import configure

PATIENCE = 600.0
"""Seconds that one call to the running process may take."""


@asynccontextmanager
async def operator(settings: PlatformSettings) -> AsyncIterator[httpx2.AsyncClient]:
    """The operator's way in: the running process, or the files themselves where nothing runs."""
    pointer = settings.data / "control.path"
    path = Path(pointer.read_text(encoding="utf-8")) if pointer.exists() else settings.data / "control.sock"
    if await _answers(path):
        # There is no TLS on a socket, and reading the world's certificates takes longer than most calls.
        transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(uds=str(path), verify=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://control", timeout=PATIENCE) as client:
            yield client
        return
    from services.four import SERVICES
    from services.sample import is_unfinished
    from shared.http.server import as_operator
    from shared.runtime import opened

    waits, alone = is_unfinished(settings.data), not settings.distributed  # elsewhere other processes do the work
    async with opened(SERVICES, settings, held=lambda _: waits, working=alone) as installation:
        transport = httpx2.ASGITransport(app=as_operator(installation.app))
        async with httpx2.AsyncClient(transport=transport, base_url="http://control", timeout=PATIENCE) as client:
            yield client


async def _answers(path: Path) -> bool:
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_unix_connection(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    writer.close()
    return True


def told(work: Callable[[httpx2.AsyncClient], Awaitable[None]]) -> None:
    """Run a command's work as the operator; an error is one line and a non-zero exit."""

    async def whole(settings: PlatformSettings) -> None:
        async with operator(settings) as client:
            await work(client)

    finished(whole)


def finished(work: Callable[[PlatformSettings], Awaitable[str | None]]) -> None:
    """Run a command's work and print what it says; an error is one line and a non-zero exit."""

    async def whole() -> None:
        if said := await work(settings):
            print(said)

    try:
        settings = read_settings()
        configure("text")
        asyncio.run(whole())
    except Misconfigured as error:
        give_up(str(error))
    except httpx2.TransportError:
        give_up("the running process went away: run the command again")
    except HuiyinError as error:
        give_up(str(error))
    except OSError as error:
        give_up(f"{error.filename}: {error.strerror}")


def give_up(sentence: str) -> None:
    """One line on standard error, and a non-zero exit."""
    print(f"huiyin: {sentence}", file=sys.stderr)
    raise typer.Exit(1)


def checked(answer: httpx2.Response) -> httpx2.Response:
    """The answer of a call that succeeded. Raises `Misconfigured` with the problem's words."""
    if answer.is_success:
        return answer
    try:
        problem = answer.json()
        errors = (f"{e['location']}: {e['code']}" for e in problem.get("errors", []))
        words = [problem.get("title", ""), *errors, problem.get("detail", "")]
    except ValueError:
        words = [f"status {answer.status_code}"]
    raise Misconfigured("; ".join(word for word in words if word))


async def lines(client: httpx2.AsyncClient, method: str, path: str) -> AsyncIterator[dict[str, Any]]:
    """The objects of an NDJSON answer as they come."""
    async with client.stream(method, path) as answer:
        if not answer.is_success:
            await answer.aread()
            checked(answer)
        async for line in answer.aiter_lines():
            yield json.loads(line)
