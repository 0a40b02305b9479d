"""One feedback's whole way: from a person's words to an answer, and into the figures."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.notify import plain
from tests.support.town import Town


@pytest.mark.parametrize(
    ("text", "department", "language"),
    [
        ("和平路与文昌街路口的路灯从上周五起不亮了", "lighting", "zh"),
        ("The street lamp on Peace Road is broken", "lighting", "en"),
    ],
)
async def test_words_reach_a_department_are_answered_and_counted(
    town: Town, text: str, department: str, language: str
) -> None:
    receipt = await town.say(text, contact={"email": "citizen@example.org"}, language=language)
    case = await town.case(receipt["number"])
    assert (case["state"], case["department"]) == ("routed", department)

    await town.move(receipt["number"], "acceptance")
    await town.move(receipt["number"], "start")
    await town.move(receipt["number"], "answer", text="修好了 / repaired")

    async def answered() -> dict[str, Any] | None:
        seen = await town.track(receipt)
        return seen if seen["state"] == "answered" else None

    seen = await eventually(answered)
    assert [item["state"] for item in seen["timeline"]][-3:] == ["accepted", "in-progress", "answered"]
    assert {"from": "staff", "text": "修好了 / repaired"}.items() <= seen["messages"][-1].items()

    async def told() -> bool:
        return len(to_citizen(town)) == 2

    await eventually(told)
    acknowledgement, answer = sorted(to_citizen(town), key=lambda body: "修好了" in body)
    assert receipt["number"] in acknowledgement
    assert receipt["number"] in answer

    rated = await town.post(
        f"/v1/feedback/{receipt['number']}/rating",
        json={"solved": True, "satisfaction": 5},
        headers={"Authorization": f"Code {receipt['code']}"},
    )
    assert rated.status_code == 202

    async def closed() -> bool:
        return bool((await town.figures())["by"]["state"] == {"closed": 1})

    await eventually(closed)
    figures = await town.figures()
    assert (figures["total"], figures["open"], figures["by"]["department"]) == (1, 0, {department: 1})


def to_citizen(town: Town) -> list[str]:
    return [plain(message) for message in town.mail() if message["To"] == "citizen@example.org"]


async def test_a_person_withdraws_and_the_work_stops(town: Town) -> None:
    receipt = await town.say("小区停水了，水管爆裂")
    assert (await town.case(receipt["number"]))["department"] == "water"
    code = {"Authorization": f"Code {receipt['code']}"}
    assert (await town.post(f"/v1/feedback/{receipt['number']}/withdrawal", json={}, headers=code)).status_code == 202

    async def withdrawn() -> bool:
        return bool(
            (await town.case(receipt["number"]))["state"] == (await town.track(receipt))["state"] == "withdrawn"
        )

    await eventually(withdrawn)


async def test_a_question_pauses_the_deadline_until_the_person_answers(town: Town) -> None:
    receipt = await town.say("The bus number 7 is always late")
    await town.move(receipt["number"], "acceptance")
    asked = await town.move(receipt["number"], "question", text="Which stop?")
    assert asked["state"] == "awaiting-citizen"
    code = {"Authorization": f"Code {receipt['code']}"}
    answer = await town.post(f"/v1/feedback/{receipt['number']}/messages", json={"text": "Market Square"}, headers=code)
    assert answer.status_code == 201

    async def resumed() -> bool:
        return bool((await town.case(receipt["number"]))["state"] == "in-progress")

    await eventually(resumed)


async def test_what_nobody_recognises_goes_to_reception_and_on_from_there(town: Town) -> None:
    receipt = await town.say("hmm, well, you know")
    case = await town.case(receipt["number"])
    assert (case["state"], case["department"]) == ("triage", "reception")
    moved = await town.move(receipt["number"], "reassignment", department="water")
    assert (moved["state"], moved["department"]) == ("routed", "water")
