"""Intake while its disk is in trouble: what is answered is true, and a second try under the same key settles the rest."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.sqlite import Connection
from shared.telemetry import watchdog
from tests.support.intake import Portal, portal
from tests.unit.sqlite.test_file import Failing


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal(tmp_path) as town:
        yield town


def failing(town: Portal, committed: bool) -> None:
    """The next commit is reported as failed by the disk, whether or not it was made."""
    file = town.store._file
    assert file._writing
    file._writing = Failing(file._writing, sqlite3.SQLITE_IOERR_FSYNC, committed)  # type: ignore[assignment]


@pytest.mark.row("F9")
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_commit_of_unknown_outcome_is_looked_up_before_it_is_answered(
    town: Portal, committed: bool, key: str | None
) -> None:
    await town.say("先有一件")
    failing(town, committed)
    receipt = await town.say("路灯不亮了", key=key)
    assert (await town.follow(receipt))["number"] == receipt["number"]
    events = [envelope for envelope in await town.store.pending(100) if envelope.type == "feedback.received"]
    assert len(events) == 2


@pytest.mark.row("F9")
@pytest.mark.parametrize("committed", [False, True])
async def test_what_the_disk_leaves_open_twice_is_settled_by_its_key(
    town: Portal, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.say("先有一件")

    def broken(path: Path) -> Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    failing(town, committed)
    with monkeypatch.context() as disk:
        disk.setattr("shared.sqlite.file.reconnect", broken)
        headers = {"Idempotency-Key": "k"}
        unknown = await town.client.post("/v1/feedback", json={"text": "路灯不亮了"}, headers=headers)
        assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "1")
    receipt = await town.say("路灯不亮了", key="k")
    assert await town.say("路灯不亮了", key="k") == receipt
    events = [envelope for envelope in await town.store.pending(100) if envelope.type == "feedback.received"]
    assert len(events) == 2


@pytest.mark.row("F10")
async def test_more_than_the_disk_can_take_is_refused_at_once(town: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.sqlite.file.QUEUE", 20_000)
    answers = await asyncio.gather(*(town.client.post("/v1/feedback", json={"text": f"{n}"}) for n in range(50)))
    told = {answer.status_code for answer in answers}
    assert told == {201, 503}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 503} == {"1"}
    kept = [envelope for envelope in await town.store.pending(100) if envelope.type == "feedback.received"]
    assert len(kept) == sum(answer.status_code == 201 for answer in answers)
    await town.say("现在可以了")


@pytest.mark.row("F38")
@pytest.mark.parametrize(
    "body",
    [
        b'{"text":"' + b"\\u0301" * 40_000 + b'"}',
        b'{"text":"x","answers":' + b"[" * 30 + b"1," * 100_000 + b"1" + b"]" * 30 + b"}",
        b'{"text":"x","contact":{"email":"' + b"a." * 100_000 + b'@"}}',
        b'{"text":"x","contact":{"phone":"' + b"1 (" * 80_000 + b'"}}',
        b'{"text":"' + b"<a href=" * 30_000 + b'"}',
    ],
    ids=["marks", "arrays", "email", "phone", "markup"],
)
async def test_no_body_that_is_let_in_keeps_the_loop_for_long(town: Portal, body: bytes) -> None:
    started = time.process_time()
    answer = await town.client.post("/v1/feedback", content=body, headers={"Content-Type": "application/json"})
    assert time.process_time() - started < watchdog.LIMIT / 2
    assert answer.status_code in (201, 400, 422)


@pytest.mark.row("F28")
async def test_an_event_that_the_log_would_not_take_is_refused_before_anything_is_kept(
    town: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = await town.say("路灯不亮了")
    two_megabytes = await town.client.post("/v1/feedback", json={"text": "x" * 2_000_000})
    assert two_megabytes.status_code == 413
    monkeypatch.setattr("shared.events.envelope.LARGEST", 3_000)
    refused = await town.client.post("/v1/feedback", json={"text": "路" * 2_000})
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:huiyin:problem:too-large")
    assert (await town.post(receipt, "messages", {"text": "灯" * 2_000})).status_code == 413
    assert [envelope.subject for envelope in await town.store.pending(100)] == [receipt["id"]]
