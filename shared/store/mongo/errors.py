"""The drivers' errors as the port's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pymongo.errors import InvalidOperation, PyMongoError

from shared.errors import Unavailable


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Whatever happened, the call may have taken effect. Raises `Unavailable`."""
    try:
        yield
    except InvalidOperation as error:
        raise Unavailable("the connection to MongoDB is closed") from error
    except PyMongoError as error:
        raise Unavailable(f"MongoDB does not answer: {type(error).__name__}") from error
