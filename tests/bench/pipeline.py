"""B3, B4 and B6: the whole way, from what was accepted to everyone told and everything counted."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from shared.clock import parse_rfc3339
from tests.bench.accept import bare
from tests.bench.batch import send
from tests.bench.bodies import WITH_ADDRESS
from tests.bench.measures import Measure, of_rounds
from tests.bench.served import EVERYTHING, INTAKE, Process, on_the_log, running, town, until

EVENTS = 2 + WITH_ADDRESS
"""Events of a feedback when all is done: received, routed, and sent where there is an address."""


def done(process: Process, events: int) -> bool:
    """Whether so many events are on the log and every service has taken all there are."""
    lag = sum(service["lag"] for service in process.ask("/control/lag").values())
    return not lag and on_the_log(process.data) >= events


def drain(folder: Path, count: int, rounds: int) -> Measure:
    """B3: `rounds` backlogs that together are `count` feedbacks, accepted while nothing but intake ran."""
    data = town(folder)
    rates, size = [], count // rounds
    for number in range(rounds):
        with running(INTAKE, data) as process:
            send(process, number * size, size)
        bound = bare(folder)
        before = on_the_log(data)
        with running(EVERYTHING, data) as process:
            started = time.monotonic()
            until(lambda process=process, before=before: done(process, before + int(size * (EVENTS - 1))))  # type: ignore[misc]
            rates.append((size / (time.monotonic() - started), bound))
    ours, bound, more = of_rounds(rates)
    work = f"{rounds} backlogs of {size:,} through routing, notify, analytics"
    return Measure("B3", work, ours, bound, "feedbacks/s", 0.58, True, "bare FastAPI route", more)


def promise(folder: Path, rate: float, seconds: int) -> Measure:
    """B4: from the moment a request was due until its sender was told, at so many a second, by notify's own records."""
    data = town(folder)
    with running(EVERYTHING, data) as process:
        process.load("--rate", str(rate), "--seconds", "2")
        before = on_the_log(data)
        load = process.load("--rate", str(rate), "--seconds", str(seconds))
        until(lambda: done(process, before + load["answered"] * 2))
        time.sleep(1)
    sent: dict[str, float] = load["sent"]
    latencies = []
    with closing(sqlite3.connect(f"file:{data}/notify.db?mode=ro", uri=True)) as connection:
        told = connection.execute(
            "SELECT json_extract(body, '$.number'), json_extract(e.value, '$.progress.submitted_at') "
            "FROM deliveries, json_each(body, '$.deliveries') e WHERE json_extract(e.value, '$.kind') = 'acknowledgement'"
        )
        for number, at in told:
            if number in sent:
                latencies.append((parse_rfc3339(at).timestamp() - sent[number]) * 1_000)
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    more = {
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "p99_goal_ms": 250,
        "accepted_p99_ms": load["p99"] * 1_000,
    }
    worst = max(p50 / 50, p99 / 250)
    work = f"submitted → informed at {rate:.0f}/s: p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    return Measure("B4", work, worst * 50, 50, "ms", 1.0, False, "p50 < 50 ms, p99 < 250 ms", more)


def growth(folder: Path, sizes: tuple[int, ...], sample: int) -> list[Measure]:
    """B6: processor time per feedback, the whole way, when so many are stored; and B7's memory after the last."""
    data = town(folder)
    costs: dict[int, float] = {}
    stored = 0
    with running(EVERYTHING, data) as process:

        def take(count: int) -> float:
            nonlocal stored
            before, cpu = on_the_log(data), process.cpu()
            send(process, stored, count)
            until(lambda: done(process, before + int(count * EVENTS)))
            stored += count
            return (process.cpu() - cpu) / count

        for size in sizes:
            while stored < size:
                take(min(10_000, size - stored))
            costs[size] = min(take(sample) for _ in range(3))
        memory = process.memory()
    first, last = costs[sizes[0]], costs[sizes[-1]]
    more = {"us_per_feedback": {str(size): round(cost * 1e6) for size, cost in costs.items()}}
    work = f"processor time per feedback at {sizes[-1]:,} stored"
    return [
        Measure("B6", work, last * 1e6, first * 1e6, "µs", 1.2, False, f"itself at {sizes[0]:,}", more),
        Measure("B7b", f"memory after {stored:,} feedbacks", memory, 400, "MB", 1.0, False, "400 MB"),
    ]
