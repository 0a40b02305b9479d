"""Every metric is declared in one file, and what is declared is measured."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECLARED = ROOT / "shared" / "telemetry" / "metrics.py"


def test_every_metric_that_is_declared_is_measured_somewhere() -> None:
    names = re.findall(r"(?m)^([A-Z_]+) = (?:counter|gauge|histogram)\(", DECLARED.read_text())
    assert len(names) > 20
    code = "\n".join(
        path.read_text()
        for folder in ("shared", "services")
        for path in (ROOT / folder).rglob("*.py")
        if path != DECLARED
    )
    given = dict(re.findall(r"import ([A-Z_]+) as ([A-Z_]+)", code))
    measured = r"\b(?:{0}|{1})\.(?:labels|inc|set|observe)\("
    assert [name for name in names if not re.search(measured.format(name, given.get(name, name)), code)] == []
