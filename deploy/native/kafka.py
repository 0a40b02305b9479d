"""Apache Kafka in KRaft mode, each node a broker and a controller."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.native.node import Node, NotStarted, Place, answers, turns

READY = 90.0
"""Seconds in which the brokers have found each other."""

HEAP = os.environ.get("KAFKA_HEAP", "256m")


def nodes(folder: Path, jars: Path, places: Sequence[tuple[Place, int, int]], cluster: str) -> list[Node]:
    """The brokers of a cluster, by their ports for clients and for each other; their files are written."""
    return [_node(folder / f"kafka-{n}", jars, n, places, cluster) for n in range(1, len(places) + 1)]


def _node(folder: Path, jars: Path, number: int, places: Sequence[tuple[Place, int, int]], cluster: str) -> Node:
    place, client, control = places[number - 1]
    voters = [f"{n}@{other.address}:{port}" for n, (other, _, port) in enumerate(places, 1)]
    copies = min(len(places), 3)
    enough = 2 if copies == 3 else 1
    settings = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{place.address}:{client},CONTROLLER://{place.address}:{control}",
        "advertised.listeners": f"PLAINTEXT://{place.address}:{client}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": enough,
        # What follows suits a small machine and tests: little memory, and a group that begins without waiting for more.
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "broker.session.timeout.ms": 6000,
        "broker.heartbeat.interval.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.cleaner.io.buffer.size": 128 * 1024,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    java = ["java", "-cp", f"{jars}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    if not (folder / "data" / "meta.properties").exists():
        subprocess.run(
            [
                *java,
                "-Xmx64m",
                "-XX:TieredStopAtLevel=1",
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
                file,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=READY,
        )
    memory = [f"-Xmx{HEAP}", f"-Xms{HEAP}", "-XX:+UseSerialGC", "-XX:ReservedCodeCacheSize=64m"]
    return Node(f"kafka-{number}", folder, place, client, [*java, *memory, "kafka.Kafka", str(file)])


def controller(brokers: Sequence[Node]) -> int | None:
    """The number of the node that leads the quorum, by one that answers; None if none does."""
    for broker in brokers:
        if not answers(broker.port, broker.place.address):
            continue
        program, *_ = broker.command
        tool = [program, *broker.command[1:3], "-Xmx64m", "-XX:TieredStopAtLevel=1"]
        asked = ["org.apache.kafka.tools.MetadataQuorumCommand", "--bootstrap-server", broker.address]
        with contextlib.suppress(subprocess.TimeoutExpired):
            told = subprocess.run([*tool, *asked, "describe", "--status"], capture_output=True, text=True, timeout=15)
            if found := re.search(r"LeaderId:\s+(\d+)", told.stdout):
                return int(found[1])
    return None


async def ready(brokers: Sequence[Node]) -> None:
    """Wait until every broker is known to every other. Raises `NotStarted`."""
    for _ in turns(READY):
        for broker in brokers:
            if not broker.running:
                raise broker.complain("ended")
        if all([await _sees(broker, len(brokers)) for broker in brokers]):
            return
    raise NotStarted(f"the brokers did not find each other within {READY:.0f} s (see {brokers[0].folder})")


async def _sees(broker: Node, count: int) -> bool:
    if not answers(broker.port, broker.place.address):
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address, request_timeout_ms=3000)
    try:
        await asyncio.wait_for(admin.start(), 5)
        found = await asyncio.wait_for(admin.describe_cluster(), 5)
        return len(found["brokers"]) == count
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()


def url(brokers: Sequence[Node]) -> str:
    return "kafka://" + ",".join(broker.address for broker in brokers)
