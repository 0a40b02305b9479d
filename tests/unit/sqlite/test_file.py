"""The writer of a file: groups, mistakes, time limits, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Unavailable, Unsettled
from shared.sqlite import Connection, SqliteFile, chunks
from shared.sqlite.file import QUEUE


def schema(connection: Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS notes(text TEXT NOT NULL UNIQUE)")


class Notes:
    """Inserts texts, remembers how many came at once, and can be made to wait."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, connection: Connection, items: Sequence[str]) -> list[int]:
        self.free.wait()
        self.groups.append(len(items))
        for text in items:
            if text == "mistake":
                raise ZeroDivisionError
            connection.execute("INSERT INTO notes VALUES (?)", (text,))
        return [len(text) for text in items]


def texts(connection: Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def file(tmp_path: Path, notes: Notes) -> AsyncIterator[SqliteFile[str, int]]:
    file = await SqliteFile.open(tmp_path / "notes.db", schema, notes)
    yield file
    notes.free.set()
    await file.close()


@pytest.mark.row("F10")
async def test_what_is_queued_is_committed_together(file: SqliteFile[str, int], notes: Notes) -> None:
    notes.free.clear()
    first = asyncio.create_task(file.write("first", 1))
    await asyncio.sleep(0)
    others = asyncio.gather(*(file.write(f"{number}", 1) for number in range(100)))
    await asyncio.sleep(0)
    notes.free.set()
    assert await first == 5
    assert await others == [len(str(number)) for number in range(100)]
    assert len(notes.groups) <= 2


async def test_one_mistake_in_a_group_is_told_to_its_author_only(file: SqliteFile[str, int], notes: Notes) -> None:
    notes.free.clear()
    waiting = [asyncio.create_task(file.write(text, 1)) for text in ("a", "b", "mistake", "a", "c")]
    await asyncio.sleep(0)
    notes.free.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert answers[:2] == [1, 1]
    assert isinstance(answers[2], ZeroDivisionError)
    assert isinstance(answers[3], sqlite3.IntegrityError)
    assert answers[4] == 1
    assert await file.read(texts) == ["a", "b", "c"]


@pytest.mark.row("F10")
async def test_too_much_to_write_is_refused_and_not_kept_in_memory(file: SqliteFile[str, int], notes: Notes) -> None:
    notes.free.clear()
    whole = file.submit("as large as the queue", QUEUE)
    with pytest.raises(Unavailable, match="too much"):
        await file.write("one more", 1)
    notes.free.set()
    await whole
    assert await file.write("now", 1) == 3


@pytest.mark.row("F10")
async def test_a_writer_that_hangs_is_unavailable_and_the_work_may_still_be_done(
    file: SqliteFile[str, int], notes: Notes
) -> None:
    notes.free.clear()
    with pytest.raises(Unavailable, match="did not answer"):
        await file.write("late", 1, limit=0.01)
    notes.free.set()
    assert await file.write("next", 1) == 4
    assert await file.read(texts) == ["late", "next"]


class Failing:
    """The connection of a disk that reports an error at a commit, before or after the commit was made."""

    def __init__(self, connection: Connection, code: int, committed: bool) -> None:
        self._connection, self._code, self._committed = connection, code, committed
        self.closed = False

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql != "COMMIT":
            return self._connection.execute(sql, *parameters)
        if self._committed:
            self._connection.execute(sql)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = self._code
        raise error

    def close(self) -> None:
        self.closed = True
        self._connection.close()


@pytest.mark.row("F9")
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_WRITE])
@pytest.mark.parametrize("committed", [False, True])
async def test_after_an_error_of_the_disk_the_connection_is_not_believed(
    file: SqliteFile[str, int], tmp_path: Path, code: int, committed: bool
) -> None:
    await file.write("before", 1)
    assert await file.read(texts) == ["before"]  # whoever reads keeps the log from being ended with the connection
    connection = file._writing
    assert connection
    failing = Failing(connection, code, committed)
    file._writing = failing  # type: ignore[assignment]  # it does what the writer asks of a connection
    with pytest.raises(Unsettled, match="cannot be written"):
        await file.write("unknown", 1)
    assert failing.closed
    log = tmp_path / "notes.db-wal"
    assert log.stat().st_size > 0
    with pytest.raises(ZeroDivisionError):
        await file.write("mistake", 1)
    assert log.stat().st_size == 0, "the frames whose sync failed are in the file, and no sync of theirs is believed"
    assert await file.write("after", 1) == 5
    assert await file.read(texts) == (["before", "unknown", "after"] if committed else ["before", "after"])


async def test_close_writes_what_is_queued(tmp_path: Path, notes: Notes) -> None:
    file = await SqliteFile.open(tmp_path / "notes.db", schema, notes)
    waiting = [asyncio.create_task(file.write(f"{number}", 1)) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.gather(file.close(), file.close())
    assert await asyncio.gather(*waiting) == [len(str(number)) for number in range(50)]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.db"]


async def test_a_reader_cannot_write(file: SqliteFile[str, int]) -> None:
    with pytest.raises(Unavailable, match="readonly"):
        await file.read(lambda connection: connection.execute("INSERT INTO notes VALUES ('x')").fetchall())


async def test_the_file_is_as_durable_as_it_can_be(file: SqliteFile[str, int], tmp_path: Path) -> None:
    writing = file._writing
    assert writing
    wanted = {"journal_mode": "wal", "synchronous": 2, "trusted_schema": 0, "cell_size_check": 1, "mmap_size": 0}
    assert {name: writing.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted


@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, 1000])
def test_chunks_lose_nothing_and_have_few_sizes(count: int) -> None:
    cut = list(chunks(range(count)))
    assert [number for some in cut for number in some] == list(range(count))
    assert {len(some) for some in cut} <= {2**power for power in range(9)}


PROGRAM = """
import asyncio, sys
from pathlib import Path
from shared.sqlite import SqliteFile
from tests.unit.sqlite.test_file import Notes, schema

async def main():
    file = await SqliteFile.open(Path(sys.argv[1]), schema, Notes())
    for number in range(10):
        await file.write(str(number), 1)
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.row("F2")
@pytest.mark.parametrize(("point", "kept"), [("notes.commit:4", 3), ("notes.committed:4", 4)])
def test_death_at_a_commit_loses_nothing_that_was_answered(tmp_path: Path, point: str, kept: int) -> None:
    environment = {**os.environ, "HUIYIN_FAILPOINT": point}
    died = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "notes.db"], env=environment, capture_output=True, text=True
    )
    assert died.returncode == -9
    assert died.stdout.split() == ["0", "1", "2"]
    with sqlite3.connect(tmp_path / "notes.db") as connection:
        assert texts(connection) == [str(number) for number in range(kept)]
    connection.close()


@pytest.mark.row("F3")
@pytest.mark.skipif(shutil.which("strace") is None and not os.environ.get("CI"), reason="needs strace")
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
@pytest.mark.parametrize("number", [1, 2, 4, 7, 11, 16])
def test_death_at_any_system_call_loses_nothing_that_was_answered(tmp_path: Path, call: str, number: int) -> None:
    path = tmp_path / "notes.db"
    strace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
    died = subprocess.run([*strace, *inject, sys.executable, "-c", PROGRAM, path], capture_output=True, text=True)
    answered = died.stdout.split()
    assert died.returncode in (0, -9), died.stderr
    assert died.returncode == -9 or len(answered) == 10
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        has = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'notes'").fetchone()[0]
        kept = texts(connection) if has else []
    connection.close()
    assert kept[: len(answered)] == answered
    assert len(kept) <= len(answered) + 1
