"""MongoDB as a replica set of one or three members."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.native.node import Node, NotStarted, Place, turns

READY = 60.0
"""Seconds in which the set has a primary and all its members."""

SET = "huiyin"

ALREADY_INITIALISED = 23

NOT_ALL_ANSWER = 74


def nodes(folder: Path, packages: Path, places: Sequence[tuple[Place, int]]) -> list[Node]:
    """The members of the set. A `mongod` on PATH comes first."""
    program = shutil.which("mongod") or str(packages / "mongodb-6.0.5" / "fiftyone" / "db" / "bin" / "mongod")
    return [_node(folder / f"mongodb-{n}", program, n, place, port) for n, (place, port) in enumerate(places, 1)]


def _node(folder: Path, program: str, number: int, place: Place, port: int) -> Node:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    settings = ["--bind_ip", place.address, "--port", str(port), "--dbpath", str(data), "--replSet", SET]
    small = [
        "--wiredTigerCacheSizeGB",
        "0.25",
        "--oplogSize",
        "256",
        "--setParameter",
        "diagnosticDataCollectionEnabled=0",
    ]
    return Node(
        f"mongodb-{number}", folder, place, port, [program, *settings, *small, "--unixSocketPrefix", str(folder)]
    )


async def ready(members: Sequence[Node]) -> None:
    """Make the set, if it is new, and wait until it has a primary and every member follows it. Raises `NotStarted`."""
    addresses = [member.address for member in members]
    wanted = {
        "_id": SET,
        "members": [{"_id": n, "host": address} for n, address in enumerate(addresses)],
        "settings": {"electionTimeoutMillis": 3000, "heartbeatIntervalMillis": 1000},
    }
    async with _direct(members[0]) as client:
        for _ in turns(READY):
            for member in members:
                if not member.running:
                    raise member.complain("ended")
            try:
                status = await client.admin.command("replSetGetStatus")
                states = sorted(member["stateStr"] for member in status["members"])
                if states == ["PRIMARY", *["SECONDARY"] * (len(members) - 1)]:
                    return
            except OperationFailure as error:
                if error.code == 94:  # not yet initialised
                    await _initiate(client, wanted)
            except PyMongoError:
                continue
    raise NotStarted(f"the replica set has no primary after {READY:.0f} s (see {members[0].folder})")


async def primary(members: Sequence[Node]) -> Node | None:
    """The member that takes writes, by its own account; None if there is none."""
    for member in members:
        with contextlib.suppress(PyMongoError):
            async with _direct(member) as client:
                if (await client.admin.command("hello"))["isWritablePrimary"]:
                    return member
    return None


async def step_down(member: Node) -> None:
    """Ask a primary to let another one be elected; whether it does is its own affair."""
    with contextlib.suppress(PyMongoError):
        async with _direct(member) as client:
            await client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)


def _direct(member: Node) -> AsyncMongoClient[dict[str, Any]]:
    """A client that asks this member alone."""
    options = "directConnection=true&serverSelectionTimeoutMS=1000&timeoutMS=10000"
    return AsyncMongoClient(f"mongodb://{member.address}/?{options}")


async def _initiate(client: AsyncMongoClient[dict[str, Any]], wanted: dict[str, Any]) -> None:
    try:
        await client.admin.command("replSetInitiate", wanted)
    except OperationFailure as error:
        if error.code not in (ALREADY_INITIALISED, NOT_ALL_ANSWER):
            raise NotStarted(f"the replica set cannot be made: {error}") from None
    except PyMongoError:
        return  # the next turn asks again


def url(members: Sequence[Node]) -> str:
    return "mongodb://" + ",".join(member.address for member in members) + f"/?replicaSet={SET}"
