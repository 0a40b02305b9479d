"""The script in `samples/`: what people said, and what they and the staff did about it, as lines of batches.

`messages.csv` has a row for each feedback, `moves.csv` one for each thing done later: `key` names the feedback, `do` is
the word of the call, `text` its words. `minutes` count back from the end of the sample.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.clock import rfc3339

FOLDER = Path(__file__).parents[2] / "samples"

CITIZENS = frozenset({"message", "rating", "reopening", "withdrawal"})
"""What submitters do; everything else is done by staff."""

WORDS: Mapping[str, str] = {
    "rating": "comment",
    "reopening": "reason",
    "withdrawal": "reason",
    "return": "reason",
    "reassignment": "reason",
}
"""The field that the words of a call go into, where it is not `text`."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Something done about the feedback `key`. `line` lacks its number only.

    `turn` counts how often the word had passed between the submitter and the staff: steps of one turn can be taken
    together, and have to wait until those of the turn before are known everywhere.
    """

    key: str
    turn: int
    by_citizen: bool
    line: Line


def read_messages(ends_at: datetime, folder: Path = FOLDER) -> Iterator[Line]:
    """The feedback, oldest first, as lines of `/v1/feedback/batch`."""
    for row in _rows(folder / "messages.csv"):
        said = {name: row[name] for name in ("text", "kind", "channel", "language")}
        contact = {name: row[name] for name in ("name", "phone", "email") if row[name]}
        yield {
            **{name: value for name, value in said.items() if value},
            **({"location": {"address": row["place"]}} if row["place"] else {}),
            **({"contact": contact} if contact else {}),
            "anonymous": row["anonymous"] == "yes",
            "received_at": _at(ends_at, row),
            "key": row["key"],
            "live": True,
        }


def read_steps(ends_at: datetime, folder: Path = FOLDER) -> Sequence[Step]:
    """Everything that was done later, each feedback's in order, as lines of the two services' batches."""
    turns: dict[str, tuple[int, bool]] = {}
    steps = []
    for number, row in enumerate(_rows(folder / "moves.csv"), 1):
        key, by_citizen = row["key"], row["do"] in CITIZENS
        turn, last = turns.get(key, (0, not by_citizen))
        turns[key] = (turn + (by_citizen != last), by_citizen)
        steps.append(Step(key, turns[key][0], by_citizen, _line(row, number, by_citizen, _at(ends_at, row))))
    return steps


def _line(row: Mapping[str, str], number: int, by_citizen: bool, at: str) -> Line:
    line: Line = {"at": at, WORDS.get(row["do"], "text"): row["text"]}
    if by_citizen:
        line |= {"act": row["do"], "key": f"sample-move-{number}"}
        line |= {name: row[name] == "yes" for name in ("solved", "contacted") if row[name]}
        line |= {"satisfaction": int(row["satisfaction"])} if row["satisfaction"] else {}
    else:
        line |= {"move": row["do"], "worker": row["worker"]}
        line |= {name: row[name] for name in ("department", "category", "reason_code")}
    return {name: value for name, value in line.items() if value != ""}


def _at(ends_at: datetime, row: Mapping[str, str]) -> str:
    return rfc3339(ends_at - timedelta(minutes=int(row["minutes"])))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
