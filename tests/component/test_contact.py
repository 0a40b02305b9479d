"""Looking at a contact: noted before it is shown, in scope only, and never with the code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.intake.domain import Look
from services.intake.store import AUDIT
from shared.errors import Unavailable
from shared.events import routing
from shared.http.access import ROLES
from shared.store.documents import Documents
from shared.store.port import DocumentStore, Outcome, Query
from tests.component.test_pages import EVIL
from tests.support.faults import FaultyStore
from tests.support.intake import Portal, portal
from tests.support.markup import Page

CONTACT = {"name": "王芳", "phone": "13900000021", "email": "wang@example.org", "preferred": "phone"}
SEES = {"case-worker", "department-lead", "phone-operator", "supervisor"}
HTML = {"Accept": "text/html"}


class NoAudit(FaultyStore):
    """A store that keeps everything but the audit; `lost`: that too, and says it did not."""

    lost_answer = False

    async def write(self, changes: Any) -> list[Outcome]:
        if not any(change.collection == AUDIT.name for change in changes):
            return await self._store.write(changes)
        if self.lost_answer:
            await self._store.write(changes)
        raise Unavailable("the audit is away")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal(tmp_path) as town:
        yield town


async def key(town: Portal, role: str, *departments: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {await town.access.create_key(role, departments)}"}


async def routed(town: Portal, **more: Any) -> dict[str, Any]:
    """Feedback with a contact, whose case is with the lighting department."""
    receipt = await town.say(contact=CONTACT, **more)
    await town.opens(receipt)
    await town.happens(receipt, routing.CaseAccepted, "accepted")
    return receipt


async def look(town: Portal, number: str, who: dict[str, str], reason: str | None = "call-back", **headers: str) -> Any:
    asked = {} if reason is None else {"reason": reason}
    return await town.client.get(f"/v1/feedback/{number}/contact", params=asked, headers={**who, **headers})


async def looks(town: Portal, number: str) -> list[Look]:
    found, _ = await Documents(town.store, AUDIT, Look, town.clock).find(Query({"number": number}, order="at"))
    return [kept.value for kept in found]


async def test_a_look_is_answered_without_the_code_and_noted_without_personal_data(town: Portal) -> None:
    receipt = await routed(town)
    worker = await key(town, "case-worker", "lighting")
    seen = await look(town, receipt["number"], worker)
    assert seen.status_code == 200
    assert seen.json() == {"number": receipt["number"], "contact": CONTACT, "erased": False}
    assert seen.headers["cache-control"] == "no-store"
    assert receipt["code"] not in seen.text
    (noted,) = await looks(town, receipt["number"])
    id = worker["Authorization"].split("_")[1]
    assert (noted.who, noted.kind, noted.role, noted.reason) == (id, "key", "case-worker", "call-back")
    assert noted.fields == ("name", "phone", "email", "preferred")
    stored = (await town.store.find(AUDIT.name, Query())).documents[0].body
    assert not any(value in str(stored) for value in ("王芳", "13900000021", "wang@", receipt["code"]))


@pytest.mark.parametrize("lost", [False, True])
async def test_what_could_not_be_noted_is_not_shown(tmp_path: Path, lost: bool) -> None:
    def wrap(store: DocumentStore) -> DocumentStore:
        faulty = NoAudit(store, 1, refused=0, lost=0)
        faulty.lost_answer = lost
        return faulty

    async with portal(tmp_path, wrap) as town:
        receipt = await routed(town)
        boss = await key(town, "supervisor")
        for accept in ("application/json", "text/html"):
            refused = await look(town, receipt["number"], boss, Accept=accept)
            assert refused.status_code == 503
            assert not any(value in refused.text for value in CONTACT.values() if value != "phone")
        assert "这次查看没能记录，所以没有显示" in refused.text


async def test_people_get_a_page(town: Portal) -> None:
    receipt = await routed(town)
    seen = await look(town, receipt["number"], await key(town, "case-worker", "lighting"), "visit", **HTML)
    assert seen.status_code == 200
    assert seen.headers["content-type"].startswith("text/html")
    assert seen.headers["cache-control"] == "no-store"
    assert "13900000021" in seen.text
    assert "理由是上门" in seen.text
    assert f'href="/desk/cases/{receipt["number"]}?lang=zh"' in seen.text
    assert receipt["code"] not in seen.text


async def test_people_are_told_problems_on_a_page(town: Portal) -> None:
    receipt = await routed(town)
    for who, reason, status in (
        (await key(town, "admin"), "visit", 403),
        (await key(town, "supervisor"), "curious", 422),
    ):
        refused = await look(town, receipt["number"], who, reason, **HTML)
        assert refused.status_code == status
        assert refused.headers["content-type"].startswith("text/html")
        assert "<h1>" in refused.text


@pytest.mark.row("A25")
async def test_another_departments_contact_is_not_there(town: Portal) -> None:
    receipt = await routed(town)
    unrouted = await town.say(contact=CONTACT)
    for who in (await key(town, "case-worker", "reception"), await key(town, "case-worker")):
        for number in (receipt["number"], unrouted["number"], "20260907-00000000-0", "x"):
            for accept in ("application/json", "text/html"):
                refused = await look(town, number, who, Accept=accept)
                assert refused.status_code == 404
                assert "王芳" not in refused.text
    assert await looks(town, receipt["number"]) == []
    assert (await look(town, unrouted["number"], await key(town, "supervisor"))).status_code == 200


@pytest.mark.parametrize("role", ROLES)
async def test_only_those_who_talk_to_citizens_see_how_to_reach_them(town: Portal, role: str) -> None:
    receipt = await routed(town)
    answer = await look(town, receipt["number"], await key(town, role, "lighting"))
    assert answer.status_code == (200 if role in SEES else 403)
    assert (await look(town, receipt["number"], {})).status_code == 401
    assert (await town.operator.get(f"/v1/feedback/{receipt['number']}/contact?reason=visit")).status_code == 403


async def test_a_withheld_identity_is_for_the_supervisor_only(town: Portal) -> None:
    receipt = await routed(town, anonymous=True)
    worker = await key(town, "case-worker", "lighting")
    assert (await look(town, receipt["number"], worker)).status_code == 403
    told = await look(town, receipt["number"], worker, **HTML)
    assert told.status_code == 403
    assert "隐去身份" in told.text
    assert await looks(town, receipt["number"]) == []
    assert (await look(town, receipt["number"], await key(town, "supervisor"))).json()["contact"] == CONTACT


@pytest.mark.parametrize("reason", [None, "", "curious", "call-back "])
async def test_a_look_needs_one_of_the_reasons(town: Portal, reason: str | None) -> None:
    receipt = await routed(town)
    refused = await look(town, receipt["number"], await key(town, "supervisor"), reason)
    assert refused.status_code == 422
    assert await looks(town, receipt["number"]) == []


async def test_the_auditor_reads_who_looked_and_never_what_they_saw(town: Portal) -> None:
    receipt, boss = await routed(town), await key(town, "supervisor")
    for reason in ("call-back", "other"):
        town.clock.advance(60)
        await look(town, receipt["number"], boss, reason)
    for role in ROLES:
        answer = await town.client.get(
            f"/v1/audit?number={receipt['number']}", headers=await key(town, role, "lighting")
        )
        assert answer.status_code == (200 if role in ("auditor", "supervisor") else 403)
    auditor = await key(town, "auditor")
    page = (await town.client.get(f"/v1/audit?number={receipt['number']}&limit=1", headers=auditor)).json()
    rest = await town.client.get(
        "/v1/audit", params={"number": receipt["number"], "cursor": page["next"]}, headers=auditor
    )
    assert [item["reason"] for item in page["items"] + rest.json()["items"]] == ["call-back", "other"]
    assert rest.json()["next"] is None
    assert "王芳" not in rest.text
    wrong = await town.client.get("/v1/audit?number=x&cursor=nonsense", headers=auditor)
    assert wrong.status_code == 422
    assert (await look(town, receipt["number"], auditor)).status_code == 403


@pytest.mark.row("A16")
async def test_a_name_is_shown_as_text_and_nothing_else(town: Portal) -> None:
    boss = await key(town, "supervisor")
    for evil in EVIL:
        if "\u2028" in evil:
            continue
        receipt = await town.say(contact={"name": evil})
        page = Page((await look(town, receipt["number"], boss, **HTML)).text)
        assert page.alive == [], evil
        assert evil in page.text, evil
