"""Every series as a table: what the page shows, what CSV and JSON give, all from one place."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from services.analytics.domain.flow import LONGER, RANGES
from services.analytics.domain.promises import EVERYONE, Kept, first_week
from services.analytics.domain.publicity import SUPPRESSED
from services.analytics.handlers.insights import Insights
from services.analytics.handlers.looks import Look
from services.analytics.pages.telling import Telling
from shared.events.routing import State
from shared.web.pages import translate

DIMENSIONS = ("day", "department", "category", "state", "kind", "channel", "area", "hour")
SHEETS = (*DIMENSIONS, "answer", "on-time", "flow")
"""The names of the tables: `?by=`, and the file names of the downloads."""

ORDER: tuple[str, ...] = get_args(State)
"""The states as a case passes through them."""

FORMULA = frozenset("=+-@\t\r\n\0|%＝＋－＠")
IGNORED = " \u00a0\u3000\ufeff\u200b"

Raw = str | int | float | None


@dataclass(frozen=True, slots=True)
class Column:
    """`name` in JSON; `words` in the table and in CSV."""

    name: str
    words: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """Each cell is what a machine reads and what a person reads."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[tuple[Raw, str]]]

    def records(self) -> list[dict[str, Raw]]:
        """The rows for machines. A value that is not told has no key."""
        return [
            {column.name: raw for column, (raw, _) in zip(self.columns, row, strict=True) if raw is not None}
            for row in self.rows
        ]

    def csv(self) -> bytes:
        """CSV for spreadsheets: UTF-8 with a byte order mark, every field quoted, no field a formula."""
        file = io.StringIO(newline="")
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow([harmless(column.words) for column in self.columns])
        for row in self.rows:
            writer.writerow([raw if isinstance(raw, int | float) else harmless(shown) for raw, shown in row])
        return b"\xef\xbb\xbf" + file.getvalue().encode()


def harmless(text: str) -> str:
    """The text as no spreadsheet reads a formula: with an apostrophe in front where one could begin."""
    begins = text.lstrip(IGNORED)[:1]
    return f"'{text}" if text[:1] in FORMULA or (begins in FORMULA and begins) else text


def counted(by: str, cells: Sequence[tuple[str, int]], telling: Telling) -> Sheet:
    """One dimension: value and count."""
    say = telling.value(by)
    return Sheet(
        (
            Column("key", telling.words(by)),
            Column("count", telling.words("count"), number=True),
        ),
        [((key, say(key)), (n, telling.number(n))) for key, n in cells],
    )


def answers(look: Look, telling: Telling) -> Sheet:
    """First answers by the range of their time."""
    found = look.ranges
    names = [*(name for _, name in RANGES), LONGER, SUPPRESSED]
    return Sheet(
        (Column("within", telling.words("answer")), Column("count", telling.words("count"), number=True)),
        [
            ((name, range_words(telling, name)), (found[name], telling.number(found[name])))
            for name in names
            if found.get(name)
        ],
    )


def range_words(telling: Telling, name: str) -> str:
    return telling.words(f"range.{name}")


def on_time(kept: Sequence[Kept], telling: Telling, insights: Insights) -> Sheet:
    """Per department and weeks: first answers due, those in time, and the share."""
    today = insights.now().astimezone(telling.zone).date()
    start = first_week(today)
    say = telling.value("department")
    columns = (
        Column("department", telling.words("department")),
        Column("from", telling.words("from")),
        Column("to", telling.words("to")),
        Column("due", telling.words("due"), number=True),
        Column("kept", telling.words("kept"), number=True),
        Column("share", telling.words("share"), number=True),
    )
    rows: list[list[tuple[Raw, str]]] = []
    for one in kept:
        everyone = one.department == EVERYONE
        who = (None if everyone else one.department, telling.words("everyone") if everyone else say(one.department))
        for point in one.points:
            first = start + timedelta(weeks=point.start)
            last = min(today, start + timedelta(weeks=point.end, days=-1))
            due = point.kept + point.missed
            rows.append(
                [
                    who,
                    (first.isoformat(), telling.day(first)),
                    (last.isoformat(), telling.day(last)),
                    (due, telling.number(due)),
                    (point.kept, telling.number(point.kept)),
                    (round(point.share, 4), telling.percent(point.share)),
                ]
            )
        if not one.points:
            least = telling.words("at-least", share=telling.percent(one.share))
            rows.append(
                [
                    who,
                    (start.isoformat(), telling.day(start)),
                    (today.isoformat(), telling.day(today)),
                    (one.count, telling.number(one.count)),
                    (None, telling.words("not-told")),
                    (None, least),
                ]
            )
    return Sheet(columns, rows)


def flow(look: Look, insights: Insights, telling: Telling) -> Sheet:
    """How long each step takes."""
    names = ("p50_seconds", "p90_seconds", "p99_seconds")
    columns = (
        Column("from", telling.words("step-from")),
        Column("to", telling.words("step-to")),
        Column("count", telling.words("count"), number=True),
        *(Column(name, telling.words(name[:3]), number=True) for name in names),
    )
    rows: list[list[tuple[Raw, str]]] = []
    for step in sorted(insights.flow(look), key=lambda step: (ORDER.index(step["from"]), ORDER.index(step["to"]))):
        ends = [(step[side], translate(telling.language, f"state.{step[side]}")) for side in ("from", "to")]
        times = [(step[name], telling.duration(step[name])) for name in names]
        rows.append([*ends, (step["count"], telling.number(step["count"])), *times])
    return Sheet(columns, rows)
