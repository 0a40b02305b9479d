"""The submitter's side: following with the code, adding, judging, withdrawing; each once, none lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.intake.domain import STEPS, WORDS
from shared.events import routing
from shared.events.envelope import Sealed
from tests.support.intake import Portal, code_of, portal


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Portal]:
    monkeypatch.setenv("INTAKE_RATE", "off")
    async with portal(tmp_path) as town:
        yield town


CALLS: tuple[Any, ...] = (("messages", {"text": "x"}), ("rating", {}), ("reopening", {}), ("withdrawal", {}))


@pytest.mark.row("A33")
class TestTheCode:
    @pytest.mark.parametrize("change", [str.lower, lambda code: f" {code[:5]}-{code[5:10]} {code[10:]} "])
    async def test_it_may_be_written_as_people_write(self, town: Portal, change: Any) -> None:
        receipt = await town.say()
        assert (await town.follow(receipt | {"code": change(receipt["code"])}))["number"] == receipt["number"]

    async def test_letters_that_look_like_digits_are_digits(self, town: Portal) -> None:
        receipt = await town.say()
        confused = receipt["code"].replace("0", "o").replace("1", "L")
        assert (await town.follow(receipt | {"code": confused}))["number"] == receipt["number"]

    async def test_wrong_unknown_and_misspelt_get_the_same_answer(self, town: Portal) -> None:
        receipt, other = await town.say("一"), await town.say("二")
        right = f"Code {receipt['code']}".encode()
        asked: list[tuple[str, bytes | None]] = [
            (receipt["number"], None),
            (receipt["number"], b"Code " + b"0" * 26),
            (receipt["number"], f"Code {other['code']}".encode()),
            (receipt["number"], right[:-1]),
            (receipt["number"], right + b"0"),
            (receipt["number"], b"Code " + receipt["code"][:-1].encode() + b"\xe9"),
            (receipt["number"], "Code ſ".encode() + receipt["code"][1:].encode()),
            (receipt["number"], b"Code"),
            (receipt["number"], b"Code " + b"x" * 5000),
            (receipt["number"], b"Basic " + right[5:]),
            (other["number"], right),
            ("20260907-00000000-0", right),
            ("%E8%B7%AF", right),
            ("x", right),
        ]
        for number, authorization in asked:
            headers = {} if authorization is None else {b"Authorization": authorization}
            answers = [await town.client.get(f"/v1/feedback/{number}", headers=headers)]
            for call, body in CALLS:
                answers.append(await town.client.post(f"/v1/feedback/{number}/{call}", json=body, headers=headers))
            for answer in answers:
                told = answer.json()
                assert told.pop("instance")
                assert (answer.status_code, told) == (
                    404,
                    {"type": "urn:huiyin:problem:not-found", "title": "Not found", "status": 404},
                ), (number, authorization)
        assert len(await town.told(receipt["id"])) == 1

    async def test_a_staff_key_opens_nothing_here(self, town: Portal) -> None:
        receipt = await town.say()
        bearer = {"Authorization": f"Bearer {await town.access.create_key('supervisor')}"}
        assert (await town.client.get(f"/v1/feedback/{receipt['number']}", headers=bearer)).status_code == 404

    async def test_it_is_stored_only_as_a_digest_and_sealed(self, town: Portal, tmp_path: Path) -> None:
        receipt = await town.say(key="k")
        await town.post(receipt, "messages", {"text": "x"})
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files
        assert not any(receipt["code"].encode() in path.read_bytes() for path in files)


async def test_while_routing_is_down_the_state_is_received(town: Portal) -> None:
    receipt = await town.say("路灯不亮了", kind="help", location={"address": "和平路"})
    seen = await town.follow(receipt)
    assert (seen["state"], seen["department"], seen["deadline"], seen["kind"]) == ("received", None, None, "help")
    assert seen["timeline"] == [{"at": receipt["received_at"], "state": "received", "department": None}]
    assert seen["messages"] == [{"at": receipt["received_at"], "from": "citizen", "text": "路灯不亮了"}]
    await town.opens(receipt)
    assert await town.follow(receipt) == seen


async def test_the_citizen_sees_steps_and_answers_but_no_reasons_of_staff(town: Portal) -> None:
    receipt = await town.say("路灯不亮了")
    await town.opens(receipt)
    secret = await town.reply(receipt, "内部的话")
    explanation = routing.Explanation(method="keywords", version="1", confidence=1, bar=0.5)
    await town.happens(receipt, routing.CaseRouted, "routed", explanation=explanation)
    await town.happens(receipt, routing.CaseReturned, "returned", reason_code="not-ours", reason=secret, hop=1)
    await town.happens(receipt, routing.CaseReassigned, "routed", reason=secret)
    await town.happens(receipt, routing.CaseAccepted, "accepted")
    question = await town.reply(receipt, "哪一根？")
    await town.happens(receipt, routing.CaseAwaitingCitizen, "awaiting-citizen", text=question)
    town.clock.advance(60)
    assert (await town.post(receipt, "messages", {"text": "东南角"})).status_code == 201
    await town.happens(receipt, routing.CaseResumed, "in-progress", cause="message")
    await town.happens(receipt, routing.CaseAnswered, "answered", text=await town.reply(receipt, "修好了"))
    seen = await town.follow(receipt)
    assert (seen["state"], seen["department"], seen["category"]) == ("answered", "lighting", "street-lamp")
    assert seen["deadline"] == "2026-09-10T01:00:00.000Z"
    assert [step["state"] for step in seen["timeline"]] == [
        "received", "routed", "returned", "routed", "accepted", "awaiting-citizen", "in-progress", "answered",
    ]  # fmt: skip
    assert [(message["from"], message["text"]) for message in seen["messages"]] == [
        ("citizen", "路灯不亮了"),
        ("staff", "哪一根？"),
        ("citizen", "东南角"),
        ("staff", "修好了"),
    ]


async def test_each_word_of_the_citizen_is_one_sealed_event(town: Portal) -> None:
    receipt = await town.say()
    assert (await town.post(receipt, "messages", {"text": "还是不亮"})).status_code == 201
    verdict = {"solved": False, "satisfaction": 2, "contacted": True, "comment": "没人来"}
    for call, body in (("rating", verdict), ("reopening", {"reason": "没修"}), ("withdrawal", {})):
        answer = await town.post(receipt, call, body)
        assert (answer.status_code, answer.content) == (202, b"")
    _, message, rating, reopening, withdrawal = await town.told(receipt["id"])
    assert [e.envelope.sequence for e in (message, rating, reopening, withdrawal)] == [2, 3, 4, 5]
    assert [e.type for e in (message, rating, reopening, withdrawal)] == [
        "feedback.supplemented", "feedback.rated", "feedback.reopened", "feedback.withdrawn",
    ]  # fmt: skip
    assert (rating.solved, rating.satisfaction, rating.contacted) == (False, 2, True)
    assert all(isinstance(sealed, Sealed) for sealed in (message.message, rating.comment, reopening.reason))
    assert withdrawal.reason is None


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("messages", {}),
        ("messages", {"text": "  "}),
        ("messages", {"text": 5}),
        ("messages", {"text": "灯" * 20_001}),
        ("rating", {"satisfaction": 0}),
        ("rating", {"satisfaction": 6}),
        ("rating", {"satisfaction": True}),
        ("rating", {"solved": "yes"}),
        ("reopening", {"reason": ""}),
        ("withdrawal", []),
    ],
)
async def test_what_cannot_be_accepted_changes_nothing(town: Portal, call: str, body: Any) -> None:
    receipt = await town.say()
    assert (await town.post(receipt, call, body)).status_code == 422
    assert len(await town.told(receipt["id"])) == 1


@pytest.mark.row("A34")
@pytest.mark.parametrize(
    ("call", "body", "other"),
    [
        ("messages", {"text": "还是不亮"}, {"text": "亮了"}),
        ("rating", {"solved": True}, {"solved": False}),
        ("reopening", {"reason": "没修"}, {}),
        ("withdrawal", {}, {"reason": "x"}),
    ],
)
async def test_a_repeated_call_is_one_event_and_one_answer(
    town: Portal, call: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    receipt = await town.say()
    first = await town.post(receipt, call, body, key="k")
    await town.post(receipt, "messages", {"text": "dazwischen"})
    again = await town.post(receipt, call, body, key="k")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    refused = await town.post(receipt, call, other, key="k")
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"location": "/header/Idempotency-Key", "code": "used_for_another_body"}]
    assert len(await town.told(receipt["id"])) == 3


async def test_the_same_key_on_another_case_or_call_is_another_key(town: Portal) -> None:
    one, two = await town.say("一"), await town.say("二")
    assert (await town.post(one, "messages", {"text": "x"}, key="k")).status_code == 201
    assert (await town.post(two, "messages", {"text": "y"}, key="k")).status_code == 201
    assert (await town.post(one, "withdrawal", {}, key="k")).status_code == 202


@pytest.mark.row("F32")
async def test_a_case_takes_two_hundred_messages(town: Portal) -> None:
    receipt = await town.say()
    for number in range(200):
        assert (await town.post(receipt, "messages", {"text": str(number)})).status_code == 201
    over = await town.post(receipt, "messages", {"text": "one more"})
    assert (over.status_code, over.json()["errors"]) == (422, [{"location": "/text", "code": "too_many_messages"}])
    assert (await town.post(receipt, "withdrawal", {})).status_code == 202
    assert len((await town.follow(receipt))["messages"]) == 201


@pytest.mark.row("F32")
async def test_a_case_takes_so_many_steps_of_its_submitter(town: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert STEPS == 400
    monkeypatch.setattr("services.intake.handlers.submitter.STEPS", 3)
    receipt = await town.say()
    for _ in range(2):
        assert (await town.post(receipt, "rating", {"satisfaction": 1})).status_code == 202
    for call, body in (("rating", {"satisfaction": 1}), ("messages", {"text": "x"}), ("withdrawal", {})):
        over = await town.post(receipt, call, body)
        assert (over.status_code, over.json()["errors"]) == (422, [{"location": "/", "code": "too_many_steps"}])
    assert len(await town.told(receipt["id"])) == 3, "what waits for the log has an end, however long the log is away"


@pytest.mark.row("F32")
async def test_a_case_takes_so_many_words_that_its_document_stays_small(
    town: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WORDS == 2_000_000
    monkeypatch.setattr("services.intake.handlers.submitter.WORDS", 130_000)
    receipt = await town.say()
    page = "路" * 20_000
    assert (await town.post(receipt, "messages", {"text": page})).status_code == 201
    assert (await town.post(receipt, "rating", {"comment": page, "satisfaction": 1})).status_code == 202
    for call, body in (("messages", {"text": page}), ("reopening", {"reason": page})):
        over = await town.post(receipt, call, body)
        assert (over.status_code, over.json()["errors"]) == (422, [{"location": "/", "code": "too_many_words"}])
    assert (await town.post(receipt, "withdrawal", {})).status_code == 202


@pytest.mark.row("F31")
async def test_a_hundred_messages_at_once_are_a_hundred_events_in_sequence(town: Portal) -> None:
    receipt = await town.say()

    async def insist(number: int) -> str:
        for _ in range(200):
            answer = await town.post(receipt, "messages", {"text": str(number)}, key=f"k{number}")
            if answer.status_code == 201:
                return str(answer.json()["id"])
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            await asyncio.sleep(0.001 * number)
        raise AssertionError("never accepted")

    ids = await asyncio.gather(*(insist(number) for number in range(100)))
    events = await town.told(receipt["id"])
    assert [event.envelope.sequence for event in events] == list(range(1, 102))
    assert len(set(ids)) == 100
    seen = await town.follow(receipt)
    assert sorted(m["text"] for m in seen["messages"][1:]) == sorted(str(n) for n in range(100))


async def test_a_code_never_stands_in_an_address(town: Portal) -> None:
    receipt = await town.say()
    by_query = await town.client.get(f"/v1/feedback/{receipt['number']}", params={"code": receipt["code"]})
    assert by_query.status_code == 404
    assert (await town.client.get(f"/v1/feedback/{receipt['number']}", headers=code_of(receipt))).status_code == 200
