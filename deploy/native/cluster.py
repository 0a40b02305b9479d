"""A Kafka cluster and a MongoDB replica set in one folder: how many nodes, on which ports, and where they answer."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from deploy.native import kafka, mongodb
from deploy.native.network import Network, place_of
from deploy.native.node import Node, NotStarted, free_ports

FETCH = Path(__file__).with_name("fetch")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Servers that were set up in a folder; they run or they do not."""

    folder: Path
    kafka: list[Node]
    mongodb: list[Node]

    @property
    def nodes(self) -> list[Node]:
        return [*self.kafka, *self.mongodb]

    @property
    def urls(self) -> dict[str, str]:
        """The settings that name the servers."""
        return {"HUIYIN_KAFKA_URL": kafka.url(self.kafka), "HUIYIN_MONGO_URL": mongodb.url(self.mongodb)}

    def up(self) -> None:
        """Start what does not run, and wait until all of it answers. Raises `NotStarted`."""
        for node in self.nodes:
            node.start()
        asyncio.run(self._ready())

    async def _ready(self) -> None:
        await mongodb.ready(self.mongodb)
        await kafka.ready(self.kafka)

    def down(self) -> None:
        """Stop what runs; the data stay. Brokers of a quorum end together, each waiting for the others."""
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            node.stop()


def cluster(folder: Path, count: int = 1, packages: Path | None = None, where: Network | None = None) -> Cluster:
    """The servers of a folder, set up with `count` nodes of each if it is new; fetched if need be. `where`: a network of
    their own.

    Raises `NotStarted` if the folder has another number of nodes, or something cannot be fetched.
    """
    folder = folder.resolve()
    packages = (packages or folder / "packages").resolve()
    plan = folder / "plan.json"
    if not plan.exists():
        ports = free_ports(3 * count)
        new = {"kafka": list(zip(ports[::3], ports[1::3], strict=True)), "mongodb": ports[2::3], "id": _cluster_id()}
        folder.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps(new))
    planned = json.loads(plan.read_text())
    if len(planned["mongodb"]) != count:
        raise NotStarted(f"{folder} has {len(planned['mongodb'])} of each; remove it to have {count}")
    fetch(packages)
    brokers = [(place_of(f"kafka-{n}", where), *ports) for n, ports in enumerate(planned["kafka"], 1)]
    members = [(place_of(f"mongodb-{n}", where), port) for n, port in enumerate(planned["mongodb"], 1)]
    return Cluster(
        folder,
        kafka.nodes(folder, packages / "kafka-4.2.0", brokers, planned["id"]),
        mongodb.nodes(folder, packages, members),
    )


def fetch(packages: Path) -> None:
    """Have what the servers consist of in this folder. Raises `NotStarted`."""
    try:
        subprocess.run([FETCH, packages.resolve(), "kafka", "mongodb"], check=True, timeout=600)
    except subprocess.SubprocessError:
        raise NotStarted("the servers cannot be fetched") from None


def _cluster_id() -> str:
    """As the broker makes it: never one that looks like an option."""
    while (id := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return id


def home() -> Path:
    """Where `make servers-up` puts them: `HUIYIN_SERVERS`, or `.servers` in the working directory."""
    return Path(os.environ.get("HUIYIN_SERVERS", ".servers"))
