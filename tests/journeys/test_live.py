"""A page that listens: it hears what happens, hears no more once it may not, and never holds up a stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.http import calling
from tests.support.town import Town


@asynccontextmanager
async def listening(town: Town, headers: dict[str, str]) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of the stream; it has begun."""
    async with (
        calling(town.address) as client,
        client.stream("GET", "/v1/live", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == ["event: begin", "data: {}", ""]
        yield lines


@pytest.mark.row("F6")
async def test_a_listener_hears_and_a_stop_does_not_wait_for_it(town: Town) -> None:
    async with listening(town, town.key()) as lines:
        receipt = await town.say("The street lamp is dark")
        assert await anext(lines) == "event: case"
        line = await anext(lines)
        assert receipt["number"] in line
        assert "dark" not in line
        started = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(town.stop))
        assert [line async for line in lines if line.startswith("event")] == []
        assert await stopping == 0
        assert time.monotonic() - started < 8, "an open stream does not use up the grace of the others"


async def test_without_a_key_or_the_right_to_see_cases_nobody_listens(town: Town) -> None:
    assert (await town.get("/v1/live")).status_code == 401
    assert (await town.get("/v1/live", headers=town.key("operations"))).status_code == 403
