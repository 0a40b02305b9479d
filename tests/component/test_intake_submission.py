"""Submitting: one commit, one number, one code; the same words under the same key are the same case."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.intake.domain import Feedback, View
from shared.clock import SystemIds, parse_rfc3339, valid_number
from shared.store.port import Query
from tests.support.intake import MONDAY, Portal, code_of, portal


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Portal]:
    monkeypatch.setenv("INTAKE_RATE", "off")
    async with portal(tmp_path) as town:
        yield town


async def total(town: Portal) -> int:
    page = await town.store.find("feedback", Query(limit=1000))
    return len(page.documents)


async def test_the_receipt_names_number_code_and_time(town: Portal) -> None:
    receipt = await town.say()
    assert valid_number(receipt["number"])
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", receipt["code"])
    assert parse_rfc3339(receipt["received_at"]) == MONDAY
    assert receipt["links"]["self"].endswith(f"/v1/feedback/{receipt['number']}")
    assert receipt["code"] not in receipt["links"]["track"]


async def test_the_event_carries_personal_data_only_sealed(town: Portal, tmp_path: Path) -> None:
    contact = {"name": "哨兵甲", "phone": "13900001234", "email": "sentinel@example.org", "preferred": "email"}
    location = {"lat": 31.123456, "lon": 110.98765, "address": "哨兵路 7 号"}
    receipt = await town.say("哨兵说路灯不亮", contact=contact, location=location, answers={"where": "哨兵桥"})
    (event,) = await town.told(receipt["id"])
    assert event.contact_kinds == ("phone", "email")
    assert (event.point.lat, event.point.lon) == (31.123, 110.988)
    assert (event.channel, event.language, event.historic, event.actor.kind) == ("api", "zh", False, "citizen")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for mark in ("哨兵", "13900001234", "sentinel", receipt["code"]):
        assert mark.encode() not in written
        assert mark not in event.model_dump_json()


async def test_the_day_of_a_number_is_that_of_the_organisations_zone(town: Portal) -> None:
    town.clock.advance(15.5 * 3600)  # 16:30 in UTC, half past midnight in Chengchuan
    assert (await town.say())["number"].startswith("20260908-")


class Unlucky(SystemIds):
    """Draws the same number three times."""

    drawn = 0

    def number(self, day: date) -> str:
        self.drawn += 1
        return "20260907-00000000-8" if self.drawn <= 3 else super().number(day)


async def test_a_number_that_is_taken_is_drawn_again(tmp_path: Path) -> None:
    async with portal(tmp_path, ids=Unlucky) as town:
        first, second = await town.say("一"), await town.say("二")
        assert first["number"] == "20260907-00000000-8"
        assert second["number"] != first["number"]
        assert (await town.follow(second))["messages"][0]["text"] == "二"


async def test_before_the_organisation_is_known_the_answer_is_come_back(tmp_path: Path) -> None:
    async with portal(tmp_path, announced=False) as town:
        answer = await town.client.post("/v1/feedback", json={"text": "x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.row("A34")
class TestIdempotencyKeys:
    async def test_the_same_key_and_body_get_the_same_answer(self, town: Portal) -> None:
        first = await town.say("路灯不亮了", key="a b-1", kind="help", contact={"phone": "13900001234"})
        again = await town.client.post(
            "/v1/feedback",
            content='{"contact": {"phone": "13900001234"}, "kind":"help", "anonymous": false, "text": " 路灯不亮了 "}',
            headers={"Idempotency-Key": "a b-1", "Content-Type": "application/json"},
        )
        assert again.status_code == 201
        assert again.json() == first
        assert await total(town) == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"text": "水管爆了"},
            {"text": "路灯不亮了", "kind": "help"},
            {"text": "路灯不亮了", "contact": {"phone": "13900001234"}},
            {"text": "路灯不亮了", "answers": {"a": "b"}},
            {"text": "路灯不亮了", "location": {"lat": 1.0, "lon": 1.0}},
        ],
    )
    async def test_another_body_under_the_same_key_is_refused(self, town: Portal, other: dict[str, Any]) -> None:
        receipt = await town.say("路灯不亮了", key="k")
        answer = await town.client.post("/v1/feedback", json=other, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"location": "/header/Idempotency-Key", "code": "used_for_another_body"}]
        assert receipt["code"] not in answer.text
        assert receipt["number"] not in answer.text
        assert await total(town) == 1

    async def test_keys_of_different_scopes_never_meet(self, town: Portal) -> None:
        anyone = await town.say(key="k")
        numbers = {anyone["number"]}
        for _ in range(2):
            headers = {
                "Authorization": f"Bearer {await town.access.create_key('integrator')}",
                "Idempotency-Key": "k",
            }
            first = await town.client.post("/v1/feedback", json={"text": "路灯不亮了"}, headers=headers)
            again = await town.client.post("/v1/feedback", json={"text": "路灯不亮了"}, headers=headers)
            assert first.json() == again.json()
            numbers.add(first.json()["number"])
        operator = await town.operator.post(
            "/v1/feedback", json={"text": "路灯不亮了"}, headers={"Idempotency-Key": "k"}
        )
        assert len(numbers | {operator.json()["number"]}) == 4

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schlüssel"])
    async def test_a_key_has_1_to_255_printable_characters(self, town: Portal, key: str) -> None:
        headers = {b"Idempotency-Key": key.encode("latin-1")}
        answer = await town.client.post("/v1/feedback", json={"text": "x"}, headers=headers)
        assert answer.status_code == 422
        assert await total(town) == 0

    async def test_the_longest_key_is_a_key(self, town: Portal) -> None:
        assert await town.say(key="x" * 255) == await town.say(key="x" * 255)

    async def test_a_hundred_deliveries_at_once_are_one_case(self, town: Portal) -> None:
        receipts = await asyncio.gather(*(town.say(key="k") for _ in range(100)))
        assert len({json.dumps(receipt) for receipt in receipts}) == 1
        assert await total(town) == 1
        assert len(await town.told(receipts[0]["id"])) == 1

    async def test_neither_key_nor_body_is_stored_readable(self, town: Portal, tmp_path: Path) -> None:
        await town.say("哨兵", key="sentinel-key")
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"sentinel-key" not in written


DOCUMENT = sorted(
    {field.name for shape in (Feedback, View) for field in fields(shape)}
    | {"id", "_id", "revision", "sequence", "seen", "due", "outbox", "status", "state", "role", "created_at", "v"}
    | {"historic", "priority", "worker", "live", "key", "importer", "actor", "scope"}
)
BODIES: dict[str, dict[str, Any]] = {
    "": {"text": "路灯不亮了"},
    "/messages": {"text": "路灯不亮了"},
    "/rating": {"solved": True},
    "/reopening": {"reason": "x"},
    "/withdrawal": {"reason": "x"},
}
TAKEN = {"": {"text", "kind", "category", "language", "contact", "location", "anonymous"}, "/messages": {"text"}}


@pytest.mark.row("A26")
@pytest.mark.parametrize("call", BODIES)
async def test_no_field_of_a_document_can_be_set_from_outside(town: Portal, call: str) -> None:
    receipt = await town.say()
    path = f"/v1/feedback/{receipt['number']}{call}" if call else "/v1/feedback"
    for name in DOCUMENT:
        if name in TAKEN.get(call, set()):
            continue
        answer = await town.client.post(path, json=BODIES[call] | {name: "x"}, headers=code_of(receipt))
        assert answer.status_code == 422, name
        assert answer.json()["errors"][0]["code"] == "extra_forbidden", name
    assert len(await town.told(receipt["id"])) == 1


@pytest.mark.row("A26")
async def test_no_hidden_field_of_contact_or_place_can_be_set(town: Portal) -> None:
    for body in ({"contact": {"code": "0" * 26}}, {"location": {"point": 1}}, {"contact": {"role": "admin"}}):
        answer = await town.client.post("/v1/feedback", json={"text": "x"} | body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == "extra_forbidden"


@pytest.mark.row("A5")
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("\u202eevil\u202c", "evil"),
        ("a\u200bb\ufeff\u2060c", "abc"),
        ("a\x07\x1b[31mb", "a[31mb"),
        ("e\u0301", "é"),
        ("first\r\nsecond\u2028third", "first\nsecond\nthird"),
        ("  路灯\t坏了 \n", "路灯\t坏了"),
    ],
)
async def test_a_text_is_kept_as_it_reads(town: Portal, written: str, kept: str) -> None:
    seen = await town.follow(await town.say(written))
    assert seen["messages"][0]["text"] == kept


@pytest.mark.row("A5")
@pytest.mark.parametrize(
    "body",
    [
        rb'{"text": "\ud800"}',
        rb'{"text": "a\u0000b"}',
        b'{"text": "\xff"}',
        json.dumps({"text": "e" + "\u0301" * 30_000}, ensure_ascii=False).encode(),
        json.dumps({"text": "\u200b\u202e"}).encode(),
        json.dumps({"text": "灯" * 20_001}).encode(),
        json.dumps({"text": "𠮷" * 19_000}).encode(),
        json.dumps({"text": "x", "contact": {"email": "a@b.example\r\nBcc: c@d.example"}}).encode(),
        json.dumps({"text": "x", "contact": {"name": "a\nb"}}).encode(),
    ],
)
async def test_what_is_no_text_or_too_long_is_refused_without_echo(town: Portal, body: bytes) -> None:
    answer = await town.client.post("/v1/feedback", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    for word in ("灯", "𠮷", "Bcc", "\u0301"):
        assert word not in answer.text
    assert await total(town) == 0


@pytest.mark.row("A5")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80))
async def test_any_text_is_accepted_or_refused_and_never_breaks_anything(town: Portal, text: str) -> None:
    body = json.dumps({"text": text}).encode()
    answer = await town.client.post("/v1/feedback", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (201, 422)


async def test_a_flood_from_one_address_is_slowed_and_a_key_has_its_own_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTAKE_RATE", "3/1")
    async with portal(tmp_path) as town:
        for _ in range(3):
            await town.say()
        over = await town.client.post("/v1/feedback", json={"text": "x"})
        assert (over.status_code, over.headers["retry-after"]) == (429, "1")
        bearer = {"Authorization": f"Bearer {await town.access.create_key('integrator')}"}
        assert (await town.client.post("/v1/feedback", json={"text": "x"}, headers=bearer)).status_code == 201
        town.clock.advance(1)
        await town.say()


async def test_the_documented_route_is_the_door(town: Portal) -> None:
    class Plain:
        """The routes without the edge's doors, as OpenAPI describes them."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await town.edge.app(scope | {"huiyin.client": "192.0.2.7", "huiyin.operator": False}, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=Plain()), base_url="http://town") as client:
        by_route = await client.post("/v1/feedback", json={"text": "路灯不亮了"}, headers={"Idempotency-Key": "k"})
    assert by_route.status_code == 201
    assert by_route.json() == await town.say("路灯不亮了", key="k")


async def test_every_reference_in_the_openapi_document_leads_somewhere(town: Portal) -> None:
    document = (await town.client.get("/openapi.json")).json()
    wanted = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert wanted <= set(document["components"]["schemas"])
    body = document["paths"]["/v1/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/NewFeedback"}
