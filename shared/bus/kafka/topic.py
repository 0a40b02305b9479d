"""The topic that is the log: what it has to be, made by `huiyin topics apply` and looked at by every start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError

from shared.bus.kafka.errors import told
from shared.bus.port import PARTITIONS
from shared.errors import Misconfigured
from shared.telemetry.logs import log

PATIENCE = 8.0
"""Seconds that one question to the servers may take: a start says what is wrong within ten."""

COPIES = 3
"""Brokers that keep each record, where there are so many."""

FIXED = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "unclean.leader.election.enable": "false",
    "message.timestamp.type": "LogAppendTime",
}
"""Nothing expires, nothing is compacted, and what was acknowledged is never given up for an earlier return."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Where the log is: `kafka://host:port[,host:port…]`, and the name that an installation's things begin with there."""

    url: str
    namespace: str = "huiyin"

    @property
    def name(self) -> str:
        return f"{self.namespace}.events"

    def group(self, consumer: str) -> str:
        """Kafka's name of a consumer."""
        return f"{self.namespace}.{consumer}"

    @property
    def servers(self) -> list[str]:
        return self.url.removeprefix("kafka://").split(",")


@asynccontextmanager
async def admin(topic: Topic) -> AsyncIterator[Any]:
    """Kafka's administrative interface. Raises `Unavailable`, also for what fails inside."""
    client = AIOKafkaAdminClient(bootstrap_servers=topic.servers, request_timeout_ms=int(PATIENCE * 1000))
    try:
        with told(topic.url):
            async with asyncio.timeout(PATIENCE):
                await client.start()
                yield client
    finally:
        await client.close()


async def apply(topic: Topic) -> str:
    """Make the topic, or bring its settings to what they have to be; what was done, in one line.

    Raises `Misconfigured` for a topic with another number of partitions, and `Unavailable`.
    """
    async with admin(topic) as client:
        brokers = len((await client.describe_cluster())["brokers"])
        copies = min(brokers, COPIES)
        settings = {**FIXED, "min.insync.replicas": str(_enough(copies))}
        new = NewTopic(topic.name, PARTITIONS, copies, topic_configs=settings)
        answer = await client.create_topics([new], timeout_ms=int(PATIENCE * 1000))
        codes = {name: code for name, code, *_ in answer.topic_errors}
        if codes[topic.name] == 0:
            return f"{topic.name} was made: {PARTITIONS} partitions, {copies} of each"
        if codes[topic.name] != TopicAlreadyExistsError.errno:
            raise Misconfigured(f"{topic.name} cannot be made: Kafka's error {codes[topic.name]}")
        found = await _described(client, topic)
        _refuse_other_partitions(topic, found)
        settings["min.insync.replicas"] = str(_enough(_copies(found)))
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, settings)])
        return f"{topic.name} is there: {PARTITIONS} partitions, {_copies(found)} of each"


async def check(topic: Topic) -> None:
    """Refuse a log that would lose or mix up events. Raises `Misconfigured`, one line, and `Unavailable`.

    What only a small installation would do, such as one broker, is said in the log.
    """
    async with admin(topic) as client:
        found = await _described(client, topic)
        _refuse_other_partitions(topic, found)
        settings = await _settings(client, topic)
    wrong = {name: settings.get(name) for name, wanted in FIXED.items() if settings.get(name) != wanted}
    wrong.pop("message.timestamp.type", None)  # the only one by which nothing is lost
    if wrong:
        told = ", ".join(f"{name}={value}" for name, value in sorted(wrong.items()))
        raise Misconfigured(f"{topic.name} would lose events ({told}): run huiyin topics apply")
    copies, enough = _copies(found), int(settings.get("min.insync.replicas") or 1)
    if enough > copies:
        raise Misconfigured(f"{topic.name} takes nothing: {enough} replicas must be in sync, and there are {copies}")
    if copies < COPIES or enough < _enough(copies):
        log("bus").warning(
            "a broker that is lost may take events with it", copies=copies, acknowledged_by=enough, topic=topic.name
        )


def _enough(copies: int) -> int:
    """On how many brokers a record has to be before it is acknowledged."""
    return 2 if copies >= COPIES else 1


def _copies(found: Mapping[str, Any]) -> int:
    return min(len(partition["replicas"]) for partition in found["partitions"])


def _refuse_other_partitions(topic: Topic, found: Mapping[str, Any]) -> None:
    if (number := len(found["partitions"])) != PARTITIONS:
        raise Misconfigured(
            f"{topic.name} has {number} partitions and must have {PARTITIONS}, fixed at birth: "
            "a case's events would no longer be in order"
        )


async def _described(client: Any, topic: Topic) -> Mapping[str, Any]:
    (found,) = await client.describe_topics([topic.name])
    if found["error_code"] or not found["partitions"]:
        raise Misconfigured(f"{topic.name} does not exist: run huiyin topics apply")
    described: Mapping[str, Any] = found
    return described


async def _settings(client: Any, topic: Topic) -> dict[str, str]:
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
    return {name: value for answer in answers for resource in answer.resources for name, value, *_ in resource[4]}
