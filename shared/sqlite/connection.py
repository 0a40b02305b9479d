"""One connection to one file: how it is opened, which of its errors are the disk's, many rows in one statement."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote

from shared.errors import HuiyinError, Misconfigured
from shared.sqlite.sums import Summed, verify

Connection = sqlite3.Connection

T = TypeVar("T")

CHECK = 1.0
"""Seconds that the check of a file, its indexes too, may take at start: it is linear, and a large file should not delay
the start."""

ROWS = 256
"""Rows in one statement at most; fewer are cut into powers of two."""

OUTAGES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}
"""Errors that are the outside world's; every other one is a mistake in our code."""

PRAGMAS = ("foreign_keys=ON", "cell_size_check=ON", "trusted_schema=OFF")
MODES = {
    # Only the writing connection commits, and so only it checkpoints.
    "rw": (
        "journal_mode=WAL",
        "synchronous=FULL",
        "wal_autocheckpoint=1000",
        "journal_size_limit=67108864",
        "cache_size=-4096",
    ),
    "ro": ("query_only=1", "cache_size=-1024"),
}


UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What is raised over a file that is no sound database; the second one where its error quotes what it cannot read."""


def error_code(error: BaseException) -> int:
    """The primary result code of an error of SQLite, 0 for any other error."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_outage(error: BaseException) -> bool:
    """Whether the file, and not our code, is to blame."""
    return error_code(error) in OUTAGES


def connect(path: Path, mode: Literal["rw", "ro"]) -> Connection:
    """A connection that may be handed from thread to thread. The file must exist; it is never mapped into memory."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=5.0, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in (*MODES[mode], *PRAGMAS):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except UNREADABLE:
        connection.close()
        raise
    return connection


def reconnect(path: Path) -> Connection:
    """A writing connection after an error of the disk, once everything is in the file and synced anew.

    A sync that failed says nothing about the pages it was for, and the next one that succeeds nothing about those
    either: so nothing is left in the write-ahead log whose sync was ever in doubt. Raises what SQLite does.
    """
    connection = connect(path, "rw")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            error = sqlite3.OperationalError("the write-ahead log is being read")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
    except sqlite3.Error:
        connection.close()
        raise
    return connection


Schema = Callable[[Connection], Summed | None]
"""Brings a file's tables up, and says which of them have sums."""


def prepare(path: Path, schema: Schema) -> Connection:
    """Create the file if need be, check it, let `schema` bring its tables up in one transaction, check their rows.

    Raises `Misconfigured` naming the file where it cannot be used.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = connect(path, "rw")
    except (OSError, *UNREADABLE) as error:
        raise _unusable(path, error) from error
    try:
        _check(path, connection)
        connection.execute("BEGIN IMMEDIATE")
        summed = schema(connection)
        connection.execute("COMMIT")
        verify(connection, summed or {})
    except (*UNREADABLE, HuiyinError) as error:
        connection.close()
        raise (_unusable(path, error) if isinstance(error, UNREADABLE) else error) from error
    return connection


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """`rows` in pieces of such sizes that few different statements are ever prepared."""
    start = 0
    while left := len(rows) - start:
        size = min(ROWS, 1 << left.bit_length() - 1)
        yield rows[start : start + size]
        start += size


def put(connection: Connection, into: str, rows: Sequence[Sequence[object]], then: str = "") -> None:
    """`INSERT INTO {into} VALUES …, … {then}` in one statement. `rows` is one of `chunks`."""
    row = f"({','.join('?' * len(rows[0]))})"
    statement = f"INSERT INTO {into} VALUES {','.join([row] * len(rows))} {then}"  # noqa: S608 (names from our code)
    connection.execute(statement, [value for fields in rows for value in fields])


def _check(path: Path, connection: Connection) -> None:
    timer = threading.Timer(CHECK, connection.interrupt)
    timer.start()
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error_code(error) != sqlite3.SQLITE_INTERRUPT:
            raise
        verdict = "ok"  # as far as there was time
    finally:
        timer.cancel()
        timer.join()
    if verdict != "ok":
        raise Misconfigured(f"{path} is damaged: restore it from a backup")


def _unusable(path: Path, error: Exception) -> Misconfigured:
    if error_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError):
        return Misconfigured(f"{path} is damaged ({type(error).__name__}): restore it from a backup")
    reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
    return Misconfigured(f"{path} cannot be opened: {reason}")
