"""`make bench`: measure Huiyin against bounds taken in the same run. `python -m tests.bench B1 B8` takes those two.

Prints the table, writes `bench.json` and `bench.svg`. `--long` goes on to a million stored; `--scale 0.1` measures a tenth.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import accept, batch, dashboard, footprint, pipeline, report
from tests.bench.measures import Measure

TOGETHER = 5
"""Backlogs that B3 is measured over."""


def plan(scale: float, long: bool, rate: float) -> dict[str, Callable[[Path], list[Measure]]]:
    """What is measured, each in a folder of its own."""
    sizes = (10_000, 100_000, 1_000_000) if long else (int(10_000 * scale), int(100_000 * scale))
    return {
        "B1": lambda folder: [accept.accept(folder)],
        "B2": lambda folder: [batch.batch(folder)],
        "B3": lambda folder: [pipeline.drain(folder, int(100_000 * scale), TOGETHER)],
        "B4": lambda folder: [pipeline.promise(folder, rate, 10)],
        "B6": lambda folder: pipeline.growth(folder, sizes, int(5_000 * scale)),
        "B7": lambda folder: [footprint.rest(folder)],
        "B8": lambda folder: [footprint.start(folder)],
        "B10": lambda folder: [dashboard.dashboard(folder, int(1_000_000 * scale))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="which; all without any")
    parser.add_argument("--long", action="store_true", help="go on to a million stored")
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the work of B3, B6 and B10 that is done")
    parser.add_argument("--rate", type=float, help="feedbacks a second of B4; half of B3's by default")
    asked = parser.parse_args()
    measures: list[Measure] = []
    wanted = asked.only or list(plan(1, False, 1))
    for id in wanted:
        throughput = next((m.ours for m in measures if m.id == "B3"), 500.0)
        with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as folder:
            measures += plan(asked.scale, asked.long, asked.rate or throughput / 2)[id](Path(folder))
        print(report.table(measures[-1:]), flush=True)
    print(f"\n{report.table(measures)}")
    report.merged(Path("bench.json"), measures)
    Path("bench.svg").write_text(report.picture(measures), encoding="utf-8")
    met = sum(measure.met for measure in measures)
    print(f"bench: {len(measures)} measured, {met} met, {len(measures) - met} missed")


if __name__ == "__main__":
    main()
