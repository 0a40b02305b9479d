"""The batch: a stream of lines, each accepted or refused on its own, answered in order after the last one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.http.server import as_operator
from tests.support.intake import MONDAY, Portal, portal

PATH = "/v1/feedback/batch"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal(tmp_path) as town:
        yield town


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


async def sent(town: Portal, content: Any, **headers: str) -> list[dict[str, Any]]:
    answer = await town.operator.post(PATH, content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_each_line_has_its_result_in_order(town: Portal) -> None:
    body = lines({"text": "一"}) + b"\n  \r\n" + lines({"text": 5}) + b"{\n" + lines({"text": "二", "status": "x"})
    results = await sent(town, body + b'{"text": "three"}')
    assert [(r["line"], r["status"]) for r in results] == [(1, 201), (4, 422), (5, 400), (6, 422), (7, 201)]
    assert results[1]["problem"]["errors"] == [{"location": "/text", "code": "string_type"}]
    assert results[3]["problem"]["errors"] == [{"location": "/status", "code": "extra_forbidden"}]
    for result, text in ((results[0], "一"), (results[4], "three")):
        assert (await town.follow(result))["messages"][0]["text"] == text
    (event,) = await town.told(results[0]["id"])
    assert (event.channel, event.actor.kind, event.actor.id) == ("import", "import", "operator")


async def test_however_the_stream_is_cut_the_lines_are_the_same(town: Portal) -> None:
    body = lines(*({"text": f"第 {number} 件"} for number in range(30)))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    results = await sent(town, pieces())
    assert [(r["line"], r["status"]) for r in results] == [(number, 201) for number in range(1, 31)]


async def test_nothing_is_answered_before_the_last_line_is_read(town: Portal) -> None:
    last, answered = asyncio.Event(), asyncio.Event()
    requests = [
        {"type": "http.request", "body": lines(*[{"text": "x"}] * 501), "more_body": True},
        {"type": "http.request", "body": lines({"text": "y"}), "more_body": False},
    ]
    waited = False

    async def receive() -> dict[str, Any]:
        nonlocal waited
        if len(requests) == 1 and not waited:
            waited = True
            await last.wait()
        return requests.pop(0) if requests else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.set()

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": PATH, "query_string": b"",
        "raw_path": PATH.encode(), "root_path": "", "headers": [(b"host", b"town"), (b"transfer-encoding", b"chunked")],
        "client": ("192.0.2.7", 1), "server": ("town", 80), "asgi": {"version": "3.0"},
    }  # fmt: skip
    call: asyncio.Task[Any] = asyncio.create_task(as_operator(town.edge)(scope, receive, send))  # type: ignore[arg-type]
    for _ in range(500):
        await asyncio.sleep(0.001)
        if waited:
            break
    assert waited
    assert not answered.is_set()
    last.set()
    await call
    assert answered.is_set()


async def test_a_time_without_offset_is_in_the_organisations_zone(town: Portal) -> None:
    results = await sent(
        town, lines({"text": "x", "received_at": "2026-09-07 08:30"}, {"text": "y", "received_at": "2026-09-07T00:30Z"})
    )
    for result in results:
        assert (await town.follow(result))["received_at"] == "2026-09-07T00:30:00.000Z"


@pytest.mark.parametrize(
    ("line", "historic"),
    [
        ({}, False),
        ({"received_at": "2026-09-06T01:00:00Z"}, False),
        ({"received_at": "2026-09-06T00:59:59Z"}, True),
        ({"received_at": "1999-01-01T00:00:00Z"}, True),
        ({"received_at": "1999-01-01T00:00:00Z", "live": True}, False),
    ],
)
async def test_older_than_a_day_is_historic_unless_live(town: Portal, line: dict[str, Any], historic: bool) -> None:
    (result,) = await sent(town, lines({"text": "x"} | line))
    (event,) = await town.told(result["id"])
    assert event.historic is historic
    assert event.at == event.received_at


@pytest.mark.parametrize(
    "time", ["2026-09-07T01:06:00Z", "1969-01-01T00:00:00Z", "yesterday", "9999-12-31T23:59:59-12:00"]
)
async def test_a_time_that_cannot_be_is_refused(town: Portal, time: str) -> None:
    (result,) = await sent(town, lines({"text": "x", "received_at": time}))
    assert result["status"] == 422
    assert result["problem"]["errors"][0]["location"] == "/received_at"
    assert time not in json.dumps(result)


async def test_a_second_batch_adds_nothing(town: Portal) -> None:
    body = lines(*({"text": f"第 {n} 件", "key": f"row-{n}", "received_at": "2020-01-01"} for n in range(1200)))
    first = await sent(town, body)
    assert len({result["number"] for result in first}) == 1200
    town.clock.advance(3600)
    assert await sent(town, body) == first


async def test_a_key_twice_in_a_batch_is_one_case_or_a_refusal(town: Portal) -> None:
    first, again, other = await sent(
        town, lines({"text": "x", "key": "k"}, {"key": "k", "text": "x", "live": True}, {"text": "y", "key": "k"})
    )
    assert (again["number"], again["code"]) == (first["number"], first["code"])
    assert other["status"] == 422


async def test_the_keys_of_socket_and_files_are_one_scope_and_those_of_each_bearer_key_another(town: Portal) -> None:
    (by_socket,) = await sent(town, lines({"text": "x", "key": "k"}))
    bearer = {"Authorization": f"Bearer {await town.access.create_key('integrator')}"}
    by_key = await town.client.post(PATH, content=lines({"text": "x", "key": "k"}), headers=bearer)
    assert by_key.json()["number"] != by_socket["number"]


async def test_only_importers_may(town: Portal) -> None:
    assert (await town.client.post(PATH, content=lines({"text": "x"}))).status_code == 401
    for role, status in (("integrator", 200), ("analyst", 403), ("admin", 403), ("case-worker", 403)):
        headers = {"Authorization": f"Bearer {await town.access.create_key(role)}"}
        assert (await town.client.post(PATH, content=lines({"text": "x"}), headers=headers)).status_code == status


async def test_a_line_may_weigh_256_kib_and_a_batch_has_10_000_lines(town: Portal) -> None:
    padded = b'{"text": "x"' + b" " * (256 * 1024 - 13) + b"}"
    assert len(padded) == 256 * 1024
    (result,) = await sent(town, padded)
    assert result["status"] == 201
    for body in (padded + b" ", padded + b" \n", b'{"text": 1}\n' * 10_001):
        answer = await town.operator.post(PATH, content=body)
        assert answer.status_code == 413
    assert len(await sent(town, b'{"text": 1}\n' * 10_000)) == 10_000


async def test_an_empty_batch_has_no_results(town: Portal) -> None:
    assert await sent(town, b"\n\n") == []


async def test_a_batch_is_dated_by_the_clock_where_it_gives_no_time(town: Portal) -> None:
    (result,) = await sent(town, lines({"text": "x"}))
    (event,) = await town.told(result["id"])
    assert event.received_at == MONDAY
