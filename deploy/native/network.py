"""A network of its own for servers on one machine: each with an address, so that one can be cut off from everybody.

Linux namespaces, joined by a bridge that leads nowhere else. It exists only inside `unshare`, which anybody may call where
the system allows user namespaces: see `unshared`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from deploy.native.node import HERE, Place

INSIDE = "HUIYIN_NETWORK"
"""Set by `unshared` for what runs in the network."""

BRIDGE = "huiyin"
PREFIX = "10.77.0"


def unshared(command: Sequence[str]) -> list[str] | None:
    """The same command in a network of its own; None where the system does not allow one, or it is there already."""
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    within = ["unshare", "--net", "--mount", *root, "--"]
    tools = all(shutil.which(name) for name in ("unshare", "ip"))
    if INSIDE in os.environ or not tools or subprocess.run([*within, "true"], capture_output=True).returncode:
        return None
    return ["env", f"{INSIDE}=yes", *within, *command]


class Network:
    """The network that this process runs in, once it was made by `unshared`."""

    def __init__(self) -> None:
        _run("mount", "-t", "tmpfs", "none", "/run")  # where the names of namespaces are kept
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{PREFIX}.1/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        self._places: dict[str, Place] = {}

    def place(self, name: str) -> Place:
        """Where a server lives; made when it is first asked for."""
        if name not in self._places:
            address = f"{PREFIX}.{10 + len(self._places)}"
            _run("ip", "netns", "add", name)
            _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _run("ip", "link", "set", name, "master", BRIDGE, "up")
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _run("ip", "-n", name, "link", "set", device, "up")
            self._places[name] = Place(address, ("ip", "netns", "exec", name))
        return self._places[name]

    def cut(self, name: str) -> None:
        """Nothing reaches this server any more, and nothing comes from it; nobody is told."""
        _run("ip", "link", "set", name, "down")

    def join(self, name: str) -> None:
        """Undo `cut`."""
        _run("ip", "link", "set", name, "up")


def network() -> Network | None:
    """The network of this process; None, and one plain sentence, where it has none of its own."""
    if INSIDE in os.environ:
        return Network()
    print("no network of our own is allowed here: no server is cut off", file=sys.stderr)
    return None


def place_of(name: str, where: Network | None) -> Place:
    return where.place(name) if where else HERE


def _run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=10)
