"""The document store on SQLite keeps every promise of the port, and those that are its own."""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.errors import Damaged, Misconfigured, NotDeclared, Unavailable
from shared.store.port import Collection, Delete, DocumentStore, Done, Index, Insert, Query
from shared.store.sqlite import SqliteStore
from tests.contract.questions import QuestionsContract
from tests.contract.store import CASES, Opening, StoreContract
from tests.contract.words import WordsContract


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Every write beyond the first byte of a file fails, as on a full or broken disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestSqliteStore(StoreContract, QuestionsContract, WordsContract):
    @pytest.fixture
    def opening(self, tmp_path: Path) -> Opening:
        async def open(collections: Sequence[Collection]) -> DocumentStore:
            return await SqliteStore.open(tmp_path / "routing.db", collections, SystemClock())

        return open

    @pytest.fixture
    def outage(self) -> AbstractContextManager[None]:
        return no_file_may_grow()

    async def test_only_its_owner_may_read_the_files(self, opening: Opening, tmp_path: Path) -> None:
        store = await opening([CASES])
        await store.write([Insert("cases", "c", {})])
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
        await store.close()
        assert [file.name for file in tmp_path.iterdir()] == ["routing.db"]

    @pytest.mark.row("F32")
    async def test_a_document_beyond_a_megabyte_is_told_of(
        self, opening: Opening, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = await opening([CASES])
        await store.write(
            [Insert("cases", "a", {"text": "x" * 900_000}), Insert("cases", "b", {"text": "x" * 1_100_000})]
        )
        (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert (line["event"], line["document"]) == ("a document is large", "b")
        await store.close()

    @pytest.mark.row("F7")
    async def test_while_the_disk_is_full_only_what_is_urgent_is_written(self, tmp_path: Path) -> None:
        disk = {"full": False}
        collections = [CASES, Collection("audit", "record", urgent=True)]
        store = await SqliteStore.open(tmp_path / "routing.db", collections, SystemClock(), full=lambda: disk["full"])
        await store.write([Insert("cases", "c", {}), Insert("cases", "d", {})])
        disk["full"] = True
        with pytest.raises(Unavailable, match="full"):
            await store.write([Insert("audit", "a", {}), Insert("cases", "e", {})])
        assert await store.write([Insert("audit", "a", {}), Delete("cases", "c", 1)]) == [Done(1), Done(0)]
        assert set(await store.get("cases", ["c", "d", "e"])) == {"d"}
        disk["full"] = False
        assert await store.write([Insert("cases", "e", {})]) == [Done(1)]
        await store.close()

    @pytest.mark.row("F11")
    async def test_a_damaged_file_is_named_in_one_line(self, opening: Opening, tmp_path: Path) -> None:
        store = await opening([CASES])
        await store.write([Insert("cases", f"c{number}", {"text": "x" * 900}) for number in range(200)])
        await store.close()
        path = tmp_path / "routing.db"
        content = bytearray(path.read_bytes())
        content[4096 * 5 : 4096 * 40] = b"\xaa" * 4096 * 35
        path.write_bytes(content)
        with pytest.raises(Misconfigured) as refusal:
            await opening([CASES])
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)

    @pytest.mark.row("F11")
    async def test_a_bit_that_flips_anywhere_is_found_at_the_start_or_changes_nothing(
        self, opening: Opening, tmp_path: Path
    ) -> None:
        store = await opening([CASES])
        ids = [f"c{number}" for number in range(20)]
        await store.write([Insert("cases", id, {"number": id, "text": f"路灯 {id} " * 20}) for id in ids])
        written = await store.get("cases", ids)
        await store.close()
        path, chance = tmp_path / "routing.db", random.Random(11)
        content = path.read_bytes()
        told: list[str] = []
        for _ in range(60):
            damaged = bytearray(content)
            damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            try:
                store = await opening([CASES])
            except Misconfigured as refusal:
                told.append(str(refusal))
                continue
            assert await store.get("cases", ids) == written
            await store.close()
        assert all(line.startswith(f"{path} ") for line in told)
        assert len(told) > sum("(row c" in line for line in told) > 0

    @pytest.mark.row("F11")
    async def test_a_row_that_is_damaged_while_the_file_is_open_is_never_served(
        self, opening: Opening, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        store = await opening([CASES])
        await store.write([Insert("cases", id, {"number": id}) for id in "ab"])
        with sqlite3.connect(tmp_path / "routing.db") as other:
            other.execute("""UPDATE cases SET body = '{"number":"x"}' WHERE id = 'b'""")
        other.close()
        assert set(await store.get("cases", ["a"])) == {"a"}
        with pytest.raises(Damaged, match=r"routing\.db is damaged: b"):
            await store.get("cases", ["a", "b"])
        with pytest.raises(Damaged):
            await store.find("cases", Query(limit=10))
        alarm = json.loads(capsys.readouterr().err.splitlines()[0])
        assert (alarm["level"], alarm["file"], alarm["row"]) == ("critical", "routing.db", "b")
        await store.close()

    @pytest.mark.row("F11")
    async def test_a_file_that_is_no_database_is_named_in_one_line(self, opening: Opening, tmp_path: Path) -> None:
        (tmp_path / "routing.db").write_bytes(b"not a database, but long enough to look like a file" * 100)
        with pytest.raises(Misconfigured, match=r"routing\.db is damaged"):
            await opening([CASES])

    async def test_a_folder_in_place_of_the_file_is_named_in_one_line(self, opening: Opening, tmp_path: Path) -> None:
        (tmp_path / "routing.db").mkdir()
        with pytest.raises(Misconfigured, match=r"routing\.db cannot be opened"):
            await opening([CASES])

    async def test_a_value_held_twice_cannot_become_unique(self, opening: Opening) -> None:
        store = await opening([Collection("cases", "record")])
        await store.write([Insert("cases", id, {"number": "1"}) for id in "ab"])
        await store.close()
        with pytest.raises(Misconfigured, match="cases"):
            await opening([Collection("cases", "record", unique=("number",))])

    @pytest.mark.parametrize("name", ["Cases", "", 'a"b', "_outbox", "1a"])
    async def test_a_collection_has_a_plain_name(self, opening: Opening, name: str) -> None:
        with pytest.raises(NotDeclared):
            await opening([Collection(name, "record")])

    @pytest.mark.parametrize("field", ["", "a b", "a.", 'a"', "a'); --", "$.a"])
    async def test_a_field_has_a_plain_name(self, opening: Opening, field: str) -> None:
        with pytest.raises(NotDeclared):
            await opening([Collection("cases", "record", indexes=(Index((field,)),))])

    async def test_a_collection_may_be_named_like_a_word_of_sql(self, opening: Opening) -> None:
        store = await opening([Collection("order", "derived", unique=("select",), indexes=(Index(("group", "from")),))])
        assert await store.write([Insert("order", "a", {"select": 1, "group": 2, "from": 3})]) == [Done(1)]
        await store.close()
