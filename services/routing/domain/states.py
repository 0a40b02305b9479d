"""The one table of what may happen to a case in which state, and where that leads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from shared.errors import IllegalMove
from shared.events.routing import OPEN_STATES, State

StaffMove = Literal["acceptance", "start", "return", "reassignment", "question", "resumption", "answer", "closure"]
"""What staff may do; the words are those of the paths. A note moves nothing and is always possible."""

Move = StaffMove | Literal["message", "solved", "unsolved", "reopening", "withdrawal", "cap", "silence"]
"""Staff's moves, the citizen's (a message, a rating, a reopening, a withdrawal) and time's (pause cap, silence)."""

STAFF_MOVES: tuple[StaffMove, ...] = (
    "acceptance",
    "start",
    "question",
    "resumption",
    "answer",
    "closure",
    "return",
    "reassignment",
)

ANY_OPEN: Mapping[Move, State] = {"reassignment": "routed", "withdrawal": "withdrawn"}

WORK: Mapping[Move, State] = {"question": "awaiting-citizen", "answer": "answered", "return": "returned"}

MOVES: Mapping[State, Mapping[Move, State]] = {
    "triage": ANY_OPEN,
    "returned": ANY_OPEN,
    "routed": {"acceptance": "accepted", "return": "returned", **ANY_OPEN},
    "accepted": {"start": "in-progress", **WORK, **ANY_OPEN},
    "in-progress": {**WORK, **ANY_OPEN},
    "awaiting-citizen": {"message": "in-progress", "resumption": "in-progress", "cap": "in-progress", **ANY_OPEN},
    "answered": {
        "solved": "closed",
        "closure": "closed",
        "silence": "closed",
        "reopening": "in-progress",
        "unsolved": "in-progress",
        **ANY_OPEN,
    },
    "closed": {"reopening": "in-progress", "unsolved": "in-progress"},  # within the organisation's reopen_days
    "withdrawn": {},
}


def moves(state: State) -> tuple[StaffMove, ...]:
    """What staff may do with a case in `state`."""
    return tuple(move for move in STAFF_MOVES if move in MOVES[state])


def target(state: State, move: StaffMove) -> State:
    """Where `move` leads from `state`. Raises `IllegalMove`, naming the legal ones."""
    if (to := MOVES[state].get(move)) is None:
        raise IllegalMove(state, moves(state))
    return to


def is_open(state: State) -> bool:
    """Every state but closed and withdrawn."""
    return state in OPEN_STATES
