"""What a fold leaves behind: the letters that it puts aside, and those that it settles."""

from __future__ import annotations

from collections.abc import Sequence

from shared.delivery.dead_letters import DeadLetters, Letter
from shared.delivery.folding import Fold
from shared.delivery.gathering import TRIES
from shared.store.port import Change


async def park(letters: DeadLetters, folds: Sequence[Fold]) -> None:
    """Put aside what could not be taken, with everything of its case behind it. Raises `Unparked`."""
    changes: list[Change] = []
    for fold in folds:
        work = fold.work
        reason = fold.reason or work.reason
        for item in fold.waiting:
            failed = item is fold.failed and fold.reason != "gap"
            attempts = TRIES if failed and fold.reason == "failure" else 0
            if item.letter is None:
                changes.append(letters.park(item.record, reason or "gap", fold.error if failed else None, attempts))
            elif failed:
                tried = await letters.tried(item.letter, reason or "failure", fold.error, attempts)
                changes += [tried] if tried else []
        changes += [letters.park(item.record, reason or "failure") for item in work.joining]
    await letters.write(changes)


def settled(folds: Sequence[Fold]) -> list[Letter]:
    """The letters that took effect, or had before."""
    return [item.letter for fold in folds for item in (*fold.applied, *fold.repeated) if item.letter]


def newly_failed(fold: Fold) -> bool:
    """Whether this parked a case that was not parked for good before."""
    return fold.reason in ("failure", "undecodable") and fold.work.reason in (None, "gap")
