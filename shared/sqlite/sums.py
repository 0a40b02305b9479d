"""A sum over each row, by which a byte that changed on the disk is noticed: SQLite itself sees damage to its own
structure only, and not to what the rows say."""

# ruff: noqa: S608 (the names in these statements come from declarations)

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from zlib import crc32

from shared.errors import Misconfigured

Summed = Mapping[str, Sequence[str]]
"""Table → the columns that its column `sum` is over; the first one names the row."""

TIME = 0.5
"""Seconds that looking through a file's rows may take at start; a row that it does not come to is judged when read."""

ROWS = 500
"""Rows judged between two looks at the time."""


def checksum(text: str, blob: bytes = b"") -> int:
    """The sum of a row: its values as text with NUL between them (nothing for null), and perhaps a last one in bytes."""
    return crc32(blob, crc32(text.encode()))


def verify(connection: sqlite3.Connection, tables: Summed) -> None:
    """Judge the rows of tables for a while. Raises `Misconfigured`, naming file and row."""
    late = threading.Event()
    timer = threading.Timer(TIME, late.set)
    timer.start()
    try:
        for table, columns in tables.items():
            stored = ", ".join(f"CAST({column} AS BLOB)" for column in columns)
            rows = connection.execute(f"SELECT {stored}, sum FROM {table}")
            while not late.is_set() and (some := rows.fetchmany(ROWS)):
                for *parts, told in some:
                    if crc32(b"\0".join([part or b"" for part in parts])) != told:
                        raise Misconfigured(
                            f"{_path(connection)} is damaged (row {parts[0].decode(errors='replace')} of {table}): "
                            "restore it from a backup"
                        )
    finally:
        timer.cancel()
        timer.join()


def _path(connection: sqlite3.Connection) -> Path:
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
