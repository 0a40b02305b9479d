"""Which rows of the fault and attack matrix are covered, by the markers themselves."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ALL = {f"F{n}" for n in range(1, 48)} | {f"A{n}" for n in range(1, 53)}


def covered() -> set[str]:
    """Rows that a marker names."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    marks = re.findall(r"mark\.row\(([^)]*)\)", text)
    return {row for mark in marks for row in re.findall(r"[AF]\d+", mark)}


def listed() -> set[str]:
    """Rows that `tests/README.md` says are not covered yet."""
    text = (TESTS / "README.md").read_text(encoding="utf-8")
    return set(re.findall(r"\b[AF]\d+\b", text.partition("## Rows not yet covered")[2]))


def test_every_marker_names_a_row_of_the_matrix() -> None:
    assert covered() - ALL == set()


def test_the_list_of_rows_not_yet_covered_is_exact() -> None:
    assert listed() == ALL - covered()
