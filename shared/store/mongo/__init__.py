"""Documents in MongoDB: the distributed mode's adapter. The only folder that knows a Mongo driver."""

from shared.store.mongo.server import Mongo
from shared.store.mongo.store import MongoStore

__all__ = ["Mongo", "MongoStore"]
