"""Groups of a batch are taken in order, a few at once; an error is told when nothing is under way any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from shared.http.ndjson import Ahead


async def a_turn() -> None:
    """Let everybody else go on for a moment."""
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turn.set_result, None)
    await turn


async def test_results_come_in_order_whoever_is_done_first() -> None:
    second = asyncio.Event()

    async def waits() -> Sequence[bytes]:
        await second.wait()
        return [b"1"]

    async def goes_on() -> Sequence[bytes]:
        second.set()
        return [b"2", b"3"]

    async with Ahead(2) as results:
        await results.after(waits)
        await results.after(goes_on)
    assert results.all == [b"1", b"2", b"3"]


async def test_no_more_than_so_many_are_under_way() -> None:
    under_way, most = 0, 0

    async def work() -> Sequence[bytes]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await a_turn()
        under_way -= 1
        return [b""]

    async with Ahead(2) as results:
        for _ in range(6):
            await results.after(work)
    assert (len(results.all), most) == (6, 2)


@pytest.mark.parametrize("failing", range(4))
async def test_an_error_is_raised_when_nothing_is_under_way(failing: int) -> None:
    begun, ended = set[int](), set[int]()

    async def work(number: int) -> Sequence[bytes]:
        begun.add(number)
        await a_turn()
        ended.add(number)
        if number == failing:
            raise ValueError(number)
        return [b""]

    async def batch() -> None:
        async with Ahead(2) as results:
            for number in range(4):
                await results.after(partial(work, number))

    with pytest.raises(ValueError, match=str(failing)):
        await batch()
    assert begun == ended
    assert begun >= set(range(failing + 1))
