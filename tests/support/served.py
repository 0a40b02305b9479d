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

from services.four import SERVICES
from shared.http.server import as_operator
from shared.runtime import opened
from shared.settings import PlatformSettings
from tests.support.edge import served as on_a_port
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Served:
    """Where it answers, what its OpenAPI document says, and a key for each role that was asked for."""

    address: str
    openapi: dict[str, Any]
    keys: dict[str, str]


@contextmanager
def installation(folder: Path, environment: pytest.MonkeyPatch, *roles: str) -> Iterator[Served]:
    """Everything over fresh files in `folder`, without a limit on submissions."""
    environment.setenv("INTAKE_RATE", "off")
    found: list[Served] = []
    up, down = threading.Event(), threading.Event()

    async def live() -> None:
        async with opened(SERVICES, PlatformSettings(data=folder)) as whole, on_a_port(whole.app) as (host, port):
            operator = httpx2.ASGITransport(app=as_operator(whole.app))
            async with httpx2.AsyncClient(transport=operator, base_url="http://control") as client:

                async def ready() -> bool:
                    return (await client.get("/ready")).status_code == 200

                await eventually(ready)
                keys = {role: (await client.post("/control/keys", json={"role": role})).json()["key"] for role in roles}
            found.append(Served(f"http://{host}:{port}", whole.app.app.openapi(), keys))
            up.set()
            await asyncio.to_thread(down.wait)

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="installation")
    thread.start()
    try:
        assert up.wait(30), "the installation did not start"
        yield found[0]
    finally:
        down.set()
        thread.join(30)
