"""One installation and one chromium for the whole folder; everybody who visits is somebody new."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from shared.web.pages import HERE as WEB
from tests.support.browser import CHROMIUM, Look, Visit, Visitor, chromium, lacking, visitor
from tests.support.town import Town


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    await town.start()
    yield town
    town.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        lacking(f"no browser: {CHROMIUM} is missing")
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, town: Town) -> AsyncIterator[Visit]:
    """Lets somebody new visit the town; the end of the test says what their pages did wrong."""
    visitors: list[Visitor] = []

    async def come(look: Look) -> Visitor:
        if look.scripts and not (WEB / "dist" / "portal.js").exists():
            lacking("the scripts are not built: make web")
        visitors.append(await visitor(browser, town.address, look))
        return visitors[-1]

    yield come
    for one in visitors:
        await one.close()
