"""What runs when the power goes: documents with events, and records of the log, each confirmed in a file of its own.

`python -m tests.power.workload FOLDER ROWS [NORMAL]`
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from shared.bus.sqlite import SqliteBus
from shared.clock import SystemClock
from shared.events.envelope import Envelope
from shared.sqlite import connection
from shared.store.port import Collection, Done, Insert
from shared.store.sqlite import SqliteStore

NOTES = Collection("notes", "record", unique=("number",))
AT_ONCE = 8
PADDING = "回音" * 200


def envelope(id: str) -> Envelope:
    now = datetime(2026, 9, 7, tzinfo=UTC)
    return Envelope("/notes", id, 1, "note.written", 1, id, now, None, PADDING.encode())


async def main(folder: Path, rows: int) -> None:
    clock = SystemClock()
    store = await SqliteStore.open(folder / "notes.db", [NOTES], clock)
    bus = await SqliteBus.open(folder / "log.db", clock)
    confirmed = os.open(folder / "confirmed", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def one(start: int) -> None:
        for n in range(start, rows, AT_ONCE):
            id = f"note-{n}"
            event = envelope(id)
            (outcome,) = await store.write([Insert("notes", id, {"number": str(n), "text": PADDING}, None, [event])])
            assert isinstance(outcome, Done)
            os.write(confirmed, f"notes {id}\n".encode())
            await bus.publish([event])
            os.write(confirmed, f"log {id}\n".encode())
            await store.published([event.id])

    await asyncio.gather(*(one(start) for start in range(AT_ONCE)))
    await store.close()
    await bus.close()


if __name__ == "__main__":
    if sys.argv[3:] == ["NORMAL"]:
        connection.MODES["rw"] = tuple(pragma.replace("FULL", "NORMAL") for pragma in connection.MODES["rw"])
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
