"""`python -m deploy.native up|down|urls [--nodes 3]`: servers in `.servers`, which stay until they are stopped."""

from __future__ import annotations

import argparse
import sys

from deploy.native.cluster import cluster, home
from deploy.native.node import NotStarted


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.native", description=__doc__)
    parser.add_argument("what", choices=["up", "down", "urls"])
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1, help="of each")
    asked = parser.parse_args()
    folder = home() / f"nodes-{asked.nodes}"
    if asked.what != "up" and not (folder / "plan.json").exists():
        print(f"nothing was started in {folder}", file=sys.stderr)
        return 0 if asked.what == "down" else 1
    try:
        servers = cluster(folder, asked.nodes, home() / "packages")
        if asked.what == "down":
            servers.down()
            return 0
        if asked.what == "up":
            servers.up()
    except NotStarted as error:
        print(f"deploy/native: {error}", file=sys.stderr)
        return 1
    for name, url in servers.urls.items():
        print(f"export {name}='{url}'")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
