"""Processes are replaced one after the other under load, and nobody outside hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.distributed import Doubled
from tests.support.eventually import eventually
from tests.support.http import calling


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Doubled]:
    town = Doubled(tmp_path, HUIYIN_DRAIN="5")
    try:
        yield town
    finally:
        town.kill()
        town.gone()


async def both_ready(town: Doubled) -> None:
    """The gateway sends to both of them again."""

    async def seen() -> bool:
        async with calling(f"http://127.0.0.1:{town.haproxy.operators}") as operator:
            return 'haproxy_backend_active_servers{proxy="intake"} 2' in (await operator.get("/metrics")).text

    await eventually(seen, within=30)


@pytest.mark.distributed
@pytest.mark.row("F6")
async def test_a_rolling_restart_under_load_fails_no_request(town: Doubled) -> None:
    await town.start()
    await both_ready(town)
    told: list[int] = []
    failed: list[str] = []
    done = asyncio.Event()

    async def keep_saying(number: int) -> None:
        async with calling(town.address) as client:
            while not done.is_set():
                said = {"text": f"The bus is late {number}/{len(told)}"}
                try:
                    told.append((await client.post("/v1/feedback", json=said)).status_code)
                    told.append((await client.get("/track")).status_code)
                except httpx2.TransportError as error:
                    failed.append(type(error).__name__)
                await asyncio.sleep(0.05)

    saying = [asyncio.create_task(keep_saying(number)) for number in range(4)]
    statuses = []
    for process in town.processes:
        if process.service == "intake":
            statuses.append(await town.replace(process))
            await both_ready(town)
    done.set()
    await asyncio.gather(*saying)
    assert statuses == [0, 0]
    assert failed == []
    assert set(told) == {200, 201}, "every submission and every page"
    assert len(told) > 100
    await town.quiet()
    assert (await town.figures())["total"] == told.count(201)
    assert town.stop() == 0
