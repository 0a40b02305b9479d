"""B2: accepting an NDJSON batch, against a plain loop that does the same work with one transaction per 1,000 rows.

`python -m tests.bench.batch` runs the loop alone and prints its rows a second.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2
from pydantic_core import to_json

from services.intake.channels.batch import BatchLine
from services.intake.domain import Feedback
from shared.clock import SystemClock, SystemIds
from shared.events.envelope import Actor, enclose
from shared.events.intake import FeedbackReceived
from shared.http.strict import strict_json
from shared.store.sqlite import SqliteStore
from shared.text import language
from shared.vault.vault import COLLECTIONS, Vault
from tests.bench.bodies import body
from tests.bench.measures import Measure, of_rounds
from tests.bench.served import INTAKE, ROOT, Process, running, settle, town

ROUNDS = 5
LINES = 10_000
PER_TRANSACTION = 1_000


def send(process: Process, first: int, count: int) -> float:
    """Have so many lines accepted over the operator's socket; seconds from the first byte sent to the last received."""
    seconds = 0.0
    transport = httpx2.HTTPTransport(uds=str(process.data / "control.sock"), verify=False)
    with httpx2.Client(transport=transport) as client:
        for start in range(first, first + count, LINES):
            lines = [body(serial) for serial in range(start, min(start + LINES, first + count))]
            content = b"\n".join(lines)
            started = time.monotonic()
            answer = client.post(
                "http://control/v1/feedback/batch",
                content=content,
                headers={"content-type": "application/x-ndjson"},
                timeout=600,
            )
            seconds += time.monotonic() - started
            assert answer.text.count('"status":201') == len(lines), answer.text[:500]
    return seconds


async def loop(folder: Path) -> float:
    """The bound, rows a second: validate, seal, build the event, insert document and outbox row."""
    clock = SystemClock()
    ids = SystemIds(clock)
    store = await SqliteStore.open(folder / "vault.db", COLLECTIONS, clock)
    vault = await Vault.open(store, folder / "key", ids, clock)
    connection = sqlite3.connect(folder / "loop.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE feedback(id TEXT PRIMARY KEY, number TEXT, code TEXT UNIQUE, body TEXT)")
    connection.execute("CREATE INDEX numbers ON feedback(number)")  # a number drawn twice would have to be drawn again
    connection.execute("CREATE TABLE outbox(seq INTEGER PRIMARY KEY, event TEXT UNIQUE, value BLOB)")
    lines = [body(serial) for serial in range(LINES)]
    started = time.monotonic()
    for start in range(0, LINES, PER_TRANSACTION):
        documents, events = [], []
        for line in lines[start : start + PER_TRANSACTION]:
            said = BatchLine.model_validate(strict_json(line))
            keys, now = await vault.draw(), datetime.now(UTC)
            id, number, code = ids.document(), ids.number(date.today()), ids.code()
            contact = said.contact.model_dump(exclude_none=True) if said.contact else {}
            event = FeedbackReceived(
                at=now,
                actor=Actor(kind="import", id="bench"),
                number=number,
                channel="import",
                kind=said.kind,
                language=language(said.text),
                text=keys.seal("text", "text", said.text),
                contact=keys.seal("contact", "contact", to_json({**contact, "code": code}).decode()),
                point=said.location.point() if said.location else None,
                received_at=now,
            )
            hashed = vault.digest("code", code.encode())
            feedback = Feedback(number, hashed, "import", event.language, now, event.text, event.contact)
            envelope = enclose(event, subject=id, sequence=1, key=id, time=now, traceparent=None)
            documents.append((id, number, hashed, to_json(feedback).decode()))
            events.append((envelope.id, envelope.value))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO feedback VALUES (?, ?, ?, ?)", documents)
        connection.executemany("INSERT INTO outbox(event, value) VALUES (?, ?)", events)
        connection.execute("COMMIT")
    seconds = time.monotonic() - started
    connection.close()
    await vault.close()
    await store.close()
    return LINES / seconds


def batch(folder: Path) -> Measure:
    """B2."""
    data = town(folder)
    rounds = []
    with running(INTAKE, data) as process:
        send(process, 0, 2_000)
        for number in range(ROUNDS):
            command = [sys.executable, "-m", "tests.bench.batch"]
            bound = float(subprocess.check_output(command, cwd=ROOT))
            rounds.append((LINES / send(process, number * LINES, LINES), bound))
            settle(process)  # the next round begins with nothing left over
    ours, bound, more = of_rounds(rounds)
    work = "NDJSON batch of 10,000 lines"
    return Measure("B2", work, ours, bound, "rows/s", 0.6, True, "a loop, one transaction per 1,000", more)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as somewhere:
        print(asyncio.run(loop(Path(somewhere))))
