"""What the simulation says: a line for each history that went wrong, its shortest prefix, and a closing line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import structlog

from shared.telemetry import logs
from tests.simulation.histories import ACTIVE, History, run
from tests.simulation.mutations import MUTATIONS, Mutation, made

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

STEP = 1.0
"""Seconds by which a failing history is shortened at a time."""


def silence() -> None:
    """What the services log about faults is of no interest here, nor what a dead process left unsaid."""
    logs._shown = _dropped
    warnings.simplefilter("ignore", RuntimeWarning)


def _dropped(logger: Any, method: str, fields: Any) -> Any:
    raise structlog.DropEvent


def histories(map: Map, seeds: range) -> int:
    """Live through every seed; the exit status."""
    told = list(map(run, seeds))
    wrong = [history for history in told if not history.valid]
    for history in wrong:
        print(f"seed {history.seed}: {'; '.join(history.wrong[:5])}")
    if wrong:
        show(wrong[0].seed)
    print(
        f"simulate: {len(told)} seeds, {len(told) - len(wrong)} valid, {sum(h.events for h in told)} events, "
        f"{sum(h.deaths for h in told)} crashes, {sum(h.faults for h in told)} faults"
    )
    return 1 if wrong else 0


def show(seed: int) -> int:
    """Tell one history; if it goes wrong, the shortest prefix of it that still does."""
    silence()
    history = run(seed)
    if not history.valid:
        history = shortest(history)
    print("\n".join(history.timeline))
    print("\n".join(history.wrong) or f"seed {seed} is valid; {history.events} events, {history.digest}")
    return 0 if history.valid else 1


def shortest(failing: History) -> History:
    """The same seed healed earlier and earlier, as long as it still goes wrong."""
    active = ACTIVE
    while active > STEP:
        shorter = run(failing.seed, active - STEP)
        if shorter.valid:
            break
        failing, active = shorter, active - STEP
    return failing


def caught(mutation: Mutation, seeds: range) -> tuple[int, str] | None:
    """The first seed that sees a mistake, and what it says."""
    silence()
    with made(mutation):
        for seed in seeds:
            try:
                history = run(seed)
            except Exception as error:
                return seed, f"{type(error).__name__}: {error}"
            if not history.valid:
                return seed, history.wrong[0]
    return None


def mutations(map: Map, seeds: range, only: str = "") -> int:
    """Make every mistake, or those with `only` in their names; the exit status."""
    missed = 0
    chosen = [mutation for mutation in MUTATIONS if only in mutation.name]
    for mutation, found in zip(chosen, map(partial(_caught, seeds=seeds), chosen), strict=True):
        missed += found is None
        print(f"{mutation.name}: {f'seed {found[0]}: {found[1]}' if found else 'NOT CAUGHT'}", flush=True)
    print(f"mutations: {len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed else 0


def _caught(mutation: Mutation, seeds: range) -> tuple[int, str] | None:
    return caught(mutation, seeds)
