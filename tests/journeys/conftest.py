"""The `town` of a journey: a fresh installation in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.town import Town


@pytest.fixture(autouse=True)
def nothing_keeps_running() -> Iterator[None]:
    yield
    for left in list(Town.running):
        left.kill()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.start()
    yield town
    town.stop()
