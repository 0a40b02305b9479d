"""`make pictures`: the README's pictures, taken from the running program with the sample in it."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Page

from tests.support.browser import Look, chromium, visitor
from tests.support.town import Town

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
LARGEST = 120 * 1024
"""Bytes of a picture, so that the README stays light."""

PASSWORD = "paper-ink-and-one-calm-colour"

WORDS = "和平路与文昌街路口的路灯从上周五起不亮了，晚上孩子放学路过很黑。"


async def take(page: Page, name: str) -> None:
    """One picture of what a visitor sees first, in 64 colours. Raises ValueError if it is too large."""
    path = FOLDER / f"{name}.png"
    with Image.open(BytesIO(await page.screenshot())) as picture:
        picture.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path.name} has {size} bytes")


def sign_in_link(town: Town, guest: str) -> str:
    """What the first start printed for one of its guests."""
    assert town.process
    assert town.process.stdout is not None
    for line in town.process.stdout:
        if guest in line:
            return line.split()[-1]
    raise ValueError(f"no link for {guest} was printed")


async def take_all(town: Town) -> None:
    """Submit, receipt, figures and queue, in that order."""
    async with chromium() as browser:
        citizen = await visitor(browser, town.address, Look(width=1280))
        page = await citizen.go("/")
        await page.locator("textarea").first.fill(WORDS)
        await take(page, "submit")
        await page.locator("main form button").last.click()
        await page.wait_for_load_state()
        await take(page, "receipt")
        await citizen.go("/insights")
        await take(page, "insights")
        await citizen.close()
        staff = await visitor(browser, town.address, Look(width=1280))
        await staff.go(sign_in_link(town, "a department lead"))
        for field in await staff.page.locator("input[type=password]").all():
            await field.fill(PASSWORD)
        await staff.page.locator("main form button").last.click()
        await staff.page.wait_for_load_state()
        await staff.go("/desk?list=open")
        await take(staff.page, "desk")
        await staff.close()


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])  # links in the pictures have to name it
        town = Town(Path(folder), HUIYIN_PORT=port, HUIYIN_SAMPLE="on", NOTIFY_CHANNEL="discard")
        try:
            await town.start()
            await take_all(town)
        finally:
            town.stop()


if __name__ == "__main__":
    asyncio.run(main())
