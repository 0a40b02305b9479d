"""SQLite in memory, in the caller's own turn: what `SqliteFile` promises, without threads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.sqlite import Connection
from shared.sqlite.connection import Schema


class InlineFile:
    """One file of a `Disk`."""

    def __init__(self, connection: Connection, apply: Callable[[Connection, Sequence[Any]], Sequence[Any]]) -> None:
        self._connection = connection
        self._apply = apply

    def submit(self, item: Any, weight: int) -> asyncio.Future[Any]:
        del weight
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            (result,) = self._apply(self._connection, [item])
            self._connection.execute("COMMIT")
        except Exception as error:
            self._connection.execute("ROLLBACK")
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    async def write(self, item: Any, weight: int, limit: float = 0) -> Any:
        del limit
        return await self.submit(item, weight)

    async def outcome(self, future: asyncio.Future[Any], limit: float = 0) -> Any:
        del limit
        return await future

    async def read(self, work: Callable[[Connection], Any], limit: float = 0) -> Any:
        del limit
        return work(self._connection)

    async def close(self) -> None:
        """The disk outlives whoever used it."""


class Disk:
    """What outlives every process. `open` is what the adapters call."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}

    async def open(
        self,
        path: Path,
        schema: Schema,
        apply: Callable[[Connection, Sequence[Any]], Sequence[Any]],
    ) -> Any:
        connection = self._connections.get(path.stem)
        if connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._connections[path.stem] = connection
        connection.execute("BEGIN IMMEDIATE")
        schema(connection)
        connection.execute("COMMIT")
        return InlineFile(connection, apply)

    def rows(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        """What a file holds, for the checker."""
        return self._connections[name].execute(sql).fetchall()

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
