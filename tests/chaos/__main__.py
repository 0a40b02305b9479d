"""`python -m tests.chaos --seeds N --seconds S`: a real process under load and faults, and whether it kept its word.

`--servers`: several processes over three brokers and a replica set of three, in a network that can be cut.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.native.cluster import cluster, fetch, home
from deploy.native.network import network, unshared
from tests.chaos.process import OneProcess
from tests.chaos.run import Ran, Stage, run
from tests.chaos.servers import Servers

StageOf = Callable[[Path, random.Random], Stage]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=20, help="how long each is harmed")
    parser.add_argument("--servers", action="store_true", help="on Kafka and MongoDB, three of each")
    asked = parser.parse_args()
    if asked.servers:
        fetch(home() / "packages")  # here, where the world can be reached
        if command := unshared([sys.executable, "-m", "tests.chaos", *sys.argv[1:]]):
            os.execvp(command[0], command)
    root = Path(tempfile.mkdtemp(prefix="huiyin-chaos-"))
    with _servers(root) if asked.servers else contextlib.nullcontext(OneProcess) as stage_of:
        valid = _seeds(range(asked.first, asked.first + asked.seeds), asked.seconds, root, stage_of)
    with contextlib.suppress(OSError):
        root.rmdir()  # if nothing was kept
    return 0 if valid else 1


@contextlib.contextmanager
def _servers(root: Path) -> Iterator[StageOf]:
    """The servers that all seeds share."""
    with tempfile.TemporaryDirectory(prefix="huiyin-servers-") as folder:
        where = network()
        servers = cluster(Path(folder), 3, home() / "packages", where)
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that a broker does not answer is what is wanted here
        try:
            servers.up()
            os.environ |= servers.urls
            yield lambda folder, chance: Servers(folder, chance, servers, where)
        finally:
            servers.down()


def _seeds(seeds: range, seconds: float, root: Path, stage_of: StageOf) -> bool:
    peace = asyncio.run(run(seeds.start, seconds, root / "peace", None, stage_of))
    if not peace.footprints or peace.findings:
        print(f"without faults: INVALID, kept in {peace.folder}", *peace.findings, sep="\n  ", flush=True)
        return False
    memory = ", ".join(f"{name} {footprint.memory >> 20} MiB" for name, footprint in peace.footprints.items())
    print(f"without faults: {peace.told}; {memory}", flush=True)
    ran: list[Ran] = []
    for seed in seeds:
        one = asyncio.run(run(seed, seconds, root / f"seed-{seed}", peace.footprints, stage_of))
        ran.append(one)
        verdict = "valid" if not one.findings else f"INVALID, kept in {one.folder}"
        print(f"seed {seed}: {verdict}; {one.told}, {one.kills} kills", flush=True)
        for finding in one.findings:
            print(f"  {finding}", flush=True)
    valid = sum(not one.findings for one in ran)
    accepted, lost, twice, kills = (
        sum(getattr(one, name) for one in ran) for name in ("accepted", "lost", "twice", "kills")
    )
    print(
        f"chaos: {len(ran)} seeds, {valid} valid, {accepted} accepted, {lost} lost, {twice} twice, {kills} kills",
        flush=True,
    )
    return valid == len(ran)


if __name__ == "__main__":
    sys.exit(main())
