"""The connection to MongoDB that a process shares, over one of two drivers with the same calls."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bson.codec_options import CodecOptions
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from shared.clock import Clock
from shared.errors import Misconfigured
from shared.store.mongo.declared import create
from shared.store.mongo.errors import told
from shared.store.mongo.store import MongoStore
from shared.store.port import Collection
from shared.telemetry.logs import log

Driver = Literal["motor", "pymongo"]

PATIENCE = 4.0
"""Seconds that one call may take, with every repetition inside it: less than the port's five."""

START = 8.0
"""Seconds after which a start says that nobody answers."""

OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "retryReads": True,
    "timeoutMS": int(PATIENCE * 1000),
    "serverSelectionTimeoutMS": 3000,
    "connectTimeoutMS": 2000,
    "maxPoolSize": 50,
    "waitQueueTimeoutMS": 1000,
    "appname": "huiyin",
}
"""Whatever the URL says: what was acknowledged is in the journals of a majority, and what is read will never be undone."""

NOT_ALLOWED = {13, 18}
"""Codes of a wrong name, password or right."""

CODECS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)


class Mongo:
    """The databases of one installation: `<namespace>-<service>`, each with its service's collections."""

    @classmethod
    async def connect(cls, url: str, namespace: str = "huiyin", driver: Driver = "motor") -> Mongo:
        """Connect, and refuse servers on which promises would not hold. Raises `Misconfigured`, one line."""
        try:
            client = _client(driver, url)
        except (ConfigurationError, ValueError) as error:
            raise Misconfigured(f"HUIYIN_MONGO_URL cannot be used: {str(error).splitlines()[0]}") from None
        mongo = cls(client, namespace)
        try:
            await mongo._check()
        except BaseException:
            await mongo.close()
            raise
        return mongo

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def store(self, service: str, collections: Sequence[Collection]) -> MongoStore:
        """A service's documents; the collections and indexes are what it declares. Raises `Misconfigured`, `Unavailable`."""
        database = self._client.get_database(f"{self._namespace}-{service}", codec_options=CODECS)
        with told():
            await create(database, collections)
        return MongoStore(service, database, collections)

    async def skew(self, clock: Clock) -> timedelta:
        """How far the database's clock is ahead of `clock`, to about a round trip. Raises `Unavailable`."""
        with told():
            before = clock.now()
            theirs: datetime = (await self._hello())["localTime"]
            after = clock.now()
        return theirs.replace(tzinfo=UTC) - (before + (after - before) / 2)

    async def close(self) -> None:
        closed = self._client.close()
        if inspect.isawaitable(closed):
            await closed

    async def _hello(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self._client.admin.command("hello")
        return answer

    async def _check(self) -> None:
        try:
            async with asyncio.timeout(START):
                hello = await self._hello()
                if "setName" in hello:
                    await self._check_set()
                else:
                    log("store").warning("MongoDB runs without a replica set: one disk that is lost takes all with it")
        except OperationFailure as error:
            if error.code in NOT_ALLOWED:
                raise Misconfigured("MongoDB refuses the name or password in HUIYIN_MONGO_URL") from None
            raise Misconfigured(f"MongoDB refuses: {str(error).splitlines()[0][:200]}") from None
        except (PyMongoError, TimeoutError) as error:
            raise Misconfigured(f"MongoDB in HUIYIN_MONGO_URL does not answer: {type(error).__name__}") from None

    async def _check_set(self) -> None:
        """A set that counts a write as done before it is in a journal would lose it with the power."""
        try:
            found = (await self._client.admin.command("replSetGetConfig"))["config"]
        except OperationFailure as error:
            if error.code in NOT_ALLOWED:  # only administrators may see it; the write concern asks for journals anyway
                return
            raise
        if found.get("writeConcernMajorityJournalDefault") is False:
            raise Misconfigured("the replica set must have writeConcernMajorityJournalDefault: true")
        if len(found["members"]) < 3:
            log("store").warning("a member that is lost may take documents with it", members=len(found["members"]))


def _client(driver: Driver, url: str) -> Any:
    """Imported here: an installation needs only the driver that it uses, and the other costs nothing."""
    if driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return AsyncIOMotorClient(url, **OPTIONS)
    from pymongo import AsyncMongoClient

    return AsyncMongoClient(url, **OPTIONS)
