"""A stop with a word: what is in flight is answered, and the next start goes on where this one ended."""

from __future__ import annotations

import asyncio
import time

import httpx2
import pytest

from tests.support.town import Town


@pytest.mark.row("F6")
async def test_a_stop_under_load_answers_what_is_in_flight_and_ends_in_time(town: Town) -> None:
    told: list[int] = []
    refused = 0
    stopping = asyncio.Event()

    async def keep_saying(number: int) -> None:
        nonlocal refused
        async with httpx2.AsyncClient(base_url=town.address, timeout=30, trust_env=False) as client:
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
    while len(told) < 50:
        await asyncio.sleep(0.01)
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
