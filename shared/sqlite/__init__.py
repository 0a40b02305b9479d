"""SQLite as the embedded mode uses it: durable, one writer per file, many changes per commit, few statements.

A thread that steps through a statement gives up Python's global lock for each row, and waits to have it back while the
event loop is busy. So what runs here handles many rows with one statement and brings a result back as one row.
"""

from shared.sqlite.connection import Connection, chunks, put
from shared.sqlite.file import OpenFile, SqliteFile
from shared.sqlite.lock import FolderLock
from shared.sqlite.reserve import Reserve
from shared.sqlite.sums import Summed, checksum

__all__ = [
    "Connection",
    "FolderLock",
    "OpenFile",
    "Reserve",
    "SqliteFile",
    "Summed",
    "checksum",
    "chunks",
    "put",
]
