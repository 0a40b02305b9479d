"""Pages as a person meets them: Debian's chromium, by language, width, scheme, with and without scripts.

Whatever a page must never do is noted while it is open and told when it is closed: an error on the console, a dialog, a
request to another host.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, async_playwright

from shared.web.pages import Language

CHROMIUM = Path("/usr/bin/chromium")

QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
)
"""A browser that asks nobody anything."""

HEIGHTS = {1280: 860, 390: 844}
PATIENCE = 10_000.0
"""Milliseconds that a step may take on a busy machine."""


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody meets a page."""

    language: Language = "zh"
    width: int = 1280
    scripts: bool = True
    scheme: Literal["light", "dark"] = "light"

    def __str__(self) -> str:
        return f"{self.language}-{self.width}-{'scripts' if self.scripts else 'plain'}-{self.scheme}"


LANGUAGES: tuple[Language, ...] = ("zh", "en")
WALKS = [Look(language, width, scripts) for language in LANGUAGES for width in (1280, 390) for scripts in (True, False)]
"""Everything that a walk is walked in."""


class Visitor:
    """One person's browser: its own cookies and storage. `page` is the page in front."""

    def __init__(self, context: BrowserContext, page: Page, look: Look, address: str) -> None:
        self.page, self.look = page, look
        self.complaints: list[str] = []
        self._context, self._address = context, address
        self._navigated: set[str] = set()
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("dialog", self._on_dialog)
        context.on("weberror", lambda error: self.complaints.append(f"script error: {error.error}"))

    async def go(self, path: str) -> Page:
        """Open a path of the installation in the look's language."""
        await self.page.goto(f"{path}{'&' if '?' in path else '?'}lang={self.look.language}")
        return self.page

    async def close(self) -> None:
        """Leave. Raises AssertionError with everything that the pages should not have done."""
        await self._context.close()
        assert not self.complaints, self.complaints

    def _on_request(self, request: Request) -> None:
        if request.is_navigation_request():
            self._navigated.add(request.url)
        if not request.url.startswith((f"{self._address}/", "data:", "blob:", "about:")):
            self.complaints.append(f"a request to another host: {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        told_by_status = message.text.startswith("Failed to load resource: the server responded with a status of")
        if told_by_status and message.location["url"] in self._navigated:
            return  # the page itself is a 404 or a 422, which is what the test asked for
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text} ({message.location['url']})")

    async def _on_dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        await dialog.dismiss()


Visit = Callable[[Look], Awaitable[Visitor]]
"""The fixture `visit` of tests/browser: somebody new comes, and is closed when the test ends."""


def lacking(what: str) -> None:
    """Skips the test for want of something that CI must have."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser; a visitor of it takes a few milliseconds."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        yield browser
        await browser.close()


async def visitor(browser: Browser, address: str, look: Look) -> Visitor:
    """Somebody new."""
    context = await browser.new_context(
        base_url=address,
        locale="zh-CN" if look.language == "zh" else "en-GB",
        viewport={"width": look.width, "height": HEIGHTS.get(look.width, 860)},
        java_script_enabled=look.scripts,
        color_scheme=look.scheme,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    return Visitor(context, await context.new_page(), look, address)


async def axe(page: Page, *rules: str) -> list[str]:
    """What axe finds on the page in front, one line each: by every rule, or by these. The page needs scripts."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": [*rules]} if rules else {})
    found: dict[str, Any] = (await Axe().run(page, options=options)).response
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
