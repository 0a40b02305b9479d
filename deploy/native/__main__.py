"""`python -m deploy.native up|down|urls [--nodes 3]`: servers in `.servers`, which stay until they are stopped.

`run [--nodes 3] -- COMMAND` starts fresh ones in a temporary folder, runs the command with their addresses in its
environment, stops them and removes the folder. If the environment names servers, the command runs on those.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.native.cluster import cluster, home
from deploy.native.node import NotStarted


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.native", description=__doc__)
    parser.add_argument("what", choices=["up", "down", "urls", "run"])
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1, help="of each")
    parser.add_argument("command", nargs="*", help="for run, after --")
    asked = parser.parse_args()
    try:
        return _run(asked.nodes, asked.command) if asked.what == "run" else _do(asked.what, asked.nodes)
    except NotStarted as error:
        print(f"deploy/native: {error}", file=sys.stderr)
        return 1


def _do(what: str, count: int) -> int:
    folder = home() / f"nodes-{count}"
    if what != "up" and not (folder / "plan.json").exists():
        print(f"nothing was started in {folder}", file=sys.stderr)
        return 0 if what == "down" else 1
    servers = cluster(folder, count, home() / "packages")
    if what == "down":
        servers.down()
        return 0
    if what == "up":
        servers.up()
    for name, url in servers.urls.items():
        print(f"export {name}='{url}'")
    return 0


def _run(count: int, command: list[str]) -> int:
    if {"HUIYIN_KAFKA_URL", "HUIYIN_MONGO_URL"} <= os.environ.keys():
        return subprocess.run(command, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="huiyin-servers-") as folder:
        servers = cluster(Path(folder), count, home() / "packages")
        try:
            servers.up()
            return subprocess.run(command, check=False, env=os.environ | servers.urls).returncode
        finally:
            servers.down()


if __name__ == "__main__":
    raise SystemExit(main())
