"""B10: what a dashboard asks, over a year of a million cases."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from services.analytics.app import SERVICE
from services.analytics.domain.cases import QUARTER, quarter_of
from services.analytics.handlers import count_case, count_feedback
from shared.bus.port import PARTITIONS
from shared.clock import SystemClock
from shared.delivery.deltas import COLLECTION
from shared.events.envelope import Actor, Event, Sealed
from shared.events.intake import FeedbackReceived, Kind
from shared.events.routing import CaseAccepted, CaseAnswered, CaseRouted
from shared.store.port import Insert
from shared.store.sqlite import SqliteStore
from tests.bench.measures import Measure
from tests.bench.served import EVERYTHING, running, town, until

YEAR = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 365
COPIES = 10
"""Every case that the handlers counted stands for so many, each in a quarter-hour of its own."""

ASKED = 300
KINDS: tuple[Kind, ...] = ("complaint", "help", "enquiry", "suggestion", "praise", "report")
SEALED = Sealed(key="nobody/text", nonce="AAAA", ct="AAAA")
CITIZEN, STAFF = Actor(kind="citizen"), Actor(kind="staff", id="101")


def life(chance: random.Random, at: datetime) -> Iterator[Event]:
    """The events of one case: received, routed, mostly accepted and answered."""
    kind, number = chance.choice(KINDS), "20250101-00000000-0"
    channel = chance.choice(("api", "portal", "email", "phone"))
    yield FeedbackReceived(
        at=at, actor=CITIZEN, number=number, channel=channel, kind=kind, language="zh", text=SEALED, contact=SEALED, received_at=at
    )  # fmt: skip
    common: dict[str, Any] = {
        "number": number, "channel": channel, "kind": kind, "category": f"category-{chance.randrange(30)}",
        "department": f"department-{chance.randrange(20)}", "area": f"area-{chance.randrange(12)}", "priority": "normal",
        "language": "zh", "received_at": at, "deadline": at + timedelta(days=5), "historic": False,
    }  # fmt: skip
    at += timedelta(seconds=1)
    yield CaseRouted.model_construct(at=at, actor=STAFF, **common, from_="received", to="routed")
    if chance.random() < 0.9:
        at += timedelta(seconds=chance.expovariate(1 / 7_200))
        yield CaseAccepted.model_construct(at=at, actor=STAFF, **common, from_="routed", to="accepted")
        at += timedelta(seconds=chance.expovariate(1 / 172_800))
        yield CaseAnswered.model_construct(at=at, actor=STAFF, **common, from_="accepted", to="answered")


def cells(chance: random.Random, cases: int) -> Counter[str]:
    """What so many cases, spread over the year by day and night, add to the figures."""
    total: Counter[str] = Counter()
    for _ in range(cases // COPIES):
        own: Counter[str] = Counter()
        at = moment(chance)
        quarter, case = quarter_of(at), None
        for event in life(chance, at):
            counted = count_feedback(case, event) if isinstance(event, FeedbackReceived) else count_case(case, event)  # type: ignore[arg-type]
            assert counted
            case = counted.value
            own.update(counted.adds)
        for copy in range(COPIES):
            other = quarter_of(moment(chance)) if copy else quarter
            for cell, n in own.items():
                total[cell.replace(quarter, other, 1)] += n
    return total


def moment(chance: random.Random) -> datetime:
    """Some time of the year; by day five times as likely as by night."""
    while True:
        at = YEAR + timedelta(seconds=chance.randrange(DAYS * 86_400 // QUARTER) * QUARTER + chance.randrange(QUARTER))
        if 0 <= at.hour < 12 or chance.random() < 0.2:
            return at


async def fill(data: Path, cases: int) -> int:
    """Write the deltas of so many cases, as analytics itself compacts them; the number of cells."""
    store = await SqliteStore.open(data / "analytics.db", SERVICE.collections, SystemClock())
    chance, found = random.Random(1), 0
    for partition in range(PARTITIONS):
        deltas = list(cells(chance, cases // PARTITIONS).items())
        found += len(deltas)
        for start in range(0, len(deltas), 50_000):
            body = {
                "chain": partition,
                "epoch": "bench",
                "from": start,
                "to": start + 50_000,
                "deltas": dict(deltas[start : start + 50_000]),
                "cases": {},
            }
            await store.write([Insert(COLLECTION.name, f"{partition}:bench:{start}", body)])
    await store.close()
    return found


def dashboard(folder: Path, cases: int) -> Measure:
    """B10."""
    data = town(folder)
    found = asyncio.run(_emptied_and_filled(data, cases))
    window = {"from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    month = {"from": "2025-06-01T00:00:00Z", "to": "2025-07-01T00:00:00Z"}
    asked: list[tuple[str, dict[str, str]]] = [
        (f"/v1/insights/{path}", {**span, **more})
        for span in (window, month)
        for path, more in (("summary", {}), ("series", {"by": "day"}), ("series", {"by": "department"}), ("flow", {}))
    ]
    seconds = []
    with (
        running(EVERYTHING, data) as process,
        httpx2.Client(base_url=process.address, trust_env=False, timeout=120) as client,
    ):
        until(lambda: client.get("/ready").status_code == 200)
        started = time.monotonic()
        total = client.get("/v1/insights/summary", params=window).json()["total"]
        first = time.monotonic() - started
        assert abs(total - cases) <= cases / 100, total
        for number in range(ASKED):
            path, params = asked[number % len(asked)]
            started = time.monotonic()
            assert client.get(path, params=params).status_code == 200
            seconds.append(time.monotonic() - started)
        memory = process.memory()
    seconds.sort()
    p50, p99 = seconds[len(seconds) // 2] * 1_000, seconds[len(seconds) * 99 // 100] * 1_000
    more = {"p50_ms": round(p50, 1), "cells": found, "first_ms": round(first * 1_000), "memory_mb": round(memory)}
    work = f"dashboard queries over a year of {cases:,} cases, p99"
    return Measure("B10", work, p99, 100, "ms", 1.0, False, "100 ms", more)


async def _emptied_and_filled(data: Path, cases: int) -> int:
    store = await SqliteStore.open(data / "analytics.db", SERVICE.collections, SystemClock())
    await store.drop(COLLECTION.name)
    await store.close()
    return await fill(data, cases)
