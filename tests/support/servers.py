"""The real servers that tests marked `distributed` talk to: those that the environment names.

What they hold can be written down as files like those of the embedded mode, with the servers' own clients and nothing
of the product, so that the checker looks at both modes with the same eyes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

PATIENCE = 30_000
"""Milliseconds that one question may take."""


def kafka_url() -> str:
    return _named("HUIYIN_KAFKA_URL")


def mongo_url() -> str:
    return _named("HUIYIN_MONGO_URL")


def _named(variable: str) -> str:
    url = os.environ.get(variable)
    if url is None:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain(f'{variable} is not set: eval "$(make -s servers-up)"')
    return str(url)


async def export(namespace: str, folder: Path) -> Path:
    """Write what an installation keeps on the servers into SQLite files of a new folder: `log.db` and one a service."""
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "log.db")) as log:
        log.execute("CREATE TABLE log(partition, offset, key, headers, value)")
        log.executemany("INSERT INTO log VALUES(?, ?, ?, ?, ?)", await _records(f"{namespace}.events"))
        log.execute("CREATE TABLE positions(consumer, partition, next)")
        log.executemany("INSERT INTO positions VALUES(?, ?, ?)", await _positions(namespace))
        log.commit()
    with _mongo() as client:
        for name in _databases(client, namespace):
            _write_down(client[name], folder / f"{name.removeprefix(f'{namespace}-')}.db")
    return folder


def _written(document: dict[str, Any]) -> str | None:
    """When it is due, as files have it."""
    return document["due"].isoformat(timespec="milliseconds") + "Z" if "due" in document else None


def is_due(namespace: str, collections: Iterable[tuple[str, str]], before: datetime) -> bool:
    """Whether a document of these collections, each named with its service, is due before a moment."""
    with _mongo() as client:
        databases = {name: client[f"{namespace}-{name}"] for name, _ in collections}
        return any(databases[s][c].find_one({"due": {"$lt": before}}) for s, c in collections)


def forget(namespace: str) -> None:
    """Remove an installation's databases; its topic stays, and nobody reads it."""
    with _mongo() as client:
        for name in _databases(client, namespace):
            client.drop_database(name)


def _mongo() -> MongoClient[dict[str, Any]]:
    return MongoClient(mongo_url(), timeoutMS=PATIENCE)


def _databases(client: MongoClient[dict[str, Any]], namespace: str) -> list[str]:
    return [name for name in client.list_database_names() if name.startswith(f"{namespace}-")]


def _write_down(database: Any, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as kept:
        kept.execute("CREATE TABLE _outbox(document, event)")
        for name in database.list_collection_names():
            documents = list(database.get_collection(name, read_concern=ReadConcern("majority")).find())
            kept.execute(f'CREATE TABLE "{name}"(id, revision, due, body)')
            rows = [(d["_id"], d["revision"], _written(d), json.dumps(d["doc"], ensure_ascii=False)) for d in documents]
            kept.executemany(f'INSERT INTO "{name}" VALUES(?, ?, ?, ?)', rows)
            waiting = [(d["_id"], event["id"]) for d in documents for event in d.get("outbox", ())]
            kept.executemany("INSERT INTO _outbox VALUES(?, ?)", waiting)
        kept.commit()


async def _positions(namespace: str) -> list[tuple[str, int, int]]:
    client = AIOKafkaAdminClient(bootstrap_servers=_brokers(), request_timeout_ms=PATIENCE)
    await client.start()
    try:
        found = []
        for group, *_ in await client.list_consumer_groups():
            if group.startswith(f"{namespace}."):
                offsets = await client.list_consumer_group_offsets(group)
                consumer = group.removeprefix(f"{namespace}.")
                found += [(consumer, at.partition, offset.offset) for at, offset in offsets.items()]
        return found
    finally:
        await client.close()


def _brokers() -> list[str]:
    return kafka_url().removeprefix("kafka://").split(",")


async def _records(topic: str) -> Iterable[tuple[int, int, str, str, bytes]]:
    client = AIOKafkaConsumer(bootstrap_servers=_brokers())
    await client.start()
    try:
        partitions = [TopicPartition(topic, partition) for partition in range(12)]
        client.assign(partitions)
        await client.seek_to_beginning()
        ends = await client.end_offsets(partitions)
        records = []
        while any([await client.position(partition) < ends[partition] for partition in partitions]):
            for messages in (await client.getmany(timeout_ms=PATIENCE)).values():
                for m in messages:
                    headers = json.dumps({name: value.decode() for name, value in m.headers})
                    records.append((m.partition, m.offset, m.key.decode(), headers, m.value))
        return records
    finally:
        await client.stop()
