"""What the public may see: no count below the smallest number, and none that follows from others by subtraction.

Days are gathered in runs: as many consecutive days as hold enough cases. A dimension's runs are gathered in blocks: as many
consecutive runs as hold, of every value that is told apart, either none or enough. The public sees sums of whole runs and
sums of whole blocks and nothing else, so whatever it adds or subtracts was told with enough cases
(docs/decisions/0005-public-figures.md).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

SUPPRESSED = "suppressed"


def suppressed(cells: Mapping[str, int], smallest: int) -> dict[str, int]:
    """The cells with every one below `smallest` merged into the key `suppressed`; the sum stays.

    Where the merged ones together are still below it, or there is only one, the next smallest join them: else it
    could be told from the total.
    """
    kept = {key: n for key, n in cells.items() if n}
    order = sorted(kept, key=lambda key: (kept[key], key))
    hidden: list[str] = []
    total = 0
    for key in order:
        small = kept[key] < smallest
        if not small and (not hidden or (total >= smallest and len(hidden) > 1)):
            break
        hidden.append(key)
        total += kept[key]
    if not hidden:
        return kept
    shown = {key: n for key, n in kept.items() if key not in set(hidden)}
    shown[SUPPRESSED] = total
    return shown


def tells(n: int, smallest: int) -> bool:
    """Whether a count may be told."""
    return n == 0 or n >= smallest


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive local days, `first` to `last`, told as one. Its first and last day have cases."""

    days: tuple[str, ...]
    total: int

    @property
    def first(self) -> str:
        return self.days[0]

    @property
    def last(self) -> str:
        return self.days[-1]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive runs, from `start` to before `end`, and the counts told of them."""

    start: int
    end: int
    cells: Mapping[str, int]


def runs(totals: Mapping[str, int], smallest: int) -> list[Run]:
    """Days with cases, in order, gathered until each run holds enough; what is left at the end joins the run before."""
    found: list[Run] = []
    days: tuple[str, ...] = ()
    total = 0
    for day, n in totals.items():
        if not n:
            continue
        days, total = (*days, day), total + n
        if total >= smallest:
            found.append(Run(days, total))
            days, total = (), 0
    if days:
        before = found.pop() if found else Run((), 0)
        found.append(Run(before.days + days, before.total + total))
    return found


def told_apart(total: Mapping[str, int], span: Sequence[str], smallest: int) -> set[str]:
    """The values frequent enough to be told apart in windows: enough a fortnight, over the days of `span`. Rarer ones would
    make blocks so long that few windows hold one."""
    fortnights = 1
    if span:
        length = date.fromisoformat(span[-1]) - date.fromisoformat(span[0])
        fortnights = math.ceil((length.days + 1) / 14)
    return {key for key, n in suppressed(total, smallest).items() if key != SUPPRESSED and n >= smallest * fortnights}


def blocks(tables: Sequence[Mapping[str, int]], apart: Collection[str], smallest: int) -> list[Block]:
    """The tables of consecutive runs gathered in blocks. Values not in `apart` are merged into the key `suppressed`.

    In each block every count is 0 or enough. Where not even all runs together are so, there is no block.
    """
    found: list[Block] = []
    start, cells = 0, dict[str, int]()
    for at, table in enumerate(tables):
        for value, n in table.items():
            key = value if value in apart else SUPPRESSED
            cells[key] = cells.get(key, 0) + n
        if _safe(cells, smallest):
            found.append(Block(start, at + 1, cells))
            start, cells = at + 1, {}
    while cells and not _safe(cells, smallest) and found:
        before = found.pop()
        start = before.start
        cells = {key: cells.get(key, 0) + before.cells.get(key, 0) for key in cells.keys() | before.cells.keys()}
    if cells and _safe(cells, smallest):
        found.append(Block(start, len(tables), cells))
    return found


def within(found: Sequence[Block], start: int, end: int) -> list[Block]:
    """The blocks that lie wholly between two runs."""
    return [block for block in found if block.start >= start and block.end <= end]


def _safe(cells: Mapping[str, int], smallest: int) -> bool:
    return all(tells(n, smallest) for n in cells.values())
