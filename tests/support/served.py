"""A whole installation on a loopback port, in a thread of its own: for tools that call it and wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvloop
from fastapi.routing import iter_route_contexts

from services.four import SERVICES
from shared.http.server import as_operator
from shared.runtime import opened
from shared.settings import PlatformSettings
from tests.support.edge import served as on_a_port
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Served:
    """Where it answers, what its OpenAPI document says, every method and path there is (pages too), and a key for each
    holder that was asked for: a role, or `role@department`."""

    address: str
    openapi: dict[str, Any]
    routes: frozenset[tuple[str, str]]
    keys: dict[str, str]


@contextmanager
def installation(folder: Path, environment: pytest.MonkeyPatch, *holders: str) -> Iterator[Served]:
    """Everything over fresh files in `folder`, without a limit on submissions."""
    environment.setenv("INTAKE_RATE", "off")
    environment.setenv("NOTIFY_DIGEST", "0")
    found: list[Served] = []
    up, down = threading.Event(), threading.Event()

    async def live() -> None:
        async with (
            opened(SERVICES, PlatformSettings(data=folder, reserve=1)) as whole,
            on_a_port(whole.app) as (host, port),
        ):
            operator = httpx2.ASGITransport(app=as_operator(whole.app))
            async with httpx2.AsyncClient(transport=operator, base_url="http://control") as client:

                async def ready() -> bool:
                    return (await client.get("/ready")).status_code == 200

                await eventually(ready)
                keys = {holder: await _key(client, *holder.split("@")) for holder in holders}
            app = whole.app.app
            routes = frozenset(
                (method, route.path or "")
                for route in iter_route_contexts(app.routes)
                for method in getattr(route, "methods", None) or ()
            )
            found.append(Served(f"http://{host}:{port}", app.openapi(), routes, keys))
            up.set()
            await asyncio.to_thread(down.wait)

    def run() -> None:
        try:
            uvloop.run(live())  # as the runtime does; asyncio leaves Nagle on for a socket that was made beforehand
        finally:
            up.set()

    thread = threading.Thread(target=run, name="installation")
    thread.start()
    try:
        assert up.wait(30), "the installation did not start"
        yield found[0]
    finally:
        down.set()
        thread.join(30)


async def _key(operator: httpx2.AsyncClient, role: str, *departments: str) -> str:
    answer = await operator.post("/control/keys", json={"role": role, "departments": departments})
    return str(answer.json()["key"])
