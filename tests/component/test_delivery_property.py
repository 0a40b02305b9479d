"""Any cut, repetition and restart of one stream of records gives the same documents, answers and figures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from shared.events.envelope import Envelope
from shared.store.port import Query
from tests.support.delivery import COUNTED, DIARY, Toy, message, opened, rating, received, unknown
from tests.support.events import key_in

KEYS = [key_in(0, nth) for nth in range(4)]


def stream(lengths: list[int]) -> list[Envelope]:
    """The cases' stories, woven together, with ratings and events of an unknown service between."""
    stories = [
        [
            received(key),
            *((rating if n % 3 == 0 else message)(key, n) for n in range(2, length + 1)),
            *(unknown(key, n) for n in range(1, length)),
        ]
        for key, length in zip(KEYS, lengths, strict=True)
    ]
    longest = max(map(len, stories))
    return [story[n] for n in range(longest) for story in stories if n < len(story)]


async def kept(toy: Toy) -> bytes:
    """Everything that is kept, without revisions and positions."""
    found: dict[str, Any] = {"answers": await toy.answers(), "cells": sorted((await toy.cells()).items())}
    for store, collection in ((toy.diary_store, DIARY), (toy.counted_store, COUNTED)):
        page = await store.find(collection.name, Query(limit=1_000))
        found[collection.name] = {
            document.id: {name: value for name, value in sorted(document.body.items()) if name != "position"}
            for document in page.documents
        }
    assert await toy.letters() == await toy.letters(toy.counted_store) == []
    found["answers"].sort()
    return to_json(found)


async def undisturbed(envelopes: list[Envelope]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder)) as toy:
            await toy.bus.publish(envelopes)
            records = await toy.on_the_log()
            await toy.pipeline.deliver(records)
            await toy.counter.deliver(records)
            return await kept(toy)


@pytest.mark.row("F21")
@pytest.mark.row("F22")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
async def test_any_cut_and_repetition_of_a_stream_gives_the_same(data: st.DataObject) -> None:
    envelopes = stream(data.draw(st.lists(st.integers(1, 6), min_size=4, max_size=4)))
    expected = await undisturbed(envelopes)
    swaps = data.draw(st.lists(st.integers(0, len(envelopes) - 2), max_size=4))
    disturbed = list(envelopes)
    for place in swaps:  # what was published by two relays may stand in another order, or twice
        disturbed[place : place + 2] = [disturbed[place + 1], disturbed[place], disturbed[place + 1]]
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder)) as toy:
            await toy.bus.publish(disturbed)
            records = await toy.on_the_log()
            start = 0
            while start < len(records):
                size = data.draw(st.integers(1, 9), label="size")
                again = data.draw(st.integers(0, 3), label="again")
                for _ in range(again + 1):
                    await toy.pipeline.deliver(records[start : start + size])
                    await toy.counter.deliver(records[start : start + size])
                    if data.draw(st.booleans(), label="restart"):
                        toy = toy.restarted()
                start += data.draw(st.integers(1, size), label="forward")
            assert await kept(toy) == expected
