"""B1: accepting one feedback a request, durably, against a bare FastAPI route that stores nothing."""

from __future__ import annotations

from pathlib import Path

from tests.bench.measures import Measure, of_rounds
from tests.bench.served import BARE, INTAKE, Process, running, settle, town

ROUNDS = 5
SECONDS = "3"


def accepted(process: Process) -> float:
    """Requests a second over 32 connections, after a second of warming up."""
    process.load("--seconds", "1")
    return float(process.load("--seconds", SECONDS)["per_second"])


def bare(folder: Path) -> float:
    """The bound of B1 and B3."""
    with running(BARE, folder / "bare") as process:
        return accepted(process)


def accept(folder: Path) -> Measure:
    """B1. Intake runs alone, with its outbox and its own consumer; the other services are idle."""
    data = town(folder)
    rounds = []
    for _ in range(ROUNDS):
        bound = bare(folder)
        with running(INTAKE, data) as process:
            rounds.append((accepted(process), bound))
            settle(process)  # the next round begins with nothing left over
    ours, bound, more = of_rounds(rounds)
    work = "POST /v1/feedback, 600 bytes, 32 connections, durable"
    return Measure("B1", work, ours, bound, "requests/s", 1.5, True, "bare FastAPI route", more)
