"""`python -m tests.power --cuts N`: cut the power of the SQLite adapters, and of the same with `synchronous=NORMAL`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.power.cuts import Verdict, judged, recorded

ROWS = 400


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.power")
    parser.add_argument("--cuts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    ours, normal = cut(asked.cuts, asked.seed), cut(asked.cuts, asked.seed, "NORMAL")
    print(f"powercut: {ours.cuts} cuts, {ours.lost} with loss, {ours.corrupt} corrupt; NORMAL: {normal.lost} with loss")
    return 0 if ours.lost == ours.corrupt == 0 < normal.lost else 1


def cut(cuts: int, seed: int, *mode: str) -> Verdict:
    """Record one run of the workload and cut its power so often."""
    with tempfile.TemporaryDirectory() as folder:
        return judged(recorded(Path(folder), ROWS, *mode), cuts, seed)


if __name__ == "__main__":
    sys.exit(main())
