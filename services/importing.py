"""`huiyin import`: rows of a table, sent in batches; what cannot be accepted is written down row by row."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from services.intake.channels.spreadsheet import Preset, Row, RowError, count_rows, read_rows
from shared.clock import Clock
from shared.errors import Misconfigured

BATCH = 500
TRIES = 20
"""How often a batch is sent again while the process answers that it is busy, a second apart."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} rows/s")


def progress() -> Progress:
    """A bar with its rate, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


async def import_table(
    client: httpx2.AsyncClient, path: Path, preset: Preset, live: bool, report: Path, clock: Clock
) -> tuple[int, int]:
    """Send every row; how many were accepted, and how many are listed in `report` (made only if there are any).

    Raises `Misconfigured` naming the last row confirmed if the process goes away: then run it again, it is safe.
    """
    accepted = confirmed = 0
    refused: list[tuple[int, str, str]] = []
    with progress() as bar:
        task = bar.add_task(path.name, total=count_rows(path, preset))
        for group in _groups(read_rows(path, preset, live)):
            refused += [
                (row.number, e.location, e.code) for row in group if isinstance(row, RowError) for e in row.errors
            ]
            rows = [row for row in group if isinstance(row, Row)]
            try:
                results = await send(client, "/v1/feedback/batch", [row.line for row in rows], clock)
            except (httpx2.TransportError, Misconfigured) as error:
                raise Misconfigured(
                    f"stopped after row {confirmed} ({str(error) or type(error).__name__}): run it again"
                ) from None
            for row, result in zip(rows, results, strict=True):
                if result["status"] == 201:
                    accepted += 1
                else:
                    errors = result["problem"].get("errors") or [{"location": "/", "code": str(result["status"])}]
                    refused += [(row.number, e["location"], e["code"]) for e in errors]
            confirmed = group[-1].number
            bar.advance(task, len(group))
    if refused:
        with report.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("row", "field", "code"))
            writer.writerows(refused)
    return accepted, len({number for number, _, _ in refused})


def _groups(rows: Iterator[Row | RowError]) -> Iterator[list[Row | RowError]]:
    while group := list(itertools.islice(rows, BATCH)):
        yield group


async def send(client: httpx2.AsyncClient, path: str, lines: Sequence[bytes], clock: Clock) -> list[dict[str, Any]]:
    """Post a batch; the result of each line. Raises `Misconfigured` for an answer that is none."""
    if not lines:
        return []
    body = b"\n".join(lines)
    for _ in range(TRIES):
        answer = await client.post(path, content=body, headers={"Content-Type": "application/x-ndjson"})
        if answer.status_code != 503:
            break
        await clock.sleep(1)
    if answer.status_code != 200:
        raise Misconfigured(f"status {answer.status_code}")
    return [json.loads(line) for line in answer.text.splitlines()]
