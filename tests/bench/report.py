"""How the measures are shown: a table, `bench.json`, and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench.measures import Measure

BAR, LINE, LEFT, RIGHT = 320, 30, 430, 200
"""Pixels of the goal's length, of a row, and of what stands beside the bars."""


def table(measures: Sequence[Measure]) -> str:
    """A line for each, as people read it."""
    lines = [f"{'id':<5}{'work':<62}{'ours':>10} {'bound':>10} {'unit':<12}{'ratio':>7} {'goal':>8}  verdict"]
    for m in measures:
        sign = "≥" if m.least else "≤"
        lines.append(
            f"{m.id:<5}{m.work[:60]:<62}{m.ours:>10,.1f} {m.bound:>10,.1f} {m.unit:<12}{m.ratio:>7.2f} {sign}{m.goal:>7.2f}"
            f"  {'met' if m.met else 'missed'}"
        )
    return "\n".join(lines)


def merged(path: Path, measures: Sequence[Measure]) -> None:
    """Write `bench.json`; measures that were not taken this time stay as they were."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known |= {measure.id: measure.told() for measure in measures}
    path.write_text(json.dumps(known, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def picture(measures: Sequence[Measure]) -> str:
    """An SVG: one bar a measure, as far along as it is to its goal; the line is the goal."""
    height = LINE * (len(measures) + 1)
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + BAR + RIGHT}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<line x1="{LEFT + BAR}" y1="4" x2="{LEFT + BAR}" y2="{height - 4}" stroke="#555" stroke-dasharray="4 3"/>',
    ]
    for row, m in enumerate(measures):
        y, share = LINE * row + 8, m.ratio / m.goal
        width = min(BAR * 1.3, BAR * share)
        colour = "#3a7d5d" if m.met else "#b4552d"
        rows.append(f'<text x="8" y="{y + 14}">{escape(f"{m.id}  {m.work[:56]}")}</text>')
        rows.append(f'<rect x="{LEFT}" y="{y}" width="{width:.0f}" height="18" fill="{colour}"/>')
        told = f"{m.ratio:.2f} ({'at least' if m.least else 'at most'} {m.goal:g})"
        rows.append(f'<text x="{LEFT + BAR * 1.3 + 8:.0f}" y="{y + 14}">{told}</text>')
    return "\n".join([*rows, "</svg>\n"])
