"""`python -m tests.simulation --seeds N`: histories, mutations, or one seed's timeline."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

SETTINGS = {
    "PYTHONHASHSEED": "0",
    "INTAKE_RATE": "off",
    "NOTIFY_DIGEST": "5",
    "NOTIFY_RETRIES": "[1,2,4,8,16,30,30,30,30,30,30,30,30,30,30]",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=300, help="how many histories")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--show", type=int, metavar="SEED", help="tell one history")
    parser.add_argument("--mutations", action="store_true", help="see whether each deliberate mistake is caught")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="only the mistakes that have these words in their names"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets are walked in the same order only then
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], {**os.environ, **SETTINGS})
    from tests.simulation import reporting

    if asked.show is not None:
        return reporting.show(asked.show)
    with ProcessPoolExecutor(asked.workers, initializer=reporting.silence) as pool:
        seeds = range(asked.first, asked.first + asked.seeds)
        if asked.mutations:
            return reporting.mutations(partial(pool.map, chunksize=1), seeds, asked.only)
        return reporting.histories(partial(pool.map, chunksize=4), seeds)


if __name__ == "__main__":
    sys.exit(main())
