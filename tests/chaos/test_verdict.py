"""A verdict that cannot be bad proves nothing: each damage done to a good history is found, under its number."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import pytest
import pytest_asyncio

from tests.chaos import verdict as judge
from tests.chaos.crowd import MARK, Crowd
from tests.chaos.footprint import Footprint
from tests.chaos.history import History
from tests.chaos.verdict import Verdict
from tests.support.checker import SERVICES
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
        await crowd.hang_up()
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
            connection.create_function("sum_of", -1, _sum)
            assert connection.execute(statement).rowcount > 0
        connection.close()

    return harm


def _sum(*columns: object) -> int:
    """What a row's sum would be, had it been written like this."""
    return crc32("\0".join("" if column is None else str(column) for column in columns).encode())


def one_letter_less(data: Path) -> None:
    next((data / "mail" / "new").iterdir()).unlink()


def one_letter_more(data: Path) -> None:
    letter = next((data / "mail" / "new").iterdir())
    shutil.copy(letter, letter.with_name("another"))


def readable_words(data: Path) -> None:
    (data / "models").mkdir(exist_ok=True)
    (data / "models" / "words").write_text(f"…{MARK}00001…", encoding="utf-8")


DEPARTMENTS = "json_set(body, '$.department', 'nobody')"
EARLIER = "(SELECT place FROM log WHERE headers LIKE '%\"/routing\"%' ORDER BY place LIMIT 1)"
"""The place of some event of routing: nothing of its case's own events comes before it."""

NOWHERE = "json_set(body, '$.state', 'nowhere')"

HARM = {
    "I1": sql("routing", f"DELETE FROM cases WHERE rowid = {SOME.format('cases')}"),
    "I3": sql("intake", f"DELETE FROM feedback WHERE rowid = {SOME.format('feedback')}"),
    "I4": sql("intake", "INSERT INTO _outbox VALUES (1, 'feedback', 'x', 'x', '2026', '', '', 0)"),
    "I5": sql("log", f"DELETE FROM log WHERE place = {SOME.format('log')}"),
    "I6": sql("log", f"UPDATE log SET place = (SELECT max(place) + 1 FROM log) WHERE place = {EARLIER}"),
    "I7": sql("intake", "UPDATE views SET body = json_set(body, '$.state', 'closed')"),
    "I8": sql("analytics", f"DELETE FROM deltas WHERE rowid = {SOME.format('deltas')}"),
    "I9": one_letter_less,
    "I10": sql("routing", "UPDATE cases SET due = '2020-01-01T00:00:00.000Z' WHERE due IS NOT NULL"),
    "I13": sql("routing", 'INSERT INTO "dead-letters"(id, revision, body, sum) VALUES (1, 1, \'{}\', 0)'),
    "I12": sql("log", "UPDATE positions SET next = next - 1 WHERE consumer = 'notify'"),
    "I16": readable_words,
    "I19": sql("log", """UPDATE log SET value = json_set(value, '$.to', 'withdrawn') WHERE place = """ + EARLIER),
    "I20": sql("analytics", f"UPDATE cases SET body = {DEPARTMENTS} WHERE rowid = {SOME.format('cases')}"),
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


def test_two_keys_that_were_told_one_case_are_found(good: Good, tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.calls = dict(good.history.calls)
    told = next(call for call in good.history.of("submit") if call.accepted).told[0]
    history.ends(history.begins("another", "submit", {"text": "x"}), "ok", told, "201")
    verdict = Verdict()
    judge.read(verdict, good.data, history)
    assert "I2" in {finding.partition(":")[0] for finding in verdict.findings}
    history.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_rebuild_that_changes_something_is_found(good: Good, tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    shutil.copytree(good.data, town.data)
    sql("intake", f"UPDATE views SET body = {NOWHERE}, sum = sum_of(id, revision, due, {NOWHERE})")(town.data)
    try:
        await town.start()
        verdict = Verdict()
        await judge._rebuilt(verdict, town)
        assert verdict.findings == ["I15: intake is another one after a rebuild"]
        await judge.quiet(verdict, town, time.monotonic() - 60, 30)
        assert verdict.findings[1:] == ["I18: not quiet after 30 s"]
    finally:
        town.kill()


def test_figures_that_cannot_be_are_found(good: Good) -> None:
    total = sum(call.accepted for call in good.history.of("submit"))
    right = {"total": total, "open": total - 1, "by": {"state": {"closed": 1, "routed": total - 1}}}
    for change, number in (({}, None), ({"total": total + 100}, "I8"), ({"open": total}, "I20")):
        verdict = Verdict()
        judge._total(verdict, good.history, right | change)
        assert number is None or number in {finding.partition(":")[0] for finding in verdict.findings}
        assert bool(verdict.findings) == (number is not None)


def test_an_outbox_that_waits_by_its_own_account_is_found() -> None:
    quiet = "".join(
        f'huiyin_outbox_{what}{{service="{service}"}} 0.0\n' for service in SERVICES for what in ("size", "age_seconds")
    )
    for metrics, is_quiet in ((quiet, True), (quiet.replace("0.0", "3.0", 1), False), ("", False)):
        verdict = Verdict()
        judge._waiting(verdict, metrics)
        assert (verdict.findings == []) == is_quiet


def test_whoever_takes_more_than_before_is_found() -> None:
    usual = Footprint(100 << 20, Counter({"log.db": 3}), 20)
    assert Footprint(110 << 20, Counter({"log.db": 3}), 22).grown(usual) == []
    for more in (
        Footprint(111 << 20, Counter(), 20),
        Footprint(100 << 20, Counter(), 23),
        Footprint(100 << 20, Counter({"log.db": 4}), 20),
    ):
        (finding,) = more.grown(usual)
        assert finding.startswith("I18: ")
    assert Footprint.of(os.getpid()).memory > 1 << 20


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
