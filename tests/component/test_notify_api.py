"""What staff may see of deliveries by HTTP, and sending one again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from services.notify.api import router
from services.notify.channels.live import Live
from shared.errors import Problem
from shared.http.access import COLLECTIONS, Access
from shared.store.sqlite import SqliteStore
from tests.support.notify import Case, Office, opened


class Desk:
    """Calls notify's HTTP with a key of some role."""

    def __init__(self, office: Office, access: Access, client: httpx2.AsyncClient) -> None:
        self.office, self.access, self.client = office, access, client

    async def key(self, role: str, *departments: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.access.create_key(role, departments)}"}

    async def items(self, case: Case, role: str, *departments: str) -> list[dict[str, Any]]:
        answer = await self.client.get(
            "/v1/deliveries", params={"number": case.number}, headers=await self.key(role, *departments)
        )
        assert answer.status_code == 200
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def replay(self, id: str, role: str = "operations") -> httpx2.Response:
        return await self.client.post(f"/v1/deliveries/{id}/replay", headers=await self.key(role))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


@pytest.fixture
async def desk(office: Office, tmp_path: Path) -> AsyncIterator[Desk]:
    store = await SqliteStore.open(tmp_path / "access.db", COLLECTIONS, office.clock)
    app = FastAPI()
    app.state.access = access = Access(store, office.ids, office.clock)
    live = Live(office.organisation, office.clock)
    app.include_router(router(office.deliveries, office.organisation, live, office.clock))

    @app.exception_handler(Problem)
    async def told(request: Request, problem: Problem) -> JSONResponse:
        return JSONResponse({"title": problem.title}, problem.status)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://notify") as client:
        yield Desk(office, access, client)
    await store.close()


async def test_deliveries_show_what_became_of_them_and_no_personal_data(office: Office, desk: Desk) -> None:
    case = await office.receive()
    await office.route(case)
    await office.answer(case, "It shines again.")
    await office.settle()
    items = await desk.items(case, "supervisor")
    assert [(item["kind"], item["recipient_role"], item["state"], item["attempts"]) for item in items] == [
        ("acknowledgement", "citizen", "sent", 1),
        ("new-case", "department", "pending", 0),
        ("answer", "citizen", "sent", 1),
    ]
    assert items[0]["submitted_at"] == "2026-03-02T08:00:00.000Z"
    assert items[1]["next_at"] == "2026-03-02T08:05:00.000Z"
    assert all(item["channel"] == "email" for item in items)
    assert not any(word in str(items) for word in ("wang", "Wang", "shines", "ct"))


@pytest.mark.parametrize(
    ("role", "departments", "seen"),
    [
        ("supervisor", (), True),
        ("operations", (), True),
        ("case-worker", ("lighting",), True),
        ("case-worker", ("works",), True),
        ("case-worker", ("reception",), False),
        ("case-worker", (), False),
    ],
)
async def test_staff_see_the_deliveries_of_their_departments(
    office: Office, desk: Desk, role: str, departments: tuple[str, ...], seen: bool
) -> None:
    case = await office.receive()
    await office.route(case, "lighting")
    assert bool(await desk.items(case, role, *departments)) == seen


async def test_an_unknown_number_has_no_deliveries(desk: Desk) -> None:
    nobody = Case("x", "20260302-00000001-1", await desk.office.town.draw(), "en")
    assert await desk.items(nobody, "supervisor") == []


async def test_a_dead_delivery_is_sent_again_on_request(office: Office, desk: Desk) -> None:
    case = await office.receive(contact={"email": "no address"})
    await office.settle()
    (item,) = await desk.items(case, "operations")
    assert item["state"] == "dead"
    answer = await desk.replay(item["id"])
    assert (answer.status_code, answer.json()["state"], answer.json()["attempts"]) == (200, "pending", 0)


async def test_what_arrived_is_not_sent_again(office: Office, desk: Desk) -> None:
    case = await office.receive()
    await office.settle()
    (item,) = await desk.items(case, "operations")
    assert (await desk.replay(item["id"])).status_code == 409


@pytest.mark.parametrize("id", ["nothing", "-", "01JNB3Y7M4Q9T8S6R5P4N3M2K1-0123456789abcdef", "%F0%9F%92%A1-a"])
async def test_an_unknown_delivery_is_not_found(desk: Desk, id: str) -> None:
    assert (await desk.replay(id)).status_code == 404


async def test_a_case_workers_key_does_not_replay_and_no_key_sees_nothing(office: Office, desk: Desk) -> None:
    case = await office.receive()
    (item,) = await desk.items(case, "supervisor")
    assert (await desk.replay(item["id"], "case-worker")).status_code == 403
    assert (await desk.replay(item["id"], "admin")).status_code == 403
    answer = await desk.client.get("/v1/deliveries", params={"number": case.number})
    assert answer.status_code == 401
