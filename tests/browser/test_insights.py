"""The open figures, as anybody and as staff see them."""

from __future__ import annotations

import httpx2
import pytest

from tests.support.browser import LANGUAGES, WALKS, Look, Visit, axe
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKS = [*WALKS, *(Look(language, 1280, scheme="dark") for language in LANGUAGES)]


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_figures_tables_and_definitions_are_for_everybody(visit: Visit, town: Town, look: Look) -> None:
    async with httpx2.AsyncClient(base_url=town.address) as client:
        for n in range(6):
            answer = await client.post("/v1/feedback", json={"text": f"路灯不亮了 {n}", "kind": "help"})
            assert answer.status_code == 201
    somebody = await visit(look)
    for key in (False, True):
        if key:
            await somebody.page.set_extra_http_headers(town.key())
        page = await somebody.go("/insights?days=7")
        assert await page.locator(".figure").count() == 4
        assert await page.locator(".chart[role=img]").count() == 1
        assert await page.locator(".lead.full").count() == int(key)
        for link in (".hint a", "a[href*=definitions]"):
            if look.scripts:
                assert await axe(page) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth") if look.scripts else True
            page = await somebody.go("/insights?days=7")
            await page.locator(link).first.click()
            await page.locator("h1").wait_for()
        if look.scripts:
            assert await axe(page) == []
