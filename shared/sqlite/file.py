"""One file with one writer thread, which commits whatever is queued together, and a few readers."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from shared.errors import Unavailable, Unsettled
from shared.sqlite.connection import Connection, Schema, connect, error_code, is_outage, prepare, reconnect
from shared.telemetry.failpoints import failpoint

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = TypeVar("Answer")

LIMIT = 5.0
"""Seconds after which a caller is told `Unavailable`."""

GROUP = 4 * 1024 * 1024
"""Bytes of changes after which a commit takes no further item."""

QUEUE = 64 * 1024 * 1024
"""Bytes of changes that may wait for the writer; beyond it they are refused."""

SWITCH = 0.0001
"""Seconds after which the event loop must give way to a thread (the whole process's switch interval).

Measured: a loop that is always busy kept a thread waiting for up to 5 s per statement at Python's default of 5 ms,
because each look at the sockets counts as giving way and starts the wait anew.
"""

READERS = 2
"""Threads, and so connections, that read one file."""


@dataclass(frozen=True, slots=True)
class _Queued(Generic[Item, Result]):
    item: Item
    weight: int
    future: asyncio.Future[Result]


def _heard(future: asyncio.Future[Answer]) -> None:
    """Whoever waited for an error may have left: no reason for the loop to complain."""
    if not future.cancelled():
        future.exception()


class SqliteFile(Generic[Item, Result]):
    """`apply` runs in the writer's thread inside a transaction, and answers for each of its items in order.

    It has no effect outside the connection: after a mistake it is called again, with one item at a time.
    """

    @classmethod
    async def open(
        cls,
        path: Path,
        schema: Schema,
        apply: Callable[[Connection, Sequence[Item]], Sequence[Result]],
    ) -> SqliteFile[Item, Result]:
        """Create the file if need be, check it, let `schema` bring its tables up. Raises `Misconfigured`."""
        sys.setswitchinterval(SWITCH)
        connection = await asyncio.to_thread(prepare, path, schema)
        return cls(path, connection, apply, asyncio.get_running_loop())

    def __init__(
        self,
        path: Path,
        connection: Connection,
        apply: Callable[[Connection, Sequence[Item]], Sequence[Result]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._path = path
        self._apply = apply
        self._loop = loop
        self._writing: Connection | None = connection
        self._gathered: list[_Queued[Item, Result]] = []
        self._queue: SimpleQueue[list[_Queued[Item, Result]] | None] = SimpleQueue()
        self._waiting = 0
        self._closing: asyncio.Future[None] | None = None
        self._idle: list[Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"{path.stem}-reader")
        self._writer = threading.Thread(target=self._write, name=f"{path.stem}-writer", daemon=True)
        self._writer.start()

    def submit(self, item: Item, weight: int) -> asyncio.Future[Result]:
        """Queue an item of `weight` bytes. The future tells what really happened, whoever still waits for it."""
        self._refuse_if_closed()
        if self._waiting and self._waiting + weight > QUEUE:
            raise Unavailable(f"{self._path.name} has too much to write")
        self._waiting += weight
        future: asyncio.Future[Result] = self._loop.create_future()
        future.add_done_callback(_heard)
        if not self._gathered:  # what this turn of the loop brings is handed over together, and wakes the writer once
            self._loop.call_soon(self._hand_over)
        self._gathered.append(_Queued(item, weight, future))
        return future

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    async def write(self, item: Item, weight: int, limit: float = LIMIT) -> Result:
        """Have an item applied and on disk. After `Unavailable` it may still come to be."""
        return await self.outcome(self.submit(item, weight), limit)

    async def outcome(self, future: asyncio.Future[Answer], limit: float = LIMIT) -> Answer:
        """What a future says within `limit` seconds, else `Unavailable`; the future itself goes on."""
        if not future.done():
            woken: asyncio.Future[None] = self._loop.create_future()

            def wake(_: object = None) -> None:
                if not woken.done():
                    woken.set_result(None)

            # What `asyncio.wait` does, at a third of its cost.
            future.add_done_callback(wake)
            timer = self._loop.call_later(limit, wake)
            try:
                await woken
            finally:
                timer.cancel()
                future.remove_done_callback(wake)
        if not future.done():
            raise Unavailable(f"{self._path.name} did not answer within {limit:g} s")
        return future.result()

    async def read(self, work: Callable[[Connection], Answer], limit: float = LIMIT) -> Answer:
        """Run `work` on a read-only connection in another thread. It sees everything committed before the call."""
        self._refuse_if_closed()
        future = self._loop.run_in_executor(self._readers, self._read, work)
        future.add_done_callback(_heard)
        return await self.outcome(future, limit)

    async def close(self) -> None:
        """Write what is queued, move the write-ahead log into the file, let go of it. More calls do nothing."""
        if self._closing is None:
            self._hand_over()
            self._closing = self._loop.run_in_executor(None, self._shut)
        await asyncio.shield(self._closing)

    def _refuse_if_closed(self) -> None:
        if self._closing is not None:
            raise Unavailable(f"{self._path.name} is closed")

    # In a reader's thread.

    def _read(self, work: Callable[[Connection], Answer]) -> Answer:
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = connect(self._path, "ro")
            try:
                return work(connection)
            finally:
                self._idle.append(connection)
        except sqlite3.Error as error:
            if is_outage(error):
                raise Unavailable(f"{self._path.name} cannot be read: {error}") from error
            raise

    # In the writer's thread.

    def _write(self) -> None:
        for group in self._groups():
            outcomes = self._commit(group)
            failpoint(f"{self._path.stem}.committed")
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                self._loop.call_soon_threadsafe(self._settle, group, outcomes)

    def _groups(self) -> Iterator[list[_Queued[Item, Result]]]:
        """What is queued, as much as fits, without waiting for more; ends at the mark that `close` puts."""
        queued = self._queue.get()
        while queued is not None:
            group, weight = queued, sum(one.weight for one in queued)
            try:
                while weight < GROUP and (queued := self._queue.get_nowait()) is not None:
                    group += queued
                    weight += sum(one.weight for one in queued)
            except Empty:
                pass
            yield group
            if queued is not None:
                queued = self._queue.get()

    def _commit(self, group: Sequence[_Queued[Item, Result]]) -> Sequence[Result | Exception]:
        try:
            if self._writing is None:
                self._writing = reconnect(self._path)
            self._writing.execute("BEGIN IMMEDIATE")
            results = self._apply(self._writing, [queued.item for queued in group])
            failpoint(f"{self._path.stem}.commit")
            self._writing.execute("COMMIT")
            return results
        except Exception as error:
            self._undo(error)
            if is_outage(error):
                unable = Unavailable if error_code(error) == sqlite3.SQLITE_FULL else Unsettled
                return [unable(f"{self._path.name} cannot be written: {error}") for _ in group]
            if len(group) == 1:
                return [error]
            return [self._commit([queued])[0] for queued in group]

    def _undo(self, error: Exception) -> None:
        """Leave no transaction open. After an error of the disk the connection is not believed any more."""
        if self._writing is None:
            return
        try:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
        except sqlite3.Error as another:
            error = another
        if is_outage(error) and error_code(error) != sqlite3.SQLITE_FULL:
            with contextlib.suppress(sqlite3.Error):
                self._writing.close()
            self._writing = None

    def _settle(self, group: Sequence[_Queued[Item, Result]], outcomes: Sequence[Result | Exception]) -> None:
        for queued, outcome in zip(group, outcomes, strict=True):
            self._waiting -= queued.weight
            if isinstance(outcome, Exception):
                queued.future.set_exception(outcome)
            else:
                queued.future.set_result(outcome)

    # In any thread, at the end.

    def _shut(self) -> None:
        self._queue.put(None)
        self._writer.join()
        self._readers.shutdown()
        for connection in self._idle:
            connection.close()
        if self._writing is not None:
            with contextlib.suppress(sqlite3.Error):  # else the write-ahead log is read at the next start
                self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._writing.close()


OpenFile = Callable[[Path, Schema, Callable[..., Any]], Awaitable[SqliteFile[Any, Any]]]
"""How an adapter gets its file: `SqliteFile.open`, or what keeps the same promises."""
