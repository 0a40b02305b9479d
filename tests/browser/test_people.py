"""From a one-time link to the desk, one's own account, and administration: for everyone, at every size."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Look, Visit, Visitor, axe
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "correct horse battery"
NAMES = (f"admin{n}" for n in itertools.count())

LOOKS = [Look("zh", 1280), Look("en", 390), Look("en", 1280, scheme="dark"), Look("zh", 390, scripts=False)]


async def pages(somebody: Visitor, town: Town) -> AsyncIterator[tuple[str, Page]]:
    """Each page once, by name."""
    name = next(NAMES)
    link = town.command("users", "add", name, "--role", "admin").stdout.strip()
    other = town.command("users", "add", f"wang-of-{name}", "--role", "case-worker", "--department", "lighting").stdout
    assert other.startswith("http")
    page = await somebody.go(urlsplit(link).path)
    yield "link", page
    await page.locator("#password").fill("short and sw")
    await page.locator("#again").fill("something else")
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "link-error", page
    await page.locator("#password").fill(PASSWORD)
    await page.locator("#again").fill(PASSWORD)
    await page.locator("main .button.main").click()
    await expect(page).to_have_url(re.compile(r"/desk/people(\?|$)"))
    await somebody.go("/desk/people")
    yield "people", page
    await page.locator("#name").fill("a b")
    await page.locator("#role").select_option("case-worker")
    await page.locator('input[name="department.water"]').check()
    await page.locator("section .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.locator('input[name="department.water"]')).to_be_checked()
    yield "people-error", page
    await page.locator("#name").fill(f"li-of-{name}")
    await page.locator("section .button.main").click()
    await expect(page.locator("#link")).to_be_visible()
    yield "people-added", page
    await page.locator("tbody a").last.click()
    await expect(page.locator("#role")).to_have_value("case-worker")
    yield "person", page
    await somebody.go("/desk/keys")
    await page.locator("#name").fill("hotline")
    await page.locator("#role").select_option("phone-operator")
    await page.locator("section .button.main").click()
    await expect(page.locator("#key")).to_be_visible()
    yield "keys", page
    await somebody.go("/desk/me")
    yield "me", page
    await page.locator('input[name="everywhere"] + .button').click()
    await expect(page.get_by_role("status")).to_be_visible()
    yield "signed-out", page
    await page.locator("#name").fill(name)
    await page.locator("#password").fill("not the password")
    await page.locator("main .button.main").click()
    await expect(page.locator("#problem")).to_be_visible()
    await expect(page.locator("#name")).to_have_value(name)
    yield "sign-in-error", page
    await page.locator("#password").fill(PASSWORD)
    await page.locator("main .button.main").click()
    await expect(page).to_have_url(re.compile(r"/desk/people(\?|$)"))


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_people_and_sign_in_are_readable_by_everyone_at_every_size(visit: Visit, town: Town, look: Look) -> None:
    somebody = await visit(look)
    found = []
    async for name, page in pages(somebody, town):
        if look.scripts:
            found += [f"{name}: {fault}" for fault in await axe(page)]
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                found.append(f"{name}: {wide} px too wide")
    assert found == []


async def test_a_form_goes_through_a_sign_in_and_nothing_is_lost(visit: Visit, town: Town) -> None:
    receipt = await town.say("路灯不亮")
    await town.case(receipt["number"])
    name = next(NAMES)
    link = town.command("users", "add", name, "--role", "case-worker", "--department", "lighting").stdout.strip()
    somebody = await visit(Look("zh", 1280))
    page = await somebody.go(urlsplit(link).path)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("#again").fill(PASSWORD)
    await page.locator("main .button.main").click()
    await expect(page).to_have_url(re.compile(r"/desk(\?|$)"))
    await somebody.go(f"/desk/cases/{receipt['number']}?do=note")
    await page.locator("textarea[name=text]").first.fill("今晚带梯子去\n第二行")
    town.command("users", "disable", name)
    boss = next(NAMES)
    second = town.command("users", "add", boss, "--role", "supervisor").stdout.strip()
    path = urlsplit(second).path
    await town.post(path, data={"password": PASSWORD, "again": PASSWORD})
    await page.locator("form:has(textarea[name=text]) .button.main").first.click()
    await expect(page.locator(".staff")).to_have_text("今晚带梯子去\n第二行")
    await page.locator("#name").fill(boss)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("main .button.main").click()
    await expect(page.locator(".staff")).to_have_text("今晚带梯子去\n第二行")
    await page.locator("main .button.main").click()
    await expect(page.locator("main")).to_contain_text("今晚带梯子去")
    await expect(page).to_have_url(re.compile(f"/desk/cases/{receipt['number']}"))
