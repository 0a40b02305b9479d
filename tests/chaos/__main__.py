"""`python -m tests.chaos --seeds N --seconds S`: a real process under load and faults, and whether it kept its word."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=20, help="how long each is harmed")
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="huiyin-chaos-"))
    peace = asyncio.run(run(asked.first, asked.seconds, root / "peace", None))
    if peace.footprint is None or peace.findings:
        print(f"without faults: INVALID, kept in {peace.folder}", *peace.findings, sep="\n  ", flush=True)
        return 1
    print(f"without faults: {peace.told}, {peace.footprint.memory >> 20} MiB", flush=True)
    ran = []
    for seed in range(asked.first, asked.first + asked.seeds):
        one = asyncio.run(run(seed, asked.seconds, root / f"seed-{seed}", peace.footprint))
        ran.append(one)
        verdict = "valid" if not one.findings else f"INVALID, kept in {one.folder}"
        print(f"seed {seed}: {verdict}; {one.told}, {one.kills} kills", flush=True)
        for finding in one.findings:
            print(f"  {finding}", flush=True)
    valid = sum(not one.findings for one in ran)
    if valid == len(ran):
        root.rmdir()
    accepted, lost, twice, kills = (
        sum(getattr(one, name) for one in ran) for name in ("accepted", "lost", "twice", "kills")
    )
    print(
        f"chaos: {len(ran)} seeds, {valid} valid, {accepted} accepted, {lost} lost, {twice} twice, {kills} kills",
        flush=True,
    )
    return 0 if valid == len(ran) else 1


if __name__ == "__main__":
    sys.exit(main())
