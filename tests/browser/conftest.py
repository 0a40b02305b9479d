"""One installation and one chromium for the whole folder; everybody who visits is somebody new."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from shared.web.pages import HERE as WEB
from tests.support.browser import CHROMIUM, Look, Visit, Visitor, chromium, lacking, visitor
from tests.support.town import Town

Cookies = Any
"""As playwright gives and takes them."""


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


async def _signed_in(browser: Browser, town: Town, *person: str) -> Cookies:
    """The cookies of someone who came by a one-time link."""
    link = town.command("users", "add", *person).stdout.strip()
    somebody = await visitor(browser, town.address, Look())
    page = await somebody.go(urlsplit(link).path)
    for field in ("#password", "#again"):
        await page.locator(field).fill("paper, ink and one colour")
    await page.locator("main .button.main").click()
    await expect(page.locator(".who")).to_be_visible()
    cookies: Any = await page.context.cookies()
    await somebody.close()
    return cookies


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sessions(browser: Browser, town: Town) -> dict[str, Cookies]:
    """Who signed in once for the whole folder, by role."""
    people = {"case-worker": ["--department", "lighting"], "supervisor": [], "admin": []}
    return {
        role: await _signed_in(browser, town, f"the-{role}", "--role", role, *place) for role, place in people.items()
    }


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


def _as(role: str, visit: Visit, sessions: dict[str, Cookies]) -> Visit:
    async def come(look: Look) -> Visitor:
        somebody = await visit(look)
        await somebody.page.context.add_cookies(sessions[role])
        return somebody

    return come


@pytest.fixture
def worker(visit: Visit, sessions: dict[str, Cookies]) -> Visit:
    """Lets a case worker of the department of lighting, who is signed in, come in a new browser."""
    return _as("case-worker", visit, sessions)


@pytest.fixture
def supervisor(visit: Visit, sessions: dict[str, Cookies]) -> Visit:
    """The same for a supervisor, who sees every department."""
    return _as("supervisor", visit, sessions)


@pytest.fixture
def admin(visit: Visit, sessions: dict[str, Cookies]) -> Visit:
    """The same for an administrator, who sees people and no case."""
    return _as("admin", visit, sessions)
