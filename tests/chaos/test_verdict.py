"""A verdict that cannot be bad proves nothing: each damage done to a good history is found, under its number."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos import verdict as judge
from tests.chaos.crowd import MARK, Crowd
from tests.chaos.history import History
from tests.chaos.verdict import Verdict
from tests.support.town import Town


@dataclass(frozen=True)
class Good:
    """What was told and what is there after a calm run."""

    data: Path
    history: History


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def good(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Good]:
    folder = tmp_path_factory.mktemp("calm")
    town = Town(folder)
    history, verdict = History(folder.parent / "history.jsonl"), Verdict()
    try:
        await town.start()
        crowd = Crowd(town.address, town.key(), history, random.Random(1))
        await crowd.call(4, 15)
        await crowd.settle()
        await crowd.close()
        await judge.quiet(verdict, town, time.monotonic(), 60)
        await judge.ask(verdict, town, history)
        assert await asyncio.to_thread(town.stop) == 0
        judge.read(verdict, town.data, history)
        assert verdict == Verdict()
        yield Good(town.data, history)
    finally:
        town.kill()
        history.close()


def found(good: Good, data: Path) -> set[str]:
    """The numbers of what is found in these files."""
    verdict = Verdict()
    judge.read(verdict, data, good.history)
    return {finding.partition(":")[0] for finding in verdict.findings}


SOME = "(SELECT rowid FROM {} ORDER BY rowid LIMIT 1)"


def sql(file: str, statement: str) -> Callable[[Path], None]:
    def harm(data: Path) -> None:
        with sqlite3.connect(data / f"{file}.db") as connection:
            assert connection.execute(statement).rowcount > 0
        connection.close()

    return harm


def one_letter_less(data: Path) -> None:
    next((data / "mail" / "new").iterdir()).unlink()


def one_letter_more(data: Path) -> None:
    letter = next((data / "mail" / "new").iterdir())
    shutil.copy(letter, letter.with_name("another"))


def readable_words(data: Path) -> None:
    (data / "models").mkdir(exist_ok=True)
    (data / "models" / "words").write_text(f"…{MARK}00001…", encoding="utf-8")


HARM = {
    "I1": sql("routing", f"DELETE FROM cases WHERE rowid = {SOME.format('cases')}"),
    "I4": sql("intake", "INSERT INTO _outbox VALUES (1, 'feedback', 'x', 'x', '2026', '', '')"),
    "I5": sql("log", f"DELETE FROM log WHERE place = {SOME.format('log')}"),
    "I7": sql("intake", "UPDATE views SET body = json_set(body, '$.state', 'closed')"),
    "I8": sql("analytics", f"DELETE FROM deltas WHERE rowid = {SOME.format('deltas')}"),
    "I9": one_letter_less,
    "I10": sql("routing", "UPDATE cases SET due = '2020-01-01T00:00:00.000Z' WHERE due IS NOT NULL"),
    "I12": sql("log", "UPDATE positions SET next = next - 1 WHERE consumer = 'notify'"),
    "I16": readable_words,
}  # fmt: skip


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", HARM)
async def test_each_damage_to_the_files_is_found(good: Good, tmp_path: Path, number: str) -> None:
    data = tmp_path / "town" / "data"
    shutil.copytree(good.data, data)
    assert found(good, data) == set()
    HARM[number](data)
    assert number in found(good, data)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_second_letter_is_found(good: Good, tmp_path: Path) -> None:
    data = tmp_path / "town" / "data"
    shutil.copytree(good.data, data)
    one_letter_more(data)
    assert "I9" in found(good, data)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("op", ["submit", "move", "messages"])
async def test_what_was_told_and_is_not_there_is_found(good: Good, tmp_path: Path, op: str) -> None:
    history = History(tmp_path / "history.jsonl")
    history.calls = dict(good.history.calls)
    about = {"case": "nowhere", "call": "note", "version": 1} if op == "move" else {"case": "nowhere", "text": "x"}
    call = history.begins("untrue", op, about)
    history.ends(call, "ok", {"id": "nowhere", "version": 2}, "201")
    verdict = Verdict()
    judge.read(verdict, good.data, history)
    assert verdict.findings
    history.close()


def test_a_history_outlives_its_run_line_by_line(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    call = history.begins("k", "submit", {"text": "x"})
    history.ends(call, "unknown", {}, "ReadError")
    assert (call.accepted, call.open) == (False, True)
    history.ends(history.begins("k", "submit", {"text": "x"}), "ok", {"id": "1"}, "201")
    assert (call.accepted, call.open) == (True, False)
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [line.get("t", line.get("op")) for line in lines] == ["submit", "unknown", "submit", "ok"]
    history.close()
