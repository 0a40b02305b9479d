"""The `town` of a journey: a fresh installation, in one process over files or in several over the real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.distributed import Distributed, Replicated
from tests.support.town import Town

FOUNDINGS = {"one process": Town, "four processes": Distributed, "two of routing": Replicated}
ALL = ["one process", *(pytest.param(name, marks=pytest.mark.distributed) for name in list(FOUNDINGS)[1:])]


@pytest.fixture(autouse=True)
def nothing_keeps_running() -> Iterator[None]:
    yield
    for left in list(Town.running):
        left.kill()
        left.gone()


@pytest.fixture(params=ALL)
def founding(request: pytest.FixtureRequest) -> type[Town]:
    """How towns are made: the same journey is walked in each mode."""
    return FOUNDINGS[request.param]


@pytest.fixture
async def town(founding: type[Town], tmp_path: Path) -> AsyncIterator[Town]:
    town = founding(tmp_path)
    await town.start()
    yield town
    assert town.stop() == 0
    town.gone()
