"""Desk and figures, by axe and by their width: everything that staff meet, once in every scheme and at every size."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Look, Visit, Visitor, axe
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKS = [Look("zh", 1280), Look("en", 1280, scheme="dark"), Look("en", 390), Look("zh", 390, scheme="dark")]

MOVES = ("question", "return", "reassignment", "note", "closure")


async def cases(somebody: Visitor, number: str) -> AsyncIterator[str]:
    """Every page of the desk that a supervisor sees, one after the other in front."""
    page = somebody.page
    for path in (
        "/desk",
        f"/desk?q={number[9:]}",
        "/desk?q=nothing-has-these-words",
        "/desk/shortcuts",
        "/desk/nowhere",
    ):
        await somebody.go(path)
        yield path
    await somebody.go("/desk?list=open&kind=help")
    await page.locator("details.add summary").click()
    yield "filters"
    for move in MOVES:
        await somebody.go(f"/desk/cases/{number}?do={move}")
        yield move
    await somebody.go(f"/desk/cases/{number}?do=answer")
    await page.locator("#do .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "an empty answer"
    await page.locator("#f-text").fill("Done.")
    await page.locator('#do button[name="check"]').click()
    await expect(page.locator(".advice")).to_be_visible()
    yield "an answer with advice"
    await page.locator("form.unmask button").click()
    await expect(page.locator("h1")).to_be_visible()
    yield "contact"
    await somebody.go("/desk/phone")
    yield "phone"
    await page.locator("#text").fill("和平路的路灯不亮了")
    await page.locator("button[formaction]").click()
    await expect(page.locator(".foretold mark").first).to_be_visible()
    yield "phone, foretold"
    await page.locator('input[name="told"][value="email"]').check(force=True)
    await page.locator("#email").fill("nobody")
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "phone, refused"
    await page.locator("#email").fill("nobody@example.org")
    await page.locator("main .button.main").click()
    await expect(page.locator(".spelt")).to_be_visible()
    yield "the operator's receipt"
    for path in ("/desk/me", "/insights", "/insights/definitions", "/insights/table?by=category"):
        await somebody.go(path)
        yield path


async def others(visit: Visit, admin: Visit, look: Look) -> AsyncIterator[tuple[str, Page]]:
    """What an administrator and somebody who is not signed in see."""
    chief = await admin(look)
    for path in ("/desk/people", "/desk/keys"):
        yield path, await chief.go(path)
    anybody = await visit(look)
    for path in ("/sign-in", "/insights", "/insights/table?by=state"):
        yield path, await anybody.go(path)


async def faults(name: str, page: Page) -> list[str]:
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found = [f"{wide} px too wide"] if wide > 0 else []
    return [f"{name}: {fault}" for fault in [*found, *await axe(page)]]


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_everyone_can_read_the_desk_and_the_figures(
    town: Town, visit: Visit, supervisor: Visit, admin: Visit, look: Look
) -> None:
    contact = {"name": "胡女士", "email": "hu@example.org"}
    number = (await town.say("和平路的路灯不亮了", location={"address": "和平路"}, contact=contact))["number"]
    await town.case(number)
    await town.move(number, "acceptance")
    somebody = await supervisor(look)
    found = [fault async for name in cases(somebody, number) for fault in await faults(name, somebody.page)]
    found += [fault async for name, page in others(visit, admin, look) for fault in await faults(name, page)]
    assert found == []
