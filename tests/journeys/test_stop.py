"""A stop with a word: what is in flight is answered, and the next start goes on where this one ended."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.support.eventually import eventually
from tests.support.http import calling
from tests.support.town import Town


@pytest.fixture
def founding() -> type[Town]:
    """What is said here is said of one process."""
    return Town


@pytest.mark.row("F6")
async def test_a_stop_under_load_answers_what_is_in_flight_and_ends_in_time(town: Town) -> None:
    told: list[int] = []
    refused = 0
    stopping = asyncio.Event()

    async def keep_saying(number: int) -> None:
        nonlocal refused
        async with calling(town.address) as client:
            for turn in range(10_000):
                try:
                    answer = await client.post("/v1/feedback", json={"text": f"The bus is late {number}/{turn}"})
                except httpx2.ConnectError:
                    return  # the port is closed: a balancer would have gone elsewhere
                except httpx2.TransportError:
                    if not stopping.is_set():
                        refused += 1
                    return
                told.append(answer.status_code)

    saying = [asyncio.create_task(keep_saying(number)) for number in range(8)]
    await eventually(lambda: len(told) >= 50, within=30)
    stopping.set()
    started = time.monotonic()
    status = await asyncio.to_thread(town.stop)
    assert (status, refused) == (0, 0)
    assert time.monotonic() - started < 20
    await asyncio.gather(*saying)
    assert set(told) <= {201, 503}

    accepted = told.count(201)
    await town.start()
    await town.quiet()
    assert (await town.figures())["total"] >= accepted


@pytest.mark.row("F6")
async def test_behind_a_balancer_that_looks_at_readiness_no_request_fails(tmp_path: Path) -> None:
    town = Town(tmp_path, HUIYIN_DRAIN="5")
    await town.start()
    key = town.key("integrator")
    process = town.process
    assert process
    halfway, go_on = asyncio.Event(), asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        yield b'{"text": "The lamp is broken", "key": "one"}\n'
        halfway.set()
        await go_on.wait()
        yield b'{"text": "The pipe has burst", "key": "two"}\n'

    in_flight = asyncio.create_task(town.post("/v1/feedback/batch", content=lines(), headers=key))
    await halfway.wait()
    ready, told = True, list[int]()

    async def send_while_ready() -> None:
        while ready:
            told.append((await town.post("/v1/feedback", json={"text": "The bus is late"})).status_code)

    sending = [asyncio.create_task(send_while_ready()) for _ in range(4)]
    await eventually(lambda: len(told) >= 10, within=30)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)

    async def not_ready() -> bool:
        return (await town.get("/ready")).status_code == 503

    await eventually(not_ready, within=2)
    assert (await town.get("/ready")).json()["reasons"] == {"process": "stopping"}
    assert (await town.get("/live")).status_code == 200
    ready = False
    await asyncio.gather(*sending)
    assert set(told) == {201}

    async def refused() -> bool:
        try:
            await town.get("/live")
        except httpx2.TransportError:
            return True
        return False

    await eventually(refused, within=10)
    assert process.poll() is None, "it waits for what is in flight"
    go_on.set()
    assert [json.loads(line)["status"] for line in (await in_flight).text.splitlines()] == [201, 201]
    assert await asyncio.to_thread(town.died) == 0
    assert time.monotonic() - started < 20

    await town.start()
    await town.quiet()
    assert (await town.figures())["total"] == len(told) + 2
    town.stop()
