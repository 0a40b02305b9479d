"""How soon a page is first painted on a slow machine: `.venv/bin/python -m tests.bench.first_paint [times]`.

A new visitor each time, so nothing is in the browser's cache; the processor is throttled four times over the devtools
protocol. Citizens' pages, figures, and the desk. Prints the median and the slowest first contentful paint of each page in milliseconds. A figure is worth
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

ROWS = 40
"""Cases: more than a page of the queue has."""

Opening = Callable[[Page], Awaitable[object]]


async def paint(browser: Browser, town: Town, look: Look, opening: Opening, role: str | None) -> float:
    """Milliseconds from asking for the page to its first words, for somebody with a role or for anybody."""
    somebody = await visitor(browser, town.address, look)
    if role:
        await somebody.page.context.set_extra_http_headers(town.key(role))
    throttle = await somebody.page.context.new_cdp_session(somebody.page)
    await throttle.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    await opening(somebody.page)
    milliseconds: float = await somebody.page.evaluate(PAINT)
    await somebody.close()
    return milliseconds


async def pages(town: Town) -> list[tuple[str, str | None, Opening]]:
    """What each page is called, whose it is, and how it is opened; the town has what they show."""
    for nth in range(ROWS):
        receipt = await town.say(f"和平路的路灯不亮了，从 {nth} 号到学校，孩子晚上回家看不见路", kind="help")
    number, code = receipt["number"], receipt["code"]
    await town.move(number, "acceptance")
    await town.move(number, "answer", text="已经修好，请晚上再看一看。")
    await town.quiet()

    def path(path: str) -> Opening:
        return lambda page: page.goto(path)

    async def followed(page: Page) -> None:
        await page.goto(f"/track?lang=zh#number={number}&code={code}")
        await page.locator("main .state").wait_for()

    return [
        *((name, None, path(name)) for name in ("/", "/track", "/privacy", "/insights", "/insights/definitions")),
        ("the case, followed", None, followed),
        ("/sign-in", None, path("/sign-in")),
        *((name, "supervisor", path(name)) for name in ("/desk", "/desk?list=open", "/desk?q=路灯", "/desk/shortcuts")),
        ("the case, at the desk", "supervisor", path(f"/desk/cases/{number}")),
        ("/desk/phone", "phone-operator", path("/desk/phone")),
        ("/desk/people", "admin", path("/desk/people")),
    ]


async def measure(times: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        town = Town(Path(folder))
        await town.start()
        try:
            shown = await pages(town)
            async with chromium() as browser:
                for width in (1280, 390):
                    for name, role, opening in shown:
                        found = [await paint(browser, town, Look(width=width), opening, role) for _ in range(times)]
                        middle = statistics.median(found)
                        print(f"{name:24s} {width:5d} px  median {middle:5.0f}  slowest {max(found):5.0f}", flush=True)
        finally:
            town.stop()


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
