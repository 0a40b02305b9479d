"""The log as a table of SQLite, and the positions beside it.

A record's place is its partition and its offset in one integer, so that a partition's records lie together in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from shared.bus.port import PARTITIONS, Positions, Record
from shared.errors import Damaged
from shared.sqlite import Connection, Summed, checksum, chunks, put

BATCH = 250
"""Records in one delivery at most."""

BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of values after which a delivery takes no further record."""

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS log(
         place INTEGER PRIMARY KEY, key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL,
         partition INTEGER AS (place >> 40), offset INTEGER AS (place & 0xffffffffff))""",
    """CREATE TABLE IF NOT EXISTS positions(
         consumer TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
         PRIMARY KEY(consumer, partition))""",
)
LENGTHS = """
SELECT json_group_array(length(value))
FROM (SELECT value FROM log WHERE place >= ? AND place < ? ORDER BY place LIMIT ?)
"""
RECORDS = """
SELECT CAST('[' || group_concat('[' || offset || ',' || json_quote(key) || ',' || json_quote(headers) || ',' || sum || ']') || ']' AS BLOB),
       CAST(group_concat(CAST(value AS TEXT), '') AS BLOB)
FROM (SELECT offset, key, headers, value, sum FROM log WHERE place >= ? ORDER BY place LIMIT ?)
"""
SAVED = "SELECT json_group_array(json_array(consumer, partition, next)) FROM positions"


def place(partition: int, offset: int) -> int:
    """Where a record lies."""
    return partition << 40 | offset


@dataclass(frozen=True, slots=True)
class Append:
    rows: Sequence[tuple[int, str, str, bytes]]
    """Partition, key, headers, value."""


@dataclass(frozen=True, slots=True)
class Save:
    consumer: str
    positions: Positions
    only: bool
    """Forget every position that is not given."""


Item = Append | Save


def batch(connection: Connection, partition: int, start: int, stop: int) -> list[Record]:
    """The next records of a partition, as many as one delivery takes."""
    first = place(partition, start)
    lengths = from_json(connection.execute(LENGTHS, (first, place(partition, stop), BATCH)).fetchone()[0])
    lengths = lengths[: _fitting(lengths)]
    if not lengths:
        return []
    heads, values = connection.execute(RECORDS, (first, len(lengths))).fetchone()
    records, at = [], 0
    for length, (offset, key, headers, sum) in zip(lengths, from_json(heads), strict=True):
        value = values[at : at + length]
        if sum != _sum(place(partition, offset), key, headers, value):
            raise Damaged(f"the log is damaged: partition {partition}, offset {offset}")
        records.append(Record(partition, offset, key, from_json(headers), value))
        at += length
    return records


def _sum(place: int, key: str, headers: str, value: bytes) -> int:
    return checksum(f"{place}\0{key}\0{headers}\0", value)


def positions(connection: Connection) -> list[tuple[str, int, int]]:
    """Every consumer's saved position in every partition it has one in."""
    return [tuple(saved) for saved in from_json(connection.execute(SAVED).fetchone()[0])]


def _fitting(lengths: Sequence[int]) -> int:
    """How many values one delivery takes: at least one, if there is one."""
    total = 0
    for count, length in enumerate(lengths):
        total += length
        if count and total > BATCH_BYTES:
            return count
    return len(lengths)


def create(connection: Connection) -> Summed:
    for statement in SCHEMA:
        connection.execute(statement)
    return {"log": ("place", "key", "headers", "value")}


def ends_of(connection: Connection) -> dict[int, int]:
    """The offset after the last record of each partition."""
    last = "SELECT max(place) FROM log WHERE place >= {} AND place < {}"
    places = ", ".join(f"({last.format(place(p, 0), place(p + 1, 0))})" for p in range(PARTITIONS))
    found = connection.execute(f"SELECT {places}").fetchone()
    return {p: 0 if at is None else at - place(p, 0) + 1 for p, at in enumerate(found)}


def apply(connection: Connection, items: Sequence[Item]) -> list[dict[int, int]]:
    """For each item the ends of the partitions it made longer. The file, not memory, says where they are."""
    ends, results = ends_of(connection), list[dict[int, int]]()
    records: list[tuple[int, str, str, bytes, int]] = []
    saved: dict[tuple[str, int], int] = {}
    for item in items:
        grown: dict[int, int] = {}
        if isinstance(item, Append):
            for partition, key, headers, value in item.rows:
                at = place(partition, ends[partition])
                records.append((at, key, headers, value, _sum(at, key, headers, value)))
                ends[partition] += 1
                grown[partition] = ends[partition]
        else:
            if item.only:
                connection.execute("DELETE FROM positions WHERE consumer = ?", (item.consumer,))
                saved = {at: following for at, following in saved.items() if at[0] != item.consumer}
            saved |= {(item.consumer, partition): following for partition, following in item.positions.items()}
        results.append(grown)
    for some in chunks(records):
        put(connection, "log(place, key, headers, value, sum)", some)
    for positions in chunks([(*at, following) for at, following in saved.items()]):
        put(connection, "positions", positions, "ON CONFLICT DO UPDATE SET next = excluded.next")
    return results
