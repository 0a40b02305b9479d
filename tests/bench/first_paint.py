"""How soon a page is first painted on a slow machine: `.venv/bin/python -m tests.bench.first_paint [times]`.

A new visitor each time, so nothing is in the browser's cache; the processor is throttled four times over the devtools
protocol. Prints the median and the slowest first contentful paint of each page in milliseconds. A figure is worth
reading only on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.support.browser import Look, chromium, visitor
from tests.support.town import Town

SLOWER = 4
PAINT = """() => new Promise(told => new PerformanceObserver(list => {
    for (const entry of list.getEntriesByName('first-contentful-paint')) told(entry.startTime);
}).observe({ type: 'paint', buffered: true }))"""

Opening = Callable[[Page], Awaitable[object]]


async def paint(browser: Browser, town: Town, look: Look, opening: Opening) -> float:
    """Milliseconds from asking for the page to its first words."""
    somebody = await visitor(browser, town.address, look)
    throttle = await somebody.page.context.new_cdp_session(somebody.page)
    await throttle.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    await opening(somebody.page)
    milliseconds: float = await somebody.page.evaluate(PAINT)
    await somebody.close()
    return milliseconds


async def measure(times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder))
        await town.start()
        try:
            receipt = await town.say("和平路的路灯不亮了", kind="help")
            await town.case(receipt["number"])
            await town.quiet()

            def path(path: str) -> Opening:
                return lambda page: page.goto(path)

            async def case(page: Page) -> None:
                await page.goto(f"/track?lang=zh#number={receipt['number']}&code={receipt['code']}")
                await page.locator("main .state").wait_for()

            pages = {"/": path("/"), "/track": path("/track"), "the case": case, "/privacy": path("/privacy")}
            pages["/insights"] = path("/insights")
            async with chromium() as browser:
                for width in (1280, 390):
                    for name, opening in pages.items():
                        found = [await paint(browser, town, Look(width=width), opening) for _ in range(times)]
                        print(
                            f"{name:10s} {width:5d} px  median {statistics.median(found):5.0f}  slowest {max(found):5.0f}"
                        )
        finally:
            town.stop()


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
